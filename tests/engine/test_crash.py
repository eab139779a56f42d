"""What a worker that died leaves behind is found by looking, and a worker that lost its lease writes nothing."""

import os
import socket
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from service.connectors.base import Insert, Result
from service.connectors.sql import SqlConnector
from service.core.records import Scalar, Selection, Side
from service.engine.task import Stop
from service.operations import execution, runs
from service.store import intents, sql
from service.store import runs as run_rows
from service.store.intents import Intent
from service.store.models import Intents as IntentRow
from service.store.models import SyncRun
from service.store.runs import Lease, LeaseLost
from service.worker import carry_out_next, carrying, free_runs_of_the_dead, start_due
from tests.world import LINES, World, couple, errors, line, tally

KEYLESS = [{**item, "match_key": None} for item in LINES]
"""The mapping without match keys: no twin is looked for before an insert."""


def sent(world: World, chosen: str | None, *records: tuple[str, dict[str, Scalar]]) -> None:
    """The state right after a page of inserts was sent and before its outcome was written down."""
    run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    lease = execution.claim(world.context, "dead")
    assert lease is not None
    noted = [Intent(key, chosen, values) for key, values in records]
    intents.save(world.mapping_id, Lease(run.id, "nobody", 0, 0), Side.INTEGRATION, 0, noted)
    run_rows.end_leases(["dead"])


WRITTEN: dict[str, Scalar] = {
    "accountnumber": "1",
    "name": "One",
    "address1_city": None,
    "creditlimit": None,
    "customertypecode": 3,
}


def test_an_insert_that_took_effect_is_not_sent_again(world: World) -> None:
    world.map(KEYLESS)
    key = world.add("local", number="1", name="One")
    world.add("integration", accountid="ours", accountnumber="1", name="One", customertypecode=3)
    sent(world, "ours", (key, WRITTEN))
    assert carry_out_next(world.context, "other", threading.Event())
    assert world.partner("local", key) == "ours"
    assert len(world.all("integration")) == 1
    assert IntentRow.select().count() == 0
    before = world.stamps()
    world.run()
    assert world.stamps() == before


def test_an_insert_that_did_not_take_effect_is_done(world: World) -> None:
    world.map(KEYLESS)
    key = world.add("local", number="1", name="One")
    sent(world, "ours", (key, WRITTEN))
    assert carry_out_next(world.context, "other", threading.Event())
    assert world.partner("local", key) is not None
    assert len(world.all("integration")) == 1
    assert IntentRow.select().count() == 0


def test_an_insert_without_a_key_of_ours_is_found_by_what_was_written(world: World) -> None:
    world.map(KEYLESS)
    key = world.add("local", number="1", name="One")
    world.add("integration", accountid="x", accountnumber="1", name="One", customertypecode=3)
    sent(world, None, (key, WRITTEN))
    carry_out_next(world.context, "other", threading.Event())
    assert world.partner("local", key) == "x"


NUMBER_IS_KEY = [{**KEYLESS[0], "integration_field": "accountid"}, *KEYLESS[1:]]
"""The key of new records is one of the values that the mapping writes."""

KEYED: dict[str, Scalar] = {"accountid": "1", **{name: WRITTEN[name] for name in WRITTEN if name != "accountnumber"}}


def test_an_insert_whose_key_is_a_value_is_found_by_it_whatever_the_application_made_of_the_rest(world: World) -> None:
    world.map(NUMBER_IS_KEY)
    key = world.add("local", number="1", name="One")
    world.add("integration", accountid="1", name="ONE", customertypecode=3)
    sent(world, None, (key, KEYED))
    carry_out_next(world.context, "other", threading.Event())
    assert world.partner("local", key) == "1"
    assert errors() == []
    assert len(world.all("integration")) == 1


def test_an_insert_that_arrives_after_it_was_looked_for_is_ours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application was slow: what it was sent takes effect when it is about to be sent once more."""
    world.map(NUMBER_IS_KEY)
    key = world.add("local", number="1", name="One")
    sent(world, None, (key, KEYED))
    insert, late = SqlConnector.insert, [{"accountid": "1", "name": "ONE", "customertypecode": 3}]

    def slow(connector: SqlConnector, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        while late:
            world.add("integration", **late.pop())
        return insert(connector, selection, items)

    monkeypatch.setattr(SqlConnector, "insert", slow)
    carry_out_next(world.context, "other", threading.Event())
    assert world.partner("local", key) == "1"
    assert errors() == []
    assert len(world.all("integration")) == 1


def test_somebody_elses_record_with_the_key_of_an_insert_is_neither_coupled_nor_written_over(world: World) -> None:
    world.map(NUMBER_IS_KEY, direction="toIntegration")
    key = world.add("local", number="1", name="One")
    world.add("integration", accountid="1", name="Uno", customertypecode=3)
    sent(world, None, (key, KEYED))
    carry_out_next(world.context, "other", threading.Event())
    assert world.partner("local", key) is None
    assert [(one.code, one.params["rule"]) for one in errors()] == [("value_rejected", "unique")]
    assert [one["name"] for one in world.all("integration")] == ["Uno"]


def test_somebody_elses_record_that_is_found_instead_is_not_taken_for_ours(world: World) -> None:
    """The insert never arrived, and somebody made a record with the same number: a person decides about the rest."""
    world.map()
    key = world.add("local", number="1", name="One")
    world.add("integration", accountid="x", accountnumber="1", name="Uno", customertypecode=3)
    sent(world, None, (key, WRITTEN))
    carry_out_next(world.context, "other", threading.Event())
    assert world.partner("local", key) == "x"
    assert [item.reason for item in world.skips()] == ["conflict"]
    assert (world.get("integration", "x") or {})["name"] == "Uno"


def test_what_the_source_became_since_then_still_travels(world: World) -> None:
    world.map(KEYLESS)
    key = world.add("local", number="1", name="One")
    world.add("integration", accountid="ours", accountnumber="1", name="One", customertypecode=3)
    sent(world, "ours", (key, WRITTEN))
    world.edit("local", key, name="Two")
    carry_out_next(world.context, "other", threading.Event())
    assert (world.get("integration", "ours") or {})["name"] == "Two"
    assert errors() == []


def test_an_insert_that_could_be_several_records_is_set_aside(world: World) -> None:
    world.map(KEYLESS, direction="toIntegration")
    key = world.add("local", number="1", name="One")
    for id in ("x", "y"):
        world.add("integration", accountid=id, accountnumber="1", name="One", customertypecode=3)
    sent(world, None, (key, WRITTEN))
    carry_out_next(world.context, "other", threading.Event())
    assert [(item.reason, item.local_key) for item in world.skips()] == [("ambiguous", key)]
    assert len(world.all("integration")) == 2


@pytest.mark.parametrize("lines", [KEYLESS, LINES], ids=["keyless", "match"])
def test_inserts_are_settled_after_their_mapping_was_changed(world: World, lines: list[dict[str, Any]]) -> None:
    """A run failed with an insert under way; somebody took the field mapping away that had kept it from going on."""
    world.map(lines)
    key, other = world.add("local", number="1", name="One"), world.add("local", number="2", name="Two")
    for id, number in (("x", "1"), ("y", "2")):
        world.add("integration", accountid=id, accountnumber=number, name="One", customertypecode=3)
    sent(world, None, (key, WRITTEN))
    rest = [line(**one) for one in lines if one.get("local_field") not in ("city", "credit_limit")]
    world.change_mapping(field_mappings=rest)
    carry_out_next(world.context, "other", threading.Event())
    assert world.partner("local", key) == "x"
    assert world.partner("local", other) is not None
    assert {run.status for run in runs.list_runs(limit=10)} <= {"succeeded", "completedWithErrors"}


@pytest.mark.parametrize("name", ["One", "Uno"])
def test_what_cannot_be_ours_is_no_partner_of_a_record_that_is_gone(world: World, name: str) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=None)
    couple(world, number="9", name="Nine")
    key = world.add("local", number="1", name="One")
    world.add("integration", accountid="x", accountnumber="1", name=name, customertypecode=3)
    sent(world, None, (key, WRITTEN))
    world.delete("local", key)
    carry_out_next(world.context, "other", threading.Event())
    world.run("findDeleted")
    assert (world.get("integration", "x") is None) is (name == WRITTEN["name"])


def test_a_record_that_several_inserts_could_have_made_is_given_to_none(world: World) -> None:
    """Two records hold the same, and one of the two inserts arrived: nobody can tell whose it was. The mapping goes on
    with all others."""
    world.map(KEYLESS, direction="toIntegration")
    alike = [world.add("local", number="1", name="One") for _ in range(2)]
    world.add("integration", accountid="x", accountnumber="1", name="One", customertypecode=3)
    sent(world, None, *((key, WRITTEN) for key in alike))
    other = world.add("local", number="2", name="Two")
    carry_out_next(world.context, "other", threading.Event())
    (run,) = runs.list_runs(limit=10)
    assert run.status == "completedWithErrors"
    assert sorted((item.reason, item.local_key) for item in world.skips()) == [("ambiguous", key) for key in alike]
    assert [(error.params["candidates"], error.params["rivals"]) for error in errors()] == [
        (["x"], [alike[1]]),
        (["x"], [alike[0]]),
    ]
    assert world.partner("local", other) is not None
    assert len(world.all("integration")) == 2


def test_a_worker_that_lost_its_lease_writes_nothing(world: World) -> None:
    world.map()
    for number in range(3):
        world.add("local", number=str(number), name=str(number))
    run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    first = execution.claim(world.context, "first")
    assert first is not None

    def lose() -> None:
        """Another worker takes the run while this one is between two pages."""
        run_rows.end_leases(["first"])
        assert carry_out_next(world.context, "second", threading.Event())

    execution.carry_out(
        world.context, first, lambda: lose() if runs.get(run.id).owner == "first" else None, lambda _: None
    )
    ended = runs.get(run.id)
    assert (ended.status, ended.attempt, tally(ended, "toIntegration")) == ("succeeded", 2, {"read": 3, "inserted": 3})
    assert len(world.all("integration")) == 3
    with pytest.raises(LeaseLost):
        run_rows.save_page(first, {}, {}, {})


def test_a_run_is_handed_over_between_two_pages_and_goes_on_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.map(KEYLESS)
    for number in range(7):
        world.add("local", number=str(number), name=str(number))
    run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    answers = iter([None, Stop.HAND_OVER])
    lease = execution.claim(world.context, "first")
    assert lease is not None
    execution.carry_out(world.context, lease, lambda: next(answers), lambda _: None, page_size=3)
    half = runs.get(run.id)
    assert (half.status, half.counts["toIntegration"]["inserted"]) == ("running", 3)
    assert carry_out_next(world.context, "second", threading.Event())
    ended = runs.get(run.id)
    assert (ended.status, tally(ended, "toIntegration")) == ("succeeded", {"read": 7, "inserted": 7})
    assert len(world.all("integration")) == 7


def test_a_cancelled_run_keeps_what_is_done(world: World) -> None:
    world.map(KEYLESS)
    for number in range(7):
        world.add("local", number=str(number), name=str(number))
    run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    lease = execution.claim(world.context, "first")
    assert lease is not None
    seen: list[int] = []

    def stopping() -> Stop | None:
        seen.append(1)
        if len(seen) == 2:
            runs.cancel(world.context, run.id, "anna")
        return Stop.CANCEL if run_rows.cancel_wanted(run.id) else None

    execution.carry_out(world.context, lease, stopping, lambda _: None, page_size=3)
    assert runs.get(run.id).status == "cancelled"
    assert len(world.all("integration")) == 3
    rest = world.run()
    assert rest.counts["toIntegration"]["inserted"] == 4


def test_runs_of_dead_workers_of_this_machine_are_free_at_once(world: World) -> None:
    world.map()
    run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    assert execution.claim(world.context, f"{socket.gethostname()}:{os.getpid()}:earlier:0") is not None
    assert execution.claim(world.context, "me") is None
    assert free_runs_of_the_dead(f"{socket.gethostname()}:{os.getpid()}:now") == 1
    lease = execution.claim(world.context, "me")
    assert lease is not None
    assert (lease.run_id, lease.attempt) == (run.id, 2)


def test_one_run_per_mapping_and_the_same_request_is_queued_once(world: World) -> None:
    world.map()
    first = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    assert runs.start(world.context, runs.RunRequest(world.mapping_id), "test").id == first.id
    other = runs.start(world.context, runs.RunRequest(world.mapping_id, "full"), "test")
    assert other.id != first.id
    assert execution.claim(world.context, "a") is not None
    assert execution.claim(world.context, "b") is None, "the mapping is busy"


def test_a_schedule_that_was_missed_is_made_up_for_once(world: World) -> None:
    world.map(schedule={"everyMinutes": 30})
    sql.execute("UPDATE mappings SET next_due = 1")
    assert start_due(world.context) == 1
    assert start_due(world.context) == 0
    (run,) = SyncRun.select()
    assert (run.trigger, run.priority > 0) == ("schedule", True)


def test_a_page_that_cannot_be_written_down_leaves_nothing_behind(world: World) -> None:
    """Somebody couples the same record by hand while the run is on its way: the page is done again."""
    world.map(KEYLESS)
    customer, account = couple(world, number="1", name="One")
    assert world.partner("local", customer) == account
    with pytest.raises(sql.Clash), sql.transaction():
        sql.execute(
            "INSERT INTO couplings (mapping_id, local_key, integration_key, local_echo, integration_echo, version)"
            " VALUES (?, ?, 'other', ?, ?, 1)",
            world.mapping_id,
            customer,
            False,
            False,
        )


def test_a_long_run_leaves_the_places_of_short_ones(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longer than a short run may is given back after its page, and waits for a place of long ones."""
    monkeypatch.setattr(carrying, "SHORT", -1.0)
    world.map()
    run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    assert carry_out_next(world.context, "short", threading.Event(), short=True)
    assert (runs.get(run.id).status, runs.get(run.id).is_long) == ("running", True)
    assert execution.claim(world.context, "short", short=True) is None
    assert carry_out_next(world.context, "any", threading.Event())
    assert (runs.get(run.id).status, runs.get(run.id).attempt) == ("succeeded", 2)

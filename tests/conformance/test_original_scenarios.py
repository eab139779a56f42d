"""The scenarios that the makers of the original test, each with what Accord does in it.

The numbers are those of `docs/conformance.md`, which also says where the two differ and why. Local is what the original
calls Business Central, integration what it calls Dataverse.
"""

from __future__ import annotations

import threading
from itertools import product
from pathlib import Path

import pytest

from service import wording
from service.core.errors import Invalid
from service.core.failures import Failure, SideFailed
from service.core.records import Direction, Side
from service.operations import couplings, runs, skipped
from service.operations import errors as error_list
from service.store.models import FieldMapping, SyncRun
from service.worker import carry_out_next, run_until_idle
from tests.conformance.words import (
    MemoryWorld,
    both,
    coupled_stamps,
    coupling,
    field,
    own_stamps,
    quiet,
    stamp,
    total,
    watermarks,
)
from tests.odata.sales import CENTRAL, DATAVERSE, Sales
from tests.odata.servers import counterpart
from tests.trade import MAPPINGS, Trade
from tests.world import LINES, World, couple, errors, line

SIDES = list(Side)


def names(world: World, customer: str, account: str) -> tuple[str, str]:
    """The pair's names on both sides."""
    return field(world, "local", customer, "name"), field(world, "integration", account, "name")


def in_step(world: World, **values: object) -> tuple[str, str]:
    """A coupled pair that was synchronized, and whose run of rest is over."""
    keys = couple(world, number="1", **{"name": "One", **values})
    assert quiet(world.run())
    return keys


def edit_both(world: World, customer: str, account: str) -> None:
    """Two people change the same field to different values."""
    world.edit("local", customer, name="Local")
    world.edit("integration", account, name="CRM")


def refuse(world: World, side: str, rule: str = "WHEN NEW.name = 'Bad'", events: str = "INSERT UPDATE") -> None:
    """Let an application refuse records."""
    for event in events.split():
        world.sql(
            side,
            f"CREATE TRIGGER refuse_{event} BEFORE {event} ON {'account' if side == 'integration' else 'customer'} "
            f"{rule} BEGIN SELECT RAISE(ABORT, 'not like this'); END",
        )


def allow(world: World, side: str, events: str = "INSERT UPDATE") -> None:
    for event in events.split():
        world.sql(side, f"DROP TRIGGER refuse_{event}")


def set_aside(world: World) -> tuple[str, str]:
    """A pair whose customer was refused twice in a row."""
    customer, account = in_step(world)
    refuse(world, "integration")
    world.edit("local", customer, name="Bad")
    world.run()
    world.run()
    assert [item.reason for item in world.skips()] == ["repeatedFailure"]
    return customer, account


# Runs without anything to do, and edits on one side


def test_01_no_field_mapping(world: World) -> None:
    """Such a mapping cannot be saved; one whose lines are lost all the same stops with one error."""
    with pytest.raises(Invalid) as refused:
        world.map([{**LINES[1], "enabled": False}])
    assert "nothing_flows" in {problem.code for problem in refused.value.problems}
    world.map()
    world.add("local", number="1", name="One")
    FieldMapping.update(enabled=False).execute()
    run = world.run()
    assert (run.status, run.code, both(run)) == ("failed", "no_field_mappings", {})
    assert [error.code for error in errors()] == ["no_field_mappings"]
    assert world.all("integration") == []


def test_02_nothing_to_look_at(world: World) -> None:
    world.map()
    run = world.run()
    assert (run.status, both(run)) == ("succeeded", {})
    assert set(run.counts) == {"toIntegration", "fromIntegration"}


def test_03_nothing_has_changed(world: World) -> None:
    world.map()
    customer, _ = couple(world, number="1", name="One")
    before = coupled_stamps(world, customer), watermarks(world), world.stamps()
    run = world.run()
    assert (run.status, both(run)) == ("succeeded", {})
    after = coupled_stamps(world, customer), watermarks(world), world.stamps()
    assert after[::2] == before[::2]
    assert after[1][Side.LOCAL] == before[1][Side.LOCAL]
    world.run()
    assert watermarks(world) == after[1]


@pytest.mark.parametrize("side", SIDES)
def test_04_and_05_one_side_has_changed(world: World, side: Side) -> None:
    world.map()
    customer, account = in_step(world)
    world.edit(side, customer if side is Side.LOCAL else account, name="Two")
    run = world.run()
    assert both(run) == {Direction.out_of(side): {"read": 1, "modified": 1}}
    assert names(world, customer, account) == ("Two", "Two")
    assert coupled_stamps(world, customer) == own_stamps(world, customer, account)
    before = world.stamps()
    assert both(world.run()) == {}, "what Accord wrote does not come back"
    assert world.stamps() == before


@pytest.mark.parametrize("ahead", [0, -300, 300])
@pytest.mark.parametrize(("first", "second"), list(product(SIDES, SIDES)))
def test_06_two_changes_one_after_the_other(world: World, first: Side, second: Side, ahead: int) -> None:
    """All orders, with the other application's clock equal, five minutes behind and five minutes ahead."""
    world.map()
    world.sql("integration", "UPDATE clock SET now = now + ?", ahead)
    customer, account = in_step(world)
    keys = {Side.LOCAL: customer, Side.INTEGRATION: account}
    for side, name in ((first, "First"), (second, "Second")):
        world.edit(side, keys[side], name=name)
        run = world.run()
        assert (run.status, both(run)) == ("succeeded", {Direction.out_of(side): {"read": 1, "modified": 1}})
        assert names(world, customer, account) == (name, name)
    assert both(world.run()) == {}
    assert (errors(), world.skips()) == ([], [])


@pytest.mark.parametrize("kind", ["full", "records"])
@pytest.mark.parametrize("side", list(Side))
def test_06_two_changes_and_a_run_that_reads_what_we_wrote(world: World, side: Side, kind: str) -> None:
    """The same for a run that looks at the partner, too, which nobody but Accord has touched."""
    world.map()
    customer, account = in_step(world)
    keys = {Side.LOCAL: customer, Side.INTEGRATION: account}
    world.edit(side, keys[side], name="First")
    world.run()
    world.edit(side, keys[side], name="Second")
    run = world.run(kind, **({"local_keys": (customer,), "integration_keys": (account,)} if kind == "records" else {}))
    assert (run.status, total(run, "modified"), world.skips()) == ("succeeded", 1, [])
    assert names(world, customer, account) == ("Second", "Second")


# Edits on both sides


def test_07_both_changed_the_same_field(world: World) -> None:
    """Set aside at the first meeting, not at the second; one error for the pair, not one for each direction."""
    world.map()
    customer, account = in_step(world)
    edit_both(world, customer, account)
    before = coupled_stamps(world, customer), watermarks(world)
    run = world.run()
    assert run.status == "completedWithErrors"
    assert both(run) == {
        "toIntegration": {"read": 1, "skipped": 1},
        "fromIntegration": {"read": 1, "skipped": 1},
    }
    assert names(world, customer, account) == ("Local", "CRM")
    assert coupled_stamps(world, customer) == before[0]
    for side in Side:
        assert (watermarks(world)[side] or 0) >= (before[1][side] or 0)
    assert [error.code for error in errors()] == ["destination_modified_later"]
    assert [item.reason for item in world.skips()] == ["conflict"]


@pytest.mark.parametrize("direction", ["toIntegration", "fromIntegration"])
def test_08_both_changed_different_fields(world: World, direction: str) -> None:
    """By record that is a conflict, as in the original."""
    world.map()
    customer, account = in_step(world, city="Oslo")
    world.edit("local", customer, name="Local")
    world.edit("integration", account, address1_city="Bergen")
    before = world.stamps()
    run = world.run(direction=Direction(direction))
    assert both(run) == {direction: {"read": 1, "skipped": 1}}
    assert (world.stamps(), len(errors()), len(world.skips())) == (before, 1, 1)


def test_08_both_changed_different_fields_merged(world: World) -> None:
    """By field it is none: both edits travel, in one visit."""
    world.map(conflict_detection="field")
    customer, account = in_step(world, city="Oslo")
    world.edit("local", customer, name="Local")
    world.edit("integration", account, address1_city="Bergen")
    run = world.run()
    assert (run.status, total(run, "modified")) == ("succeeded", 1)
    assert names(world, customer, account) == ("Local", "Local")
    assert field(world, "local", customer, "city") == "Bergen"
    assert (errors(), world.skips()) == ([], [])


def test_09_both_changed_a_field_that_is_not_mapped(world: World) -> None:
    world.map([line for line in LINES if line["integration_field"] != "address1_city"])
    customer, account = in_step(world, city="Oslo")
    world.edit("local", customer, city="Bergen")
    world.edit("integration", account, address1_city="Tromsø")
    run = world.run()
    assert run.status == "succeeded"
    assert both(run) == {
        "toIntegration": {"read": 1, "unchanged": 1},
        "fromIntegration": {"read": 1, "unchanged": 1},
    }
    assert field(world, "local", customer, "city") == "Bergen"
    assert field(world, "integration", account, "address1_city") == "Tromsø"


def test_10_both_changed_a_field_that_flows_one_way(world: World) -> None:
    world.map()
    customer, account = in_step(world, credit_limit=10)
    world.edit("local", customer, credit_limit=20)
    world.edit("integration", account, creditlimit=99)
    run = world.run(direction=Direction.TO_INTEGRATION)
    assert (run.status, both(run)) == ("succeeded", {"toIntegration": {"read": 1, "modified": 1}})
    assert field(world, "integration", account, "creditlimit") == 20
    assert errors() == []


def test_11_both_changed_to_the_same(world: World) -> None:
    world.map()
    customer, account = in_step(world)
    world.edit("local", customer, name="Two")
    world.edit("integration", account, name="Two")
    before = world.stamps()
    run = world.run()
    assert (run.status, both(run)["toIntegration"]) == ("succeeded", {"read": 1, "unchanged": 1})
    assert (world.stamps(), errors(), world.skips()) == (before, [], [])
    assert coupled_stamps(world, customer) == own_stamps(world, customer, account)


def test_12_the_local_side_wins(world: World) -> None:
    world.map(update_conflict_resolution="sendUpdateToIntegration")
    customer, account = in_step(world)
    edit_both(world, customer, account)
    run = world.run(direction=Direction.TO_INTEGRATION)
    assert (run.status, both(run)) == ("succeeded", {"toIntegration": {"read": 1, "modified": 1}})
    assert names(world, customer, account) == ("Local", "Local")
    assert quiet(world.run())


def test_13_the_integration_side_wins(world: World) -> None:
    world.map(update_conflict_resolution="getUpdateFromIntegration")
    customer, account = in_step(world)
    edit_both(world, customer, account)
    run = world.run(direction=Direction.FROM_INTEGRATION)
    assert (run.status, both(run)) == ("succeeded", {"fromIntegration": {"read": 1, "modified": 1}})
    assert names(world, customer, account) == ("CRM", "CRM")
    assert quiet(world.run())


# Deleted partners


def deleted_partner(world: World, **given: object) -> tuple[str, str]:
    """A pair whose customer was deleted, and whose account was edited since."""
    only_coupled = given.pop("synch_only_coupled_records", False)
    world.map([line for line in LINES if line.get("direction") != "toIntegration"], **given)
    account = world.add("integration", accountid="a", accountnumber="1", name="One")
    world.run()
    world.change_mapping(synch_only_coupled_records=only_coupled)
    world.run()
    customer = world.partner("integration", account) or ""
    world.delete("local", customer)
    world.edit("integration", account, name="Survivor")
    return customer, account


@pytest.mark.parametrize("given", [{}, {"direction": "fromIntegration"}])
@pytest.mark.parametrize("only_coupled", [True, False])
def test_14_a_deleted_partner_without_a_policy(world: World, given: dict[str, str], only_coupled: bool) -> None:
    customer, account = deleted_partner(world, synch_only_coupled_records=only_coupled, **given)
    assert both(world.run()) == {"fromIntegration": {"read": 1, "failed": 1}}
    assert both(world.run()) == {"fromIntegration": {"read": 1, "skipped": 1}}
    assert [item.reason for item in world.skips()] == ["deleted"]
    assert coupling(world, customer).integration_key == account
    assert {error.code for error in errors()} == {"partner_deleted"}


def test_15_a_deleted_partner_ends_the_coupling(world: World) -> None:
    _, account = deleted_partner(world, deletion_conflict_resolution="removeCoupling")
    run = world.run(direction=Direction.FROM_INTEGRATION)
    assert (run.status, both(run)) == ("succeeded", {"fromIntegration": {"read": 1, "uncoupled": 1}})
    assert world.partner("integration", account) is None
    assert (field(world, "integration", account, "name"), world.skips()) == ("Survivor", [])


def test_16_a_deleted_partner_is_created_again(world: World) -> None:
    _, account = deleted_partner(world, deletion_conflict_resolution="restoreRecords")
    assert world.all("local") == []
    run = world.run()
    assert (run.status, both(run)) == ("succeeded", {"fromIntegration": {"read": 1, "inserted": 1}})
    made = world.partner("integration", account) or ""
    assert (names(world, made, account), world.skips()) == (("Survivor", "Survivor"), [])
    assert quiet(world.run())


# Failures, and what is set aside


def test_17_a_failure_whose_cause_was_removed(world: World) -> None:
    world.map()
    customer, _ = in_step(world)
    refuse(world, "integration")
    world.edit("local", customer, name="Bad")
    assert both(world.run()) == {"toIntegration": {"read": 1, "failed": 1}}
    allow(world, "integration")
    run = world.run()
    assert (run.status, both(run)) == ("succeeded", {"toIntegration": {"read": 1, "modified": 1}})
    assert (coupling(world, customer).last_result, world.skips()) == ("success", [])
    assert [error.status for error in errors()] == ["resolved"]


def test_18_two_failures_of_different_causes(world: World) -> None:
    world.map()
    customer, _ = in_step(world)
    refuse(world, "integration")
    for name in ("Bad", "x" * 60):
        world.edit("local", customer, name=name)
        assert both(world.run()) == {"toIntegration": {"read": 1, "failed": 1}}
    assert [error.code for error in errors()] == ["value_rejected", "value_too_long"]
    assert world.skips() == []


def test_19_two_failures_of_one_cause(world: World) -> None:
    """The cause is what counts, not the text: the second message names another length."""
    world.map()
    customer, _ = in_step(world)
    for length, outcome in ((60, "failed"), (70, "skipped")):
        world.edit("local", customer, name="x" * length)
        assert both(world.run()) == {"toIntegration": {"read": 1, outcome: 1}}
    assert [error.params["length"] for error in errors()] == [60, 70]
    assert [item.reason for item in world.skips()] == ["repeatedFailure"]


def test_20_asking_for_a_record_that_is_set_aside(world: World) -> None:
    world.map()
    customer, account = set_aside(world)
    run = world.run("records", local_keys=(customer,))
    assert (run.status, both(run)["toIntegration"]) == ("succeeded", {"read": 1, "skipped": 1})
    assert (len(world.skips()), field(world, "integration", account, "name")) == (1, "One")


def test_21_one_pair_in_conflict_and_one_edited(world: World) -> None:
    """What was set aside and what is in step is not looked at again, so the second run has nothing to count."""
    world.map()
    customer, account = in_step(world)
    other, partner = couple(world, number="2", name="Two")
    edit_both(world, customer, account)
    world.edit("integration", partner, name="Three")
    first = world.run()
    assert (total(first, "skipped"), total(first, "modified"), total(first, "failed")) == (2, 1, 0)
    assert names(world, other, partner) == ("Three", "Three")
    assert both(world.run()) == {}
    assert [item.local_key for item in world.skips()] == [customer]
    full = world.run("full")
    assert (full.status, total(full, "skipped"), total(full, "unchanged")) == ("succeeded", 2, 2)


def test_22_another_failure_in_the_other_direction(world: World) -> None:
    world.map()
    _, account = set_aside(world)
    before = len(errors())
    refuse(world, "local")
    world.edit("integration", account, name="x" * 60)
    assert both(world.run()) == {"fromIntegration": {"read": 1, "skipped": 1}}
    assert (len(world.skips()), len(errors())) == (1, before)


def test_23_retry_after_the_cause_was_removed(world: World) -> None:
    world.map()
    customer, account = set_aside(world)
    allow(world, "integration")
    run = world.resolve(world.skips()[0], "retry")
    assert (run.trigger, run.status, total(run, "modified")) == ("resolution", "succeeded", 1)
    assert (names(world, customer, account), world.skips()) == (("Bad", "Bad"), [])
    assert coupling(world, customer).last_result == "success"


def test_24_retry_everything(world: World) -> None:
    world.map()
    set_aside(world)
    for number in ("2", "3"):
        world.add("local", number=number, name="Bad")
    world.run()
    world.run()
    assert len(world.skips()) == 3
    allow(world, "integration")
    skipped.resolve_many(world.context, None, world.mapping_id, None, "retry", None, "anna")
    run_until_idle(world.context)
    assert (world.skips(), len(world.all("integration"))) == ([], 3)


def test_25_the_error_of_a_skipped_record_was_deleted(world: World) -> None:
    world.map()
    set_aside(world)
    (item,) = world.skips()
    error_list.delete(world.context, item.error_id or 0, "anna")
    (kept,) = world.skips()
    assert (kept.id, kept.error_id) == (item.id, None)
    assert "retry" in skipped.show(world.context, item.id).resolutions


def test_26_cleaning_up_keeps_what_explains_a_skipped_record(world: World) -> None:
    """Errors that nobody needs go; the one that a skipped record points to stays, unless somebody insists."""
    world.map()
    set_aside(world)
    assert clean_up(world) == (1, 1)
    assert [error.id for error in errors()] == [world.skips()[0].error_id]
    assert clean_up(world, include_open=True) == (1, 0)


def clean_up(world: World, *, include_open: bool = False) -> tuple[int, int]:
    """Delete all errors that may be; how many went, and how many were kept."""
    return error_list.clean_up(
        world.context,
        older_than=None,
        all=True,
        mapping_id=world.mapping_id,
        include_open=include_open,
        dry_run=False,
        actor="anna",
    )


def survivor(world: World, side: Side) -> str:
    """The record of `side` whose partner was deleted, set aside for a person."""
    customer, account = in_step(world)
    keys = {Side.LOCAL: customer, Side.INTEGRATION: account}
    world.delete(side.other, keys[side.other])
    world.edit(side, keys[side], name="Survivor")
    world.run()
    world.run()
    assert [item.reason for item in world.skips()] == ["deleted"]
    return keys[side]


@pytest.mark.parametrize("side", SIDES)
def test_27_deleting_the_survivor_too(world: World, side: Side) -> None:
    world.map()
    key = survivor(world, side)
    run = world.resolve(world.skips()[0], "delete")
    assert (run.status, total(run, "deleted")) == ("succeeded", 1)
    assert (world.get(side, key), world.skips()) == (None, [])
    assert couplings.list_couplings(mapping_id=world.mapping_id, limit=1) == []


@pytest.mark.parametrize("side", SIDES)
def test_27_deleting_the_survivor_without_the_right_to(state: str, side: Side) -> None:
    world = MemoryWorld()
    world.map()
    key = survivor(world, side)

    def forbid(operation: str, table: str) -> None:
        if operation == "delete":
            raise SideFailed(Failure("permission_denied", {"table": table, "privilege": "DELETE"}, (table, "DELETE")))

    world.stores[side].before = forbid
    run = world.resolve(world.skips()[0], "delete")
    assert (run.status, run.code) == ("failed", "permission_denied")
    assert field(world, side, key, "name") == "Survivor"
    assert [item.status for item in world.skips()] == ["open"]


@pytest.mark.parametrize("side", SIDES)
def test_28_restoring_the_partner(world: World, side: Side) -> None:
    world.map()
    key = survivor(world, side)
    run = world.resolve(world.skips()[0], "restore")
    assert (run.trigger, run.status, total(run, "inserted")) == ("resolution", "succeeded", 1)
    made = world.partner(side, key)
    assert made is not None
    assert (field(world, side.other, made, "name"), world.skips()) == ("Survivor", [])


def test_29_both_records_are_gone(world: World) -> None:
    """Looking changes nothing; the run that looks for deleted records ends the coupling."""
    world.map()
    account = survivor(world, Side.INTEGRATION)
    world.delete("integration", account)
    (item,) = world.skips()
    view = skipped.show(world.context, item.id)
    assert (view.local, view.integration) == (None, None)
    run = world.run("findDeleted", allow_mass_delete=True)
    assert (run.status, total(run, "uncoupled")) == ("succeeded", 1)
    assert couplings.list_couplings(mapping_id=world.mapping_id, limit=1) == []
    assert world.skips() == []


def test_30_a_deleted_source_of_a_one_way_mapping(world: World) -> None:
    """Only a run that looks for deleted records can meet it. It is an error first, and set aside the second time."""
    world.map(direction="toIntegration")
    customer, _ = in_step(world)
    world.delete("local", customer)
    run = world.run()
    assert (run.status, both(run), world.skips()) == ("succeeded", {}, [])
    for outcome in ("failed", "skipped"):
        run = world.run("findDeleted", allow_mass_delete=True)
        assert (run.status, total(run, outcome)) == ("completedWithErrors", 1)
    assert [item.reason for item in world.skips()] == ["deleted"]


def test_31_a_deletion_alone_sets_nothing_aside(world: World) -> None:
    world.map()
    customer, account = in_step(world)
    world.delete("local", customer)
    run = world.run()
    assert (run.status, both(run), world.skips()) == ("succeeded", {}, [])
    assert coupling(world, customer).integration_key == account


# What people start, and what comes before it


def test_33_a_record_that_only_we_have_written(world: World) -> None:
    """Being the last to write a record says nothing: an echo is a matter of a coupling, and this one has none."""
    _, account = deleted_partner(world, deletion_conflict_resolution="removeCoupling")
    world.run()
    assert world.partner("integration", account) is None
    run = world.run("records", integration_keys=(account,))
    assert (run.status, both(run)) == ("succeeded", {"fromIntegration": {"read": 1, "inserted": 1}})
    made = world.partner("integration", account)
    assert field(world, "local", made or "", "name") == "Survivor"


def test_34_a_full_run_and_an_ordinary_one_at_the_same_time(world: World) -> None:
    """Nothing is put on hold: of one mapping only one run works, and the other waits for it in the queue."""
    world.map()
    first = runs.start(world.context, runs.RunRequest(world.mapping_id, "full"), "anna")
    SyncRun.update(status="running", owner="one", attempt=1, lease_until=2**62).where(SyncRun.id == first.id).execute()
    second = runs.start(world.context, runs.RunRequest(world.mapping_id), "bob")
    assert not carry_out_next(world.context, "another", threading.Event())
    assert runs.get(second.id).status == "queued"
    SyncRun.update(lease_until=0).where(SyncRun.id == first.id).execute()
    assert run_until_idle(world.context) == 2
    assert {run.status for run in runs.list_runs(mapping_id=world.mapping_id, limit=10)} == {"succeeded"}


def test_35_asking_twice(world: World) -> None:
    """There is no button to disable: the same request gives the run that waits already, and a new one afterwards."""
    world.map()
    request = runs.RunRequest(world.mapping_id, "full")
    first = runs.start(world.context, request, "anna")
    assert runs.start(world.context, request, "bob").id == first.id
    run_until_idle(world.context)
    assert runs.start(world.context, request, "bob").id != first.id


@pytest.mark.parametrize("side", list(Side))
def test_39_a_full_run_when_stamps_were_in_the_future(world: World, side: Side) -> None:
    """A clock was a year ahead and has been set right. Edits do not wait until time has caught up."""
    world.map()
    world.sql(side, "UPDATE clock SET now = strftime('%s', 'now') + 365 * 86400")
    customer, account = in_step(world)
    keys = {Side.LOCAL: customer, Side.INTEGRATION: account}
    world.edit(side, keys[side], name="Ahead")
    world.run()
    world.sql(side, "UPDATE clock SET now = strftime('%s', 'now')")
    world.edit(side, keys[side], name="Right")
    assert stamp(world, side, keys[side]) < world.context.now() + 60_000_000
    run = world.run("full")
    assert (run.status, both(run)[Direction.out_of(side)]) == ("succeeded", {"read": 1, "modified": 1})
    world.edit(side, keys[side], name="Again")
    assert both(world.run()) == {Direction.out_of(side): {"read": 1, "modified": 1}}
    assert names(world, customer, account) == ("Again", "Again")
    assert (errors(), world.skips()) == ([], [])


# Records that refer to others


@pytest.mark.parametrize("clearing", [True, False])
def test_32_a_lookup_that_finds_nothing(state: str, tmp_path: Path, clearing: bool) -> None:
    trade = Trade(tmp_path)
    lines = [{**one, "clear_on_failed_lookup": clearing} for one in MAPPINGS["orders"][2]]
    trade.map("currencies", "customers", "contacts")
    trade.map("orders", field_mappings=[line(**one) for one in lines])
    euro, bolt = trade.add("currency", code="EUR"), trade.add("customer", number="1")
    ann = trade.add("contact", email="ann", customer_id=bolt)
    trade.add("sales_order", number="7", customer_id=bolt, currency_id=euro, contact_id=ann)
    for name in ("currencies", "customers"):
        trade.run(name)
    run = trade.run("orders")
    if clearing:
        assert (run.status, both(run)) == ("succeeded", {"toIntegration": {"read": 1, "inserted": 1}})
        assert trade.one("salesorder", "contactid", ordernumber="7") is None
    else:
        assert (run.status, both(run)) == ("completedWithErrors", {"toIntegration": {"read": 1, "failed": 1}})
        assert [error.code for error in errors(status="open")] == ["reference_not_coupled"]
        assert trade.rows("salesorder") == []


def test_36_templates_by_priority_and_filter(world: World) -> None:
    """The first by priority whose filter fits gives a new record what no field mapping gives it."""
    blocked = {"field": "blocked", "op": "eq", "value": "All"}
    one = {"direction": "toIntegration", "priority": 1, "filter": [blocked], "values": {"customertypecode": 1}}
    two = {"direction": "toIntegration", "priority": 2, "filter": [], "values": {"customertypecode": 2}}
    world.map(LINES[:3], templates=[two, one])
    for number, value in (("1", "All"), ("2", "")):
        world.add("local", number=number, blocked=value)
    world.run()
    made = "SELECT accountnumber, customertypecode FROM account ORDER BY accountnumber"
    assert world.sql("integration", made) == [("1", 1), ("2", 2)]


def test_37_a_currency_without_an_exchange_rate(state: str) -> None:
    """The run is refused before anything is written, and a rate is all that it takes."""
    with (
        counterpart("businessCentral", CENTRAL, stampDigits=3) as central,
        counterpart("dataverse", DATAVERSE, stampDigits=0) as dataverse,
    ):
        sales = Sales(central, dataverse)
        sales.apply(mappings=["currencies"])
        krona = sales.add("local", "currencies", code="SEK", displayName="Krona")
        run = sales.run_all()["currencies"]
        assert (run.status, run.code) == ("failed", "exchange_rate_missing")
        (error,) = errors(status="open")
        assert (error.category, error.responsibility) == ("setup", "administrator")
        assert wording.say(error.code, error.params).message == "There is no exchange rate for the currency SEK."
        assert sales.rows("integration", "transactioncurrencies", "isocurrencycode") == {}
        rate = {"relationalCurrencyCode": "", "exchangeRateAmount": "100", "relationalExchangeRateAmount": "95"}
        sales.add("local", "currencyExchangeRates", currencyCode="SEK", startingDate="2020-01-01", **rate)
        run = sales.run_all()["currencies"]
        assert both(run) == {"toIntegration": {"read": 1, "inserted": 1}}
        assert [one.local_key for one in couplings.list_couplings(mapping_id=run.mapping_id, limit=5)] == [krona]
        assert errors(status="open") == []


def test_38_a_contact_whose_account_is_not_coupled(state: str, tmp_path: Path) -> None:
    trade = Trade(tmp_path)
    trade.map("customers", "contacts")
    bolt = trade.add("customer", number="1")
    trade.add("contact", email="ann", customer_id=bolt)
    trade.run("contacts")
    assert trade.rows("crm_contact") == []
    trade.run("customers")
    assert both(trade.run("contacts")) == {"toIntegration": {"read": 1, "inserted": 1}}
    assert errors(status="open") == []

"""A worker dies, is cut off or stands still at one certain moment, and another goes on: what it finds, what it leaves
alone, and what the history tells of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from service.connectors import connector_class
from service.connectors.base import Insert, Result, Update
from service.connectors.memory.connector import MemoryConnector
from service.core.failures import Failure
from service.core.records import Record, Selection, Side
from service.operations import execution, runs, skipped
from service.store import intents, sql
from service.store import runs as run_rows
from service.store.runs import LeaseLost
from tests.engine.test_state_machine import MemoryWorkplace
from tests.faults import Crash, Fault, Planned
from tests.world import LINES, couple, errors, records

LOCAL, INTEGRATION = Side.LOCAL, Side.INTEGRATION


@pytest.fixture
def world(state: str, tmp_path: Path) -> MemoryWorkplace:
    return MemoryWorkplace(tmp_path)


def disturb(world: MemoryWorkplace, *plan: tuple[str, Fault]) -> Planned:
    """From now on, these faults happen."""
    faults = Planned(*plan)
    world.context = replace(world.context, connector_class=faults.connector_class, now=faults.clock.now)
    return faults


def die(world: MemoryWorkplace, faults: Planned, act: Callable[[], object]) -> None:
    """A worker dies in the midst of what it does; its lease ends."""
    with pytest.raises(Crash):
        act()
    faults.clock.sleep(60)


def test_an_edit_of_what_an_insert_made_still_travels_when_its_answer_was_lost(world: MemoryWorkplace) -> None:
    world.map(conflict_detection="field")
    key = world.add(LOCAL, number="1", name="One", city="Oslo")
    faults = disturb(world, ("insert", Fault.CRASH_AFTER))
    die(world, faults, world.run)
    made = str(world.all(INTEGRATION)[0]["accountid"])
    world.edit(INTEGRATION, made, address1_city="Bergen")
    world.work()
    assert world.partner(LOCAL, key) == made
    world.run()
    assert (world.get(LOCAL, key) or {})["city"] == "Bergen"
    assert (world.get(LOCAL, key) or {})["name"] == "One", "that the account has it in capitals is no edit"
    assert (world.skips(), errors()) == ([], [])


@pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.AFTER, Fault.LASTING])
def test_a_value_that_a_policy_overwrote_is_in_the_history_even_then(world: MemoryWorkplace, fault: Fault) -> None:
    world.map(update_conflict_resolution="sendUpdateToIntegration")
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit(LOCAL, customer, city="Bergen")
    world.edit(INTEGRATION, account, address1_city="Tromsø")
    faults = disturb(world, ("update", fault))
    if fault is Fault.CRASH_AFTER:
        die(world, faults, world.run)
        world.work()
    else:
        world.run()
        world.run()
    told = [(change, done.rule) for run in run_ids() for done in records(runs.get(run)) for change in done.fields or ()]
    change = {"side": "integration", "field": "address1_city", "before": "Tromsø", "after": "Bergen"}
    assert told == [(change, "sendUpdateToIntegration")]
    assert sql.rows("SELECT * FROM pending_changes") == []


def run_ids() -> list[int]:
    return [id for (id,) in sql.rows("SELECT id FROM sync_runs ORDER BY id")]


def test_a_change_that_did_not_arrive_is_not_told(world: MemoryWorkplace) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit(LOCAL, customer, city="Bergen")
    die(world, disturb(world, ("update", Fault.CRASH_BEFORE)), world.run)
    world.work()
    told = [change for done in records(runs.get(run_ids()[-1])) for change in done.fields or ()]
    assert [change["after"] for change in told] == ["Bergen"], "once, by the worker that did it"
    assert (world.get(INTEGRATION, account) or {})["address1_city"] == "Bergen"


def test_what_an_application_makes_of_a_value_is_no_conflict_after_a_crash(world: MemoryWorkplace) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit(LOCAL, customer, name="Two")
    die(world, disturb(world, ("update", Fault.CRASH_AFTER)), world.run)
    assert (world.get(INTEGRATION, account) or {})["name"] == "TWO"
    world.work()
    assert ((world.get(LOCAL, customer) or {})["name"], world.skips(), errors()) == ("Two", [], [])
    before = world.stamps()
    world.run()
    assert world.stamps() == before


def test_a_deletion_is_in_the_history_even_then(world: MemoryWorkplace) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=None)
    customer, account = couple(world, number="1", name="One")
    world.delete(LOCAL, customer)
    die(world, disturb(world, ("delete", Fault.CRASH_AFTER)), lambda: world.run("findDeleted"))
    world.work()
    assert [done.source_key for done in records(runs.get(run_ids()[-1])) if done.outcome == "deleted"] == [account]
    assert world.partner(LOCAL, customer) is None


@pytest.mark.parametrize("call", ["fetch", "update"])
def test_a_record_that_a_person_set_free_is_synchronized_though_the_worker_dies(
    world: MemoryWorkplace, call: str
) -> None:
    world.map(conflict_detection="field")
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit(LOCAL, customer, city="Bergen")
    world.edit(INTEGRATION, account, address1_city="Tromsø")
    world.run()
    (item,) = world.skips()
    world.edit(INTEGRATION, account, address1_city="Oslo")
    world.run()
    skipped.resolve(world.context, item.id, "retry", None, "anna")
    die(world, disturb(world, (call, Fault.CRASH_BEFORE)), world.work)
    world.work()
    world.run()
    assert (world.get(INTEGRATION, account) or {})["address1_city"] == "Bergen"
    assert world.skips() == []


def test_a_record_that_a_person_restored_is_not_restored_twice(world: MemoryWorkplace) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One")
    world.delete(LOCAL, customer)
    for _ in range(2):
        world.run("findDeleted", allow_mass_delete=True)
    (item,) = world.skips()
    faults = disturb(world, ("insert", Fault.CRASH_AFTER))
    die(world, faults, lambda: world.resolve(item, "restore"))
    world.work()
    assert [row["number"] for row in world.all(LOCAL)] == ["1"]
    assert world.partner(INTEGRATION, account) == str(world.all(LOCAL)[0]["id"])
    assert world.skips() == []


def test_an_insert_that_arrives_after_all_is_not_there_twice(world: MemoryWorkplace) -> None:
    """The worker looked too early: what a stopped process had sent took effect later. The same key makes it clash."""
    world.map([{"local_field": "number", "integration_field": "accountnumber"}])
    key = world.add(LOCAL, number="1")
    die(world, disturb(world, ("insert", Fault.CRASH_BEFORE)), world.run)
    (sent,) = intents.open_ones(world.mapping_id, None)[INTEGRATION]
    chosen = sent.chosen_key
    faults = disturb(world, ("insert", Fault.BETWEEN))

    def arrive(_name: str, _operation: str) -> None:
        world.add(INTEGRATION, accountid=chosen, accountnumber="1")

    faults.between = arrive
    faults.clock.sleep(120)
    world.work()
    assert [row["accountid"] for row in world.all(INTEGRATION)] == [chosen]
    assert world.partner(LOCAL, key) == chosen
    assert errors() == []


def test_a_record_that_was_deleted_before_its_insert_was_settled_does_not_come_back(world: MemoryWorkplace) -> None:
    """What was made of it is its partner, and deleted with it, as the mapping says; not a new record of the other
    side."""
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=None)
    couple(world, number="1", name="ONE")
    key = world.add(LOCAL, number="2", name="TWO")
    die(world, disturb(world, ("insert", Fault.CRASH_AFTER)), world.run)
    world.delete(LOCAL, key)
    world.work()
    assert [row["number"] for row in world.all(LOCAL)] == ["1"]
    world.run("findDeleted")
    assert [row["accountnumber"] for row in world.all(INTEGRATION)] == ["1"]
    assert (world.skips(), errors()) == ([], [])


KEYLESS = [{**one, "match_key": None} for one in LINES]


def answering(
    world: MemoryWorkplace,
    says: Callable[[Insert, Result], Result],
    arrives: Callable[[Insert], bool] = lambda _: True,
) -> None:
    """From now on the applications say something else about inserts than what became of them, or lose some."""
    lost = Failure("timeout", {"table": ""})

    class Odd(MemoryConnector):
        def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
            made = iter(super().insert(selection, list(filter(arrives, items))))
            return [says(item, next(made)) if arrives(item) else lost for item in items]

    world.context = replace(world.context, connector_class=lambda _: Odd)


@pytest.mark.parametrize("detection", ["record", "field"])
@pytest.mark.parametrize("side", list(Side))
def test_a_new_record_that_was_edited_before_it_could_be_read_is_not_made_again(
    world: MemoryWorkplace, side: Side, detection: str
) -> None:
    """As by a workflow of the application's own. One side takes our keys, the other makes its own."""
    world.map(KEYLESS, conflict_detection=detection)
    field, other = ("city", "address1_city") if side is LOCAL else ("address1_city", "city")
    number = "number" if side.other is LOCAL else "accountnumber"
    for n in range(5):
        world.add(side.other, **{number: str(n), other: "Oslo"}, **({"accountid": f"{n}"} if side is LOCAL else {}))

    def moved(_item: Insert, made: Result) -> Result:
        assert isinstance(made, Record)
        world.edit(side, made.key, **{field: "Bergen"})
        return Failure("record_moved", {"table": "", "key": made.key})

    answering(world, moved)
    for _ in range(2):
        assert world.run().status == "succeeded"
    assert (len(world.all(LOCAL)), len(world.all(INTEGRATION))) == (5, 5)
    assert {row[other] for row in world.all(side.other)} == {"Bergen"}, "the edit has travelled"
    assert (world.skips(), errors()) == ([], [])


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("side", list(Side))
def test_an_insert_among_others_of_which_nobody_knows_whether_it_arrived_is_looked_for(
    world: MemoryWorkplace, side: Side, lost: bool
) -> None:
    world.map(KEYLESS)
    number = "number" if side.other is LOCAL else "accountnumber"
    there = "number" if side is LOCAL else "accountnumber"
    for n in range(5):
        world.add(side.other, **{number: str(n)}, **({"accountid": f"{n}"} if side is LOCAL else {}))

    def is_slow(item: Insert) -> bool:
        return item.values[there] == "3"

    def slow(item: Insert, made: Result) -> Result:
        return Failure("timeout", {"table": ""}) if is_slow(item) else made

    answering(world, slow, lambda item: not (lost and is_slow(item)))
    run = world.run()
    assert (run.status, len(world.all(side))) == (("completedWithErrors", 4) if lost else ("succeeded", 5))
    world.context = replace(world.context, connector_class=connector_class)
    assert world.run().status == "succeeded"
    assert sorted(str(row[there]) for row in world.all(side)) == list("01234")
    assert len(world.all(side.other)) == 5
    assert world.skips() == []


@pytest.mark.parametrize("times", [1, 9])
def test_an_update_among_others_of_which_nobody_knows_whether_it_arrived_is_no_edit(
    world: MemoryWorkplace, times: int
) -> None:
    """It arrived, and somebody edits its source again before anything else is done. An application that never answers
    does not keep the others from going on."""
    world.map(conflict_detection="field", update_conflict_resolution="getUpdateFromIntegration")
    (customer, account), (other, _) = (couple(world, number=str(n), name="ONE", city="Oslo") for n in range(2))
    left = [times]

    class Slow(MemoryConnector):
        def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
            results = super().update(selection, items)
            left[0] -= 1
            if left[0] < 0:
                return results
            world.edit(LOCAL, customer, city=f"Bergen {left[0]}")
            keys = [item.record.key for item in items]
            return [Failure("timeout", {}) if key == account else made for key, made in zip(keys, results, strict=True)]

    world.context = replace(world.context, connector_class=lambda _: Slow)
    for key in (customer, other):
        world.edit(LOCAL, key, city="Tromsø")
    world.run()
    assert (world.get(INTEGRATION, world.partner(LOCAL, other) or "") or {})["address1_city"] == "Tromsø"
    left[0] = 0
    world.run()
    here, there = world.get(LOCAL, customer) or {}, world.get(INTEGRATION, account) or {}
    assert here["city"] == there["address1_city"]
    assert here["city"].startswith("Bergen"), "what was typed last"


@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize("policy", ["none", "getUpdateFromIntegration"])
def test_what_reached_one_side_is_no_edit_there_when_the_other_had_moved(
    world: MemoryWorkplace, policy: str, coupled: bool
) -> None:
    """A pair is written on both sides. The first write arrives; before the second somebody edits that record again."""
    world.map(conflict_detection="field", update_conflict_resolution=policy)
    if coupled:
        customer, account = couple(world, number="1", name="ONE", city="Oslo")
        world.edit(LOCAL, customer, city="Bergen")
        world.edit(INTEGRATION, account, name="UNO")
    else:
        customer = world.add(LOCAL, number="1", name=None, city="Bergen")
        account = world.add(INTEGRATION, accountid="a", accountnumber="1", name="UNO")
    faults = disturb(world, ("update", Fault.SLOW), ("update", Fault.BETWEEN))
    faults.between = lambda name, operation: world.edit(LOCAL, customer, city="Tromsø")
    world.run()
    world.run()
    assert faults.counts[Fault.BETWEEN] == 1
    here, there = world.get(LOCAL, customer) or {}, world.get(INTEGRATION, account) or {}
    assert (here["city"], there["address1_city"]) == ("Tromsø", "Tromsø")
    assert (here["name"], there["name"]) == ("UNO", "UNO")
    assert world.skips() == []


@pytest.mark.parametrize("call", ["insert", "update", "delete"])
def test_a_worker_that_wakes_after_its_lease_sends_nothing(world: MemoryWorkplace, call: str) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=None)
    customer, _ = couple(world, number="1", name="One")
    gone, _ = couple(world, number="2", name="Two")
    if call == "insert":
        world.add(LOCAL, number="3", name="Three")
    elif call == "update":
        world.edit(LOCAL, customer, name="Uno")
    else:
        world.delete(LOCAL, gone)
    faults = disturb(world, (call, Fault.PAUSE_BEFORE))
    faults.paused = lambda: faults.clock.sleep(60)
    run = runs.start(
        world.context, runs.RunRequest(world.mapping_id, "findDeleted" if call == "delete" else "full"), "t"
    )
    lease = execution.claim(world.context, "sleeper")
    assert lease is not None
    before = world.stamps()
    execution.carry_out(world.context, lease, lambda: None, lambda _: None)
    assert world.stamps() == before
    assert runs.get(run.id).status == "running", "whoever takes it goes on from its page"
    world.work()
    assert world.stamps() != before
    assert runs.get(run.id).status == "succeeded"


def test_a_sign_of_life_that_comes_late_does_not_keep_a_run_that_was_handed_over(world: MemoryWorkplace) -> None:
    world.map()
    runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    lease = execution.claim(world.context, "first")
    assert lease is not None
    run_rows.hand_over(lease)
    with pytest.raises(LeaseLost):
        execution.keep_lease(world.context, lease)
    assert execution.claim(world.context, "second") is not None

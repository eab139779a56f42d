"""Applications that tell changes by themselves: deletions and late records are met by ordinary runs, a token that is no
good any more costs a comparison and nothing else, and a worker may die at any moment."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from service.connectors.memory.store import rejected
from service.core.failures import Failure, SideFailed
from service.core.records import Side
from service.operations import mappings
from service.store import feeds
from service.store.database import connection, migrate, open_database
from tests.engine.test_state_machine import MemoryWorkplace
from tests.faults import Crash, Fault, Faults, Planned, VirtualClock
from tests.world import couple, errors, records, tally

LOCAL, INTEGRATION = Side.LOCAL, Side.INTEGRATION
LATE = 1_000_000
"""A stamp that no reading comes to any more."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a state with nothing in it."""
    file = tmp_path_factory.mktemp("empty") / "state.db"
    database = open_database(f"sqlite:///{file}")
    migrate()
    database.close()
    return file


@pytest.fixture
def world(empty: Path, tmp_path: Path) -> Iterator[MemoryWorkplace]:
    shutil.copy(empty, tmp_path / "state.db")
    database = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    with connection():
        yield telling(tmp_path)
    database.close()


def telling(folder: Path) -> MemoryWorkplace:
    """Two applications that tell their changes, two at a time."""
    made = MemoryWorkplace(folder)
    for side in Side:
        made.table(side).told = 2
    return made


def late(world: MemoryWorkplace, side: Side, key: str) -> None:
    """A record as it is after a transaction of long ago has become visible."""
    world.stores[side].stamp(world.table(side), key, world.table(side).rows[key], LATE)


def writes(world: MemoryWorkplace) -> int:
    return sum(world.stores[side].calls.get(call, 0) for side in Side for call in ("insert", "update", "delete"))


@pytest.mark.parametrize("side", Side)
def test_a_deletion_is_met_by_the_next_ordinary_run(world: MemoryWorkplace, side: Side) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=100)
    pairs = [couple(world, number=str(n), name=f"NAME {n}") for n in range(5)]
    place = list(Side).index(side)
    for pair in pairs[:3]:
        world.delete(side, pair[place])
    run = world.run()
    assert run.status == "succeeded"
    assert tally(run, "toIntegration" if side is INTEGRATION else "fromIntegration")["deleted"] == 3
    assert len(world.all(LOCAL)) == len(world.all(INTEGRATION)) == 2
    before = writes(world)
    assert world.run().counts["toIntegration"]["read"] == 0
    assert writes(world) == before


def test_a_token_is_kept_by_each_kind_of_database(state: str, tmp_path: Path) -> None:
    world = telling(tmp_path)
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=100)
    pairs = [couple(world, number=str(n), name=f"NAME {n}") for n in range(2)]
    world.table(LOCAL).forgotten = len(world.table(LOCAL).log)
    for ours, _ in pairs:
        world.delete(LOCAL, ours)
        world.run()
    assert world.all(INTEGRATION) == []
    assert feeds.get(world.mapping_id, LOCAL) == str(len(world.table(LOCAL).log))


def test_without_a_rule_a_deletion_is_reported_and_set_aside_the_second_time(world: MemoryWorkplace) -> None:
    world.map()
    ours, theirs = couple(world, number="1", name="ONE")
    world.delete(LOCAL, ours)
    world.edit(INTEGRATION, theirs, address1_city="Oslo")  # So the survivor is met twice in one run.
    run = world.run()
    assert (run.status, [one.code for one in errors()], world.skips()) == (
        "completedWithErrors",
        ["partner_deleted"],
        [],
    )
    world.run()
    assert [one.reason for one in world.skips()] == ["deleted"]


def test_a_deletion_that_the_feed_tells_wrongly_is_none(world: MemoryWorkplace) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=100)
    ours, _ = couple(world, number="1", name="ONE")
    row = world.table(LOCAL).rows[ours]
    world.delete(LOCAL, ours)

    def back(operation: str, _: str) -> None:
        if operation == "fetch":
            world.table(LOCAL).rows[ours] = row

    world.stores[LOCAL].before = back
    assert world.run().status == "succeeded"
    assert len(world.all(INTEGRATION)) == 1


def test_what_shows_later_than_any_overlap_is_found(world: MemoryWorkplace) -> None:
    world.map()
    ours, _ = couple(world, number="1", name="ONE")
    couple(world, number="2", name="TWO")
    world.edit(LOCAL, ours, city="Oslo")
    late(world, LOCAL, ours)
    new = world.add(LOCAL, number="3", name="THREE")
    late(world, LOCAL, new)
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 2, "inserted": 1, "modified": 1}
    assert world.partner(LOCAL, new) is not None
    assert tally(world.run(), "toIntegration") == {}


def test_fields_that_are_taken_together_do_not_silence_the_feed(world: MemoryWorkplace) -> None:
    """What stands before a connector and joins fields passes the feed on."""
    names = {"local_field": "name + city", "integration_field": "name", "direction": "toIntegration"}
    number = {"local_field": "number", "integration_field": "accountnumber", "match_key": 1}
    world.map(
        [number, {**names, "transforms": {"toIntegration": [{"concat": {"separator": ", "}}]}}],
        deletion_conflict_resolution="deletePartner",
        max_delete_percent=100,
    )
    for n in range(3):
        world.add(LOCAL, number=str(n), name=f"NAME {n}", city="OSLO")
    world.run()
    world.delete(LOCAL, str(world.all(LOCAL)[0]["id"]))
    assert tally(world.run(), "fromIntegration")["deleted"] == 1
    assert len(world.all(INTEGRATION)) == 2


def test_what_was_written_down_before_a_part_of_a_feed_was_interrupted_is_counted(world: MemoryWorkplace) -> None:
    """A part takes two pages, and the application is away for a moment at the second."""
    world.map()
    couple(world, number="0", name="ZERO")
    for n in range(1, 7):
        late(world, LOCAL, world.add(LOCAL, number=str(n), name="N"))
    world.table(LOCAL).told = 100
    faults = Planned(("insert", Fault.SLOW), ("insert", Fault.BEFORE))
    world.context = replace(world.context, connector_class=faults.connector_class)
    run = world.run()
    assert run.status == "succeeded"
    assert tally(run, "toIntegration") == {"read": 6, "inserted": 6}
    assert len(records(run)) == 6


def test_a_record_that_failed_is_not_tried_twice_in_a_run(world: MemoryWorkplace) -> None:
    world.map()
    couple(world, number="1", name="ONE")
    world.table(INTEGRATION).refuse = lambda _: rejected("name", "check")
    world.add(LOCAL, number="2", name="TWO")
    assert tally(world.run(), "toIntegration") == {"read": 1, "failed": 1}
    assert world.skips() == []


def test_only_coupled_records_are_looked_up(world: MemoryWorkplace) -> None:
    world.map(synch_only_coupled_records=True)
    world.add(LOCAL, number="0", name="N")
    world.run()
    for number in range(5):
        late(world, LOCAL, world.add(LOCAL, number=str(number), name="N"))
    world.stores[LOCAL].calls.clear()
    assert tally(world.run(), "toIntegration") == {}
    assert "fetch" not in world.stores[LOCAL].calls


@pytest.mark.parametrize("side", Side)
def test_a_token_that_is_no_good_any_more_costs_a_comparison_and_loses_nothing(
    world: MemoryWorkplace, side: Side
) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=100)
    pairs = [couple(world, number=str(n), name=f"NAME {n}") for n in range(4)]
    place = list(Side).index(side)
    world.delete(side, pairs[0][place])
    city = "city" if side is LOCAL else "address1_city"
    world.edit(side, pairs[1][place], **{city: "Oslo"})
    late(world, side, pairs[1][place])
    world.table(side).forgotten = len(world.table(side).log)
    run = world.run()
    assert run.status == "succeeded"
    assert len(world.all(LOCAL)) == len(world.all(INTEGRATION)) == 3
    other = world.get(side.other, pairs[1][1 - place]) or {}
    assert other["address1_city" if side is LOCAL else "city"] == "Oslo"
    token = feeds.get(world.mapping_id, side)
    assert token is not None
    assert int(token) >= world.table(side).forgotten
    # The token of now is as good as the one before.
    world.delete(side, pairs[2][place])
    world.run()
    assert len(world.all(LOCAL)) == 2


def test_a_feed_that_ends_is_compared_once_and_then_forgotten(world: MemoryWorkplace) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=100)
    pairs = [couple(world, number=str(n), name=f"NAME {n}") for n in range(3)]
    world.delete(LOCAL, pairs[0][0])
    world.table(LOCAL).told = None
    world.run()
    assert len(world.all(INTEGRATION)) == 2
    assert feeds.get(world.mapping_id, LOCAL) is None
    world.delete(LOCAL, pairs[1][0])
    world.run()
    assert len(world.all(INTEGRATION)) == 2


def test_a_dry_run_leaves_the_token_where_it_is(world: MemoryWorkplace) -> None:
    world.map()
    couple(world, number="1", name="ONE")
    world.run()
    token = feeds.get(world.mapping_id, LOCAL)
    world.add(LOCAL, number="2", name="TWO")
    world.run(dry_run=True)
    assert feeds.get(world.mapping_id, LOCAL) == token


def test_a_reset_forgets_the_token(world: MemoryWorkplace) -> None:
    world.map()
    couple(world, number="1", name="ONE")
    mappings.reset(world.context, world.mapping_id, [LOCAL], "anna")
    assert feeds.get(world.mapping_id, LOCAL) is None
    assert feeds.get(world.mapping_id, INTEGRATION) is not None


def test_many_deletions_stop_the_run_and_are_told_again(world: MemoryWorkplace) -> None:
    world.map(deletion_conflict_resolution="deletePartner")
    pairs = [couple(world, number=str(n), name=f"NAME {n}") for n in range(10)]
    for ours, _ in pairs[:5]:
        world.delete(LOCAL, ours)
    run = world.run()
    assert (run.status, run.code) == ("failed", "mass_deletion")
    assert len(world.all(INTEGRATION)) == 10
    assert world.run(allow_mass_delete=True).status == "succeeded"
    assert len(world.all(INTEGRATION)) == 5


def test_a_run_that_fails_in_the_midst_of_a_feed_is_told_all_of_it_again(world: MemoryWorkplace) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=100)
    pairs = [couple(world, number=str(n), name=f"NAME {n}") for n in range(4)]
    for ours, _ in pairs[:3]:
        world.delete(LOCAL, ours)
    asked: list[str] = []

    def refuse(operation: str, _: str) -> None:
        asked.append(operation)
        if operation == "fetch" and asked.count("changes") == 3:  # Once whether the token is good, then two parts.
            raise SideFailed(Failure("permission_denied", {"table": "customer", "privilege": "read"}))

    world.stores[LOCAL].before = refuse
    assert world.run().code == "permission_denied"
    world.stores[LOCAL].before = None
    assert world.run().status == "succeeded"
    assert [row["accountid"] for row in world.all(INTEGRATION)] == [pairs[3][1]]


class EveryCall(Faults):
    """The worker dies at the call with a number, right after the application has answered."""

    def __init__(self, number: int) -> None:
        super().__init__(0, {}, VirtualClock())
        self._left = number

    def over(self) -> None:
        """No other call is the last."""
        self._left = 0

    def draw(self, name: str, operation: str) -> Fault | None:
        self._left -= 1
        return Fault.CRASH_AFTER if self._left == 0 else None


def test_a_worker_that_dies_at_any_call_loses_no_change_of_a_feed(empty: Path, tmp_path: Path) -> None:
    """Deletions on both sides, a late record and a token that ended: whatever call is the last, the next worker and the
    next run end in the same state."""
    for number in count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(empty, folder / "state.db")
        state = open_database(f"sqlite:///{folder / 'state.db'}")
        with connection():
            died = die_at(number, folder)
        state.close()
        if not died:
            assert number > 10
            return


def die_at(number: int, folder: Path) -> bool:
    """Whether there was a call with this number; whatever there was, all is well in the end."""
    world = telling(folder)
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=100)
    keys = [world.add(LOCAL, number=str(n), name=f"NAME {n}") for n in range(5)]
    world.run()
    pairs = [(key, world.partner(LOCAL, key) or "") for key in keys]
    world.delete(LOCAL, pairs[0][0])
    world.delete(INTEGRATION, pairs[1][1])
    world.edit(LOCAL, pairs[2][0], city="Oslo")
    late(world, LOCAL, pairs[2][0])
    world.table(INTEGRATION).forgotten = len(world.table(INTEGRATION).log)
    faults = EveryCall(number)
    world.context = replace(world.context, connector_class=faults.connector_class, now=faults.clock.now)
    died = False
    try:
        world.run()
    except Crash:
        died = True
        faults.clock.sleep(60)
        world.work()
    faults.over()
    world.run()
    assert sorted(str(row["number"]) for row in world.all(LOCAL)) == ["2", "3", "4"], number
    assert sorted(str(row["accountnumber"]) for row in world.all(INTEGRATION)) == ["2", "3", "4"], number
    assert (world.get(INTEGRATION, pairs[2][1]) or {})["address1_city"] == "Oslo", number
    assert (world.skips(), errors(status="open")) == ([], []), number
    return died

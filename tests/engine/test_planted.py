"""Moments that only applications in memory can show: somebody comes between reading and writing, a transaction commits
late, a lock lasts, a lease is lost in the middle of a page."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.core.failures import Failure, SideFailed
from service.core.records import Side
from service.operations import execution, runs
from service.store import runs as run_rows
from service.store import watermarks
from service.store.models import Intents, Retry
from service.store.watermarks import Mark
from tests.engine.test_state_machine import MemoryWorkplace
from tests.world import couple, errors, records, tally

LOCAL, INTEGRATION = Side.LOCAL, Side.INTEGRATION


@pytest.fixture
def world(state: str, tmp_path: Path) -> MemoryWorkplace:
    return MemoryWorkplace(tmp_path)


def once(world: MemoryWorkplace, side: Side, operation: str, act: Callable[[], object]) -> None:
    """Do something right before the application next carries out an operation."""
    store = world.stores[side]

    def before(called: str, _table: str) -> None:
        if called == operation:
            store.before = None
            act()

    store.before = before


@pytest.mark.parametrize("detection", ["record", "field"])
def test_an_edit_between_reading_and_writing_is_not_overwritten(world: MemoryWorkplace, detection: str) -> None:
    world.map(conflict_detection=detection)
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit(LOCAL, customer, name="Two")
    once(world, INTEGRATION, "update", lambda: world.edit(INTEGRATION, account, name="Three"))
    run = world.run()
    assert (world.get(INTEGRATION, account) or {})["name"] == "THREE"
    assert (world.get(LOCAL, customer) or {})["name"] == "Two"
    assert [item.reason for item in world.skips()] == ["conflict"]
    assert run.status == "completedWithErrors"


def test_an_edit_of_another_field_between_reading_and_writing_stays(world: MemoryWorkplace) -> None:
    world.map(conflict_detection="field")
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit(LOCAL, customer, name="Two")
    once(world, INTEGRATION, "update", lambda: world.edit(INTEGRATION, account, address1_city="Bergen"))
    world.run()
    world.run()
    assert (world.get(LOCAL, customer) or {})["city"] == "Bergen"
    assert (world.get(INTEGRATION, account) or {})["name"] == "TWO"
    assert (world.skips(), errors()) == ([], [])


def test_an_edit_between_reading_and_deleting_is_seen(world: MemoryWorkplace) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=None)
    customer, account = couple(world, number="1", name="One")
    world.delete(LOCAL, customer)
    once(world, INTEGRATION, "delete", lambda: world.edit(INTEGRATION, account, name="Two"))
    run = world.run("findDeleted")
    assert tally(run, "fromIntegration") == {"read": 1, "failed": 1}
    assert world.get(INTEGRATION, account) is not None


def test_an_intent_is_stored_before_an_insert_is_sent_and_gone_after_it(world: MemoryWorkplace) -> None:
    world.map()
    world.add(LOCAL, number="1", name="One")
    noted: list[int] = []
    once(world, INTEGRATION, "insert", lambda: noted.append(Intents.select().count()))
    world.run()
    assert (noted, Intents.select().count()) == ([1], 0)


def test_a_worker_that_lost_its_lease_in_a_page_sends_nothing(world: MemoryWorkplace) -> None:
    world.map()
    customer, _ = couple(world, number="1", name="One")
    world.edit(LOCAL, customer, name="Two")
    run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    lease = execution.claim(world.context, "first")
    assert lease is not None

    def lose() -> None:
        run_rows.end_leases(["first"])
        assert execution.claim(world.context, "second")

    once(world, LOCAL, "read", lose)
    before = world.stamps()
    execution.carry_out(world.context, lease, lambda: None, lambda _: None)
    assert world.stamps() == before
    assert runs.get(run.id).status == "running"


def test_a_transaction_that_commits_late_is_not_passed_by(world: MemoryWorkplace) -> None:
    world.map()
    couple(world, number="1", name="One")
    store = world.stores[LOCAL]
    with store.transaction() as put:
        put("customer", number="late", name="Late")
        for number in range(10, 20):
            world.add(LOCAL, number=str(number), name=str(number))
            store.now += 1_000_000
        world.run()
    world.run()
    assert "late" in {row["accountnumber"] for row in world.all(INTEGRATION)}


def test_a_run_that_fails_in_the_midst_of_equal_stamps(world: MemoryWorkplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are long closed, and the application cannot count them: what was not read yet is read by the next run."""
    monkeypatch.setattr("service.connectors.memory.MemoryConnector.count", lambda *_: None)
    world.page_size = 250
    world.map()
    world.stores[LOCAL].step = 0
    world.stores[LOCAL].now += 5_000_000  # Not at midnight, which could be any time of the day.
    for number in range(600):
        world.add(LOCAL, number=str(number), name=str(number))
    world.stores[LOCAL].now += 60_000_000

    def refuse() -> None:
        raise SideFailed(Failure("permission_denied", {}))

    once(world, INTEGRATION, "insert", lambda: once(world, INTEGRATION, "insert", refuse))
    assert world.run().status == "failed"
    assert len(world.all(INTEGRATION)) == 250
    world.run()
    assert len(world.all(INTEGRATION)) == 600


def test_a_watermark_never_moves_back(world: MemoryWorkplace) -> None:
    world.map()
    for stamp in (2, 1):
        watermarks.advance(world.mapping_id, {LOCAL: Mark(stamp, str(stamp), 9)})
    found = watermarks.get(world.mapping_id, LOCAL)
    assert (found and found.modified_on) == 2


def test_a_lock_that_lasts_never_sets_a_record_aside(world: MemoryWorkplace) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One")
    locked = Failure("record_locked", {}, ())
    world.table(INTEGRATION).refuse = lambda values: locked
    world.edit(LOCAL, customer, name="Two")
    for _ in range(4):
        assert tally(world.run(), "toIntegration") == {"read": 1, "failed": 1}
    assert world.skips() == []
    world.allow(INTEGRATION)
    assert tally(world.run(), "toIntegration") == {"read": 1, "modified": 1}
    assert (world.get(INTEGRATION, account) or {})["name"] == "TWO"
    assert (Retry.select().count(), {error.status for error in errors()}) == (0, {"resolved"})


def test_a_chosen_value_is_the_one_that_was_chosen(world: MemoryWorkplace) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit(LOCAL, customer, name="Two", city="Bergen")
    world.edit(INTEGRATION, account, name="Three", address1_city="Ærø")
    world.run()
    run = world.resolve(world.skips()[0], "merge", {"name": "integration", "city": "local"})
    assert (world.get(LOCAL, customer) or {})["name"] == "THREE"
    assert (world.get(INTEGRATION, account) or {})["address1_city"] == "Bergen"
    assert [done.rule for done in records(run)] == ["merge"]

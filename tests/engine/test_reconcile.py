"""Runs of kind `reconcile` say how many pairs are in step, find what slipped past the other runs, and put it right."""

from collections.abc import Callable
from typing import Any

import pytest

from service.core.records import Side
from service.engine.seen import MOST, Seen
from service.engine.task import Stop
from service.operations import execution, mappings, runs
from service.store.models import SyncRun
from tests.world import World, couple, errors, records, tally


def in_sync(world: World) -> dict[str, Any]:
    found: dict[str, Any] = mappings.get(world.mapping_id)["status"]["in_sync"]
    return found


def behind_the_watermark(world: World, key: str, **values: Any) -> None:
    """A change whose stamp lies far in the past: no run of changes looks there."""
    sets = ", ".join(f"{name} = ?" for name in values)
    world.sql(
        "local",
        f"UPDATE customer SET {sets}, modified_at = '2020-01-01 00:00:00' WHERE id = ?",
        *values.values(),
        key,
    )


def many(world: World, count: int = 7) -> list[str]:
    keys = [world.add("local", number=str(number), name=f"Customer {number}") for number in range(count)]
    world.run()
    return keys


def test_what_is_in_step_is_counted_and_left_alone(world: World) -> None:
    world.map()
    many(world)
    before = world.stamps()
    run = world.run("reconcile")
    assert run.status == "succeeded"
    assert world.stamps() == before
    assert records(run) == []
    found = in_sync(world)
    assert (found["in_sync"], found["coupled"]) == (7, 7)
    assert found["as_of"] == run.started_at
    assert found["run_id"] == run.id
    assert found["slipped"] == {"local": 0, "integration": 0}


def test_a_change_that_slipped_past_the_watermark_is_found_and_carried(world: World) -> None:
    world.map()
    keys = many(world)
    behind_the_watermark(world, keys[2], name="Slipped")
    world.run()
    partner = world.partner("local", keys[2])
    assert partner is not None
    assert (world.get("integration", partner) or {})["name"] == "Customer 2"
    run = world.run("reconcile")
    assert (world.get("integration", partner) or {})["name"] == "Slipped"
    assert tally(run, "toIntegration") == {"read": 1, "modified": 1}
    found = in_sync(world)
    assert found["slipped"] == {"local": 1, "integration": 0}
    assert (found["in_sync"], found["coupled"]) == (7, 7)


def test_a_new_record_that_slipped_is_inserted_once(world: World) -> None:
    world.map()
    many(world)
    key = world.add("local", number="late", name="Late")
    behind_the_watermark(world, key, city="Bergen")
    world.run()
    assert world.partner("local", key) is None
    world.run("reconcile")
    assert world.partner("local", key) is not None
    assert in_sync(world)["slipped"]["local"] == 1
    assert world.run("reconcile").counts["toIntegration"]["read"] == 0
    assert in_sync(world)["slipped"]["local"] == 0
    assert (in_sync(world)["in_sync"], in_sync(world)["coupled"]) == (8, 8)


def test_what_an_ordinary_run_would_have_found_has_not_slipped(world: World) -> None:
    world.map()
    keys = many(world)
    world.edit("local", keys[0], name="Edited")
    world.run("reconcile")
    assert in_sync(world)["slipped"]["local"] == 0
    assert in_sync(world)["in_sync"] == 7


def test_a_deleted_record_is_met_and_its_pair_is_not_in_step(world: World) -> None:
    world.map(max_delete_percent=None)
    keys = many(world)
    world.delete("local", keys[3])
    run = world.run("reconcile")
    assert [item.code for item in errors()] == ["partner_deleted"]
    assert run.status == "completedWithErrors"
    assert (in_sync(world)["in_sync"], in_sync(world)["coupled"]) == (6, 7)


def test_a_deletion_travels_where_the_mapping_says_so(world: World) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=None)
    keys = many(world)
    world.delete("local", keys[3])
    world.run("reconcile")
    assert len(world.all("integration")) == 6
    assert (in_sync(world)["in_sync"], in_sync(world)["coupled"]) == (6, 6)


def test_a_side_that_lost_its_records_is_refused_before_anything_is_written(world: World) -> None:
    world.map(deletion_conflict_resolution="deletePartner")
    many(world, 20)
    world.sql("local", "DELETE FROM customer")
    assert world.run("reconcile").code == "side_is_empty"
    assert len(world.all("integration")) == 20
    assert in_sync(world) is None


def test_a_conflict_is_not_in_step(world: World) -> None:
    world.map()
    keys = many(world)
    partner = world.partner("local", keys[0])
    assert partner is not None
    world.edit("local", keys[0], name="Here")
    world.edit("integration", partner, name="There")
    world.run("reconcile")
    assert [item.reason for item in world.skips()] == ["conflict"]
    assert in_sync(world)["in_sync"] == 6


def test_records_outside_the_filter_and_uncoupled_ones_are_told_apart(world: World) -> None:
    world.map(
        local={"filter": [{"field": "blocked", "op": "eq", "value": ""}]},
        synch_only_coupled_records=True,
        direction="toIntegration",
    )
    key = world.add("local", number="1", name="One")
    world.change_mapping(synch_only_coupled_records=False)
    world.run()
    world.change_mapping(synch_only_coupled_records=True)
    world.run()
    world.edit("local", key, blocked="all")
    world.add("local", number="2", name="Two")
    world.run("reconcile")
    found = in_sync(world)
    assert (found["coupled"], found["in_sync"], found["out_of_filter"]) == (1, 0, 1)
    assert found["uncoupled"] == {"local": 1, "integration": 0}


def test_a_destination_that_was_changed_where_nothing_flows_back_is_told(world: World) -> None:
    world.map(direction="toIntegration")
    key, partner = couple(world, number="1", name="One")
    couple(world, number="2", name="Two")
    world.edit("integration", partner, name="Uno")
    world.run("reconcile")
    assert (in_sync(world)["drifted"], in_sync(world)["in_sync"], in_sync(world)["coupled"]) == (1, 1, 2)
    assert (world.get("integration", partner) or {})["name"] == "Uno"
    world.edit("local", key, name="Ein")
    world.run("reconcile")
    assert (in_sync(world)["drifted"], in_sync(world)["in_sync"]) == (0, 2)


def test_a_dry_run_reports_and_repairs_nothing(world: World) -> None:
    world.map()
    keys = many(world)
    behind_the_watermark(world, keys[2], name="Slipped")
    before = world.stamps()
    run = world.run("reconcile", dry_run=True)
    assert world.stamps() == before
    assert run.progress["slipped"] == {"local": 1, "integration": 0}
    assert [item.outcome for item in records(run)] == ["modified"]
    assert in_sync(world) is None


@pytest.mark.parametrize("pages", range(1, 9))
def test_another_worker_goes_on_where_the_first_stopped(world: World, pages: int) -> None:
    world.map(max_delete_percent=None)
    keys = many(world)
    behind_the_watermark(world, keys[6], name="Slipped")
    world.delete("local", keys[0])
    run = runs.start(world.context, runs.RunRequest(world.mapping_id, "reconcile"), "test")
    answers = iter([None] * pages + [Stop.HAND_OVER])
    for owner in ("first", "second"):
        lease = execution.claim(world.context, owner)
        if lease is not None:
            execution.carry_out(world.context, lease, lambda: next(answers, None), lambda _: None, page_size=3)
    assert runs.get(run.id).status == "completedWithErrors"
    found = in_sync(world)
    assert (found["in_sync"], found["coupled"], found["slipped"]["local"]) == (6, 7, 1)
    assert found["uncoupled"] == {"local": 0, "integration": 0}


def between_two_workers(world: World, act: Callable[[], object]) -> SyncRun:
    """A run both of whose sides were read by one worker, whose couplings are gone through by another; what happens in
    between."""
    run = runs.start(world.context, runs.RunRequest(world.mapping_id, "reconcile"), "test")

    def both_read() -> Stop | None:
        return Stop.HAND_OVER if (runs.get(run.id).checkpoint or {}).get("pass") == 2 else None

    lease = execution.claim(world.context, "first")
    assert lease is not None
    execution.carry_out(world.context, lease, both_read, lambda _: None, page_size=3)
    act()
    lease = execution.claim(world.context, "second")
    assert lease is not None
    execution.carry_out(world.context, lease, lambda: None, lambda _: None, page_size=3)
    return runs.get(run.id)


@pytest.mark.parametrize("policy", ["none", "sendUpdateToIntegration", "getUpdateFromIntegration"])
@pytest.mark.parametrize("side", list(Side))
def test_an_edit_before_another_worker_goes_on_meets_no_other(world: World, policy: str, side: Side) -> None:
    """All that the first worker had ticked off is looked at again: that is no reason to take one edit for two."""
    world.map(update_conflict_resolution=policy)
    key = many(world)[6]
    partner = world.partner("local", key)
    assert partner is not None
    field = {Side.LOCAL: "city", Side.INTEGRATION: "address1_city"}[side]
    run = between_two_workers(
        world, lambda: world.edit(side, key if side is Side.LOCAL else partner, **{field: "Bergen"})
    )
    assert run.status == "succeeded"
    assert (world.get("local", key) or {})["city"] == "Bergen"
    assert (world.get("integration", partner) or {})["address1_city"] == "Bergen"
    assert world.skips() == []


@pytest.mark.parametrize("side", list(Side))
def test_a_survivor_that_was_deleted_with_its_partner_is_not_made_again(world: World, side: Side) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=None)
    key = many(world)[6]
    partner = world.partner("local", key)
    assert partner is not None
    between_two_workers(world, lambda: world.delete(side, key if side is Side.LOCAL else partner))
    assert (len(world.all("local")), len(world.all("integration"))) == (6, 6)


def test_a_waiting_record_is_visited_though_it_is_as_it_was(world: World) -> None:
    """Its partner is gone; nothing about itself has changed, and it lies where the readings begin."""
    world.map(max_delete_percent=None)
    keys = many(world)
    partner = world.partner("local", keys[6])
    assert partner is not None
    world.delete("integration", partner)
    world.run("findDeleted")
    world.run()
    assert [item.reason for item in world.skips()] == ["deleted"]


def test_seen_is_a_set_of_ids() -> None:
    seen = Seen()
    for id in (1, 8, 9, 1_000_000):
        seen.add(id)
    assert [id for id in range(12) if id in seen] == [1, 8, 9]
    assert 1_000_000 in seen
    assert 999_999 not in seen
    seen.add(MOST)
    assert MOST not in seen

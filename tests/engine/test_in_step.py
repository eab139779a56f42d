"""Pairs that are in step cost a run that reads everything little, and nothing that is out of step is taken for one."""

from collections.abc import Callable
from typing import Any

import pytest

from service.core.records import Side
from service.engine.task import Stop
from service.operations import execution, runs
from service.store import couplings, retries
from service.store.models import Coupling, Retry, SyncRun
from service.store.retries import Postponed
from service.worker import run_until_idle
from tests.world import World, errors, line, tally

LINES: list[dict[str, Any]] = [
    {"local_field": "number", "integration_field": "accountnumber", "match_key": 1},
    {"local_field": "name", "integration_field": "name"},
    {"local_field": "city", "integration_field": "address1_city"},
    {"local_field": "credit_limit", "integration_field": "creditlimit", "direction": "toIntegration"},
]
BOTH = pytest.mark.parametrize("side", list(Side))


def fill(world: World, count: int) -> None:
    """So many records that both applications have, equal, but for what flows one way alone."""
    for number in range(count):
        world.add("local", number=str(number), name=f"Name {number}", city="Oslo")
        world.add("integration", accountid=f"a{number}", accountnumber=str(number), name=f"Name {number}",
                  address1_city="Oslo")  # fmt: skip


def matched(world: World, between: Callable[[], None]) -> SyncRun:
    """A match run that is told to create what has no match; what somebody does after it; and the run that follows."""
    runs.start(world.context, runs.RunRequest(world.mapping_id, "match", create_unmatched=True), "test")
    lease = execution.claim(world.context, "test")
    assert lease is not None
    execution.carry_out(world.context, lease, lambda: None, lambda _: None)
    assert runs.get(lease.run_id).status == "succeeded"
    between()
    run_until_idle(world.context)
    return next(run for run in runs.list_runs(limit=9) if run.kind == "full")


def key_of(side: Side, number: int) -> str:
    return str(number + 1) if side is Side.LOCAL else f"a{number}"


def test_everything_is_counted_and_nothing_written(world: World) -> None:
    world.map(LINES)
    fill(world, 5)
    world.run("match")
    world.run()
    stamps, versions = world.stamps(), [row.version for row in Coupling.select()]
    for _ in range(2):
        run = world.run("full")
        assert run.status == "succeeded"
        assert all(tally(run, way) == {"read": 5, "unchanged": 5} for way in run.counts)
    assert world.stamps() == stamps
    assert [row.version for row in Coupling.select()] == versions, "whoever looks at a pair is not told that it moved"
    assert tally(world.run("full", dry_run=True), "toIntegration") == {"read": 5, "unchanged": 5}


def test_what_follows_a_match_run_reads_both_sides_once(world: World) -> None:
    world.map(LINES)
    fill(world, 3)
    world.add("local", number="8", name="Local alone")
    world.add("integration", accountid="z", accountnumber="9", name="Integration alone")
    run = matched(world, lambda: None)
    assert tally(run, "toIntegration") == {"read": 4, "unchanged": 3, "inserted": 1}
    assert tally(run, "fromIntegration") == {"read": 5, "unchanged": 4, "inserted": 1}
    assert tally(world.run(), "toIntegration") == {}


@BOTH
@pytest.mark.parametrize(
    ("policy", "mode"),
    [("none", "field"), ("sendUpdateToIntegration", "record"), ("getUpdateFromIntegration", "record")],
)
def test_an_edit_after_the_match_run_is_carried_by_what_follows(
    world: World, side: Side, policy: str, mode: str
) -> None:
    """Whatever the policy is: the other record was read by the match run, and nobody has touched it since."""
    world.map(LINES, update_conflict_resolution=policy, conflict_detection=mode)
    fill(world, 3)
    run = matched(world, lambda: world.edit(side, key_of(side, 1), name="Edited"))
    assert run.status == "succeeded"
    assert (world.get(side.other, key_of(side.other, 1)) or {})["name"] == "Edited"
    assert (world.get(side, key_of(side, 1)) or {})["name"] == "Edited"


def test_edits_of_both_records_after_the_match_run_are_a_conflict(world: World) -> None:
    world.map(LINES)
    fill(world, 3)

    def edit() -> None:
        for side in Side:
            world.edit(side, key_of(side, 1), name=f"Edited on {side}")

    run = matched(world, edit)
    assert run.counts["toIntegration"]["skipped"] == 1
    assert [item.reason for item in world.skips()] == ["conflict"]


@BOTH
def test_a_deletion_after_the_match_run_is_met_by_what_follows(world: World, side: Side) -> None:
    world.map(LINES, deletion_conflict_resolution="deletePartner", max_delete_percent=100)
    fill(world, 3)
    run = matched(world, lambda: world.delete(side, key_of(side, 1)))
    assert sum(counts["deleted"] for counts in run.counts.values()) == 1
    assert len(world.all(side.other)) == 2


@BOTH
def test_an_edit_within_the_tick_of_the_stamp_is_seen(world: World, side: Side) -> None:
    world.map(LINES)
    fill(world, 3)
    world.run("match")
    world.run()
    stamp = "modified_at" if side is Side.LOCAL else "modifiedon"
    before = (world.get(side, key_of(side, 1)) or {})[stamp]
    world.edit(side, key_of(side, 1), name="Edited")
    world.edit(side, key_of(side, 1), **{stamp: before})
    world.run("full")
    assert (world.get(side.other, key_of(side.other, 1)) or {})["name"] == "Edited"


@pytest.mark.parametrize("tick", [False, True])
def test_an_edit_of_the_partner_is_seen_where_its_own_side_is_not_read(world: World, tick: bool) -> None:
    """A pair is decided from both records at once, also by a run in one direction."""
    world.map(LINES, conflict_detection="field")
    fill(world, 3)
    world.run("match")
    world.run()
    before = (world.get("integration", "a1") or {})["modifiedon"]
    world.edit("integration", "a1", name="Edited")
    if tick:
        world.edit("integration", "a1", modifiedon=before)
    world.run("full", direction="toIntegration")
    assert (world.get("local", "2") or {})["name"] == "Edited"


@BOTH
def test_a_deleted_partner_is_met_by_a_full_run(world: World, side: Side) -> None:
    world.map(LINES)
    fill(world, 3)
    world.run("match")
    world.run()
    world.delete(side, key_of(side, 1))
    run = world.run("full")
    assert tally(run, f"{'from' if side is Side.LOCAL else 'to'}Integration")["failed"] == 1
    assert [error.code for error in errors()] == ["partner_deleted"]


def test_a_field_that_was_written_over_where_nothing_flows_back_stays_told(world: World) -> None:
    world.map(LINES)
    fill(world, 3)
    world.run("match")
    world.run()
    world.edit("integration", "a1", creditlimit=7)
    for _ in range(2):
        run = world.run("full")
        assert tally(run, "toIntegration") == {"read": 3, "unchanged": 3}
        assert world.run("reconcile", dry_run=True).progress["drifted"] == 1
    world.edit("local", "2", name="Edited")
    world.run()
    assert (world.get("integration", "a1") or {})["creditlimit"] is None, "written over when the source changes"


def test_a_field_mapping_that_is_new_makes_no_pair_in_step(world: World) -> None:
    world.map(LINES[:2])
    fill(world, 2)
    world.edit("local", "1", city="Bergen")
    world.edit("integration", "a0", address1_city="")
    world.run("match")
    world.run()
    world.change_mapping(field_mappings=[line(**item) for item in LINES[:3]])
    world.run("full")
    assert (world.get("integration", "a0") or {})["address1_city"] == "Bergen"


def test_what_is_set_aside_or_failed_is_no_pair_in_step(world: World) -> None:
    world.map(LINES)
    fill(world, 3)
    world.run("match")
    world.run()
    for side in Side:
        world.edit(side, key_of(side, 0), name=f"Edited on {side}")
        world.edit(side, key_of(side, 0), name="Name 0")
    for side in Side:
        world.edit(side, key_of(side, 1), name=f"Edited on {side}")
    world.run()
    run = world.run("full")
    assert tally(run, "toIntegration") == {"read": 3, "unchanged": 2, "skipped": 1}
    world.edit("integration", "a1", name="Name 1")
    world.edit("local", "2", name="Name 1")
    Coupling.update(last_result="success").execute()
    assert tally(world.run("full"), "toIntegration") == {"read": 3, "unchanged": 2, "skipped": 1}
    Coupling.update(last_result="failure").where(Coupling.integration_key == "a2").execute()
    world.run("full")
    assert Coupling.get(Coupling.integration_key == "a2").last_result == "success"


@BOTH
def test_a_record_that_waits_is_visited_though_the_pair_is_in_step(world: World, side: Side) -> None:
    """It is the partner that waits: whoever settles the pair settles that, too."""
    world.map(LINES[:3])
    fill(world, 3)
    world.run("match")
    world.run()
    retries.save(world.mapping_id, 1, [Postponed(side, key_of(side, 1))])
    way = "toIntegration" if side is Side.INTEGRATION else "fromIntegration"
    world.run("full", direction=way)
    assert Retry.select().count() == 0


@pytest.mark.parametrize("pages", [1, 3, 5])
def test_another_worker_that_goes_on_comes_to_the_same(world: World, pages: int) -> None:
    """What the first has met it does not know: it looks again."""
    world.map(LINES)
    fill(world, 6)
    world.run("match")
    world.run()
    world.edit("integration", "a3", name="Edited there")
    world.edit("local", "2", name="Edited here")
    started = runs.start(world.context, runs.RunRequest(world.mapping_id, "full"), "test")
    lease = execution.claim(world.context, "first")
    assert lease is not None
    left = iter([None] * pages)
    execution.carry_out(world.context, lease, lambda: next(left, Stop.HAND_OVER), lambda _: None, page_size=2)
    run_until_idle(world.context)
    run = runs.get(started.id)
    assert run.status == "succeeded"
    assert tally(run, "toIntegration") == {"read": 6, "modified": 1, "unchanged": 5}
    assert tally(run, "fromIntegration") == {"read": 6, "modified": 1, "unchanged": 5}
    assert couplings.out_of_step(world.mapping_id) == 0


def test_pairs_in_step_count_where_records_look_like_a_backup(world: World) -> None:
    """A fifth of the records that were looked at may show an older state, whether the others were in step or not."""
    world.map(LINES)
    fill(world, 25)
    world.run("match")
    world.run()
    for key in range(1, 6):
        world.edit("local", str(key), name="Older", modified_at="2020-01-01 00:00:00")
    run = world.run("full")
    assert (run.status, run.counts["toIntegration"]["modified"]) == ("succeeded", 5)
    for key in range(1, 7):
        world.edit("local", str(key), name="Older still", modified_at="2019-01-01 00:00:00")
    assert world.run("full").code == "side_went_back"

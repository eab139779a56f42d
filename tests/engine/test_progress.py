"""What a run tells of its progress: records read, how many there will be, how fast, how long."""

from dataclasses import replace
from typing import Any

from service.engine.task import Stop
from service.operations import execution, runs
from tests.world import World


def test_progress_tells_what_is_left(world: World) -> None:
    world.map(direction="toIntegration")
    for number in range(10):
        world.add("local", number=str(number), name=str(number))
    clock = [1_000_000_000]

    def now() -> int:
        clock[0] += 1_000_000
        return clock[0]

    context = replace(world.context, now=now)
    run = runs.start(context, runs.RunRequest(world.mapping_id), "test")
    lease = execution.claim(context, "first")
    assert lease is not None
    answers = iter([None, Stop.HAND_OVER])
    execution.carry_out(context, lease, lambda: next(answers), lambda _: None, page_size=3)
    seen: dict[str, Any] = runs.get(run.id).progress
    assert (seen["read"], seen["estimate"]) == (3, 10)
    assert 0 < seen["rate"] <= 3
    assert seen["remainingSeconds"] == round(7 / seen["rate"])
    lease = execution.claim(context, "second")
    assert lease is not None
    execution.carry_out(context, lease, lambda: None, lambda _: None, page_size=3)
    done = runs.get(run.id)
    assert (done.status, done.progress["read"], done.counts["toIntegration"]["inserted"]) == ("succeeded", 10, 10)
    assert "remainingSeconds" not in done.progress


def test_nothing_is_counted_for_a_run_of_one_page(world: World) -> None:
    world.map()
    world.add("local", number="1", name="One")
    assert "estimate" not in world.run().progress

"""Working on a run whose reading is cut into ranges: whoever has the run takes one after another, and so does every
worker that has nothing else to do.

A run ends, or fails, only when nobody works on any of its ranges any more: until then its mapping is not free for
another run, which would not know what is still under way.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import structlog

from service.core.failures import Failure, SideFailed
from service.engine.ranges import fold, is_cut, part_of, show, total
from service.engine.sync import work_on_range
from service.engine.task import Stop, Stopped, Task
from service.operations.context import Context
from service.store import ranges, runs
from service.store.integrity import is_lost
from service.store.runs import Lease, LeaseLost

log = structlog.get_logger()


class Signs(Protocol):
    """What keeps a lease alive while it is entered: why its work should stop, and how to wait within it."""

    def why(self) -> Stop | None: ...

    def sleep(self, seconds: float) -> None: ...


Hold: TypeAlias = Callable[[Lease], AbstractContextManager[Signs]]


@dataclass(frozen=True, slots=True)
class _Unkept:
    why: Callable[[], Stop | None]
    sleep: Callable[[float], None]


def unkept(why: Callable[[], Stop | None], sleep: Callable[[float], None]) -> Hold:
    """For who works by the run's own signs, and keeps nothing alive."""
    return lambda _: nullcontext(_Unkept(why, sleep))


class StillShared(Exception):
    """Others are at work on ranges of the run; it cannot end yet."""


def lead(context: Context, task: Task, hold: Hold) -> None:
    """Work on ranges of a run that is ours until none is left to be taken, then sum up.

    Raises Stopped, also while others are still at work on the last ones: who finishes first after that goes on with the
    run. Raises SideFailed when a range failed here or elsewhere.
    """
    _refuse_failed(task.lease.run_id)
    task.check_stop()
    while (lease := claim(context, task.lease.owner, task.lease.run_id)) is not None:
        try:
            work(task, lease, hold, lambda: show(task))
        except Stopped:
            _refuse_failed(task.lease.run_id)
            raise
    if not fold(task):
        _refuse_failed(task.lease.run_id)
        raise Stopped(Stop.HAND_OVER)


def claim(context: Context, owner: str, run_id: int | None = None) -> Lease | None:
    """Take a range of this run, or of any."""
    now = context.now()
    return ranges.claim(owner, now, now + context.lease, run_id)


def work(task: Task, lease: Lease, hold: Hold, told: Callable[[], None]) -> None:
    """Work on a range that was taken, with what is ready for its run. Raises Stopped and SideFailed; when somebody else
    has the range now, it returns."""
    run, part = runs.get(lease.run_id), ranges.get(lease.range_id or 0)
    if run is None or part is None or not is_cut(run.checkpoint):
        return
    with hold(lease) as signs:
        counts, progress, checkpoint = part.counts, part.progress, part.checkpoint
        own = replace(
            task, lease=lease, counts=counts, progress=progress, checkpoint=checkpoint, chosen={}, noted=False
        )
        own.stopping, own.sleep = (lambda: signs.why() or task.stopping()), signs.sleep
        for connector in task.connectors.values():
            connector.fence(own.permit)
        try:
            work_on_range(own, part_of(task, run.checkpoint, part), told)
            ranges.finish(lease)
        except LeaseLost:
            log.warning("range_lease_lost", run_id=lease.run_id, range_id=lease.range_id)
        except Stopped:
            runs.hand_over(lease)
            raise
        except SideFailed as error:
            fail(lease, error.failure)
            raise
        except Exception as error:
            if not is_lost(error):
                fail(lease, internal(error))
            raise
        finally:
            for connector in task.connectors.values():
                connector.fence(task.permit)


def internal(error: Exception) -> Failure:
    """What is said of an error that nobody foresaw."""
    return Failure("internal_error", {"detail": type(error).__name__}, (type(error).__name__,))


def fail(lease: Lease, failure: Failure) -> None:
    """A range, and so its run, cannot go on."""
    try:
        ranges.fail(lease, failure.code, failure.params)
    except LeaseLost:
        log.warning("range_lease_lost", run_id=lease.run_id, range_id=lease.range_id)


def _refuse_failed(run_id: int) -> None:
    """Raise SideFailed for the first range that failed."""
    for part in ranges.of_run(run_id):
        if part.status == "failed" and part.code is not None:
            raise SideFailed(Failure(part.code, part.params or {}))


def close(context: Context, lease: Lease) -> None:
    """Sum up a run that ends before all of its ranges are done, inside the transaction of its end. Raises StillShared
    while others work on some."""
    run = runs.get(lease.run_id)
    if run is None or not is_cut(run.checkpoint):
        return
    counts, progress = total(run.checkpoint, ranges.of_run(run.id))
    runs.save_page(lease, counts, progress, run.checkpoint)
    if not ranges.remove(run.id, context.now()):
        raise StillShared

"""A run on one page: settle what a crash left, then page by page detect, decide, apply, write down.

A page that fails in passing is done again from its beginning: nothing of it was written down, what it wrote to the
applications is found equal, and what it inserted is found by its intents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import structlog
from opentelemetry import trace
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from service.core.failures import SideFailed
from service.core.records import Side
from service.engine.deleted import find_deleted
from service.engine.detect import next_batch
from service.engine.follow import follow
from service.engine.guards import guard_sides
from service.engine.matching import match_existing
from service.engine.page import work_through
from service.engine.reconcile import reconcile
from service.engine.resolve import resolve_skipped
from service.engine.settle import settle
from service.engine.task import Task
from service.engine.uncouple import uncouple
from service.store import sql

ATTEMPTS = 4
"""How often a page is tried while a side fails in passing, before the run gives up until the next one."""

LONGEST_PAUSE = 30.0
"""Seconds that a side may ask us to wait (`Retry-After`) inside a run."""

log = structlog.get_logger()


def execute(task: Task) -> None:
    """Carry out a run from its checkpoint to its end.

    Raises SideFailed (the run cannot go on), Stopped (between two pages) and LeaseLost (another worker has it now).
    """
    _patiently(task, lambda: settle(task))
    step = resolve_skipped if "skipped" in task.request else KINDS[task.kind]
    while not task.checkpoint.get("finished"):
        task.check_stop()
        with trace.get_tracer("accord").start_as_current_span("page", record_exception=False):
            _patiently(task, lambda: step(task))


def synchronize(task: Task) -> None:
    """One page of the pass that the checkpoint names."""
    number = task.checkpoint.setdefault("pass", 0)
    if number == 0 and "position" not in task.checkpoint:
        guard_sides(task)
    if number < len(task.passes):
        _page(task, task.passes[number])
    elif task.checkpoint.get("feeds"):
        follow(task)
    else:
        task.checkpoint = {"finished": True}


def _page(task: Task, source: Side) -> None:
    batch, number = next_batch(task, source, task.checkpoint.get("position")), task.checkpoint["pass"]
    feeds = {"feeds": task.checkpoint["feeds"]} if task.checkpoint.get("feeds") else {}
    ahead: dict[str, Any] = {"pass": number, "position": batch.position, **feeds}
    if batch.position is None:
        more = feeds or number + 1 < len(task.passes)
        ahead = {"pass": number + 1, **feeds} if more else {"finished": True}
    work_through(task, source, batch, ahead)


KINDS: Mapping[str, Callable[[Task], None]] = {
    "modified": synchronize,
    "full": synchronize,
    "records": synchronize,
    "match": match_existing,
    "findDeleted": find_deleted,
    "uncouple": uncouple,
    "reconcile": reconcile,
}
"""What one step of a run does, by the run's kind."""


def _patiently(task: Task, step: Callable[[], None]) -> None:
    """Do one step, again and again while a side fails in passing; each time as if it had not been tried before."""
    before, marks = orjson.dumps((task.counts, task.progress, task.checkpoint)), dict(task.marks)

    def again(state: RetryCallState) -> None:
        task.counts, task.progress, task.checkpoint = orjson.loads(before)
        task.marks = dict(marks)
        log.info("page_retried", run_id=task.lease.run_id, attempt=state.attempt_number, error=_reason(state))
        task.check_stop()

    def attempt(number: int) -> None:
        if number > 1:
            settle(task)
        step()

    retrying = Retrying(
        retry=retry_if_exception(_passing),
        stop=stop_after_attempt(ATTEMPTS),
        wait=_pause,
        before_sleep=again,
        sleep=task.sleep,
        reraise=True,
    )
    for tried in retrying:
        with tried:
            attempt(tried.retry_state.attempt_number)


def _passing(error: BaseException) -> bool:
    return isinstance(error, sql.Clash) or (isinstance(error, SideFailed) and error.failure.transient)


def _pause(state: RetryCallState) -> float:
    """Half a second, doubled with each attempt, or what the application asks for."""
    error = state.outcome.exception() if state.outcome else None
    asked: Any = error.failure.params.get("retryAfter") if isinstance(error, SideFailed) else None
    return min(float(asked or 0.25 * 2**state.attempt_number), LONGEST_PAUSE)


def _reason(state: RetryCallState) -> str:
    error = state.outcome.exception() if state.outcome else None
    return error.failure.code if isinstance(error, SideFailed) else type(error).__name__

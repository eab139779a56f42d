"""Doing a step again while a side fails in passing, each time as if it had not been tried before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import structlog
from tenacity import AttemptManager, RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from service.core.failures import SideFailed
from service.engine.settle import settle
from service.engine.task import Task
from service.store import sql

ATTEMPTS = 4
"""How often a page is tried while a side fails in passing, before the run gives up until the next one."""

LONGEST_PAUSE = 30.0
"""Seconds that a side may ask us to wait (`Retry-After`) inside a run."""

log = structlog.get_logger()


def patiently(task: Task, step: Callable[[], None]) -> None:
    """Do one step, again and again while a side fails in passing; what it has written down until then stays done."""
    task.keep()

    def again(state: RetryCallState) -> None:
        task.go_back()
        log.info("page_retried", run_id=task.lease.run_id, attempt=state.attempt_number, error=reason(state))
        task.check_stop()

    def attempt(number: int) -> None:
        if number > 1:
            settle(task)
        step()

    for tried in attempts(again, task.sleep):
        with tried:
            attempt(tried.retry_state.attempt_number)


def attempts(again: Callable[[RetryCallState], None], sleep: Callable[[float], None]) -> Iterator[AttemptManager]:
    """Attempts at something, until one succeeds or fails for good; what the last one raises is passed on. `again` is
    called after one that failed in passing, before the pause."""
    return iter(
        Retrying(
            retry=retry_if_exception(_passing),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_pause,
            before_sleep=again,
            sleep=sleep,
            reraise=True,
        )
    )


def _passing(error: BaseException) -> bool:
    return isinstance(error, sql.Clash) or (isinstance(error, SideFailed) and error.failure.transient)


def _pause(state: RetryCallState) -> float:
    """Half a second, doubled with each attempt, or what the application asks for."""
    error = state.outcome.exception() if state.outcome else None
    asked: Any = error.failure.params.get("retryAfter") if isinstance(error, SideFailed) else None
    return min(float(asked or 0.25 * 2**state.attempt_number), LONGEST_PAUSE)


def reason(state: RetryCallState) -> str:
    """Why an attempt failed, by its code."""
    error = state.outcome.exception() if state.outcome else None
    return error.failure.code if isinstance(error, SideFailed) else type(error).__name__

"""The jobs of procrastinate that carry runs to workers: made in the transaction that makes the run, aborted in the one
that cancels it.

A job says "carry out run N" and nothing else. Jobs of one mapping share a lock, so that they are carried out one after
the other; the queueing lock is the run's own, since a mapping may have a changed-records run and a full one queued, and
since the job of a dead worker has to get back into the queue beside them.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from procrastinate import App, SyncPsycopgConnector
from procrastinate.jobs import Job

from service.core.records import Stamp
from service.operations.context import wall_clock
from service.store import queue, sql
from service.store.database import connection
from service.store.queue import Waiting

EXECUTE, HELP = "accord.execute", "accord.help"
RUNS, LONG, TICKS = "runs", "long", "ticks"
GOING_ON = 1000
"""What was begun goes before what was not: a mapping is busy until its run has ended. The higher, the sooner; with our
runs it is the other way round."""

HANDS = 8
"""So many workers help with ranges at once, at most."""

LAST = -1000
"""The priority of helping: everything else goes before it."""

log = structlog.get_logger()


def going_on(priority: int) -> int:
    """The priority of a job whose run has begun."""
    return priority if priority > GOING_ON // 2 else priority + GOING_ON


class Jobs:
    """Makes and aborts jobs, always through the connection that this thread has open to our own state."""

    def __init__(self, now: Callable[[], Stamp] = wall_clock) -> None:
        self._now = now
        self._manager = App(connector=SyncPsycopgConnector()).job_manager

    def dispatch(self) -> None:
        """Inside a transaction: a job for every run that may begin, or go on, and has none; and jobs for those who help
        with the ranges of large ones."""
        waiting = queue.without_job(self._now())
        if waiting:
            made = self._manager.batch_defer_jobs([_job(run) for run in waiting], queue.driver_connection())
            queue.note_jobs({run.run_id: job.id for run, job in zip(waiting, made, strict=True) if job.id})
        missing = min(queue.free_ranges(self._now()), HANDS) - queue.number_of(HELP)
        if missing > 0:
            self._manager.batch_defer_jobs([_help()] * missing, queue.driver_connection())

    def wake(self) -> None:
        """After a transaction: what two of them have made free together, neither has seen. What goes wrong here is
        made good by the next look for runs without a job."""
        try:
            with connection(), sql.transaction():
                self.dispatch()
        except Exception:
            log.warning("dispatch_postponed", exc_info=True)

    def abort(self, job_id: int) -> None:
        """Inside a transaction: take a job out of the queue, or ask whoever has it to stop."""
        self._manager.cancel_job_by_id(job_id, abort=True, delete_job=True, connection=queue.driver_connection())

    def recall(self, job_id: int) -> bool:
        """Inside a transaction: take a job out of the queue, unless a worker has it already."""
        return self._manager.cancel_job_by_id(job_id, delete_job=True, connection=queue.driver_connection())


def _job(run: Waiting) -> Job:
    return Job(
        queue=LONG if run.is_long else RUNS,
        priority=going_on(-run.priority) if run.begun else -run.priority,
        lock=f"mapping:{run.mapping_id}",
        queueing_lock=f"run:{run.run_id}",
        task_name=EXECUTE,
        task_kwargs={"run_id": run.run_id},
    )


def _help() -> Job:
    return Job(queue=RUNS, priority=LAST, lock=None, queueing_lock=None, task_name=HELP, task_kwargs={})

"""Working for the queue of several machines: procrastinate brings runs, repeats what is periodic, and notices workers
that died; leases, as in the embedded mode, see to it that a run that it brings twice is worked on once."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import structlog
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.job_context import AbortReason
from procrastinate.jobs import DeleteJobCondition, Job, Status

from service.core.records import moment_of
from service.engine.task import Stop
from service.operations import execution, webhook_delivery
from service.operations.context import Context
from service.store import queue, sql
from service.store import runs as run_rows
from service.store.database import database
from service.worker.carrying import Place, cancelled, carry_out, help_out
from service.worker.dead import free_runs_of_the_dead
from service.worker.jobs import EXECUTE, HELP, LONG, RUNS, TICKS, Jobs, going_on
from service.worker.ticks import start_due, tell_webhooks

OFTEN, SELDOM = "* * * * * */2", "17 * * * *"
"""When periodic jobs come: every two seconds, and once an hour. The last of six fields are seconds."""

_POLL = 1.0
"""Seconds between two looks for a job; new ones are told at once, those that became free are not."""
_KEPT_HOURS = 24
_AT_ONCE = 3
"""Periodic jobs that a process carries out at a time."""
_BUSY = 2_000_000
"""Microseconds after which a run is looked at again whose mapping somebody else works on."""

log = structlog.get_logger()


class Later(Exception):
    """The job is to be brought again: at a time, None: at once; to another queue, or the same."""

    def __init__(self, at: datetime | None = None, *, to: str | None = None, priority: int | None = None) -> None:
        self.decision = RetryDecision(retry_at=at, queue=to, priority=priority)


class Again(BaseRetryStrategy):
    """A run's job stays in the queue until the run has ended, whatever happened to who had it."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        if isinstance(exception, Later):
            return exception.decision
        return RetryDecision(retry_in={"seconds": min(60, 1 + job.attempts)})


class QueueWorker:
    """Carries out what the queue brings until `stop`. `runs`: so many at a time; half of the places are kept for runs
    that are short, and a run that turns out to be long goes on in another place."""

    def __init__(self, context: Context, url: str, runs: int) -> None:
        self._context = context
        self._url = url
        self._places = {True: runs // 2, False: runs - runs // 2}
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        self._stopping = threading.Event()
        self._jobs = Jobs(context.now)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)

    def start(self) -> None:
        """Work from now on."""
        _hear_of_the_queue()
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do that no job carries yet."""
        self._jobs.wake()

    def stop(self, timeout: float = 60.0) -> None:
        """Finish the pages at hand, hand the runs over, and end. `timeout` is in seconds."""
        self._stopping.set()
        if self._loop is not None and self._main is not None:
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(timeout)
        self._context.kept.close_idle(0)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            # Each job that is carried out has a thread to itself.
            self._loop.set_default_executor(ThreadPoolExecutor(sum(self._places.values()) + _AT_ONCE + 2))
            self._main = self._loop.create_task(self._keep_working())
            try:
                self._loop.run_until_complete(self._main)
            except asyncio.CancelledError:
                log.info("worker_stopped")

    async def _keep_working(self) -> None:
        """The queue's own workers end when the database goes away; then they are started anew."""
        while not self._stopping.is_set():
            try:
                app = self._app()
                async with app.open_async():
                    await self._work(app)
            except Exception:
                log.warning("queue_disturbed", exc_info=True)
            await asyncio.sleep(1.0)

    async def _work(self, app: App) -> None:
        """One worker for each kind of places, until one of them ends."""
        beat = self._context.lease / 6_000_000
        common: dict[str, Any] = {
            "fetch_job_polling_interval": _POLL,
            "install_signal_handlers": False,
            "delete_jobs": DeleteJobCondition.ALWAYS,
            "update_heartbeat_interval": beat,
            "stalled_worker_timeout": 6 * beat,
            # Nobody waits for a long run to end: it finishes its page and goes on elsewhere.
            "shutdown_graceful_timeout": 0,
        }
        kinds = (
            (self._places[True], [RUNS], True),
            (self._places[False], [RUNS, LONG], False),
            (_AT_ONCE, [TICKS], False),
        )
        workers = [
            asyncio.create_task(
                app.run_worker_async(
                    **common, concurrency=places, queues=queues, name=queues[-1], additional_context={"short": short}
                )
            )
            for places, queues, short in kinds
            if places
        ]
        try:
            await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for worker in workers:
                worker.cancel()
            ended = await asyncio.gather(*workers, return_exceptions=True)
            for error in ended:
                if isinstance(error, Exception):
                    log.warning("queue_disturbed", error=str(error))

    def _app(self) -> App:
        """What can be carried out, by the name that jobs have for it."""
        most = sum(self._places.values()) + _AT_ONCE + 4
        app = App(connector=PsycopgConnector(conninfo=self._url, min_size=1, max_size=most))
        app.task(name=EXECUTE, queue=RUNS, pass_context=True, retry=Again())(self._execute)
        app.task(name=HELP, queue=RUNS, pass_context=True)(self._help)
        for name, when, work in (
            ("schedules", OFTEN, self._schedules),
            ("webhooks", OFTEN, self._webhooks),
            ("recover", OFTEN, self._recover),
            ("housekeeping", SELDOM, self._housekeeping),
        ):
            task = app.task(name=f"accord.{name}", queue=TICKS, queueing_lock=name, pass_context=True)(work)
            app.periodic(cron=when)(task)
        return app

    def _execute(self, job: JobContext, run_id: int) -> None:
        """Carry out a run as far as it goes here. Raises Later."""
        with database.connection_context():
            lease = execution.claim(self._context, f"{self._owner}:{job.job.id}", run_id)
            if lease is None:
                self._come_back(run_id)
                return
            # Who asked while nobody had the run asked the state alone.
            asked = cancelled(lease)
            place = Place(self._stopping, lambda _: asked or _wish(job), short=job.additional_context["short"])
            over = carry_out(self._context, lease, place)
        if not over:
            raise Later(to=self._queue_of(run_id), priority=going_on(job.job.priority))

    def _help(self, job: JobContext) -> None:
        """Take ranges of a large run, until something else waits. Who is the last to finish goes on with the run."""
        owner = f"{self._owner}:{job.job.id}"
        with database.connection_context():
            place = Place(self._stopping, cancelled, short=job.additional_context["short"])
            run_id = help_out(self._context, owner, place)
            lease = execution.claim(self._context, owner, run_id) if run_id is not None else None
            if lease is not None:
                carry_out(self._context, lease, place)

    def _come_back(self, run_id: int) -> None:
        """Raise Later unless the run has ended: another has it, its worker died just now, or its turn has not come."""
        run = run_rows.get(run_id)
        if run is None or run.status in run_rows.FINISHED:
            return
        raise Later(moment_of(run.lease_until or self._context.now() + _BUSY))

    def _queue_of(self, run_id: int) -> str:
        with database.connection_context():
            run = run_rows.get(run_id)
        return LONG if run is not None and run.is_long else RUNS

    def _schedules(self, _job: JobContext, timestamp: int) -> None:  # noqa: ARG002
        with database.connection_context():
            start_due(self._context)

    def _webhooks(self, _job: JobContext, timestamp: int) -> None:  # noqa: ARG002
        with database.connection_context():
            tell_webhooks(self._context)

    async def _recover(self, job: JobContext, timestamp: int) -> None:  # noqa: ARG002
        """Bring again what dead workers had, and what lost its job."""
        manager = job.app.job_manager
        stalled: Iterable[Job] = await manager.get_stalled_jobs(seconds_since_heartbeat=self._context.lease / 2_000_000)
        for lost in stalled:
            try:
                if lost.task_name == EXECUTE:
                    log.warning("job_recovered", **lost.task_kwargs)
                    await manager.retry_job(lost, priority=going_on(lost.priority))
                else:
                    await manager.finish_job(lost, Status.FAILED, delete_job=True)
            except ConnectorException:
                # Another worker was faster.
                continue
        await asyncio.to_thread(self._mend)

    def _mend(self) -> None:
        with database.connection_context(), sql.transaction():
            free_runs_of_the_dead(self._owner)
            queue.forget_lost_jobs()
            self._jobs.dispatch()

    async def _housekeeping(self, job: JobContext, timestamp: int) -> None:  # noqa: ARG002
        await job.app.job_manager.delete_old_jobs(
            _KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )
        await asyncio.to_thread(self._forget)

    def _forget(self) -> None:
        with database.connection_context():
            webhook_delivery.forget_old(self._context)


def _wish(job: JobContext) -> Stop | None:
    """What the queue asks of a run."""
    reason = job.abort_reason()
    if reason is None:
        return None
    return Stop.CANCEL if reason is AbortReason.USER_REQUEST else Stop.HAND_OVER


class _Told(logging.Handler):
    """What the queue logs, as lines of our own log."""

    def emit(self, record: logging.LogRecord) -> None:
        told = structlog.get_logger("procrastinate")
        told.log(record.levelno, "queue", message=record.getMessage(), exc_info=record.exc_info or None)


def _hear_of_the_queue() -> None:
    heard = logging.getLogger("procrastinate")
    heard.setLevel(logging.WARNING)
    heard.propagate = False
    if not heard.handlers:
        heard.addHandler(_Told())

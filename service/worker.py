"""The embedded worker: threads of this process that claim runs from the table and carry them out.

The table is the truth about a run. A worker that dies leaves a lease behind; when that has ended, or at once when the
worker is known to be dead, another goes on from the run's last page.
"""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable

import structlog

from service.engine.task import Stop
from service.operations import execution, webhook_delivery
from service.operations.context import Context
from service.operations.runs import RunRequest, start
from service.operations.schedules import next_due
from service.store import mappings
from service.store import runs as run_rows
from service.store.database import database
from service.store.runs import Lease, LeaseLost

LOOK = 5.0
"""Seconds after which an idle worker looks for work even if nobody woke it: another process may have queued a run."""

CLEAN_UP = 3_600.0
"""Seconds between two looks for events that can be forgotten."""

OBJECTS = 50_000
"""So many new objects before Python looks for rings among them. Those of a page are many, form none, and live for a
moment: at the usual 700 a fifth of a run's time goes into looking."""

log = structlog.get_logger()


class Worker:
    """Threads that carry out runs until `stop`. `wake` may be called from any thread, before `start` too."""

    def __init__(self, context: Context, threads: int = 2) -> None:
        self._context = context
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        self._threads = [
            threading.Thread(target=self._work, args=(f"{self._owner}:{number}",), name=f"worker-{number}", daemon=True)
            for number in range(threads)
        ]
        self._clock = threading.Thread(target=self._schedule, name="scheduler", daemon=True)
        self._teller = threading.Thread(target=self._tell, name="webhooks", daemon=True)
        self._awake = threading.Condition()
        self._calls = 0
        self._stopping = threading.Event()

    def start(self) -> None:
        """Take over what dead workers of this machine left, then work."""
        with database.connection_context():
            free_runs_of_the_dead(self._owner)
        for thread in (*self._threads, self._clock, self._teller):
            thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        with self._awake:
            self._calls += 1
            self._awake.notify_all()

    def stop(self, timeout: float = 60.0) -> None:
        """Finish the pages at hand, hand the runs over, and end. `timeout` is in seconds for each thread."""
        self._stopping.set()
        self.wake()
        for thread in (*self._threads, self._clock, self._teller):
            if thread.is_alive():
                thread.join(timeout)
        self._context.kept.close_idle(0)

    def _work(self, owner: str) -> None:
        while not self._stopping.is_set():
            calls = self._calls
            try:
                with database.connection_context():
                    worked = carry_out_next(self._context, owner, self._stopping)
            except Exception:
                # The state cannot be reached; what was being done is taken up again when its lease has ended.
                log.exception("worker_disturbed")
                worked = False
                self._stopping.wait(1.0)
            if not worked:
                self._rest(calls)

    def _rest(self, calls: int) -> None:
        """Wait until somebody calls who was not heard yet."""
        with self._awake:
            self._awake.wait_for(lambda: self._calls != calls or self._stopping.is_set(), LOOK)

    def _tell(self) -> None:
        forgotten = 0.0
        while not self._stopping.is_set():
            told = 0
            try:
                with database.connection_context():
                    told = webhook_delivery.deliver_due(self._context)
                    if time.monotonic() - forgotten > CLEAN_UP:
                        webhook_delivery.forget_old(self._context)
                        forgotten = time.monotonic()
            except Exception:
                log.exception("webhooks_disturbed")
            if not told:
                self._stopping.wait(1.0)

    def _schedule(self) -> None:
        while not self._stopping.is_set():
            try:
                with database.connection_context():
                    start_due(self._context)
                self._context.kept.close_idle()
            except Exception:
                log.exception("scheduler_disturbed")
            self._stopping.wait(1.0)


def carry_out_next(context: Context, owner: str, stopping: threading.Event) -> bool:
    """Carry out one run if there is one; returns whether there was. The caller has a connection open."""
    lease = execution.claim(context, owner)
    if lease is None:
        return False
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])
    with _Heart(context, lease, stopping) as heart:
        execution.carry_out(context, lease, heart.why, heart.sleep)
    return True


def run_until_idle(context: Context) -> int:
    """Carry out everything that is queued, here and now; returns how many runs that were."""
    owner, done = f"inline:{os.getpid()}:{uuid.uuid4().hex[:12]}", 0
    while carry_out_next(context, owner, threading.Event()):
        done += 1
    return done


def start_due(context: Context) -> int:
    """Queue a run for every mapping whose schedule has come; a time that was missed is made up for once."""
    now, started = context.now(), 0
    for row in mappings.claim_due(now):
        if row.next_due and mappings.set_next_due(row.id, row.next_due, next_due(row.schedule, now, row.idle_runs)):
            start(context, RunRequest(row.id), actor="schedule", trigger="schedule")
            started += 1
    return started


class _Heart:
    """Keeps a lease alive from a thread of its own while a run works, and carries the wish to stop to it."""

    def __init__(self, context: Context, lease: Lease, stopping: threading.Event) -> None:
        self._context = context
        self._lease = lease
        self._stopping = stopping
        self._ended = threading.Event()
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heart-{lease.run_id}", daemon=True)

    def __enter__(self) -> _Heart:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def why(self) -> Stop | None:
        """Why the run should stop at its next page, None: it should not."""
        if self._cancelled.is_set() or run_rows.cancel_wanted(self._lease.run_id):
            return Stop.CANCEL
        return Stop.HAND_OVER if self._stopping.is_set() else None

    def sleep(self, seconds: float) -> None:
        """Wait between two attempts, but no longer than the worker lives."""
        self._stopping.wait(seconds)

    def _beat(self) -> None:
        """Signs of life each third of the lease, so that one may fail."""
        while not self._ended.wait(self._context.lease / 3_000_000):
            try:
                with database.connection_context():
                    if execution.keep_lease(self._context, self._lease):
                        self._cancelled.set()
            except LeaseLost:
                return
            except Exception:
                log.exception("heartbeat_failed", run_id=self._lease.run_id)


def free_runs_of_the_dead(own: str) -> int:
    """End the leases of workers of this machine whose process is gone; returns how many runs that frees."""
    dead = [owner for owner in run_rows.owners() if not owner.startswith(own) and _is_dead(owner)]
    return run_rows.end_leases(dead) if dead else 0


def _is_dead(owner: str, alive: Callable[[int], bool] | None = None) -> bool:
    """Whether a worker is surely gone. A process that has our own number, or that of nobody, is; another machine's may
    live."""
    host, _, rest = owner.partition(":")
    number = rest.partition(":")[0]
    if host == "inline":
        host, number = socket.gethostname(), rest.partition(":")[0]
    if host != socket.gethostname() or not number.isdigit():
        return False
    return int(number) == os.getpid() or not (alive or _lives)(int(number))


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

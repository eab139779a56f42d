"""The embedded worker: threads of this process that claim runs from the table and carry them out.

The table is the truth about a run. A worker that dies leaves a lease behind; when that has ended, or at once when the
worker is known to be dead, another goes on from the run's last page.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid

import structlog

from service.operations import webhook_delivery
from service.operations.context import Context
from service.store.database import database
from service.worker.carrying import carry_out_next
from service.worker.dead import free_runs_of_the_dead
from service.worker.ticks import start_due

LOOK = 5.0
"""Seconds after which an idle worker looks for work even if nobody woke it: another process may have queued a run."""

CLEAN_UP = 3_600.0
"""Seconds between two looks for events that can be forgotten."""

log = structlog.get_logger()


class Worker:
    """Threads that carry out runs until `stop`. `wake` may be called from any thread, before `start` too.

    Half of them are kept for runs that are short: one that turns out to be long goes on in another thread, so that
    however many long ones there are, a short one begins at once.
    """

    def __init__(self, context: Context, threads: int = 4) -> None:
        self._context = context
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        self._threads = [
            threading.Thread(
                target=self._work,
                args=(f"{self._owner}:{number}", number < threads // 2),
                name=f"worker-{number}",
                daemon=True,
            )
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

    def _work(self, owner: str, short: bool) -> None:
        while not self._stopping.is_set():
            calls = self._calls
            try:
                with database.connection_context():
                    worked = carry_out_next(self._context, owner, self._stopping, short=short)
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
            except Exception:
                log.exception("scheduler_disturbed")
            self._stopping.wait(1.0)

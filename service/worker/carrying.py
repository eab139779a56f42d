"""Carrying out one claimed run: signs of life beside it, the wish to stop carried to it, and giving it back when the
state is gone for a while."""

from __future__ import annotations

import gc
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import structlog

from service.engine.task import Stop
from service.operations import execution
from service.operations.context import Context
from service.operations.execution import StateLost
from service.store import runs as run_rows
from service.store.database import database, reconnect
from service.store.integrity import is_lost
from service.store.runs import Lease, LeaseLost

SHORT = 5.0
"""Seconds that a run may take in a place that is kept free for short ones; then it goes on in another."""

OBJECTS = 50_000
"""So many new objects before Python looks for rings among them. Those of a page are many, form none, and live for a
moment: at the usual 700 a fifth of a run's time goes into looking."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is worked on. `stopping` is set when the process is to end; `wish` says what else the run is asked
    for, None: nothing; `short`: a place where no run stays for long."""

    stopping: threading.Event
    wish: Callable[[Lease], Stop | None]
    short: bool = False


def cancelled(lease: Lease) -> Stop | None:
    """Whether somebody asked to cancel, as the state has it."""
    return Stop.CANCEL if run_rows.cancel_wanted(lease.run_id) else None


def carry_out(context: Context, lease: Lease, place: Place) -> bool:
    """Work on a claimed run. Returns whether it is over here: it ended, or belongs to somebody else; otherwise it was
    given back, and waits to be gone on with. The caller has a connection open."""
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])
    with Heart(context, lease, place) as heart:
        try:
            execution.carry_out(context, lease, heart.why, heart.sleep, hold=partial(_held, context, place))
        except StateLost:
            _give_back(lease, place.stopping)
            return False
    return not heart.given_back


def help_out(context: Context, owner: str, place: Place) -> int | None:
    """Take ranges of a large run until there are none, or a run waits to begin; returns which run that was."""
    return execution.help_out(context, owner, partial(_held, context, place), short=place.short)


@contextmanager
def _held(context: Context, place: Place, lease: Lease) -> Iterator[Heart]:
    """Keep the lease of a range alive. Who works on ranges may do so in a place for short runs: they let go of it as
    soon as one waits."""
    with Heart(context, lease, replace(place, wish=cancelled, short=False)) as heart:
        try:
            yield heart
        except Exception as error:
            if is_lost(error):
                _give_back(lease, place.stopping)
            raise


def _give_back(lease: Lease, stopping: threading.Event) -> None:
    """As soon as the state is there again, let the run be gone on with, without waiting for the lease to end."""
    while time.time_ns() // 1000 < lease.until:
        try:
            reconnect()
            run_rows.hand_over(lease)
            return
        except Exception:
            log.warning("state_unreachable", run_id=lease.run_id)
        stopping.wait(0.5)


def carry_out_next(context: Context, owner: str, stopping: threading.Event, *, short: bool = False) -> bool:
    """Carry out one run if there is one, else take ranges of one; returns whether there was something to do. The caller
    has a connection open."""
    place = Place(stopping, cancelled, short)
    lease = execution.claim(context, owner, short=short)
    if lease is None:
        return help_out(context, owner, place) is not None
    carry_out(context, lease, place)
    return True


def run_until_idle(context: Context) -> int:
    """Carry out everything that is queued, here and now; returns how many runs that were."""
    owner, done = f"inline:{os.getpid()}:{uuid.uuid4().hex[:12]}", 0
    while carry_out_next(context, owner, threading.Event()):
        done += 1
    return done


class Heart:
    """Keeps a lease alive from a thread of its own while a run works, and carries the wish to stop to it."""

    def __init__(self, context: Context, lease: Lease, place: Place) -> None:
        self._context = context
        self._lease = lease
        self._place = place
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heart-{lease.run_id}", daemon=True)
        self.given_back = False

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def why(self) -> Stop | None:
        """Why the run should stop at its next page, None: it should not."""
        wish = Stop.CANCEL if self._cancelled.is_set() else self._place.wish(self._lease)
        if wish is None and self._place.short and time.monotonic() - self._began > SHORT:
            run_rows.call_long(self._lease)
            wish = Stop.HAND_OVER
        if wish is None and self._place.stopping.is_set():
            wish = Stop.HAND_OVER
        self.given_back = wish is Stop.HAND_OVER
        return wish

    def sleep(self, seconds: float) -> None:
        """Wait between two attempts, but no longer than the worker lives."""
        self._place.stopping.wait(seconds)

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

"""That a process lives, noted each third of a lease for whoever looks; and whether it may go on beside newer ones."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Callable

import structlog

from service import __version__
from service.operations.context import Context
from service.store import levels, processes
from service.store.database import connection

_FORGOTTEN = 86_400_000_000
"""Microseconds after which nobody wants to know any more that a process was there."""

log = structlog.get_logger()


class Presence:
    """`closed` is called once, with the name of a migration, when a newer version asks this process to leave."""

    def __init__(self, context: Context, kind: str, closed: Callable[[str], None]) -> None:
        self._context = context
        self._kind = kind
        self._closed = closed
        self._name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="presence", daemon=True)

    def start(self) -> None:
        """Be there from now on."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """Be gone: whoever waits for it need not wait until it was long enough silent."""
        self._ended.set()
        self._thread.join()
        try:
            with connection():
                processes.forget(self._name)
        except Exception:
            log.warning("presence_stays", exc_info=True)

    def _beat(self) -> None:
        told = False
        while not self._ended.wait(self._context.lease / 3_000_000):
            try:
                level = self._look()
            except Exception:
                log.warning("presence_disturbed", exc_info=True)
                continue
            if level is not None and not told:
                told = True
                self._closed(level)

    def _look(self) -> str | None:
        with connection():
            now = self._context.now()
            processes.see(self._name, self._kind, __version__, levels.own(), now)
            processes.forget_silent(now, _FORGOTTEN)
            return levels.closed_to_us()

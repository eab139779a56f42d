"""What all clients of one application and one user share in this process: a pause that was asked for, how many requests
are under way at once, and tokens.

Workers open connectors of their own; an application counts the requests of all of them together.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from service.connectors.http.flight import Flight
from service.core.failures import Failure, SideFailed

Kept = TypeVar("Kept")

PATIENCE = 2.0
"""Seconds that a request waits by itself for a pause to end; a longer one is for the caller to wait."""

_LONGEST_PAUSE = 3_600.0
_FIRST_PAUSE = 1.0
_OWN_LONGEST_PAUSE = 30.0


class Shared:
    """The pause, the requests under way and the kept values of one application and user. Safe for threads."""

    def __init__(self) -> None:
        self.flight = Flight()
        self._lock = threading.RLock()  # What is being made may need a request, which looks at the pause.
        self._until = 0.0
        self._refusals = 0
        self._kept: dict[str, tuple[float, Any]] = {}

    def wait(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Return when requests may be sent. SideFailed(`rate_limited`) with the seconds that are left, when many."""
        left = self._until - time.monotonic()
        if left > PATIENCE:
            raise SideFailed(Failure("rate_limited", {"retryAfter": round(left, 1)}))
        if left > 0:
            sleep(left)

    def pause(self, asked: float | None) -> float:
        """Nobody sends anything for as long as the application asks; where it only refuses, a second, doubled each
        time. Returns the seconds. After it, fewer requests are under way at once."""
        self.flight.refused()
        with self._lock:
            self._refusals += 1
            own = min(_FIRST_PAUSE * 2 ** (self._refusals - 1), _OWN_LONGEST_PAUSE)
            seconds = own if asked is None else min(max(asked, 0.0), _LONGEST_PAUSE)
            self._until = max(self._until, time.monotonic() + seconds)
        return seconds

    def passed(self) -> None:
        """A request was answered."""
        if self._refusals:
            with self._lock:
                self._refusals = 0

    def keep(self, name: str, make: Callable[[], tuple[Kept, float]]) -> Kept:
        """A value made by `make` with the seconds that it is good for; made once, by whoever needs it first."""
        with self._lock:
            until, value = self._kept.get(name, (0.0, None))
            if time.monotonic() >= until:
                value, seconds = make()
                self._kept[name] = (time.monotonic() + seconds, value)
        kept: Kept = value
        return kept

    def forget(self, name: str, value: Any = None) -> None:
        """A kept value is no good any more; with `value`, only while it is still that one."""
        with self._lock:
            if value is None or self._kept.get(name, (0.0, None))[1] == value:
                self._kept.pop(name, None)


_ALL: dict[str, Shared] = {}
_ALL_LOCK = threading.Lock()


def shared(*identity: str) -> Shared:
    """What the clients of this identity (origin, user, secret) share. Secrets are not kept in the clear."""
    name = hashlib.blake2b("\0".join(identity).encode("utf-8", "replace"), digest_size=16).hexdigest()
    with _ALL_LOCK:
        return _ALL.setdefault(name, Shared())

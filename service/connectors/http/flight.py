"""How many requests of all workers of this process may be under way to one application at a time.

Additive increase, multiplicative decrease (Chiu and Jain, 1989; the congestion avoidance of TCP): an answer that came
in its usual time adds one request per round of answers, a refusal (429, 502, 503) halves the number, and an answer that
took far longer than is usual takes a tenth away, for a queue has formed. The tenth and the memory of what is usual are
those of Netflix's concurrency-limits, whose rule for growing is kept too: only a limit that is made use of grows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.core.failures import Failure, SideFailed

MOST = 32
"""Requests under way at once that no application is sent more of; Dataverse itself lets 52 pass."""

_START = 8.0
_HALVED = 0.5
_A_TENTH_LESS = 0.9

_SLOW = 3.0
"""An answer is slow when it took so many times as long as is usual for its kind, and longer than `_NOTHING`."""

_NOTHING = 0.25
"""Seconds below which no answer is slow: there, chance says more than a queue."""

_WEIGHT = 1 / 600
"""How much one answer counts in what is usual: the last six hundred or so are what is remembered."""

_CALM = 1.0
"""Seconds after a decrease in which no other is made: what was under way then met the same trouble."""


class Flight:
    """The requests under way to one application as one user. Safe for threads."""

    def __init__(self, most: int = MOST, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._most = float(most)
        self._limit = min(_START, self._most)
        self._under_way = 0
        self._decreased = -_CALM
        self._usual: dict[str, float] = {}
        self._free = threading.Condition()

    @property
    def limit(self) -> int:
        """How many requests may be under way now."""
        return int(self._limit)

    @contextmanager
    def slot(self, kind: str, patience: float) -> Iterator[None]:
        """One request, as soon as there is room for it. `kind`: requests that usually take the same time. Only one that
        was answered, whatever the answer, is counted as answered. SideFailed(`rate_limited`) when there is no room for
        `patience` seconds."""
        with self._free:
            if not self._free.wait_for(lambda: self._under_way < self.limit, patience):
                raise SideFailed(Failure("rate_limited", {"retryAfter": 1.0}))
            self._under_way += 1
            busy = self._is_busy()
        sent = self._now()
        try:
            yield
            self._answered(kind, self._now() - sent, busy=busy)
        finally:
            with self._free:
                self._under_way -= 1
                self._free.notify()

    def refused(self) -> None:
        """The application has enough."""
        with self._free:
            self._decrease(_HALVED)

    def _answered(self, kind: str, seconds: float, *, busy: bool) -> None:
        with self._free:
            busy = busy or self._is_busy()
            usual = self._usual.get(kind, seconds)
            self._usual[kind] = usual + _WEIGHT * (seconds - usual)
            if seconds > max(_SLOW * usual, _NOTHING):
                self._decrease(_A_TENTH_LESS)
            elif busy and self._now() - self._decreased >= _CALM:
                self._limit = min(self._limit + 1 / self._limit, self._most)
                self._free.notify()

    def _is_busy(self) -> bool:
        return self._under_way * 2 >= self._limit

    def _decrease(self, factor: float) -> None:
        if self._now() - self._decreased >= _CALM:
            self._limit = max(self._limit * factor, 1.0)
            self._decreased = self._now()

"""Connectors that rest between two pieces of work, so that the next need not connect and make its statements anew: most
runs find nothing to do, and opening two databases for them costs ten times what they ask."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.connectors.base import Connector

IDLE = 90.0
"""Seconds after which a connector that nobody needed is closed: longer than the shortest schedule."""

AGE = 900.0
"""Seconds after which one is not kept any more, nor lent: that its user may not log in any more is noticed then at the
latest."""

MOST = 50
"""So many rest at most."""


@dataclass(slots=True)
class _Resting:
    """`made`, `since`: when it was made, and when it was last needed; seconds of a clock that nobody sets."""

    connector: Connector
    made: float
    since: float


class Kept:
    """The connectors that rest. Each is lent to one borrower at a time; may be used from several threads. `now`:
    seconds of a clock that nobody sets."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._resting: dict[Hashable, list[_Resting]] = {}
        weakref.finalize(self, _close_all, self._resting)

    @contextmanager
    def borrowed(self, key: Hashable, make: Callable[[], Connector]) -> Iterator[Connector]:
        """A connector that rested under `key`, or a new one. Afterwards it rests, if it can and nothing went wrong."""
        item = self._take(key) or _Resting(make(), self._now(), 0.0)
        try:
            yield item.connector
        except BaseException:
            item.connector.close()
            raise
        item.connector.fence(_unfenced)
        item.since = self._now()
        if _aged(item, item.since) or not item.connector.rest():
            item.connector.close()
            return
        with self._lock:
            self._resting.setdefault(key, []).append(item)
        self.close_idle(IDLE)

    def close_idle(self, seconds: float = IDLE) -> None:
        """Close what nobody needed for so long, and what is too many."""
        now = self._now()
        with self._lock:
            kept = sorted((item for some in self._resting.values() for item in some), key=lambda item: -item.since)
            old = [item for n, item in enumerate(kept) if n >= MOST or now - item.since >= seconds or _aged(item, now)]
            for key, some in list(self._resting.items()):
                if not (left := [item for item in some if not any(item is one for one in old)]):
                    del self._resting[key]
                else:
                    self._resting[key] = left
        for item in old:
            item.connector.close()

    def _take(self, key: Hashable) -> _Resting | None:
        self.close_idle()
        with self._lock:
            some = self._resting.get(key)
            return some.pop() if some else None


def _aged(item: _Resting, now: float) -> bool:
    return now - item.made >= AGE


def _unfenced() -> None:
    """Nobody writes while a connector rests."""


def _close_all(resting: dict[Hashable, list[_Resting]]) -> None:
    for some in resting.values():
        for item in some:
            item.connector.close()
    resting.clear()

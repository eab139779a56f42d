"""Counting the moments at which a process may die: before and after every statement on the state, and before and after
every call to an application. At the moment that was asked for, the process kills itself, or stops.

What is after one call is before the next: nothing outside the process tells the two apart. So n calls have 2n
boundaries at n + 1 moments.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from service.store.database import database
from tests.faults import Fault, Faults, VirtualClock


class Boundaries:
    """The calls of this process so far. `before`: the number of the call before which the process sends itself `sent`;
    0: none. `stopped`: whether it was stopped, and has woken. It does not stop inside a transaction on the state, where
    it would keep everybody else from it, too."""

    def __init__(self, before: int = 0, sent: signal.Signals = signal.SIGKILL) -> None:
        self.calls = 0
        self.stopped = False
        self.writing = False
        self._before = before
        self._sent = sent

    def come_to(self) -> None:
        """The next call is about to be made."""
        self.calls += 1
        if self.calls == self._before and (self._sent is signal.SIGKILL or not self.writing):
            os.kill(os.getpid(), self._sent)
            self.stopped = True

    def watch_state(self) -> None:
        """Count every statement on the open database, BEGIN and COMMIT among them."""
        opened: Any = database.obj
        cursor = opened.cursor
        opened.cursor = lambda *given: _Counted(cursor(*given), self)


class _Counted:
    """A cursor whose statements are counted."""

    def __init__(self, inner: Any, boundaries: Boundaries) -> None:
        self._inner = inner
        self._boundaries = boundaries

    def execute(self, *given: Any, **more: Any) -> Any:
        self._boundaries.come_to()
        done = self._inner.execute(*given, **more)
        verb = given[0].partition(" ")[0]
        if verb in ("BEGIN", "COMMIT", "ROLLBACK"):
            self._boundaries.writing = verb == "BEGIN"
        return done

    def executemany(self, *given: Any) -> Any:
        self._boundaries.come_to()
        return self._inner.executemany(*given)

    def copy(self, *given: Any) -> Any:
        self._boundaries.come_to()
        return self._inner.copy(*given)

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *_error: object) -> None:
        self._inner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __iter__(self) -> Any:
        return iter(self._inner)


class CountedCalls(Faults):
    """Connectors whose calls are counted, and nothing else happens to them."""

    def __init__(self, boundaries: Boundaries) -> None:
        super().__init__(0, {}, VirtualClock())
        self._boundaries = boundaries

    def draw(self, name: str, operation: str) -> Fault | None:
        self._boundaries.come_to()
        return None

"""When to look for rows that are hardly ever there, and lie far from where a reading begins: texts with a negative
offset sort up to twelve hours before their moment, so that each reading looks through all texts of these hours.

Where these are many, and none of them is one, a look holds for some minutes. Until then the horizon stays where it was
at that look: whatever comes meanwhile may show late, and is found because a reading begins behind the horizon.
"""

from __future__ import annotations

from service.connectors.base import Clock
from service.core.records import Stamp

MANY = 5_000
"""So many rows are looked through at every reading: in less than a millisecond."""

HOLDS: Stamp = 300_000_000
"""A look at more of them holds for five minutes."""

FEW = 200
"""After a reading of more records the next one looks, so that the horizon moves on and they are not read once more."""


class Search:
    """What is known of such rows in one selection. Used by one thread at a time."""

    def __init__(self) -> None:
        self._last: tuple[Stamp, Stamp] | None = None  # The horizon and `since` of a look that holds.
        self._next: Stamp | None = None  # The horizon of the reading that comes next.
        self._looking: tuple[Stamp, Stamp] | None = None  # Those of the reading at hand, while it has found none.
        self._read = 0

    def clock(self, clock: Clock) -> Clock:
        """The clock as the reading that comes next is to know it: one that does not look has the horizon of the last
        that did."""
        self._next = clock.horizon
        if self._last is None or not 0 <= clock.now - self._last[0] < HOLDS or self._read > FEW:
            self._last = None
            return clock
        return Clock(clock.now, min(clock.horizon, self._last[0]))

    def begin(self, since: Stamp) -> bool:
        """A reading begins; returns whether it has to look. One whose clock was not asked for does."""
        horizon, self._next, self._read = self._next, None, 0
        if horizon is not None and self._last is not None and since >= self._last[1]:
            return False
        self._last, self._looking = None, (None if horizon is None else (horizon, since))
        return True

    def met(self, rows: int, *, sought: bool) -> None:
        """The reading met rows, such as are `sought` or others."""
        self._read += rows
        if sought and rows:
            self._looking = None

    @property
    def found_none(self) -> bool:
        """Whether the reading at hand looks, and has found none so far."""
        return self._looking is not None

    def end(self, *, holds: bool) -> None:
        """The reading is over."""
        self._last, self._looking = (self._looking if holds else self._last), None

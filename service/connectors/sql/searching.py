"""When to look for rows that are hardly ever there, and lie far from where a reading begins: texts with a negative
offset sort up to twelve hours before their moment, so that each reading looks through all texts of these hours.

Where these are many, and none of them is one, a look holds for some minutes. Until then the horizon stays where it was
at that look: whatever comes meanwhile may show late, and is found because a reading begins behind the horizon.

A reading of everything, as a first load is one, meets each row: it is a look of its own where one connector has read
all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from service.connectors.base import Clock
from service.connectors.sql.stamps import EARLIEST
from service.core.records import Record, Stamp

MANY = 5_000
"""So many rows are looked through at every reading: in less than a millisecond."""

HOLDS: Stamp = 300_000_000
"""A look at more of them holds for five minutes."""

FEW = 200
"""After a reading of more records the next one looks, so that the horizon moves on and they are not read once more."""


_SECOND: Stamp = 1_000_000


@dataclass(slots=True)
class _Whole:
    """A reading of everything: the horizon with which it began, the latest stamp that it met, and what it has read, as
    the beginning of each stretch by its end. None is the beginning of all, and the end."""

    horizon: Stamp
    latest: Stamp = EARLIEST
    stretches: dict[str | None, str | None] = field(default_factory=dict)

    def add(self, after: str | None, reached: str | None) -> None:
        start = after if after is None else self.stretches.pop(after, after)
        self.stretches[reached] = start

    @property
    def complete(self) -> bool:
        """Whether the stretches lead from the end back to the beginning."""
        at: str | None = None
        for _ in range(len(self.stretches)):
            if at not in self.stretches:
                return False
            at = self.stretches[at]
            if at is None:
                return True
        return False


class Search:
    """What is known of such rows in one selection. Used by one thread at a time."""

    def __init__(self) -> None:
        self._last: tuple[Stamp, Stamp] | None = None  # The horizon and `since` of a look that holds.
        self._next: Stamp | None = None  # The horizon of the reading that comes next.
        self._looking: tuple[Stamp, Stamp] | None = None  # Those of the reading at hand, while it has found none.
        self._read = 0
        self._whole: _Whole | None = None  # The reading of everything at hand, while it has met none.

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

    def begin_all(self) -> None:
        """A reading of everything begins."""
        self._whole, self._next = (None if self._next is None else _Whole(self._next)), None

    def met_all(self, after: str | None, reached: str | None, records: Sequence[Record]) -> Stamp | None:
        """A reading of everything met `records` from one place to another, pages and ranges in any order. Returns from
        where the next one goes on at the latest, when that was the last of them and such rows are not among them."""
        if self._whole is None or _are_among(records):
            self._whole = None
            return None
        stamps = [record.modified_on for record in records if record.modified_on is not None]
        self._whole.latest = max([self._whole.latest, *stamps])
        self._whole.add(after, reached)
        return min(self._whole.horizon, self._whole.latest + _SECOND) if self._whole.complete else None

    def end_all(self, *, holds: bool) -> None:
        """A reading of everything is over, and was a look."""
        if holds and self._whole is not None:
            self._last, self._read = (self._whole.horizon, EARLIEST), 0
        self._whole = None


def _are_among(records: Sequence[Record]) -> bool:
    """Whether the stamp of a row is a text with a negative offset, as `stamps.text_phases` looks for it. Nothing is
    called for each row: a load asks this of all of them."""
    raws = [record.raw[1] for record in records]
    texts = raws if {str}.issuperset(map(type, raws)) else [raw for raw in raws if isinstance(raw, str)]
    return bool([raw for raw in texts if "-" in raw[10:]])

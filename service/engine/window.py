"""Where a reading starts: far enough behind the watermark that no late stamp is lost, and no further than that.

A record may appear late: its stamp was made when a transaction began, and shows when that ends; or a clock is coarse,
and a second edit within its tick has the same stamp. So each reading begins an overlap behind what was read before.
What lies further back than the overlap before the source's horizon of the last reading is closed: an honest clock makes
no more stamps there. A closed part is read again when that is cheap, or when it holds more records than it did.

A clock that was set back makes stamps that were passed already. How far it went is told by the time that passed for
ourselves between two readings; that horizon moves back with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from service.connectors.base import Clock, Connector
from service.core.records import Record, Selection, Stamp
from service.store.watermarks import Mark

SECOND = 1_000_000

TICKS = (86_400 * SECOND, 3_600 * SECOND, 60 * SECOND)
"""Ticks of clocks coarser than a second: a stamp at the beginning of one may stand for any moment within it."""

CHEAP = 200
"""So many records are read again without asking whether that is needed."""

MOST = 10_000
"""So many seconds are counted at most; a window that had more of them is read again rather than counted."""


def look(connector: Connector, selection: Selection, steady: Callable[[], Stamp]) -> tuple[Clock, Stamp, Stamp]:
    """The source's clock, and how far it is at most and at least ahead of `steady`: asking takes its time."""
    before = steady()
    clock = connector.clock(selection)
    return clock, clock.now - before, clock.now - steady()


def horizon_of(mark: Mark, clock: Clock, at_least_ahead: Stamp) -> Stamp | None:
    """The horizon of the last reading in terms of the source's clock as it is now; None where nobody can tell.

    A clock that is less far ahead of our own than it was then was set back, at most by the difference. When both are
    behind what they were, as two programs of one machine see it, it is not known how much time passed.
    """
    if clock.now < mark.read_at and clock.now - at_least_ahead < mark.read_at - mark.ahead:
        return None
    set_back = max(0, mark.ahead - at_least_ahead)
    return min(mark.read_at - set_back, clock.now)


def begin(connector: Connector, selection: Selection, mark: Mark, horizon: Stamp) -> Stamp:
    """The stamp from which to read on after `mark`: the beginning of a second, or of the tick of the source's stamps.
    `horizon`: that of the last reading, by the source's clock as it is now."""
    tick = _tick(mark.modified_on)
    start = _floor(min(mark.modified_on, horizon) - connector.overlap, tick)
    closed = min(_floor(horizon - connector.overlap, tick), _floor(mark.modified_on, tick) + tick)
    if closed <= start:
        return start
    expected = sum(number for second, number in mark.recent.items() if start <= int(second) * SECOND < closed)
    if expected <= CHEAP:
        return start
    held = connector.count(selection, start, closed - 1)
    return start if held is not None and held > expected else closed


def fresh_from(connector: Connector, mark: Mark, horizon: Stamp | None) -> Stamp:
    """The earliest stamp that somebody may have made since the last reading, late or by a clock that was set back."""
    return 0 if horizon is None else _floor(horizon - connector.overlap, _tick(mark.modified_on))


def kept(mark: Mark | None, since: Stamp | None) -> dict[str, int]:
    """The counts of the seconds that a reading from `since` leaves out."""
    if mark is None or since is None:
        return {}
    return {second: number for second, number in mark.recent.items() if int(second) * SECOND < since}


def counted(recent: Mapping[str, int], records: Sequence[Record], overlap: Stamp) -> dict[str, int]:
    """`recent` with the records of another page, in the order they were read, without the seconds that are too old."""
    result = dict(recent)
    last = next((record.modified_on for record in reversed(records) if record.modified_on is not None), None)
    if last is None:
        return result
    first = _first(last, overlap)
    for record in reversed(records):
        if record.modified_on is None or record.modified_on < first * SECOND:
            break
        second = str(record.modified_on // SECOND)
        result[second] = result.get(second, 0) + 1
    return _within(result, first)


def tallied(recent: Mapping[str, int], records: Sequence[Record], last: Stamp | None, overlap: Stamp) -> dict[str, int]:
    """`recent` with the records of a page in whatever order they were read. `last`: the latest stamp of all so far."""
    first = _first(last, overlap)
    stamps = [record.modified_on for record in records if record.modified_on is not None]
    seconds = Counter([stamp // SECOND for stamp in stamps if stamp >= first * SECOND])
    result = Counter(recent)
    result.update({str(second): number for second, number in seconds.items()})
    return _within(result, first)


def summed(parts: Iterable[Mapping[str, int]], last: Stamp, overlap: Stamp) -> dict[str, int]:
    """The counts of several parts of a reading as those of the whole, whose latest stamp is `last`."""
    result: Counter[str] = Counter()
    for part in parts:
        result.update(part)
    return _within(result, _first(last, overlap))


def _first(last: Stamp | None, overlap: Stamp) -> int:
    """The second with which the window behind a stamp begins."""
    return 0 if last is None else _floor(last - overlap, _tick(last)) // SECOND


def _within(recent: Mapping[str, int], first: int) -> dict[str, int]:
    """The counts from a second on; none where they are too many to be kept."""
    result = {second: number for second, number in recent.items() if int(second) >= first}
    return result if len(result) <= MOST else {}


def _tick(stamp: Stamp) -> int:
    """The tick of the clock that made a stamp, as far as the stamp tells: a day for a mere date, a second at least."""
    return next((tick for tick in TICKS if stamp % tick == 0), SECOND)


def _floor(stamp: Stamp, tick: int) -> Stamp:
    return stamp - stamp % tick

"""Where a reading starts: far enough behind the watermark that no late stamp is lost, and no further than that.

A record may appear late: its stamp was made when a transaction began, and shows when that ends; or a clock is coarse,
and a second edit within its tick has the same stamp. So each reading begins an overlap behind what was read before.
What lies further back than the overlap before the source's horizon of the last reading is closed: an honest clock makes
no more stamps there. A closed part is read again when that is cheap, or when it holds more records than it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.connectors.base import Connector
from service.core.records import Record, Selection, Stamp
from service.store.watermarks import Mark

SECOND = 1_000_000

CHEAP = 200
"""So many records are read again without asking whether that is needed."""


def begin(connector: Connector, selection: Selection, mark: Mark) -> Stamp:
    """The stamp from which to read on after `mark`, a whole second."""
    start = _second(mark.stamp - connector.overlap) * SECOND
    closed = min(_second(mark.read_at - connector.overlap), _second(mark.modified_on) + 1) * SECOND
    if closed <= start:
        return start
    expected = sum(number for second, number in mark.recent.items() if start <= int(second) * SECOND < closed)
    if expected <= CHEAP:
        return start
    held = connector.count(selection, start, closed - 1)
    return start if held is not None and held > expected else closed


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
    first = _second(last - overlap)
    for record in reversed(records):
        if record.modified_on is None or record.modified_on < first * SECOND:
            break
        second = str(_second(record.modified_on))
        result[second] = result.get(second, 0) + 1
    return {second: number for second, number in result.items() if int(second) >= first}


def _second(stamp: Stamp) -> int:
    return stamp // SECOND

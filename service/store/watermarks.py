"""How far each side of a mapping has been read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from service.core.records import Side, Stamp
from service.store import sql


@dataclass(frozen=True, slots=True)
class Mark:
    """Read in full up to (modified_on, key). `read_at`: the source's horizon when that was read, so that the
    watermark proper is never later than what the source could show. `recent` and `ahead` (how far the source's clock
    was ahead of ours then, in microseconds): see `engine.window`."""

    modified_on: Stamp
    key: str
    read_at: Stamp
    recent: Mapping[str, int] = field(default_factory=dict)
    ahead: Stamp = 0

    @property
    def stamp(self) -> Stamp:
        """The watermark: never beyond the source's own clock at the start of the read."""
        return min(self.modified_on, self.read_at)


def get(mapping_id: int, side: Side) -> Mark | None:
    """The watermark of a side, None when it was never read."""
    found = sql.rows(
        "SELECT modified_on, key, read_at, recent, ahead FROM watermarks WHERE mapping_id = ? AND side = ?",
        mapping_id,
        side,
    )
    if not found:
        return None
    modified_on, key, read_at, recent, ahead = found[0]
    return Mark(modified_on, key, read_at, orjson.loads(recent), ahead)


def advance(mapping_id: int, marks: Mapping[Side, Mark]) -> None:
    """Move watermarks forward, never back."""
    if not marks:
        return
    given = [
        (mapping_id, side, mark.modified_on, mark.key, mark.read_at, sql.dump(dict(mark.recent)), mark.ahead)
        for side, mark in marks.items()
    ]
    sql.execute(
        "INSERT INTO watermarks (mapping_id, side, modified_on, key, read_at, recent, ahead)"
        f" VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?)'] * len(given))}"
        " ON CONFLICT (mapping_id, side) DO UPDATE SET modified_on = excluded.modified_on, key = excluded.key,"
        " read_at = excluded.read_at, recent = excluded.recent, ahead = excluded.ahead"
        " WHERE excluded.modified_on >= watermarks.modified_on",
        *(value for one in given for value in one),
    )

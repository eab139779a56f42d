"""How far each side of a mapping has been read."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.records import Side, Stamp
from service.store import sql


@dataclass(frozen=True, slots=True)
class Mark:
    """Read in full up to (modified_on, key). `read_at`: the source's horizon when that was read, so that the
    watermark proper is never later than what the source could show. `window_count`: see `engine.detect`."""

    modified_on: Stamp
    key: str
    read_at: Stamp
    window_count: int | None = None

    @property
    def stamp(self) -> Stamp:
        """The watermark: never beyond the source's own clock at the start of the read."""
        return min(self.modified_on, self.read_at)


def get(mapping_id: int, side: Side) -> Mark | None:
    """The watermark of a side, None when it was never read."""
    found = sql.rows(
        "SELECT modified_on, key, read_at, window_count FROM watermarks WHERE mapping_id = ? AND side = ?",
        mapping_id,
        side,
    )
    return Mark(*found[0]) if found else None


def advance(mapping_id: int, side: Side, mark: Mark) -> None:
    """Move a watermark forward, never back."""
    sql.execute(
        "INSERT INTO watermarks (mapping_id, side, modified_on, key, read_at, window_count) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (mapping_id, side) DO UPDATE SET modified_on = excluded.modified_on, key = excluded.key,"
        " read_at = excluded.read_at, window_count = excluded.window_count"
        " WHERE excluded.modified_on >= watermarks.modified_on",
        mapping_id,
        side,
        mark.modified_on,
        mark.key,
        mark.read_at,
        mark.window_count,
    )


def forget(mapping_id: int, side: Side) -> None:
    """The next run reads this side from the beginning."""
    sql.execute("DELETE FROM watermarks WHERE mapping_id = ? AND side = ?", mapping_id, side)

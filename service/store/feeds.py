"""Where each side of a mapping is in the feed of its application."""

from __future__ import annotations

from service.core.records import Side
from service.store import sql


def get(mapping_id: int, side: Side) -> str | None:
    """The token up to which the feed of a side was followed, None where it never was."""
    found = sql.rows("SELECT token FROM change_feeds WHERE mapping_id = ? AND side = ?", mapping_id, side)
    return str(found[0][0]) if found else None


def save(mapping_id: int, side: Side, token: str | None) -> None:
    """Everything up to a token is settled; None: nothing is known of this feed any more."""
    if token is None:
        sql.execute("DELETE FROM change_feeds WHERE mapping_id = ? AND side = ?", mapping_id, side)
        return
    sql.execute(
        "INSERT INTO change_feeds (mapping_id, side, token) VALUES (?, ?, ?)"
        " ON CONFLICT (mapping_id, side) DO UPDATE SET token = excluded.token",
        mapping_id,
        side,
        token,
    )

"""Everything that is encrypted at rest, for the exchange of its keys."""

from __future__ import annotations

from collections.abc import Callable

from service.store import sql

SEALED = (("connections", "credentials"), ("webhooks", "secret"), ("idempotency_keys", "response_body"))
"""The columns that hold encrypted texts."""

_PAGE = 500


def rewrite(change: Callable[[str], str | None]) -> tuple[int, list[tuple[str, int]]]:
    """Replace every encrypted text by what `change` makes of it, each by itself: a text that was written meanwhile
    stays. Returns how many were replaced, and the tables and ids of those for which it made None."""
    done, lost = 0, []
    for table, column in SEALED:
        after = 0
        while page := sql.rows(
            f"SELECT id, {column} FROM {table} WHERE {column} IS NOT NULL AND id > ? ORDER BY id LIMIT ?", after, _PAGE
        ):
            after = page[-1][0]
            for id, text in page:
                made = change(text)
                if made is None:
                    lost.append((table, id))
                else:
                    where = f"WHERE id = ? AND {column} = ?"
                    done += sql.execute(f"UPDATE {table} SET {column} = ? {where}", made, id, text)
    return done, lost

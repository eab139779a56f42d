"""Notes about the installation as a whole."""

from __future__ import annotations

from service.store import sql


def read(name: str) -> str | None:
    """What is noted under a name; None: nothing."""
    found = sql.rows("SELECT value FROM notes WHERE name = ?", name)
    return found[0][0] if found else None


def write(name: str, value: str) -> None:
    """Note something, in place of what was noted before."""
    sql.execute(
        "INSERT INTO notes (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        name,
        value,
    )

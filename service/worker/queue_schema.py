"""The tables of procrastinate, brought to the version that is installed: made once, then changed by its own
migrations, which it leaves to others to carry out."""

from __future__ import annotations

from pathlib import Path

from procrastinate.schema import SchemaManager

from service.store import notes, queue, sql
from service.store.database import migrating

NOTE = "queue_schema"
"""The note of the newest migration that the tables have; procrastinate keeps none."""


def migrate() -> list[str]:
    """Bring the tables up to date and return the names of what was applied."""
    with migrating(), sql.transaction():
        steps = missing()
        queue.run_statements([text for _, text in steps])
        if steps:
            notes.write(NOTE, _files()[-1].stem)
    return [name for name, _ in steps]


def missing() -> list[tuple[str, str]]:
    """What the open database still lacks, by name, with its statements; the caller has a connection open."""
    if not queue.installed():
        return [("procrastinate", SchemaManager.get_schema())]
    level = notes.read(NOTE) or ""
    return [(file.stem, file.read_text(encoding="utf-8")) for file in _files() if file.stem > level]


def _files() -> list[Path]:
    return sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))

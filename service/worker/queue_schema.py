"""The tables of procrastinate, brought to the version that is installed: made once, then changed by its own
migrations, which it leaves to others to carry out."""

from __future__ import annotations

from pathlib import Path

from procrastinate.schema import SchemaManager

from service.store import notes, queue, sql
from service.store.database import migrating

NOTE = "queue_schema"
"""The note of the newest migration that the tables have; procrastinate keeps none."""
WHOLE = "procrastinate"
"""What is applied where there are no tables yet."""


def migrate() -> list[str]:
    """Bring the tables up to date and return the names of what was applied, each in a transaction of its own."""
    with migrating():
        steps = missing()
        for name, text in steps:
            with sql.transaction():
                queue.run_statements(text)
                notes.write(NOTE, newest() if name == WHOLE else name)
    return [name for name, _ in steps]


def missing() -> list[tuple[str, str]]:
    """What the open database still lacks, by name, with its statements; the caller has a connection open."""
    if not queue.installed():
        return [(WHOLE, SchemaManager.get_schema())]
    level = notes.read(NOTE) or ""
    return [(file.stem, file.read_text(encoding="utf-8")) for file in files() if file.stem > level]


def newest() -> str:
    """The newest migration of the procrastinate that is installed."""
    return files()[-1].stem


def files() -> list[Path]:
    """Its migrations, the oldest first."""
    return sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))

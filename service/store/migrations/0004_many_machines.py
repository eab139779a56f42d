"""What several machines need: which job carries a run, which runs are long, notes about the whole installation, and the
processes that have been seen."""

from typing import Any

STATEMENTS = (
    "ALTER TABLE sync_runs ADD COLUMN job_id BIGINT",
    "ALTER TABLE sync_runs ADD COLUMN is_long BOOLEAN NOT NULL DEFAULT FALSE",
    "CREATE TABLE notes (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE processes (
    name TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('web', 'worker', 'both')),
    version TEXT NOT NULL,
    level TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    clock_ahead BIGINT NOT NULL
)""",
)


def up(migrator: Any, db: Any) -> None:  # noqa: ARG001
    for statement in STATEMENTS:
        db.execute_sql(statement)

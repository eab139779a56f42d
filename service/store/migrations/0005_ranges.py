"""Ranges that the reading of a run is cut into, so that several workers take them; and which of them a write that was
sent belongs to."""

from typing import Any

IDENTITY = {"sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT", "postgres": "BIGSERIAL PRIMARY KEY"}

STATEMENTS = (
    """CREATE TABLE run_ranges (
    id {identity},
    run_id BIGINT NOT NULL REFERENCES sync_runs (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    after_bound TEXT,
    upto_bound TEXT,
    status TEXT NOT NULL CHECK (status IN ('open', 'done', 'failed')),
    counts TEXT NOT NULL,
    progress TEXT NOT NULL,
    checkpoint TEXT NOT NULL,
    code TEXT,
    params TEXT,
    works_on TEXT,
    owner TEXT,
    lease_until BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    UNIQUE (run_id, number)
)""",
    "CREATE INDEX run_ranges_open ON run_ranges (run_id, number) WHERE status = 'open'",
    "ALTER TABLE intents ADD COLUMN range_id BIGINT REFERENCES run_ranges (id) ON DELETE SET NULL",
    "ALTER TABLE pending_changes ADD COLUMN range_id BIGINT REFERENCES run_ranges (id) ON DELETE SET NULL",
)


def up(migrator: Any, db: Any) -> None:
    dialect = "sqlite" if migrator.__class__.__name__.startswith("Sqlite") else "postgres"
    for statement in STATEMENTS:
        db.execute_sql(statement.format(identity=IDENTITY[dialect]))

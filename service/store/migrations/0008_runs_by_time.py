"""Runs are found by when they were asked for, however many there are."""

from typing import Any


def up(migrator: Any, db: Any) -> None:  # noqa: ARG001  (both are handed to every migration)
    db.execute_sql("CREATE INDEX sync_runs_created ON sync_runs (created_at)")

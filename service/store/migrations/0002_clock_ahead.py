"""How far a source's clock was ahead of our own when it was read, so that one that was set back is noticed."""

from typing import Any


def up(migrator: Any, db: Any) -> None:  # noqa: ARG001
    db.execute_sql("ALTER TABLE watermarks ADD COLUMN ahead BIGINT NOT NULL DEFAULT 0")

"""What is noted before it is sent is kept as it is on PostgreSQL: it is there for milliseconds, and to pack a page of
it costs more than all else that is done with it. SQLite packs nothing."""

from typing import Any

NOTED = {"intents": "inserts", "pending_changes": "changes"}


def up(migrator: Any, db: Any) -> None:
    if migrator.__class__.__name__.startswith("Sqlite"):
        return
    for table, column in NOTED.items():
        db.execute_sql(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")

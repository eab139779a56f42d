"""Where each side of a mapping is in the feed of its application, if that tells changes by itself."""

from typing import Any


def up(migrator: Any, db: Any) -> None:  # noqa: ARG001
    db.execute_sql(
        "CREATE TABLE change_feeds ("
        " mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,"
        " side TEXT NOT NULL CHECK (side IN ('local', 'integration')),"
        " token TEXT NOT NULL,"
        " PRIMARY KEY (mapping_id, side))"
    )

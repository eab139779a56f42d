"""The indexes by which the records of a page are found begin with the key of the record, on PostgreSQL.

There the planner guesses how many rows a mapping has. Of one that is new in a large table it expects one, and then any
index that begins with the mapping looks as good to it as the one that has the key; the wrong one means all rows of the
mapping for each record. SQLite goes by how many columns of an index are asked for, and needs nothing of this.
"""

from typing import Any

STATEMENTS = """
CREATE UNIQUE INDEX couplings_local ON couplings (local_key, mapping_id);
CREATE UNIQUE INDEX couplings_integration ON couplings (integration_key, mapping_id);
ALTER TABLE couplings DROP CONSTRAINT couplings_mapping_id_local_key_key;
ALTER TABLE couplings DROP CONSTRAINT couplings_mapping_id_integration_key_key;
DROP INDEX skipped_records_one_local;
CREATE UNIQUE INDEX skipped_records_one_local ON skipped_records (local_key, mapping_id)
    WHERE status <> 'resolved' AND local_key IS NOT NULL;
DROP INDEX skipped_records_one_integration;
CREATE UNIQUE INDEX skipped_records_one_integration ON skipped_records (integration_key, mapping_id)
    WHERE status <> 'resolved' AND integration_key IS NOT NULL;
DROP INDEX errors_open_source;
CREATE INDEX errors_open_source ON errors (source_key, mapping_id, source_side) WHERE status = 'open'
"""


def up(migrator: Any, db: Any) -> None:
    if not migrator.__class__.__name__.startswith("Sqlite"):
        for statement in STATEMENTS.split(";\n"):
            db.execute_sql(statement)

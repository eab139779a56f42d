"""How many records of each mapping wait for a person, kept by triggers as the other counts are: a mapping with tens of
thousands of them is shown as fast as any other."""

from typing import Any

COUNTS = """
CREATE TABLE skipped_tallies (
    mapping_id BIGINT NOT NULL PRIMARY KEY REFERENCES mappings (id) ON DELETE CASCADE,
    records BIGINT NOT NULL
);
INSERT INTO skipped_tallies (mapping_id, records)
    SELECT mapping_id, count(*) FROM skipped_records WHERE status <> 'resolved' GROUP BY mapping_id;
"""

SQLITE = """
CREATE TRIGGER skipped_records_added AFTER INSERT ON skipped_records WHEN NEW.status <> 'resolved' BEGIN
    INSERT INTO skipped_tallies (mapping_id, records) VALUES (NEW.mapping_id, 1)
    ON CONFLICT (mapping_id) DO UPDATE SET records = records + 1; END;

CREATE TRIGGER skipped_records_removed AFTER DELETE ON skipped_records WHEN OLD.status <> 'resolved' BEGIN
    UPDATE skipped_tallies SET records = records - 1 WHERE mapping_id = OLD.mapping_id; END;

CREATE TRIGGER skipped_records_changed AFTER UPDATE OF status ON skipped_records
WHEN (NEW.status = 'resolved') <> (OLD.status = 'resolved') BEGIN
    INSERT INTO skipped_tallies (mapping_id, records)
    VALUES (NEW.mapping_id, CASE WHEN NEW.status = 'resolved' THEN -1 ELSE 1 END)
    ON CONFLICT (mapping_id) DO UPDATE SET records = records + excluded.records; END;
"""

# A mapping's number is locked in the order of the mappings, so that two statements that count in the same ones wait for
# each other.
POSTGRESQL = """
CREATE FUNCTION count_skipped_records() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM 1 FROM skipped_tallies WHERE mapping_id IN (SELECT mapping_id FROM removed)
        ORDER BY mapping_id FOR UPDATE;
        UPDATE skipped_tallies SET records = records - step.number
        FROM (SELECT mapping_id, count(*) AS number FROM removed WHERE status <> 'resolved' GROUP BY mapping_id) AS step
        WHERE skipped_tallies.mapping_id = step.mapping_id;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO skipped_tallies AS kept (mapping_id, records)
        SELECT mapping_id, count(*) FROM added WHERE status <> 'resolved' GROUP BY mapping_id ORDER BY mapping_id
        ON CONFLICT (mapping_id) DO UPDATE SET records = kept.records + excluded.records;
    ELSE
        INSERT INTO skipped_tallies AS kept (mapping_id, records)
        SELECT mapping_id, sum(step) FROM (
            SELECT mapping_id, 1 AS step FROM added WHERE status <> 'resolved' UNION ALL
            SELECT mapping_id, -1 FROM removed WHERE status <> 'resolved') AS steps
        GROUP BY mapping_id HAVING sum(step) <> 0 ORDER BY mapping_id
        ON CONFLICT (mapping_id) DO UPDATE SET records = kept.records + excluded.records;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER skipped_records_added AFTER INSERT ON skipped_records REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION count_skipped_records();

CREATE TRIGGER skipped_records_removed AFTER DELETE ON skipped_records REFERENCING OLD TABLE AS removed
FOR EACH STATEMENT EXECUTE FUNCTION count_skipped_records();

CREATE TRIGGER skipped_records_changed AFTER UPDATE ON skipped_records
REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_skipped_records();
"""


def up(migrator: Any, db: Any) -> None:
    for statement in COUNTS.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
    # One statement for each trigger or function: they are a blank line apart.
    is_sqlite = migrator.__class__.__name__.startswith("Sqlite")
    for statement in (SQLITE if is_sqlite else POSTGRESQL).strip().split("\n\n"):
        db.execute_sql(statement)

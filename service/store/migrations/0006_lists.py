"""Lists that cost the same however much there is: an index for each filter, and counts that are kept.

Triggers keep the counts, so that whatever writes couplings or errors, hand-written SQL included, cannot forget them. On
PostgreSQL they work once for a statement, on SQLite, which has no such triggers, once for a row.
"""

from typing import Any

# A filter that few rows pass must not look through all that do not.
INDEXES = """
DROP INDEX errors_group;
CREATE INDEX errors_group ON errors (group_id, id);
CREATE INDEX errors_group_status ON errors (group_id, status, id);
CREATE INDEX errors_group_time ON errors (group_id, occurred_at);
CREATE INDEX errors_status ON errors (status, id);
CREATE INDEX errors_code ON errors (code, id);
CREATE INDEX errors_category ON errors (category, id);
CREATE INDEX errors_responsibility ON errors (responsibility, id);
CREATE INDEX errors_mapping_status ON errors (mapping_id, status, id);
CREATE INDEX errors_mapping_code ON errors (mapping_id, code, id);
CREATE INDEX errors_mapping_category ON errors (mapping_id, category, id);
CREATE INDEX skipped_records_status ON skipped_records (status, id);
CREATE INDEX skipped_records_reason ON skipped_records (reason, id);
CREATE INDEX skipped_records_newest ON skipped_records (mapping_id, id);
CREATE INDEX skipped_records_mapping_reason ON skipped_records (mapping_id, reason, id);
CREATE INDEX skipped_records_pairs ON skipped_records (coupling_id) WHERE status <> 'resolved';
CREATE INDEX skipped_records_mapping_pairs ON skipped_records (mapping_id, coupling_id) WHERE status <> 'resolved';
CREATE INDEX skipped_records_waiting ON skipped_records (mapping_id, created_at) WHERE status <> 'resolved';
CREATE INDEX sync_runs_status ON sync_runs (status, id);
CREATE INDEX sync_runs_kind ON sync_runs (kind, id);
CREATE INDEX run_records_rare ON run_records (run_id, outcome, id)
    WHERE outcome NOT IN ('inserted', 'modified', 'coupled');
"""

COUNTS = """
CREATE TABLE tallies (
    mapping_id BIGINT NOT NULL PRIMARY KEY REFERENCES mappings (id) ON DELETE CASCADE,
    couplings BIGINT NOT NULL
);
INSERT INTO tallies (mapping_id, couplings) SELECT mapping_id, count(*) FROM couplings GROUP BY mapping_id;
ALTER TABLE error_groups ADD COLUMN errors BIGINT NOT NULL DEFAULT 0;
ALTER TABLE error_groups ADD COLUMN open_errors BIGINT NOT NULL DEFAULT 0;
UPDATE error_groups SET errors = (SELECT count(*) FROM errors WHERE group_id = error_groups.id),
    open_errors = (SELECT count(*) FROM errors WHERE group_id = error_groups.id AND status = 'open');
"""

SQLITE = """
CREATE TRIGGER couplings_added AFTER INSERT ON couplings BEGIN
    INSERT INTO tallies (mapping_id, couplings) VALUES (NEW.mapping_id, 1)
    ON CONFLICT (mapping_id) DO UPDATE SET couplings = couplings + 1; END;

CREATE TRIGGER couplings_removed AFTER DELETE ON couplings BEGIN
    UPDATE tallies SET couplings = couplings - 1 WHERE mapping_id = OLD.mapping_id; END;

CREATE TRIGGER errors_added AFTER INSERT ON errors BEGIN
    UPDATE error_groups SET errors = errors + 1, open_errors = open_errors + (NEW.status = 'open')
    WHERE id = NEW.group_id; END;

CREATE TRIGGER errors_removed AFTER DELETE ON errors BEGIN
    UPDATE error_groups SET errors = errors - 1, open_errors = open_errors - (OLD.status = 'open')
    WHERE id = OLD.group_id; END;

CREATE TRIGGER errors_changed AFTER UPDATE OF status ON errors BEGIN
    UPDATE error_groups SET open_errors = open_errors + (NEW.status = 'open') - (OLD.status = 'open')
    WHERE id = NEW.group_id; END;
"""

# Groups are locked in the order of their ids, so that two statements that count in the same ones wait for each other.
POSTGRESQL = """
CREATE FUNCTION count_couplings() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO tallies AS kept (mapping_id, couplings)
        SELECT mapping_id, count(*) FROM added GROUP BY mapping_id ORDER BY mapping_id
        ON CONFLICT (mapping_id) DO UPDATE SET couplings = kept.couplings + excluded.couplings;
    ELSE
        UPDATE tallies SET couplings = couplings - gone.number
        FROM (SELECT mapping_id, count(*) AS number FROM removed GROUP BY mapping_id) AS gone
        WHERE tallies.mapping_id = gone.mapping_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER couplings_added AFTER INSERT ON couplings REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION count_couplings();

CREATE TRIGGER couplings_removed AFTER DELETE ON couplings REFERENCING OLD TABLE AS removed
FOR EACH STATEMENT EXECUTE FUNCTION count_couplings();

CREATE FUNCTION count_errors() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM 1 FROM error_groups WHERE id IN (SELECT group_id FROM added) ORDER BY id FOR UPDATE;
        UPDATE error_groups SET errors = errors + step.number, open_errors = open_errors + step.open
        FROM (SELECT group_id, count(*) AS number, count(*) FILTER (WHERE status = 'open') AS open
              FROM added GROUP BY group_id) AS step WHERE id = step.group_id;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM 1 FROM error_groups WHERE id IN (SELECT group_id FROM removed) ORDER BY id FOR UPDATE;
        UPDATE error_groups SET errors = errors - step.number, open_errors = open_errors - step.open
        FROM (SELECT group_id, count(*) AS number, count(*) FILTER (WHERE status = 'open') AS open
              FROM removed GROUP BY group_id) AS step WHERE id = step.group_id;
    ELSE
        PERFORM 1 FROM error_groups WHERE id IN (SELECT group_id FROM added) ORDER BY id FOR UPDATE;
        UPDATE error_groups SET open_errors = open_errors + step.open
        FROM (SELECT group_id, sum(open) AS open FROM (
                  SELECT group_id, 1 AS open FROM added WHERE status = 'open' UNION ALL
                  SELECT group_id, -1 FROM removed WHERE status = 'open') AS steps GROUP BY group_id) AS step
        WHERE id = step.group_id AND step.open <> 0;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER errors_added AFTER INSERT ON errors REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION count_errors();

CREATE TRIGGER errors_removed AFTER DELETE ON errors REFERENCING OLD TABLE AS removed
FOR EACH STATEMENT EXECUTE FUNCTION count_errors();

CREATE TRIGGER errors_changed AFTER UPDATE ON errors REFERENCING OLD TABLE AS removed NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION count_errors();
"""


def up(migrator: Any, db: Any) -> None:
    for statement in (INDEXES + COUNTS).split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
    # One statement for each trigger or function: they are a blank line apart.
    is_sqlite = migrator.__class__.__name__.startswith("Sqlite")
    for statement in (SQLITE if is_sqlite else POSTGRESQL).strip().split("\n\n"):
        db.execute_sql(statement)

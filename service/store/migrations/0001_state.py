"""The whole state: what is configured, what is coupled, what ran, what went wrong, and who may ask.

Times and stamps are microseconds since 1970-01-01T00:00:00Z. Texts that hold JSON end in no special way; the models
say which they are. The schema itself keeps the promise that only a bidirectional mapping has a destination check:
an unresolved conflict carries its mapping's direction as part of a foreign key, so neither can contradict the other.
"""

from typing import Any

IDENTITY = {"sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT", "postgres": "BIGSERIAL PRIMARY KEY"}

TABLES = """
CREATE TABLE connections (
    id {identity},
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    settings TEXT NOT NULL,
    credentials TEXT,
    enabled BOOLEAN NOT NULL,
    notification_digest TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE mappings (
    id {identity},
    name TEXT NOT NULL UNIQUE,
    direction TEXT NOT NULL CHECK (direction IN ('bidirectional', 'toIntegration', 'fromIntegration')),
    local_connection_id BIGINT NOT NULL REFERENCES connections (id) ON DELETE RESTRICT,
    local_table TEXT NOT NULL,
    local_key TEXT,
    local_modified_on TEXT,
    local_caption TEXT,
    local_filter TEXT NOT NULL,
    integration_connection_id BIGINT NOT NULL REFERENCES connections (id) ON DELETE RESTRICT,
    integration_table TEXT NOT NULL,
    integration_key TEXT,
    integration_modified_on TEXT,
    integration_caption TEXT,
    integration_filter TEXT NOT NULL,
    synch_only_coupled_records BOOLEAN NOT NULL,
    conflict_detection TEXT NOT NULL CHECK (conflict_detection IN ('record', 'field')),
    update_conflict_resolution TEXT NOT NULL CHECK (update_conflict_resolution IN
        ('none', 'sendUpdateToIntegration', 'getUpdateFromIntegration', 'newestWins')),
    deletion_conflict_resolution TEXT NOT NULL CHECK (deletion_conflict_resolution IN
        ('none', 'restoreRecords', 'removeCoupling', 'deletePartner')),
    max_delete_percent BIGINT,
    max_delete_count BIGINT,
    depends_on TEXT NOT NULL,
    templates TEXT NOT NULL,
    schedule TEXT,
    enabled BOOLEAN NOT NULL,
    full_read_due BOOLEAN NOT NULL,
    reconciled TEXT,
    restored_at BIGINT,
    next_due BIGINT,
    idle_runs BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (id, direction)
);
CREATE INDEX mappings_next_due ON mappings (next_due);

CREATE TABLE field_mappings (
    id {identity},
    mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    local_field TEXT,
    integration_field TEXT,
    direction TEXT NOT NULL CHECK (direction IN ('bidirectional', 'toIntegration', 'fromIntegration')),
    constant TEXT,
    transforms TEXT NOT NULL,
    reference_id BIGINT REFERENCES mappings (id),
    reference_optional BOOLEAN NOT NULL,
    clear_on_failed_lookup BOOLEAN NOT NULL,
    not_null BOOLEAN NOT NULL,
    match_key BIGINT,
    normalize TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    UNIQUE (mapping_id, position),
    CHECK (local_field IS NOT NULL OR integration_field IS NOT NULL)
);

CREATE TABLE watermarks (
    mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,
    side TEXT NOT NULL CHECK (side IN ('local', 'integration')),
    modified_on BIGINT NOT NULL,
    key TEXT NOT NULL,
    read_at BIGINT NOT NULL,
    recent TEXT NOT NULL,
    PRIMARY KEY (mapping_id, side)
);

CREATE TABLE sync_runs (
    id {identity},
    mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN
        ('modified', 'full', 'records', 'match', 'findDeleted', 'uncouple', 'reconcile')),
    direction TEXT NOT NULL CHECK (direction IN ('bidirectional', 'toIntegration', 'fromIntegration')),
    trigger_ TEXT NOT NULL CHECK (trigger_ IN ('api', 'schedule', 'resolution', 'console', 'cli', 'change')),
    dry_run BOOLEAN NOT NULL,
    allow_mass_delete BOOLEAN NOT NULL,
    request TEXT NOT NULL,
    request_key TEXT NOT NULL,
    group_id BIGINT,
    priority BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN
        ('queued', 'running', 'succeeded', 'completedWithErrors', 'failed', 'cancelled')),
    counts TEXT NOT NULL,
    progress TEXT NOT NULL,
    checkpoint TEXT,
    code TEXT,
    params TEXT,
    requested_by TEXT,
    traceparent TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    owner TEXT,
    lease_until BIGINT,
    attempt BIGINT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX sync_runs_mapping ON sync_runs (mapping_id, id);
CREATE INDEX sync_runs_open ON sync_runs (priority, id) WHERE status IN ('queued', 'running');
CREATE INDEX sync_runs_group ON sync_runs (group_id) WHERE group_id IS NOT NULL;
CREATE UNIQUE INDEX sync_runs_one_running ON sync_runs (mapping_id) WHERE status = 'running';
CREATE UNIQUE INDEX sync_runs_one_queued ON sync_runs (mapping_id, request_key) WHERE status = 'queued';

CREATE TABLE run_predecessors (
    id {identity},
    run_id BIGINT NOT NULL REFERENCES sync_runs (id) ON DELETE CASCADE,
    after_id BIGINT NOT NULL REFERENCES sync_runs (id) ON DELETE CASCADE,
    UNIQUE (run_id, after_id)
);

CREATE TABLE couplings (
    id {identity},
    mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,
    local_key TEXT NOT NULL,
    integration_key TEXT NOT NULL,
    local_modified_on BIGINT,
    integration_modified_on BIGINT,
    local_version TEXT,
    integration_version TEXT,
    local_base TEXT,
    integration_base TEXT,
    local_echo BOOLEAN NOT NULL,
    integration_echo BOOLEAN NOT NULL,
    last_result TEXT CHECK (last_result IN ('success', 'failure')),
    last_run_id BIGINT,
    version BIGINT NOT NULL,
    UNIQUE (mapping_id, local_key),
    UNIQUE (mapping_id, integration_key)
);
CREATE INDEX couplings_mapping ON couplings (mapping_id, id);

CREATE TABLE run_records (
    id {identity},
    run_id BIGINT NOT NULL REFERENCES sync_runs (id) ON DELETE CASCADE,
    coupling_id BIGINT,
    direction TEXT NOT NULL CHECK (direction IN ('toIntegration', 'fromIntegration')),
    side TEXT NOT NULL CHECK (side IN ('local', 'integration')),
    source_key TEXT NOT NULL,
    destination_key TEXT,
    outcome TEXT NOT NULL,
    fields TEXT,
    rule TEXT,
    waits_for TEXT,
    error_id BIGINT
);
CREATE INDEX run_records_run ON run_records (run_id, id);
CREATE INDEX run_records_coupling ON run_records (coupling_id, id) WHERE coupling_id IS NOT NULL;

CREATE TABLE error_groups (
    id {identity},
    mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    code TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    UNIQUE (mapping_id, fingerprint)
);

CREATE TABLE errors (
    id {identity},
    run_id BIGINT REFERENCES sync_runs (id) ON DELETE SET NULL,
    mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,
    group_id BIGINT NOT NULL REFERENCES error_groups (id) ON DELETE CASCADE,
    direction TEXT CHECK (direction IN ('toIntegration', 'fromIntegration')),
    code TEXT NOT NULL,
    category TEXT NOT NULL,
    responsibility TEXT NOT NULL,
    params TEXT NOT NULL,
    source TEXT,
    destination TEXT,
    source_side TEXT,
    source_key TEXT,
    status TEXT NOT NULL CHECK (status IN ('open', 'resolved')),
    occurred_at BIGINT NOT NULL
);
CREATE INDEX errors_mapping ON errors (mapping_id, id);
CREATE INDEX errors_run ON errors (run_id);
CREATE INDEX errors_group ON errors (group_id);
CREATE INDEX errors_occurred ON errors (occurred_at);
CREATE INDEX errors_open_source ON errors (mapping_id, source_side, source_key) WHERE status = 'open';

CREATE TABLE skipped_records (
    id {identity},
    mapping_id BIGINT NOT NULL,
    mapping_direction TEXT NOT NULL,
    coupling_id BIGINT REFERENCES couplings (id) ON DELETE SET NULL,
    reason TEXT NOT NULL CHECK (reason IN ('conflict', 'deleted', 'repeatedFailure', 'ambiguous')),
    status TEXT NOT NULL CHECK (status IN ('open', 'resolving', 'resolved')),
    local_key TEXT,
    integration_key TEXT,
    error_id BIGINT REFERENCES errors (id) ON DELETE SET NULL,
    seen TEXT,
    resolution TEXT,
    choices TEXT,
    resolved_by TEXT,
    resolved_at BIGINT,
    run_id BIGINT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    FOREIGN KEY (mapping_id, mapping_direction) REFERENCES mappings (id, direction)
        ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT conflicts_need_a_bidirectional_mapping
        CHECK (reason <> 'conflict' OR status = 'resolved' OR mapping_direction = 'bidirectional'),
    CHECK (local_key IS NOT NULL OR integration_key IS NOT NULL)
);
CREATE INDEX skipped_records_mapping ON skipped_records (mapping_id, status, id);
CREATE INDEX skipped_records_coupling ON skipped_records (coupling_id);
CREATE UNIQUE INDEX skipped_records_one_local ON skipped_records (mapping_id, local_key)
    WHERE status <> 'resolved' AND local_key IS NOT NULL;
CREATE UNIQUE INDEX skipped_records_one_integration ON skipped_records (mapping_id, integration_key)
    WHERE status <> 'resolved' AND integration_key IS NOT NULL;

CREATE TABLE retries (
    id {identity},
    mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,
    side TEXT NOT NULL CHECK (side IN ('local', 'integration')),
    key TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    code TEXT,
    fingerprint TEXT,
    error_id BIGINT REFERENCES errors (id) ON DELETE SET NULL,
    since BIGINT NOT NULL,
    UNIQUE (mapping_id, side, key)
);
CREATE INDEX retries_error ON retries (error_id) WHERE error_id IS NOT NULL;

CREATE TABLE awaited_records (
    id {identity},
    retry_id BIGINT NOT NULL REFERENCES retries (id) ON DELETE CASCADE,
    field TEXT NOT NULL,
    mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,
    side TEXT NOT NULL CHECK (side IN ('local', 'integration')),
    key TEXT NOT NULL
);
CREATE INDEX awaited_records_retry ON awaited_records (retry_id);

CREATE TABLE intents (
    id {identity},
    run_id BIGINT NOT NULL,
    mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,
    side TEXT NOT NULL CHECK (side IN ('local', 'integration')),
    source_key TEXT NOT NULL,
    chosen_key TEXT,
    written TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (mapping_id, side, source_key)
);

CREATE TABLE pending_changes (
    id {identity},
    run_id BIGINT NOT NULL REFERENCES sync_runs (id) ON DELETE CASCADE,
    mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,
    side TEXT NOT NULL CHECK (side IN ('local', 'integration')),
    key TEXT NOT NULL,
    before TEXT,
    written TEXT NOT NULL,
    told TEXT NOT NULL
);
CREATE INDEX pending_changes_mapping ON pending_changes (mapping_id);

CREATE TABLE exclusions (
    id {identity},
    mapping_id BIGINT NOT NULL REFERENCES mappings (id) ON DELETE CASCADE,
    side TEXT NOT NULL CHECK (side IN ('local', 'integration')),
    key TEXT NOT NULL,
    excluded_by TEXT,
    created_at BIGINT NOT NULL,
    UNIQUE (mapping_id, side, key)
);

CREATE TABLE tokens (
    id {identity},
    name TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT
);

CREATE TABLE idempotency_keys (
    id {identity},
    principal TEXT NOT NULL,
    key TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    response_status BIGINT,
    response_headers TEXT,
    response_body TEXT,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (principal, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

CREATE TABLE audit_entries (
    id {identity},
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    noun TEXT NOT NULL,
    item_id BIGINT,
    before TEXT,
    after TEXT,
    request_id TEXT,
    token_id BIGINT
);

CREATE TABLE webhooks (
    id {identity},
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    events TEXT NOT NULL,
    secret TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    disabled_code TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE webhook_events (
    id {identity},
    message_id TEXT NOT NULL UNIQUE,
    type_ TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhook_events_created ON webhook_events (created_at);

CREATE TABLE webhook_deliveries (
    id {identity},
    webhook_id BIGINT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id BIGINT NOT NULL REFERENCES webhook_events (id) ON DELETE CASCADE,
    status TEXT NOT NULL CHECK (status IN ('waiting', 'delivered', 'failed')),
    attempts BIGINT NOT NULL,
    next_due BIGINT NOT NULL,
    last_attempt_at BIGINT,
    last_status BIGINT,
    last_code TEXT
);
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, next_due) WHERE status = 'waiting';
"""

# SQLite obeys foreign keys only on connections that ask for it, so that a hand-written INSERT could name a direction
# that its mapping does not have. Triggers hold on every connection.
SQLITE_TRIGGERS = """
CREATE TRIGGER skipped_records_know_the_direction BEFORE INSERT ON skipped_records
WHEN NEW.reason = 'conflict' AND NEW.status <> 'resolved'
    AND NOT EXISTS (SELECT 1 FROM mappings WHERE id = NEW.mapping_id AND direction = 'bidirectional')
BEGIN SELECT RAISE(ABORT, 'conflicts_need_a_bidirectional_mapping'); END;

CREATE TRIGGER skipped_records_keep_the_direction BEFORE UPDATE ON skipped_records
WHEN NEW.reason = 'conflict' AND NEW.status <> 'resolved'
    AND NOT EXISTS (SELECT 1 FROM mappings WHERE id = NEW.mapping_id AND direction = 'bidirectional')
BEGIN SELECT RAISE(ABORT, 'conflicts_need_a_bidirectional_mapping'); END;

CREATE TRIGGER mappings_with_conflicts_stay_bidirectional BEFORE UPDATE OF direction ON mappings
WHEN NEW.direction <> 'bidirectional' AND EXISTS (
    SELECT 1 FROM skipped_records WHERE mapping_id = NEW.id AND reason = 'conflict' AND status <> 'resolved')
BEGIN SELECT RAISE(ABORT, 'conflicts_need_a_bidirectional_mapping'); END;
"""


def up(migrator: Any, db: Any) -> None:
    dialect = "sqlite" if migrator.__class__.__name__.startswith("Sqlite") else "postgres"
    for statement in TABLES.format(identity=IDENTITY[dialect]).split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
    if dialect == "sqlite":
        for statement in SQLITE_TRIGGERS.split("END;\n"):
            if statement.strip():
                db.execute_sql(statement + "END")

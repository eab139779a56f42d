"""The tables of our database as Peewee models, for single items of the API. The engine's pages travel as tuples.

Times are microseconds since 1970-01-01T00:00:00Z. The schema, its checks and its indexes are made by the migrations;
a test compares them with this page.
"""

from __future__ import annotations

from typing import Any

import orjson
import peewee as pw

from service.core.mapping import ConflictDetection, DeletionResolution, UpdateResolution
from service.core.records import Direction, Side
from service.store.database import database


class JsonField(pw.TextField):
    """A JSON document in a text column."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else orjson.dumps(value).decode()

    def python_value(self, value: str | None) -> Any:
        return None if value is None else orjson.loads(value)


class State(pw.Model):
    """What all tables have in common."""

    class Meta:
        database = database
        legacy_table_names = False


class Connection(State):
    """A link to one business application. `credentials` is encrypted JSON. `notification_digest` is what is kept of the
    secret with which the application says that something changed."""

    id = pw.BigAutoField()
    name = pw.TextField(unique=True)
    kind = pw.TextField()
    settings = JsonField()
    credentials = pw.TextField(null=True)
    enabled = pw.BooleanField(default=True)
    notification_digest = pw.TextField(null=True)
    version = pw.BigIntegerField(default=1)
    created_at = pw.BigIntegerField()
    updated_at = pw.BigIntegerField()

    class Meta:
        table_name = "connections"


class Mapping(State):
    """An integration table mapping; its field mappings are rows of their own.

    `*_key` and `*_modified_on` are None where the connection tells; a modified-on is a field's name or
    `{"table", "keyField", "field"}`. `full_read_due`: the next run reads everything once.
    `reconciled`: what the last reconcile run found.
    `restored_at`: our state was restored then, and the mapping has not been read in full since. `next_due`: when the
    schedule starts it next. `idle_runs`: so many runs in a row found nothing to do.
    """

    id = pw.BigAutoField()
    name = pw.TextField(unique=True)
    direction = pw.TextField(default=Direction.BIDIRECTIONAL)
    local_connection_id = pw.BigIntegerField()
    local_table = pw.TextField()
    local_key = pw.TextField(null=True)
    local_modified_on = JsonField(null=True)
    local_caption = pw.TextField(null=True)
    local_filter = JsonField(default=list)
    integration_connection_id = pw.BigIntegerField()
    integration_table = pw.TextField()
    integration_key = pw.TextField(null=True)
    integration_modified_on = JsonField(null=True)
    integration_caption = pw.TextField(null=True)
    integration_filter = JsonField(default=list)
    synch_only_coupled_records = pw.BooleanField(default=True)
    conflict_detection = pw.TextField(default=ConflictDetection.RECORD)
    update_conflict_resolution = pw.TextField(default=UpdateResolution.NONE)
    deletion_conflict_resolution = pw.TextField(default=DeletionResolution.NONE)
    max_delete_percent = pw.BigIntegerField(null=True, default=20)
    max_delete_count = pw.BigIntegerField(null=True)
    depends_on = JsonField(default=list)
    templates = JsonField(default=list)
    schedule = JsonField(null=True)
    enabled = pw.BooleanField(default=True)
    full_read_due = pw.BooleanField(default=False)
    reconciled = JsonField(null=True)
    restored_at = pw.BigIntegerField(null=True)
    next_due = pw.BigIntegerField(null=True)
    idle_runs = pw.BigIntegerField(default=0)
    version = pw.BigIntegerField(default=1)
    created_at = pw.BigIntegerField()
    updated_at = pw.BigIntegerField()

    class Meta:
        table_name = "mappings"


class FieldMapping(State):
    """A line of a mapping. Its id changes when its meaning does, because bases are remembered by it.

    `constant` is None, or the constant in a list of one: a constant may itself be null. `reference_id`: the mapping
    whose records the fields refer to; `reference_optional`: no side needs the field for a new record.
    """

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    position = pw.BigIntegerField()
    local_field = pw.TextField(null=True)
    integration_field = pw.TextField(null=True)
    direction = pw.TextField(default=Direction.BIDIRECTIONAL)
    constant = JsonField(null=True)
    transforms = JsonField(default=dict)
    reference_id = pw.BigIntegerField(null=True)
    reference_optional = pw.BooleanField(default=False)
    clear_on_failed_lookup = pw.BooleanField(default=False)
    not_null = pw.BooleanField(default=False)
    match_key = pw.BigIntegerField(null=True)
    normalize = JsonField(default=list)
    enabled = pw.BooleanField(default=True)

    class Meta:
        table_name = "field_mappings"


class Watermark(State):
    """How far a side of a mapping has been read: up to (modified_on, key), at `read_at` by the source's horizon.

    `recent`: how many records were read in each of the last seconds before it, by second. `ahead`: how far the source's
    clock was ahead of ours then, at most.
    """

    mapping_id = pw.BigIntegerField()
    side = pw.TextField(choices=[(side, side) for side in Side])
    modified_on = pw.BigIntegerField()
    key = pw.TextField()
    read_at = pw.BigIntegerField()
    recent = JsonField(default=dict)
    ahead = pw.BigIntegerField(default=0)

    class Meta:
        table_name = "watermarks"
        primary_key = pw.CompositeKey("mapping_id", "side")


class Coupling(State):
    """Two records known to be the same thing, as they were when they were last synchronized.

    A base maps the id of a field mapping (as text) to that side's canonical value; None: there is none. An echo flag
    says that the side's stamp comes from a write of ours. Stamps are None until the pair was synchronized.
    """

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    local_key = pw.TextField()
    integration_key = pw.TextField()
    local_modified_on = pw.BigIntegerField(null=True)
    integration_modified_on = pw.BigIntegerField(null=True)
    local_version = pw.TextField(null=True)
    integration_version = pw.TextField(null=True)
    local_base = JsonField(null=True)
    integration_base = JsonField(null=True)
    local_echo = pw.BooleanField(default=False)
    integration_echo = pw.BooleanField(default=False)
    last_result = pw.TextField(null=True)
    last_run_id = pw.BigIntegerField(null=True)
    version = pw.BigIntegerField(default=1)

    class Meta:
        table_name = "couplings"


class SyncRun(State):
    """One execution for a mapping. `owner`, `lease_until` and `attempt` (the fencing token) say who works on it.

    `group_id`: the first of the runs that were asked for together. `request`: the chosen records, as they were asked
    for. `traceparent`: the trace that asked for it (W3C). `checkpoint`: where the engine goes on after a restart.
    """

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    kind = pw.TextField(default="modified")
    direction = pw.TextField(default=Direction.BIDIRECTIONAL)
    trigger = pw.TextField(column_name="trigger_", default="api")
    dry_run = pw.BooleanField(default=False)
    allow_mass_delete = pw.BooleanField(default=False)
    request = JsonField(default=dict)
    request_key = pw.TextField()
    group_id = pw.BigIntegerField(null=True)
    priority = pw.BigIntegerField(default=0)
    status = pw.TextField(default="queued")
    counts = JsonField()
    progress = JsonField(default=dict)
    checkpoint = JsonField(null=True)
    code = pw.TextField(null=True)
    params = JsonField(null=True)
    requested_by = pw.TextField(null=True)
    traceparent = pw.TextField(null=True)
    created_at = pw.BigIntegerField()
    started_at = pw.BigIntegerField(null=True)
    finished_at = pw.BigIntegerField(null=True)
    owner = pw.TextField(null=True)
    lease_until = pw.BigIntegerField(null=True)
    attempt = pw.BigIntegerField(default=0)
    cancel_requested = pw.BooleanField(default=False)
    version = pw.BigIntegerField(default=1)

    class Meta:
        table_name = "sync_runs"


class RunPredecessor(State):
    """A run begins only when another one has ended."""

    id = pw.BigAutoField()
    run_id = pw.BigIntegerField()
    after_id = pw.BigIntegerField()

    class Meta:
        table_name = "run_predecessors"


class RunRecord(State):
    """What a run did, or in a dry run would do, with one record that was not simply unchanged.

    `rule`: the policy, or the resolution of a person, that decided; None where none was needed. `waits_for`: what it
    refers to and is not coupled.
    """

    id = pw.BigAutoField()
    run_id = pw.BigIntegerField()
    coupling_id = pw.BigIntegerField(null=True)
    direction = pw.TextField()
    side = pw.TextField()
    source_key = pw.TextField()
    destination_key = pw.TextField(null=True)
    outcome = pw.TextField()
    fields = JsonField(null=True)
    rule = pw.TextField(null=True)
    waits_for = JsonField(null=True)
    error_id = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "run_records"


class ErrorGroup(State):
    """All errors of one mapping with one cause."""

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    fingerprint = pw.TextField()
    code = pw.TextField()
    first_seen = pw.BigIntegerField()

    class Meta:
        table_name = "error_groups"


class SyncError(State):
    """One entry of the errors list. `source` and `destination`: `{"side", "connectionId", "table", "key",
    "description"}` or None."""

    id = pw.BigAutoField()
    run_id = pw.BigIntegerField(null=True)
    mapping_id = pw.BigIntegerField()
    group_id = pw.BigIntegerField()
    direction = pw.TextField(null=True)
    code = pw.TextField()
    category = pw.TextField()
    responsibility = pw.TextField()
    params = JsonField(default=dict)
    source = JsonField(null=True)
    destination = JsonField(null=True)
    source_side = pw.TextField(null=True)
    source_key = pw.TextField(null=True)
    status = pw.TextField(default="open")
    occurred_at = pw.BigIntegerField()

    class Meta:
        table_name = "errors"


class SkippedRecord(State):
    """A record set aside for a person. `seen`: the state of both sides that a resolution is good for.

    `mapping_direction` repeats the mapping's direction, held equal by a foreign key: a conflict that is not resolved
    cannot belong to a one-way mapping.
    """

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    mapping_direction = pw.TextField()
    coupling_id = pw.BigIntegerField(null=True)
    reason = pw.TextField()
    status = pw.TextField(default="open")
    local_key = pw.TextField(null=True)
    integration_key = pw.TextField(null=True)
    error_id = pw.BigIntegerField(null=True)
    seen = JsonField(null=True)
    resolution = pw.TextField(null=True)
    choices = JsonField(null=True)
    resolved_by = pw.TextField(null=True)
    resolved_at = pw.BigIntegerField(null=True)
    run_id = pw.BigIntegerField(null=True)
    version = pw.BigIntegerField(default=1)
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "skipped_records"


class Retry(State):
    """A record that failed, or was coupled and not yet synchronized, and is looked at by the next run.

    `attempts` counts failures of the same cause in a row; `code` is None for one that did not fail.
    """

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    side = pw.TextField()
    key = pw.TextField()
    attempts = pw.BigIntegerField(default=0)
    code = pw.TextField(null=True)
    fingerprint = pw.TextField(null=True)
    error_id = pw.BigIntegerField(null=True)
    since = pw.BigIntegerField()

    class Meta:
        table_name = "retries"


class AwaitedRecord(State):
    """A record that a waiting one refers to in its `field`: `key` of `side` of the mapping `mapping_id`."""

    id = pw.BigAutoField()
    retry_id = pw.BigIntegerField()
    field = pw.TextField()
    mapping_id = pw.BigIntegerField()
    side = pw.TextField()
    key = pw.TextField()

    class Meta:
        table_name = "awaited_records"


class Intent(State):
    """An insert that was about to be sent: into `side`, for the other side's `source_key`, under `chosen_key`."""

    id = pw.BigAutoField()
    run_id = pw.BigIntegerField()
    mapping_id = pw.BigIntegerField()
    side = pw.TextField()
    source_key = pw.TextField()
    chosen_key = pw.TextField(null=True)
    written = JsonField()
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "intents"


class PendingChange(State):
    """A record that was about to be changed, or deleted (`before` is null). `told`: how the run's records tell it."""

    id = pw.BigAutoField()
    run_id = pw.BigIntegerField()
    mapping_id = pw.BigIntegerField()
    side = pw.TextField()
    key = pw.TextField()
    before = JsonField(null=True)
    written = JsonField()
    told = JsonField()

    class Meta:
        table_name = "pending_changes"


class Exclusion(State):
    """A record that was uncoupled and is left alone."""

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    side = pw.TextField()
    key = pw.TextField()
    excluded_by = pw.TextField(null=True)
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "exclusions"


class Token(State):
    """Who may ask for what. Only a digest of the token itself is kept."""

    id = pw.BigAutoField()
    name = pw.TextField()
    digest = pw.TextField(unique=True)
    scopes = JsonField()
    created_at = pw.BigIntegerField()
    expires_at = pw.BigIntegerField(null=True)
    revoked_at = pw.BigIntegerField(null=True)
    last_used_at = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "tokens"


class IdempotencyKey(State):
    """A POST that was seen, and its answer once there is one."""

    id = pw.BigAutoField()
    principal = pw.TextField()
    key = pw.TextField()
    request_digest = pw.TextField()
    response_status = pw.BigIntegerField(null=True)
    response_headers = JsonField(null=True)
    response_body = pw.TextField(null=True)
    owner = pw.TextField()
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "idempotency_keys"


class AuditEntry(State):
    """Who changed what."""

    id = pw.BigAutoField()
    at = pw.BigIntegerField()
    actor = pw.TextField()
    action = pw.TextField()
    noun = pw.TextField()
    item_id = pw.BigIntegerField(null=True)
    before = JsonField(null=True)
    after = JsonField(null=True)
    request_id = pw.TextField(null=True)
    token_id = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "audit_entries"


class Webhook(State):
    """Whom we tell what happened. `secret` is encrypted JSON. `disabled_code`: why we stopped telling; None: we did
    not, or a person said so."""

    id = pw.BigAutoField()
    url = pw.TextField()
    description = pw.TextField()
    events = JsonField()
    secret = pw.TextField()
    enabled = pw.BooleanField(default=True)
    disabled_code = pw.TextField(null=True)
    version = pw.BigIntegerField(default=1)
    created_at = pw.BigIntegerField()
    updated_at = pw.BigIntegerField()

    class Meta:
        table_name = "webhooks"


class WebhookEvent(State):
    """Something that happened, as it is told: `payload` is the body, to the byte. Written with what it tells of."""

    id = pw.BigAutoField()
    message_id = pw.TextField(unique=True)
    type = pw.TextField(column_name="type_")
    payload = pw.TextField()
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "webhook_events"


class WebhookDelivery(State):
    """An event on its way to a webhook, and what came of it: the status of the last answer, or a code where there was
    none."""

    id = pw.BigAutoField()
    webhook_id = pw.BigIntegerField()
    event_id = pw.BigIntegerField()
    status = pw.TextField(default="waiting")
    attempts = pw.BigIntegerField(default=0)
    next_due = pw.BigIntegerField()
    last_attempt_at = pw.BigIntegerField(null=True)
    last_status = pw.BigIntegerField(null=True)
    last_code = pw.TextField(null=True)

    class Meta:
        table_name = "webhook_deliveries"


MODELS: tuple[type[State], ...] = (
    Connection,
    Mapping,
    FieldMapping,
    Watermark,
    SyncRun,
    RunPredecessor,
    Coupling,
    RunRecord,
    ErrorGroup,
    SyncError,
    SkippedRecord,
    Retry,
    AwaitedRecord,
    Intent,
    PendingChange,
    Exclusion,
    Token,
    IdempotencyKey,
    AuditEntry,
    Webhook,
    WebhookEvent,
    WebhookDelivery,
)

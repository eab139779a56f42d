"""What is configured: connections, mappings and their field mappings."""

from __future__ import annotations

import peewee as pw

from service.core.mapping import ConflictDetection, DeletionResolution, UpdateResolution
from service.core.records import Direction
from service.store.models.base import JsonField, State


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

"""What went wrong, and what waits for a person."""

from __future__ import annotations

import peewee as pw

from service.store.models.base import JsonField, State


class ErrorGroup(State):
    """All errors of one mapping with one cause. Triggers keep how many there are, and how many of them are open."""

    id = pw.BigAutoField()
    mapping_id = pw.BigIntegerField()
    fingerprint = pw.TextField()
    code = pw.TextField()
    first_seen = pw.BigIntegerField()
    errors = pw.BigIntegerField(default=0)
    open_errors = pw.BigIntegerField(default=0)

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

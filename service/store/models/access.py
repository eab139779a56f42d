"""Who may ask, what was asked, and who changed what."""

from __future__ import annotations

import peewee as pw

from service.store.models.base import JsonField, State


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

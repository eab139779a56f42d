"""Whom we tell what happened, and what is on its way."""

from __future__ import annotations

import peewee as pw

from service.store.models.base import JsonField, State


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

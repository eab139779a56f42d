"""The tables of our database as Peewee models, for single items of the API. The engine's pages travel as tuples.

Times are microseconds since 1970-01-01T00:00:00Z. The schema, its checks and its indexes are made by the migrations;
a test compares them with these pages.
"""

from __future__ import annotations

from service.store.models.access import AuditEntry, IdempotencyKey, Token
from service.store.models.base import JsonField, State
from service.store.models.problems import ErrorGroup, SkippedRecord, SyncError
from service.store.models.processes import Note, Process
from service.store.models.records import (
    AwaitedRecord,
    ChangeFeed,
    Coupling,
    Exclusion,
    Intents,
    PendingChanges,
    Retry,
    SkippedTally,
    Tally,
    Watermark,
)
from service.store.models.runs import RunPredecessor, RunRange, RunRecord, SyncRun
from service.store.models.setup import Connection, FieldMapping, Mapping
from service.store.models.webhooks import Webhook, WebhookDelivery, WebhookEvent

__all__ = [
    "MODELS",
    "AuditEntry",
    "AwaitedRecord",
    "ChangeFeed",
    "Connection",
    "Coupling",
    "ErrorGroup",
    "Exclusion",
    "FieldMapping",
    "IdempotencyKey",
    "Intents",
    "JsonField",
    "Mapping",
    "Note",
    "PendingChanges",
    "Process",
    "Retry",
    "RunPredecessor",
    "RunRange",
    "RunRecord",
    "SkippedRecord",
    "SkippedTally",
    "State",
    "SyncError",
    "SyncRun",
    "Tally",
    "Token",
    "Watermark",
    "Webhook",
    "WebhookDelivery",
    "WebhookEvent",
]

MODELS: tuple[type[State], ...] = (
    Connection,
    Mapping,
    FieldMapping,
    Watermark,
    ChangeFeed,
    SyncRun,
    RunPredecessor,
    RunRange,
    Coupling,
    SkippedTally,
    Tally,
    RunRecord,
    ErrorGroup,
    SyncError,
    SkippedRecord,
    Retry,
    AwaitedRecord,
    Intents,
    PendingChanges,
    Exclusion,
    Token,
    IdempotencyKey,
    AuditEntry,
    Webhook,
    WebhookEvent,
    WebhookDelivery,
    Note,
    Process,
)

"""Who changed what. Every operation that changes something writes an entry in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from structlog.contextvars import get_contextvars

from service.operations.context import Context
from service.store import audit as store
from service.store.models import AuditEntry

REQUEST_ID = "trace_id"
"""The name under which the rims bind the id of the request to the log's context."""

ASKED_WITH = "token_id"
"""The name under which they bind the id of the token: names of tokens may be there twice."""


def record(
    context: Context,
    actor: str,
    action: str,
    noun: str,
    item_id: int | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Note a change; `before` and `after` hold what differs, and never a secret."""
    store.insert(
        {
            "at": context.now(),
            "actor": actor,
            "action": action,
            "noun": noun,
            "item_id": item_id,
            "before": None if before is None else dict(before),
            "after": None if after is None else dict(after),
            "request_id": get_contextvars().get(REQUEST_ID),
            "token_id": get_contextvars().get(ASKED_WITH),
        }
    )


def record_change(
    context: Context, actor: str, noun: str, item_id: int, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """Note what differs between two states of an item."""
    changed = [name for name in after if before.get(name) != after[name]]
    record(
        context,
        actor,
        "update",
        noun,
        item_id,
        {name: before.get(name) for name in changed},
        {name: after[name] for name in changed},
    )


def list_entries(
    *, noun: str | None = None, item_id: int | None = None, actor: str | None = None, before: int | None, limit: int
) -> list[AuditEntry]:
    """Up to `limit` + 1 entries, newest first, with `before` and `after` as JSON (`orjson.Fragment`)."""
    return store.page({"noun": noun, "item_id": item_id, "actor": actor}, before, limit)

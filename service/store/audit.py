"""Queries on audit entries: they are added and read, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.store.models import AuditEntry


def insert(columns: Mapping[str, Any]) -> None:
    """A new entry."""
    AuditEntry.insert(**columns).execute()


def page(equals: Mapping[str, Any], before: int | None, limit: int) -> list[AuditEntry]:
    """Up to `limit` + 1 entries, newest first, with their documents as JSON; `equals` maps columns to the values they
    must have."""
    return AuditEntry.newest(equals, before, limit, unread=("before", "after"))

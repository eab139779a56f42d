"""Queries on audit entries: they are added and read, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_
from typing import Any

from service.store.models import AuditEntry


def insert(columns: Mapping[str, Any]) -> None:
    """A new entry."""
    AuditEntry.insert(**columns).execute()


def page(equals: Mapping[str, Any], before: int | None, limit: int) -> list[AuditEntry]:
    """Up to `limit` + 1 entries, newest first; `equals` maps columns to the values they must have."""
    conditions = [getattr(AuditEntry, column) == value for column, value in equals.items() if value is not None]
    if before is not None:
        conditions.append(AuditEntry.id < before)
    query = AuditEntry.select().order_by(AuditEntry.id.desc()).limit(limit + 1)
    return list(query.where(reduce(and_, conditions)) if conditions else query)

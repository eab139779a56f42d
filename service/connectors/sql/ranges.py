"""Cutting a table by its keys, and reading what lies between two cuts.

A bound is a key as the driver gave it, in JSON, with all of its parts: the database compares keys in its own order,
whatever that is.
"""

from __future__ import annotations

import json
from typing import Any

from service.connectors.sql.keys import params_of
from service.connectors.sql.plan import Plan
from service.connectors.sql.read import note_all
from service.connectors.sql.session import Session
from service.core.records import FieldType, Page

MOST = 256
"""So many bounds at most; the ranges of a table that would have more are larger."""

_TYPES = (FieldType.INTEGER, FieldType.STRING, FieldType.UUID)
"""Keys that every database compares as it orders them, when it is given them as the driver gave them."""


def cut(session: Session, plan: Plan, size: int) -> list[str]:
    """Bounds of ranges with `size` rows each, or with twice as many, and so on: by hopping through the index of the
    keys. A hop costs what reading `size` entries of that index does; a table without one is not cut."""
    key = plan.key
    if plan.described.is_view or not key.column.indexed or any(one.field.type not in _TYPES for one in key.columns):
        return []
    bounds: list[str] = []
    after: dict[str, Any] = {}
    while rows := session.rows(plan.hop(after=bool(after)), {**after, "offset": size - 1}):
        if not all(isinstance(part, int | str) for part in rows[0]):
            return []
        bound = key.returned(rows[0])
        after = params_of(bound, "after")
        bounds.append(json.dumps(bound))
        if len(bounds) > MOST:
            bounds, size = bounds[1::2], size * 2
    return bounds


def read_range(session: Session, plan: Plan, after: str | None, upto: str | None, limit: int) -> Page:
    """The rows between two bounds, by key. One more than wanted is read, so that the last page knows that it is."""
    bounds = {**_params("after", after), **_params("upto", upto)}
    statement = plan.by_key(after=after is not None, upto=upto is not None)
    rows = session.rows(statement, {**bounds, "limit": limit + 1})
    last = json.dumps(plan.key.of_row(rows[limit - 1])) if len(rows) > limit else None
    page = Page(plan.records(rows[:limit]), last)
    note_all(session, plan, after, upto if last is None else last, page.records)
    return page


def _params(name: str, bound: str | None) -> dict[str, Any]:
    if bound is None:
        return {}
    key = json.loads(bound)
    return params_of(tuple(key) if isinstance(key, list) else key, name)

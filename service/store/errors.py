"""The errors list: filters, groups, and its clean-up. `problems` writes what this file reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

from service.core.records import Stamp
from service.store import sql
from service.store.models import SyncError

SAMPLES = 3
"""How many records a group shows."""

# What still explains to somebody why a record waits.
_NEEDED = (
    "EXISTS (SELECT 1 FROM skipped_records s WHERE s.error_id = errors.id AND s.status <> 'resolved')"
    " OR EXISTS (SELECT 1 FROM retries r WHERE r.error_id = errors.id)"
)


@dataclass(frozen=True, slots=True)
class Group:
    """All errors of one mapping with one cause, and the newest of them as samples."""

    id: int
    mapping_id: int
    code: str
    count: int
    open: int
    first_seen: Stamp
    last_seen: Stamp
    samples: tuple[SyncError, ...]


def get(id: int) -> SyncError | None:
    """One error."""
    return SyncError.of_id(id)


def page(equals: Mapping[str, Any], occurred_after: Stamp | None, before: int | None, limit: int) -> list[SyncError]:
    """Up to `limit` + 1 errors, newest first; `equals` maps columns to the values they must have."""
    conditions = [getattr(SyncError, column) == value for column, value in equals.items() if value is not None]
    if occurred_after is not None:
        conditions.append(SyncError.occurred_at > occurred_after)
    if before is not None:
        conditions.append(SyncError.id < before)
    query = SyncError.select().order_by(SyncError.id.desc()).limit(limit + 1)
    return list(query.where(reduce(and_, conditions)) if conditions else query)


def delete(id: int) -> bool:
    """Delete one error."""
    return bool(SyncError.delete().where(SyncError.id == id).execute())


def clean_up(older_than: Stamp | None, mapping_id: int | None, keep_needed: bool, dry_run: bool) -> tuple[int, int]:
    """Delete what occurred before `older_than` (None: all); how many went, and how many were kept as still needed."""
    where, parameters = "1 = 1", []
    for column, value in (("occurred_at <", older_than), ("mapping_id =", mapping_id)):
        if value is not None:
            where += f" AND {column} ?"
            parameters.append(value)
    chosen = f"FROM errors WHERE {where}"
    total = _count(chosen, parameters)
    kept = _count(f"{chosen} AND ({_NEEDED})", parameters) if keep_needed else 0
    if not dry_run:
        sql.execute(f"DELETE {chosen}" + (f" AND NOT ({_NEEDED})" if keep_needed else ""), *parameters)
    return total - kept, kept


def _count(what: str, parameters: list[int]) -> int:
    return int(sql.rows(f"SELECT count(*) {what}", *parameters)[0][0])


def groups(mapping_id: int | None, status: str | None, before: int | None, limit: int) -> list[Group]:
    """Up to `limit` + 1 groups that have errors (with this status), newest first."""
    where, parameters = "1 = 1", []
    for condition, value in (("g.mapping_id = ?", mapping_id), ("e.status = ?", status), ("g.id < ?", before)):
        if value is not None:
            where += f" AND {condition}"
            parameters.append(value)
    found = sql.rows(
        "SELECT g.id, g.mapping_id, g.code, count(*), sum(CASE WHEN e.status = 'open' THEN 1 ELSE 0 END),"
        " min(g.first_seen), max(e.occurred_at)"
        f" FROM error_groups g JOIN errors e ON e.group_id = g.id WHERE {where}"
        " GROUP BY g.id, g.mapping_id, g.code ORDER BY g.id DESC LIMIT ?",
        *parameters,
        limit + 1,
    )
    samples = _samples([row[0] for row in found], status)
    return [Group(*counted, samples=tuple(samples.get(counted[0], ()))) for counted in found]  # type: ignore[misc]


def _samples(group_ids: list[int], status: str | None) -> dict[int, list[SyncError]]:
    parameters = [sql.values(group_ids)] if status is None else [sql.values(group_ids), status]
    ranked = sql.rows(
        "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY group_id ORDER BY id DESC) AS place"
        f" FROM errors WHERE {sql.among('group_id')}"
        + ("" if status is None else " AND status = ?")
        + f") ranked WHERE place <= {SAMPLES}",
        *parameters,
    )
    by_group: dict[int, list[SyncError]] = {}
    for error in SyncError.select().where(SyncError.id.in_([row[0] for row in ranked])).order_by(SyncError.id.desc()):
        by_group.setdefault(error.group_id, []).append(error)
    return by_group

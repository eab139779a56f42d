"""The errors list: filters, groups, and its clean-up. `problems` writes what this file reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from service.core.records import Stamp
from service.store import sql
from service.store.models import SyncError

SAMPLES = 3
"""How many records a group shows."""

# What still explains to somebody why a record waits.
_EXPLAINS_SKIPPED = "EXISTS (SELECT 1 FROM skipped_records s WHERE s.error_id = errors.id AND s.status <> 'resolved')"
_EXPLAINS_RETRY = "EXISTS (SELECT 1 FROM retries r WHERE r.error_id = errors.id)"
_NEEDED = f"{_EXPLAINS_SKIPPED} OR {_EXPLAINS_RETRY}"


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
    more = [] if occurred_after is None else [SyncError.later("occurred_at", occurred_after)]
    return SyncError.newest(equals, before, limit, *more)


def delete(id: int) -> bool:
    """Delete one error."""
    return bool(SyncError.delete().where(SyncError.id == id).execute())


def trend(group_ids: Collection[int], since: Stamp, step: Stamp) -> dict[int, dict[int, int]]:
    """How many errors each of these groups has had since then, by the place of the step in which they occurred."""
    found = sql.rows(
        f"SELECT group_id, (occurred_at - ?) / ? AS place, count(*) FROM errors WHERE occurred_at >= ?"
        f" AND {sql.among('group_id')} GROUP BY group_id, place",
        since,
        step,
        since,
        sql.values(group_ids),
    )
    counted: dict[int, dict[int, int]] = {}
    for group_id, place, number in found:
        counted.setdefault(group_id, {})[int(place)] = number
    return counted


def reasons(older_than: Stamp | None, mapping_id: int | None) -> list[tuple[str, int, int, int]]:
    """For each code, most first: how many errors were chosen, and how many of them still explain why a record is set
    aside, or why one waits for its retry."""
    where, parameters = _chosen(older_than, mapping_id)
    found = sql.rows(
        f"SELECT code, count(*) AS number, sum(CASE WHEN {_EXPLAINS_SKIPPED} THEN 1 ELSE 0 END),"
        f" sum(CASE WHEN NOT {_EXPLAINS_SKIPPED} AND {_EXPLAINS_RETRY} THEN 1 ELSE 0 END)"
        f" FROM errors WHERE {where} GROUP BY code ORDER BY number DESC, code",
        *parameters,
    )
    return [(code, int(number), int(aside), int(waiting)) for code, number, aside, waiting in found]


def _chosen(older_than: Stamp | None, mapping_id: int | None) -> tuple[str, list[int]]:
    where, parameters = "1 = 1", []
    for column, value in (("occurred_at <", older_than), ("mapping_id =", mapping_id)):
        if value is not None:
            where += f" AND {column} ?"
            parameters.append(value)
    return where, parameters


def clean_up(older_than: Stamp | None, mapping_id: int | None, keep_needed: bool, dry_run: bool) -> tuple[int, int]:
    """Delete what occurred before `older_than` (None: all); how many went, and how many were kept as still needed."""
    where, parameters = _chosen(older_than, mapping_id)
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
    counted, still_open, among = _COUNTED[status]
    where, parameters = f"{counted} > 0", []
    for condition, value in (("mapping_id = ?", mapping_id), ("g.id < ?", before)):
        if value is not None:
            where += f" AND {condition}"
            parameters.append(value)
    newest = ", ".join(
        f"(SELECT id FROM errors WHERE group_id = g.id{among} ORDER BY id DESC LIMIT 1 OFFSET {place})"
        for place in range(SAMPLES)
    )
    found = sql.rows(
        f"SELECT g.id, g.mapping_id, g.code, {counted}, {still_open}, first_seen, {newest} FROM error_groups AS g"
        f" WHERE {where} ORDER BY g.id DESC LIMIT ?",
        *parameters,
        limit + 1,
    )
    errors = _by_ids([id for row in found for id in row[-SAMPLES:] if id is not None])
    return [_group(row, [errors[id] for id in row[-SAMPLES:] if id in errors]) for row in found]


_COUNTED: Mapping[str | None, tuple[str, str, str]] = {
    None: ("errors", "open_errors", ""),
    "open": ("open_errors", "open_errors", " AND status = 'open'"),
    "resolved": ("errors - open_errors", "0", " AND status = 'resolved'"),
}
"""By the status that is asked for: how many errors a group has, how many of these are open, and which they are."""


def _group(row: tuple[Any, ...], samples: list[SyncError]) -> Group:
    id, mapping_id, code, count, still_open, first_seen = row[:-SAMPLES]
    last_seen = max(error.occurred_at for error in samples)
    return Group(id, mapping_id, code, count, still_open, first_seen, last_seen, tuple(samples))


def _by_ids(ids: list[int]) -> dict[int, SyncError]:
    return {error.id: error for error in SyncError.listed(f"WHERE {sql.among('id')}", sql.values(ids))} if ids else {}

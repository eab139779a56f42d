"""Errors of records and the groups of one cause they belong to, as the engine writes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.core.failures import Failure
from service.core.records import Side, Stamp
from service.core.references import NOT_COUPLED
from service.store import sql
from service.store.models import ErrorGroup, SyncError


@dataclass(frozen=True, slots=True)
class Problem:
    """A failure with the two records it is about, each as `{"side", "connectionId", "table", "key", "description"}`.

    `standing`: it stands for any number of records, and is logged once as long as it is open.
    """

    failure: Failure
    direction: str | None
    source: Mapping[str, Any] | None
    destination: Mapping[str, Any] | None
    standing: bool = False


def save(mapping_id: int, run_id: int | None, now: Stamp, problems: Sequence[Problem]) -> list[int]:
    """Write errors down, each in the group of its cause; returns their ids in the order of `problems`."""
    alone = iter(_log(mapping_id, run_id, now, [item for item in problems if not item.standing]))
    shared = _keep_open(mapping_id, run_id, now, [item for item in problems if item.standing])
    return [shared[item.failure.fingerprint] if item.standing else next(alone) for item in problems]


def _log(mapping_id: int, run_id: int | None, now: Stamp, problems: Sequence[Problem]) -> list[int]:
    if not problems:
        return []
    groups = _groups(mapping_id, now, {item.failure.fingerprint: item.failure.code for item in problems})
    made = SyncError.insert_many(
        [_row(mapping_id, run_id, now, groups[item.failure.fingerprint], item) for item in problems]
    ).returning(SyncError.id)
    return sorted(row.id for row in made.execute())


def _keep_open(mapping_id: int, run_id: int | None, now: Stamp, problems: Sequence[Problem]) -> dict[str, int]:
    """The id of one open error for each cause, by fingerprint: those that are open already, or new ones."""
    if not problems:
        return {}
    causes = {item.failure.fingerprint: item for item in problems}
    found = dict(
        sql.rows(
            "SELECT error_groups.fingerprint, max(errors.id) FROM errors JOIN error_groups"
            " ON error_groups.id = errors.group_id WHERE errors.mapping_id = ? AND errors.status = 'open'"
            f" AND errors.source_key IS NULL AND {sql.among('error_groups.fingerprint')}"
            " GROUP BY error_groups.fingerprint",
            mapping_id,
            sql.values(causes),
        )
    )
    new = [item for fingerprint, item in causes.items() if fingerprint not in found]
    made = _log(mapping_id, run_id, now, new)
    return found | {item.failure.fingerprint: id for item, id in zip(new, made, strict=True)}


def resolve_waits(mapping_id: int) -> None:
    """Errors about records that waited for others are put right when none waits any more."""
    sql.execute(
        "UPDATE errors SET status = 'resolved' WHERE mapping_id = ? AND code = ? AND status = 'open'"
        " AND source_key IS NULL AND NOT EXISTS (SELECT 1 FROM retries WHERE retries.error_id = errors.id)",
        mapping_id,
        NOT_COUPLED,
    )


def resolve(mapping_id: int, side: Side, keys: Collection[str]) -> None:
    """What was wrong with these records is put right."""
    if keys:
        theirs = f"{sql.same('mapping_id')} AND source_side = ? AND status = 'open'"
        query = sql.found("id", "errors", "source_key", theirs)
        statement = f"UPDATE errors SET status = 'resolved' WHERE id IN ({query})"
        sql.execute(statement, sql.values(keys), mapping_id, side, anew=True)


def resolve_setup(mapping_id: int) -> None:
    """A run went through: what stopped earlier runs of the mapping is put right."""
    sql.execute(
        "UPDATE errors SET status = 'resolved' WHERE mapping_id = ? AND source_key IS NULL AND status = 'open'"
        " AND code <> ?",
        mapping_id,
        NOT_COUPLED,
    )


def resolve_ids(ids: Collection[int]) -> None:
    """These errors are put right."""
    if ids:
        sql.execute(f"UPDATE errors SET status = 'resolved' WHERE {sql.among('id')}", sql.values(ids))


def _groups(mapping_id: int, now: Stamp, codes: Mapping[str, str]) -> dict[str, int]:
    sql.execute_many(
        "INSERT INTO error_groups (mapping_id, fingerprint, code, first_seen) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (mapping_id, fingerprint) DO NOTHING",
        [(mapping_id, fingerprint, code, now) for fingerprint, code in codes.items()],
    )
    query = ErrorGroup.select().where((ErrorGroup.mapping_id == mapping_id) & (ErrorGroup.fingerprint.in_(list(codes))))
    return {group.fingerprint: group.id for group in query}


def _row(mapping_id: int, run_id: int | None, now: Stamp, group_id: int, item: Problem) -> dict[str, Any]:
    source = item.source or {}
    return {
        "run_id": run_id,
        "mapping_id": mapping_id,
        "group_id": group_id,
        "direction": item.direction,
        "code": item.failure.code,
        "category": item.failure.category.value,
        "responsibility": item.failure.responsibility.value,
        "params": dict(item.failure.params),
        "source": item.source,
        "destination": item.destination,
        "source_side": source.get("side"),
        "source_key": source.get("key"),
        "status": "open",
        "occurred_at": now,
    }

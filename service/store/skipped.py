"""Skipped records: set aside for a person, out of every run until resolved. And the records excluded by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import peewee as pw

from service.core.records import Direction, Side, Stamp
from service.store import sql
from service.store.models import Exclusion, SkippedRecord


@dataclass(frozen=True, slots=True)
class Skip:
    """A record to be set aside. `seen`: per side, the fingerprint of the state a resolution would be good for."""

    reason: str
    coupling_id: int | None
    keys: Mapping[Side, str]
    error_id: int | None
    seen: Mapping[str, Any] | None = None


def keys_set_aside(mapping_id: int, side: Side, keys: Collection[str]) -> set[str]:
    """Those of the records that wait for a person."""
    open_ones = f"{sql.same('mapping_id')} AND status <> 'resolved'"
    query = sql.found(f"{side}_key", "skipped_records", f"{side}_key", open_ones)
    found = sql.rows(query, sql.values(keys), mapping_id, anew=True)
    return {key for (key,) in found}


def save(mapping_id: int, direction: Direction, now: Stamp, skips: Sequence[Skip]) -> None:
    """Set records aside; one that already is stays as it is."""
    sql.execute_many(
        "INSERT INTO skipped_records (mapping_id, mapping_direction, coupling_id, reason, status, local_key,"
        " integration_key, error_id, seen, version, created_at) VALUES (?, ?, ?, ?, 'open', ?, ?, ?, ?, 1, ?)"
        " ON CONFLICT DO NOTHING",
        [
            (
                mapping_id,
                direction,
                item.coupling_id,
                item.reason,
                item.keys.get(Side.LOCAL),
                item.keys.get(Side.INTEGRATION),
                item.error_id,
                sql.dump(item.seen),
                now,
            )
            for item in skips
        ],
    )


def get(id: int) -> SkippedRecord | None:
    """One skipped record."""
    return SkippedRecord.of_id(id)


def list_skipped(
    *, mapping_id: int | None, reason: str | None, status: str | None, before: int | None, limit: int
) -> list[SkippedRecord]:
    """Skipped records, newest first, one more than `limit` when there are more."""
    return SkippedRecord.newest({"mapping_id": mapping_id, "reason": reason, "status": status}, before, limit)


def change(id: int, version: int, **columns: Any) -> bool:
    """Change a skipped record if it still has this version; returns whether it had."""
    query = SkippedRecord.update(version=SkippedRecord.version + 1, **columns)
    return bool(query.where((SkippedRecord.id == id) & (SkippedRecord.version == version)).execute())


def excluded_keys(mapping_id: int, side: Side, keys: Collection[str]) -> set[str]:
    """Those of the records that were uncoupled and are left alone."""
    query = sql.found("key", "exclusions", "key", "mapping_id = ? AND side = ?")
    found = sql.rows(query, sql.values(keys), mapping_id, side, anew=True)
    return {key for (key,) in found}


def exclude(mapping_id: int, now: Stamp, by: str | None, records: Sequence[tuple[Side, str]]) -> None:
    """Leave records alone from now on."""
    sql.execute_many(
        "INSERT INTO exclusions (mapping_id, side, key, excluded_by, created_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (mapping_id, side, key) DO NOTHING",
        [(mapping_id, side, key, by, now) for side, key in records],
    )


def include(mapping_id: int, records: Sequence[tuple[Side, str]]) -> None:
    """Let runs see records again."""
    sql.execute_many(
        "DELETE FROM exclusions WHERE mapping_id = ? AND side = ? AND key = ?",
        [(mapping_id, side, key) for side, key in records],
    )


def list_exclusions(*, mapping_id: int | None, before: int | None, limit: int) -> list[Exclusion]:
    """Excluded records, newest first, one more than `limit` when there are more."""
    return Exclusion.newest({"mapping_id": mapping_id}, before, limit)


def resolving(run_id: int, ids: Collection[int]) -> list[SkippedRecord]:
    """Those of the skipped records that this run is to resolve."""
    query = SkippedRecord.select().where(
        (SkippedRecord.id.in_(list(ids))) & (SkippedRecord.status == "resolving") & (SkippedRecord.run_id == run_id)
    )
    return list(query.order_by(SkippedRecord.id))


def reopen(id: int, seen: Mapping[str, Any], error_id: int | None) -> None:
    """Offer a record again, in the state it has now."""
    SkippedRecord.update(
        status="open",
        seen=dict(seen),
        error_id=error_id,
        resolution=None,
        choices=None,
        resolved_by=None,
        run_id=None,
        version=SkippedRecord.version + 1,
    ).where(SkippedRecord.id == id).execute()


def close(ids: Collection[int], now: Stamp) -> None:
    """These records are resolved."""
    SkippedRecord.update(status="resolved", resolved_at=now, version=SkippedRecord.version + 1).where(
        SkippedRecord.id.in_(list(ids))
    ).execute()


def close_for_couplings(
    mapping_id: int, coupling_ids: Collection[int], resolution: str | None, by: str | None, now: Stamp
) -> None:
    """The couplings end: nothing is left to resolve. `resolution` is None where no person said so."""
    if coupling_ids:
        SkippedRecord.update(
            status="resolved",
            resolution=pw.fn.COALESCE(SkippedRecord.resolution, resolution),
            resolved_by=pw.fn.COALESCE(SkippedRecord.resolved_by, by),
            resolved_at=now,
            version=SkippedRecord.version + 1,
        ).where(
            (SkippedRecord.mapping_id == mapping_id)
            & (SkippedRecord.status != "resolved")
            & (SkippedRecord.coupling_id.in_(list(coupling_ids)))
        ).execute()


def close_for_records(mapping_id: int, keys: Mapping[Side, str], by: str | None, now: Stamp) -> None:
    """A person has coupled these records: which is whose partner is no question any more."""
    local, integration = keys[Side.LOCAL], keys[Side.INTEGRATION]
    SkippedRecord.update(status="resolved", resolved_by=by, resolved_at=now, version=SkippedRecord.version + 1).where(
        (SkippedRecord.mapping_id == mapping_id)
        & (SkippedRecord.status == "open")
        & SkippedRecord.coupling_id.is_null()
        & ((SkippedRecord.local_key == local) | (SkippedRecord.integration_key == integration))
    ).execute()


def reopen_of_run(run_id: int) -> None:
    """A run ended before it came to these: they are open again."""
    SkippedRecord.update(
        status="open", resolution=None, choices=None, resolved_by=None, run_id=None, version=SkippedRecord.version + 1
    ).where((SkippedRecord.run_id == run_id) & (SkippedRecord.status == "resolving")).execute()


def by_ids(ids: Collection[int]) -> list[SkippedRecord]:
    """The skipped records with these ids."""
    return SkippedRecord.listed(f"WHERE {sql.among('id')} ORDER BY id", sql.values(ids))


def open_ids(mapping_id: int | None, reason: str | None, limit: int) -> list[int]:
    """The ids of open skipped records, oldest first."""
    query = SkippedRecord.select(SkippedRecord.id).where(SkippedRecord.status == "open")
    if mapping_id is not None:
        query = query.where(SkippedRecord.mapping_id == mapping_id)
    if reason is not None:
        query = query.where(SkippedRecord.reason == reason)
    return [row.id for row in query.order_by(SkippedRecord.id).limit(limit)]


def list_open(mapping_id: int | None, reason: str | None, after: int | None, limit: int) -> list[SkippedRecord]:
    """Open skipped records, oldest first, one more than `limit` when there are more."""
    query = SkippedRecord.select().where(SkippedRecord.status == "open")
    for column, value in ((SkippedRecord.mapping_id, mapping_id), (SkippedRecord.reason, reason)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(SkippedRecord.id > after)
    return list(query.order_by(SkippedRecord.id).limit(limit + 1))


def remove_exclusion(id: int) -> dict[str, Any] | None:
    """Forget an exclusion and return what it was. The record waits for the next run, wherever its stamp is."""
    found = Exclusion.get_or_none(Exclusion.id == id)
    if found is None:
        return None
    Exclusion.delete().where(Exclusion.id == id).execute()
    return {"mappingId": found.mapping_id, "side": found.side, "key": found.key}


def open_of_coupling(coupling_id: int) -> SkippedRecord | None:
    """The unresolved skipped record of a coupling."""
    found: SkippedRecord | None = SkippedRecord.get_or_none(
        (SkippedRecord.coupling_id == coupling_id) & (SkippedRecord.status != "resolved")
    )
    return found

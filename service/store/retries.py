"""Records waiting for a retry, found by key whatever the watermark says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from service.core.records import Side, Stamp
from service.store import sql


@dataclass(frozen=True, slots=True)
class Waiting:
    """One waiting record. `attempts`: failures of one cause in a row; `fingerprint` None: it did not fail."""

    id: int
    key: str
    attempts: int
    fingerprint: str | None
    error_id: int | None


@dataclass(frozen=True, slots=True)
class Postponed:
    """A record to be looked at by the next run, and why."""

    side: Side
    key: str
    attempts: int = 0
    code: str | None = None
    fingerprint: str | None = None
    error_id: int | None = None


def page(mapping_id: int, side: Side, after: int, until: int, limit: int) -> list[Waiting]:
    """Waiting records of one side in order of their ids, from after `after` up to `until`."""
    found = sql.rows(
        "SELECT id, key, attempts, fingerprint, error_id FROM retries"
        " WHERE mapping_id = ? AND side = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?",
        mapping_id,
        side,
        after,
        until,
        limit,
    )
    return [Waiting(*row) for row in found]


def last_id() -> int:
    """The newest waiting record's id: what comes later is for the next run."""
    return int(sql.rows("SELECT coalesce(max(id), 0) FROM retries")[0][0])


def by_keys(mapping_id: int, side: Side, keys: Collection[str]) -> dict[str, Waiting]:
    """Those of the records that are waiting."""
    if not keys:
        return {}
    found = sql.rows(
        "SELECT id, key, attempts, fingerprint, error_id FROM retries"
        f" WHERE mapping_id = ? AND side = ? AND {sql.among('key')}",
        mapping_id,
        side,
        sql.values(keys),
    )
    return {row[1]: Waiting(*row) for row in found}


def save(mapping_id: int, since: Stamp, postponed: Sequence[Postponed]) -> None:
    """Remember records for the next run."""
    sql.execute_many(
        "INSERT INTO retries (mapping_id, side, key, attempts, code, fingerprint, error_id, since)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (mapping_id, side, key) DO UPDATE SET attempts ="
        " excluded.attempts, code = excluded.code, fingerprint = excluded.fingerprint, error_id = excluded.error_id",
        [
            (mapping_id, item.side, item.key, item.attempts, item.code, item.fingerprint, item.error_id, since)
            for item in postponed
        ],
    )


def remove(mapping_id: int, side: Side, keys: Collection[str]) -> None:
    """Records that need no retry any more."""
    if keys:
        sql.execute(
            f"DELETE FROM retries WHERE mapping_id = ? AND side = ? AND {sql.among('key')}",
            mapping_id,
            side,
            sql.values(keys),
        )

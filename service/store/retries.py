"""Records waiting for a retry, found by key whatever the watermark says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from service.core.records import Side, Stamp
from service.core.references import Missing
from service.store import sql

_COLUMNS = (
    "id, key, attempts, fingerprint, error_id,"
    " (SELECT count(*) FROM awaited_records AS awaited WHERE awaited.retry_id = retries.id)"
)

# A record that waits for several is looked at again when any of them is coupled: what can be done then is done.
_RELEASED = " OR ".join(
    "EXISTS (SELECT 1 FROM awaited_records AS awaited JOIN couplings ON couplings.mapping_id = awaited.mapping_id"
    f" AND couplings.{side}_key = awaited.key WHERE awaited.retry_id = retries.id AND awaited.side = '{side}')"
    for side in Side
)
_FREE = f"NOT EXISTS (SELECT 1 FROM awaited_records AS awaited WHERE awaited.retry_id = retries.id) OR {_RELEASED}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One waiting record. `attempts`: failures of one cause in a row; `fingerprint` None: it did not fail. `awaited`:
    how many references it waits for."""

    id: int
    key: str
    attempts: int
    fingerprint: str | None
    error_id: int | None
    awaited: int = 0


@dataclass(frozen=True, slots=True)
class Postponed:
    """A record to be looked at by the next run, and why."""

    side: Side
    key: str
    attempts: int = 0
    code: str | None = None
    fingerprint: str | None = None
    error_id: int | None = None
    awaited: tuple[Missing, ...] = ()


def page(
    mapping_id: int, side: Side, after: int, until: int, limit: int, *, released: bool = False, held: bool = False
) -> list[Waiting]:
    """Waiting records of one side in order of their ids, from after `after` up to `until`.

    Records that wait for others are left out until one of those is coupled, unless `held`. `released`: only those that
    waited for another which is coupled now.
    """
    condition = "" if held else f" AND ({_RELEASED if released else _FREE})"
    found = sql.rows(
        f"SELECT {_COLUMNS} FROM retries"
        f" WHERE mapping_id = ? AND side = ? AND id > ? AND id <= ?{condition} ORDER BY id LIMIT ?",
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


def last_id_of(mapping_id: int, side: Side) -> int:
    """`last_id` where a record of this side waits; 0 where none does."""
    found = sql.rows(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM retries WHERE mapping_id = ? AND side = ?)"
        " THEN (SELECT max(id) FROM retries) ELSE 0 END",
        mapping_id,
        side,
    )
    return int(found[0][0])


def by_keys(mapping_id: int, side: Side, keys: Collection[str]) -> dict[str, Waiting]:
    """Those of the records that are waiting."""
    if not keys:
        return {}
    found = sql.rows(_of(_COLUMNS), sql.values(keys), mapping_id, side, anew=True)
    return {row[1]: Waiting(*row) for row in found}


def _of(columns: str) -> str:
    """The query for the waiting ones among records of one side."""
    return sql.found(columns, "retries", "key", "mapping_id = ? AND side = ?")


def save(mapping_id: int, since: Stamp, postponed: Sequence[Postponed]) -> None:
    """Remember records for the next run, with what they wait for."""
    sql.execute_many(
        "INSERT INTO retries (mapping_id, side, key, attempts, code, fingerprint, error_id, since)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (mapping_id, side, key) DO UPDATE SET attempts ="
        " excluded.attempts, code = excluded.code, fingerprint = excluded.fingerprint, error_id = excluded.error_id",
        [
            (mapping_id, item.side, item.key, item.attempts, item.code, item.fingerprint, item.error_id, since)
            for item in postponed
        ],
    )
    _save_awaited(mapping_id, postponed)


def _save_awaited(mapping_id: int, postponed: Sequence[Postponed]) -> None:
    for side in Side:
        keys = [item.key for item in postponed if item.side is side]
        if keys:
            theirs = f"DELETE FROM awaited_records WHERE retry_id IN ({_of('id')})"
            sql.execute(theirs, sql.values(keys), mapping_id, side, anew=True)
    sql.execute_many(
        "INSERT INTO awaited_records (retry_id, field, mapping_id, side, key) SELECT id, ?, ?, ?, ? FROM retries"
        " WHERE mapping_id = ? AND side = ? AND key = ?",
        [
            (
                missing.pointer.field,
                missing.pointer.mapping_id,
                missing.pointer.side,
                missing.key,
                mapping_id,
                item.side,
                item.key,
            )
            for item in postponed
            for missing in item.awaited
        ],
    )


def remove(mapping_id: int, side: Side, keys: Collection[str]) -> None:
    """Records that need no retry any more."""
    if keys:
        theirs = f"DELETE FROM retries WHERE id IN ({_of('id')})"
        sql.execute(theirs, sql.values(keys), mapping_id, side, anew=True)


def released(mapping_ids: Collection[int]) -> list[int]:
    """Those of the mappings that have records which waited for another that is coupled now."""
    found = sql.rows(
        f"SELECT DISTINCT mapping_id FROM retries WHERE {sql.among('mapping_id')} AND ({_RELEASED})"
        " ORDER BY mapping_id",
        sql.values(mapping_ids),
    )
    return [id for (id,) in found]


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a waiting record refers to: a record of `side` of another mapping, in the waiting one's `field`."""

    field: str
    mapping_id: int
    mapping: str
    side: str
    key: str


def awaited(mapping_id: int, side: Side, key: str) -> list[Awaited]:
    """What one record waits for."""
    found = sql.rows(
        "SELECT awaited.field, awaited.mapping_id, mappings.name, awaited.side, awaited.key"
        " FROM awaited_records AS awaited JOIN retries ON retries.id = awaited.retry_id"
        " JOIN mappings ON mappings.id = awaited.mapping_id"
        " WHERE retries.mapping_id = ? AND retries.side = ? AND retries.key = ? ORDER BY awaited.id",
        mapping_id,
        side,
        key,
    )
    return [Awaited(*row) for row in found]

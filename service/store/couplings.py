"""Couplings, a page at a time for the engine and one at a time for the API."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from service.core.flow import Coupled, Known
from service.core.records import Side
from service.store import sql
from service.store.models import Coupling, SkippedRecord

BLOCKS = 10
"""A sample is taken from so many places."""

_COLUMNS = (
    "id, local_key, integration_key, local_modified_on, integration_modified_on, local_version, integration_version,"
    " local_base, integration_base, local_echo, integration_echo"
)

_STATE = {
    "local_key": "text",
    "integration_key": "text",
    "local_modified_on": "bigint",
    "integration_modified_on": "bigint",
    "local_version": "text",
    "integration_version": "text",
    "local_base": "text",
    "integration_base": "text",
    "local_echo": "boolean",
    "integration_echo": "boolean",
    "last_result": "text",
    "last_run_id": "bigint",
}
"""The columns that `_row` fills, in its order, and their types."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A coupling to be written: `coupled.id` 0 makes a new one."""

    coupled: Coupled
    result: str | None


def by_keys(mapping_id: int, side: Side, keys: Collection[str]) -> dict[str, Coupled]:
    """The couplings of these records of one side, by key."""
    if not keys:
        return {}
    found = sql.rows(
        f"SELECT {_COLUMNS} FROM couplings WHERE mapping_id = ? AND {sql.among(f'{side}_key')}",
        mapping_id,
        sql.values(keys),
    )
    return {coupled.keys[side]: coupled for coupled in map(_coupled, found)}


def by_ids(mapping_id: int, ids: Collection[int]) -> list[Coupled]:
    """The couplings with these ids that belong to the mapping."""
    found = sql.rows(
        f"SELECT {_COLUMNS} FROM couplings WHERE mapping_id = ? AND {sql.among('id')} ORDER BY id",
        mapping_id,
        sql.values(ids),
    )
    return [_coupled(row) for row in found]


def page(mapping_id: int, after: int, limit: int) -> list[Coupled]:
    """Couplings of a mapping in order of their ids."""
    found = sql.rows(
        f"SELECT {_COLUMNS} FROM couplings WHERE mapping_id = ? AND id > ? ORDER BY id LIMIT ?",
        mapping_id,
        after,
        limit,
    )
    return [_coupled(row) for row in found]


def sample(mapping_id: int, size: int, seed: int) -> list[Coupled]:
    """The keys of up to `size` couplings of a mapping, spread over all of them by chance; all, if there are no more."""
    first = sql.rows(
        "SELECT id, local_key, integration_key, (SELECT max(id) FROM couplings WHERE mapping_id = ?) FROM couplings"
        " WHERE mapping_id = ? ORDER BY id LIMIT ?",
        mapping_id,
        mapping_id,
        size + 1,
    )
    if len(first) > size:
        chance = random.Random(seed)  # noqa: S311  (a sample, no secret)
        low, high = first[0][0], first[0][3]
        part = "SELECT * FROM (SELECT id, local_key, integration_key FROM couplings WHERE mapping_id = ? AND id > ?"
        block = f"{part} ORDER BY id LIMIT {size // BLOCKS}) AS block"
        places = [value for _ in range(BLOCKS) for value in (mapping_id, chance.randint(low - 1, high - 1))]
        first = sql.rows(" UNION ALL ".join([block] * BLOCKS), *places)
    found = {id: {Side.LOCAL: local_key, Side.INTEGRATION: key} for id, local_key, key, *_ in first}
    return [Coupled(id, keys, {}) for id, keys in found.items()]


def states(mapping_id: int, side: Side, keys: Collection[str]) -> dict[str, tuple[int | None, str | None, str, bool]]:
    """What the couplings know of one side alone, by key: stamp, version, the base as it is stored, echo."""
    found = sql.rows(
        f"SELECT {side}_key, {side}_modified_on, {side}_version, {side}_base, {side}_echo FROM couplings"
        f" WHERE mapping_id = ? AND {sql.among(f'{side}_key')}",
        mapping_id,
        sql.values(keys),
    )
    return {key: (at, version, base, bool(echo)) for key, at, version, base, echo in found}


def coupled_keys(mapping_id: int, side: Side, keys: Collection[str]) -> set[str]:
    """Those of the keys that are in a coupling."""
    found = sql.rows(
        f"SELECT {side}_key FROM couplings WHERE mapping_id = ? AND {sql.among(f'{side}_key')}",
        mapping_id,
        sql.values(keys),
    )
    return {key for (key,) in found}


def partners(mapping_id: int, side: Side, keys: Collection[str]) -> dict[str, str]:
    """The keys of the partners of these records of one side, by key."""
    found = sql.rows(
        f"SELECT {side}_key, {side.other}_key FROM couplings WHERE mapping_id = ? AND {sql.among(f'{side}_key')}",
        mapping_id,
        sql.values(keys),
    )
    return dict(found)


def count(mapping_id: int, at_most: int | None = None) -> int:
    """How many couplings a mapping has; no more than `at_most` are counted."""
    if at_most is None:
        return int(sql.rows("SELECT count(*) FROM couplings WHERE mapping_id = ?", mapping_id)[0][0])
    return len(sql.rows("SELECT 1 FROM couplings WHERE mapping_id = ? LIMIT ?", mapping_id, at_most))


def out_of_step(mapping_id: int) -> int:
    """How many pairs were never synchronized, are set aside for a person, or wait for a retry."""
    found = sql.rows(
        "SELECT count(*) FROM couplings AS pair WHERE mapping_id = ?"
        " AND (local_base IS NULL OR integration_base IS NULL"
        " OR EXISTS (SELECT 1 FROM skipped_records WHERE coupling_id = pair.id AND status <> 'resolved')"
        " OR EXISTS (SELECT 1 FROM retries WHERE mapping_id = pair.mapping_id"
        " AND ((side = 'local' AND key = pair.local_key) OR (side = 'integration' AND key = pair.integration_key))))",
        mapping_id,
    )
    return int(found[0][0])


def save(mapping_id: int, run_id: int | None, saved: Sequence[Saved]) -> list[int]:
    """Make and renew couplings; returns the id of each. The caller has a transaction open; the database refuses a
    record coupled twice."""
    made = [item for item in saved if not item.coupled.id]
    fresh = sql.new_ids("couplings", len(made))
    sql.insert_many(
        "couplings",
        (*_STATE, "mapping_id", "version", "id"),
        [(*_row(item, run_id), mapping_id, 1, id) for item, id in zip(made, fresh, strict=True)],
    )
    renewed = [(*_row(item, run_id), item.coupled.id) for item in saved if item.coupled.id]
    sql.update_many("couplings", _STATE, renewed, also="version = version + 1")
    left = iter(fresh)
    return [item.coupled.id or next(left) for item in saved]


def stale(mapping_id: int, side: Side, made: Mapping[str, int]) -> list[Coupled]:
    """Couplings that hold a key of `made` (key to the id of its own coupling, 0: a new one) and are not its own: the
    record that had the key before is gone, or the application would not have given it away again."""
    return [found for key, found in by_keys(mapping_id, side, made).items() if found.id != made[key]]


def mark(run_id: int | None, result: str, ids: Collection[int]) -> None:
    """Note the result of a run on couplings that otherwise stay as they are."""
    if ids:
        sql.execute(
            f"UPDATE couplings SET last_result = ?, last_run_id = ?, version = version + 1 WHERE {sql.among('id')}",
            result,
            run_id,
            sql.values(ids),
        )


def remove(ids: Collection[int]) -> None:
    """End couplings."""
    if ids:
        sql.execute(f"DELETE FROM couplings WHERE {sql.among('id')}", sql.values(ids))


def get(id: int) -> Coupling | None:
    """One coupling."""
    found: Coupling | None = Coupling.get_or_none(Coupling.id == id)
    return found


def _row(item: Saved, run_id: int | None) -> tuple[Any, ...]:
    keys, known = item.coupled.keys, item.coupled.known
    here, there = known[Side.LOCAL], known[Side.INTEGRATION]
    return (
        keys[Side.LOCAL],
        keys[Side.INTEGRATION],
        here.modified_on,
        there.modified_on,
        here.version,
        there.version,
        sql.dump(here.base),
        sql.dump(there.base),
        here.echo,
        there.echo,
        item.result,
        run_id,
    )


def _coupled(row: tuple[Any, ...]) -> Coupled:
    id, local_key, integration_key, at, other_at, version, other_version, base, other_base, echo, other_echo = row
    return Coupled(
        id,
        {Side.LOCAL: local_key, Side.INTEGRATION: integration_key},
        {
            Side.LOCAL: Known(at, version, _base(base), bool(echo)),
            Side.INTEGRATION: Known(other_at, other_version, _base(other_base), bool(other_echo)),
        },
    )


def _base(text: str | None) -> Mapping[str, Any] | None:
    return None if text is None else orjson.loads(text)


def list_couplings(
    *,
    mapping_id: int | None,
    local_key: str | None,
    integration_key: str | None,
    aside: bool | None,
    before: int | None,
    limit: int,
) -> list[Coupling]:
    """Couplings, newest first, one more than `limit` when there are more."""
    query = Coupling.select().order_by(Coupling.id.desc()).limit(limit + 1)
    wanted = (
        (Coupling.mapping_id, mapping_id),
        (Coupling.local_key, local_key),
        (Coupling.integration_key, integration_key),
    )
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    if aside is not None:
        open_ones = SkippedRecord.select(SkippedRecord.coupling_id).where(
            (SkippedRecord.status != "resolved") & SkippedRecord.coupling_id.is_null(False)
        )
        query = query.where(Coupling.id.in_(open_ones) if aside else Coupling.id.not_in(open_ones))
    if before is not None:
        query = query.where(Coupling.id < before)
    return list(query)


def set_aside(ids: Collection[int]) -> set[int]:
    """Those of the couplings that wait for a person."""
    found = sql.rows(
        f"SELECT coupling_id FROM skipped_records WHERE status <> 'resolved' AND {sql.among('coupling_id')}",
        sql.values(ids),
    )
    return {id for (id,) in found}

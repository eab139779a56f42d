"""Couplings, a page at a time for the engine and one at a time for the API."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from service.core.flow import Coupled, Known
from service.core.records import Record, Scalar, Side, Stamp
from service.store import sql
from service.store.models import Coupling

BLOCKS = 10
"""A sample is taken from so many places."""

LOOKED_THROUGH = 20_000
"""So many couplings are looked through for a text at most, so that a search takes as long in a large state."""

STATES = ("aside", "waiting", "failed", "never", "synchronized")
"""How a pair is, the first that fits: set aside for a person, waiting for a retry, failed in its last run, never
synchronized, or none of these."""

_STATE = (
    "CASE WHEN EXISTS (SELECT 1 FROM skipped_records WHERE coupling_id = pair.id AND status <> 'resolved') THEN 'aside'"
    " WHEN EXISTS (SELECT 1 FROM retries WHERE mapping_id = pair.mapping_id"
    " AND ((side = 'local' AND key = pair.local_key) OR (side = 'integration' AND key = pair.integration_key)))"
    " THEN 'waiting'"
    " WHEN last_result = 'failure' THEN 'failed'"
    " WHEN local_base IS NULL OR integration_base IS NULL THEN 'never' ELSE 'synchronized' END"
)

_COLUMNS = (
    "id, local_key, integration_key, local_modified_on, integration_modified_on, local_version, integration_version,"
    " local_base, integration_base, local_echo, integration_echo"
)

_WRITTEN = {
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
"""The columns that `_row` fills, in its order, and their types; the first two are the keys."""

_RENEWED = dict(list(_WRITTEN.items())[2:])
"""Those that are renewed where both records are the ones that they were: SQLite would make the entries of a written key
in its index anew even if it is the same."""

_TOGETHER = 10
"""So many new couplings by one statement on SQLite, which notes the greatest id and guards the count of the couplings
once for each. What more rows might have to take back is dearer than that."""

_SAME = '""'
"""As the base of the integration side: it is that of the local side, to the letter. Most pairs hold the same on both
sides, and half of a coupling is not kept twice. No search finds it, since no text that is searched for is empty."""

_BASES = {
    Side.LOCAL: "local_base",
    Side.INTEGRATION: f"CASE WHEN integration_base = '{_SAME}' THEN local_base ELSE integration_base END",
}
"""The base of each side as a text of its own."""


class Listed(NamedTuple):
    """A coupling in a list: all but the bases, which are most of a row, and what the engine alone asks about."""

    id: int
    mapping_id: int
    local_key: str
    integration_key: str
    local_modified_on: Stamp | None
    integration_modified_on: Stamp | None
    last_result: str | None
    last_run_id: int | None
    version: int


@dataclass(frozen=True, slots=True)
class Found:
    """A coupling as a search finds it: `bases` are the values of the last synchronization, by side and field mapping,
    and `state` is one of STATES."""

    id: int
    mapping_id: int
    keys: Mapping[Side, str]
    bases: Mapping[Side, Mapping[str, Any] | None]
    last_run_id: int | None
    state: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A coupling to be written: `coupled.id` 0 makes a new one. `moved`: one of its records may be another than the one
    that it was made with."""

    coupled: Coupled
    result: str | None
    moved: bool = True


@dataclass(frozen=True, slots=True)
class Half:
    """One side of couplings that are about to be made, whose records are in step with their partners. `ids` are those
    of the field mappings in the base, and `values` theirs, for each record in that order. `echo`: we wrote them."""

    records: Sequence[Record]
    ids: Sequence[str]
    values: Sequence[Sequence[Scalar]]
    echo: bool


class Standing(NamedTuple):
    """A coupling of a pair in step, seen from the record with `key`; the bases are texts. `run_id`: the run that wrote
    it down."""

    id: int
    key: str
    partner: str
    at: Stamp | None
    partner_at: Stamp | None
    version: str | None
    partner_version: str | None
    base: str
    partner_base: str
    run_id: int | None


def by_keys(mapping_id: int, side: Side, keys: Collection[str]) -> dict[str, Coupled]:
    """The couplings of these records of one side, by key."""
    if not keys:
        return {}
    found = sql.rows(_of(_COLUMNS, side), sql.values(keys), mapping_id, anew=True)
    return {coupled.keys[side]: coupled for coupled in map(_coupled, found)}


def _of(columns: str, side: Side) -> str:
    """The query for the couplings of records of one side."""
    return sql.found(columns, "couplings", f"{side}_key", sql.same("mapping_id"))


def by_ids(mapping_id: int, ids: Collection[int]) -> list[Coupled]:
    """The couplings with these ids that belong to the mapping."""
    query = sql.found(_COLUMNS, "couplings", "id", sql.same("mapping_id"))
    return [_coupled(row) for row in sql.rows(f"{query} ORDER BY id", sql.values(set(ids)), mapping_id, anew=True)]


def page(mapping_id: int, after: int, limit: int) -> list[Coupled]:
    """Couplings of a mapping in order of their ids."""
    found = sql.rows(
        f"SELECT {_COLUMNS} FROM couplings WHERE mapping_id = ? AND id > ? ORDER BY id LIMIT ?",
        mapping_id,
        after,
        limit,
    )
    return [_coupled(row) for row in found]


def last_id(mapping_id: int) -> int:
    """The newest coupling's id, 0 where there is none."""
    return int(sql.rows("SELECT coalesce(max(id), 0) FROM couplings WHERE mapping_id = ?", mapping_id)[0][0])


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
    columns = f"{side}_key, {side}_modified_on, {side}_version, {_BASES[side]}, {side}_echo"
    found = sql.rows(_of(columns, side), sql.values(keys), mapping_id, anew=True)
    return {key: (at, version, base, bool(echo)) for key, at, version, base, echo in found}


def standing(mapping_id: int, side: Side, keys: Collection[str]) -> dict[str, Standing]:
    """The couplings of these records whose last synchronization succeeded, where neither record waits for a retry."""
    columns = ", ".join(f"{one}_{name}" for name in ("key", "modified_on", "version") for one in (side, side.other))
    waits = "SELECT 1 FROM retries WHERE mapping_id = pair.mapping_id"
    nobody = " AND ".join(f"NOT EXISTS ({waits} AND side = '{one}' AND key = pair.{one}_key)" for one in Side)
    query = sql.found(
        f"id, {columns}, {_BASES[side]}, {_BASES[side.other]}, last_run_id",
        "couplings AS pair",
        f"{side}_key",
        f"{sql.same('mapping_id')} AND last_result = 'success' AND local_base IS NOT NULL"
        f" AND integration_base IS NOT NULL AND {nobody}",
    )
    return {row[1]: Standing(*row) for row in sql.rows(query, sql.values(keys), mapping_id, anew=True)}


def coupled_keys(mapping_id: int, side: Side, keys: Collection[str]) -> set[str]:
    """Those of the keys that are in a coupling."""
    found = sql.rows(_of(f"{side}_key", side), sql.values(keys), mapping_id, anew=True)
    return {key for (key,) in found}


def partners(mapping_id: int, side: Side, keys: Collection[str]) -> dict[str, str]:
    """The keys of the partners of these records of one side, by key."""
    query = _of(f"{side}_key, {side.other}_key", side)
    return dict(sql.rows(query, sql.values(keys), mapping_id, anew=True))


def count(mapping_id: int, at_most: int | None = None) -> int:
    """How many couplings a mapping has; no more than `at_most` are counted."""
    if at_most is None:
        found = sql.rows("SELECT couplings FROM tallies WHERE mapping_id = ?", mapping_id)
        return int(found[0][0]) if found else 0
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
        (*_WRITTEN, "mapping_id", "version", "id"),
        [(*_row(item, run_id), mapping_id, 1, id) for item, id in zip(made, fresh, strict=True)],
        together=_TOGETHER,
    )
    for columns, moved in ((_WRITTEN, True), (_RENEWED, False)):
        some = [item for item in saved if item.coupled.id and item.moved is moved]
        rows = [(*_row(item, run_id)[-len(columns) :], item.coupled.id) for item in some]
        sql.update_many("couplings", columns, rows, also="version = version + 1")
    left = iter(fresh)
    return [item.coupled.id or next(left) for item in saved]


def make(mapping_id: int, run_id: int | None, halves: Mapping[Side, Half]) -> Sequence[int]:
    """Make couplings of records that were just synchronized; returns the id of each, in order. As `save`, for many that
    are alike."""
    here, there = halves[Side.LOCAL], halves[Side.INTEGRATION]
    size = len(here.records)
    made = sql.new_ids("couplings", size)
    bases = _texts(here)
    columns: dict[str, Iterable[Any]] = {
        "local_key": [record.key for record in here.records],
        "integration_key": [record.key for record in there.records],
        "local_modified_on": [record.modified_on for record in here.records],
        "integration_modified_on": [record.modified_on for record in there.records],
        "local_version": [record.version for record in here.records],
        "integration_version": [record.version for record in there.records],
        "local_base": bases,
        "integration_base": _same_or(there, here, bases),
        "local_echo": [here.echo] * size,
        "integration_echo": [there.echo] * size,
        "last_result": ["success"] * size,
        "last_run_id": [run_id] * size,
        "mapping_id": [mapping_id] * size,
        "version": [1] * size,
        "id": made,
    }
    sql.insert_many("couplings", tuple(columns), list(zip(*columns.values(), strict=True)), together=_TOGETHER)
    return made


def _texts(half: Half) -> list[str]:
    """The bases as they are stored."""
    return [orjson.dumps(dict(zip(half.ids, values, strict=True))).decode() for values in half.values]


def _same_or(half: Half, other: Half, bases: Sequence[str]) -> list[str]:
    """The bases of a side whose other one has these: most are the same, which is told for all at one look. Their texts
    are compared, for 1, 1.0 and true are equal as values."""
    if half.ids == other.ids and orjson.dumps(half.values) == orjson.dumps(other.values):
        return [_SAME] * len(bases)
    return [_SAME if text == base else text for text, base in zip(_texts(half), bases, strict=True)]


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
            anew=True,
        )


def remove(ids: Collection[int]) -> None:
    """End couplings."""
    if ids:
        sql.execute(f"DELETE FROM couplings WHERE {sql.among('id')}", sql.values(ids), anew=True)


def get(id: int) -> Coupling | None:
    """One coupling."""
    return Coupling.of_id(id)


def _row(item: Saved, run_id: int | None) -> tuple[Any, ...]:
    keys, known = item.coupled.keys, item.coupled.known
    here, there = known[Side.LOCAL], known[Side.INTEGRATION]
    base, other_base = sql.dump(here.base), sql.dump(there.base)
    return (
        keys[Side.LOCAL],
        keys[Side.INTEGRATION],
        here.modified_on,
        there.modified_on,
        here.version,
        there.version,
        base,
        other_base if other_base is None or other_base != base else _SAME,
        here.echo,
        there.echo,
        item.result,
        run_id,
    )


def _coupled(row: tuple[Any, ...]) -> Coupled:
    id, local_key, integration_key, at, other_at, version, other_version, base, other_base, echo, other_echo = row
    bases = _bases(base, other_base)
    return Coupled(
        id,
        {Side.LOCAL: local_key, Side.INTEGRATION: integration_key},
        {
            Side.LOCAL: Known(at, version, bases[Side.LOCAL], bool(echo)),
            Side.INTEGRATION: Known(other_at, other_version, bases[Side.INTEGRATION], bool(other_echo)),
        },
    )


def _bases(local: str | None, integration: str | None) -> dict[Side, Mapping[str, Any] | None]:
    here = None if local is None else orjson.loads(local)
    if integration == _SAME:
        return {Side.LOCAL: here, Side.INTEGRATION: here}
    return {Side.LOCAL: here, Side.INTEGRATION: None if integration is None else orjson.loads(integration)}


def list_couplings(
    *,
    mapping_id: int | None,
    local_key: str | None,
    integration_key: str | None,
    aside: bool | None,
    before: int | None,
    limit: int,
) -> list[Listed]:
    """Couplings, newest first, one more than `limit` when there are more."""
    keys = {"local_key = ?": local_key, "integration_key = ?": integration_key}
    has_key = bool(_given(keys))
    own = sql.same("mapping_id") if has_key else "mapping_id = ?"
    given = _given({own: mapping_id, **keys, "id < ?": before})
    conditions, parameters = list(given), list(given.values())
    if mapping_id is None and has_key:
        # Keys are found by the mapping and the key: each mapping is asked for, instead of all couplings.
        conditions.append("mapping_id IN (SELECT id FROM mappings)")
    if aside is False:
        conditions.append(f"NOT {_ASIDE}")
    elif aside and has_key:
        conditions.append(f"id IN (SELECT coupling_id FROM skipped_records WHERE {_OF_PAIRS})")
    elif aside:
        # The newest of those that are set aside, instead of all couplings, or all that are set aside.
        narrow = _given({"mapping_id = ?": mapping_id, "coupling_id < ?": before})
        chosen = " AND ".join([_OF_PAIRS, *narrow])
        newest = f"SELECT DISTINCT coupling_id FROM skipped_records WHERE {chosen} ORDER BY coupling_id DESC LIMIT ?"
        conditions.append(f"id IN ({newest})")
        parameters += [*narrow.values(), limit + 1]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    columns = ", ".join(Listed._fields)
    found = sql.rows(f"SELECT {columns} FROM couplings{where} ORDER BY id DESC LIMIT ?", *parameters, limit + 1)
    return list(map(Listed._make, found))


def _given(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions that somebody asked for."""
    return {condition: value for condition, value in conditions.items() if value is not None}


_OF_PAIRS = "status <> 'resolved' AND coupling_id IS NOT NULL"
_ASIDE = "EXISTS (SELECT 1 FROM skipped_records WHERE coupling_id = couplings.id AND status <> 'resolved')"


def set_aside(ids: Collection[int]) -> set[int]:
    """Those of the couplings that wait for a person."""
    found = sql.rows(
        f"SELECT coupling_id FROM skipped_records WHERE status <> 'resolved' AND {sql.among('coupling_id')}",
        sql.values(ids),
    )
    return {id for (id,) in found}


def search(
    mapping_id: int | None, text: str, state: str | None, before: int | None, limit: int
) -> tuple[list[Found], int | None]:
    """Couplings, newest first, and the id before which to go on, None where these were the last.

    `text` is a key of either side, or part of a value as it was when last in step; the case of a to z does not count.
    At most LOOKED_THROUGH couplings are looked through, so that a page may be short, or empty, and not be the last one.
    """
    found = _with_key(mapping_id, text, state) if text and before is None else []
    own, parameters = _window(mapping_id, state, before)
    window = f"(SELECT * FROM couplings WHERE {own} ORDER BY id DESC LIMIT {LOOKED_THROUGH}) AS pair"
    where, wanted = _conditions(text, state)
    rows = sql.rows(
        f"SELECT {_FOUND} FROM {window} WHERE {where} ORDER BY id DESC LIMIT ?", *parameters, *wanted, limit + 1
    )
    page, known = list(map(_found, rows[:limit])), {one.id for one in found}
    # What the database found in the names of the parts of a base, and not in a value, is left out.
    found += [one for one in page if one.id not in known and (not text or _holds(one, text))]
    if len(rows) > limit:
        return found, page[-1].id
    looked, lowest = sql.rows(f"SELECT count(*), min(id) FROM {window}", *parameters)[0]
    return found, int(lowest) if looked == LOOKED_THROUGH else None


_FOUND = f"id, mapping_id, local_key, integration_key, local_base, integration_base, last_run_id, {_STATE}"


def _with_key(mapping_id: int | None, text: str, state: str | None) -> list[Found]:
    """The couplings of a record with this key, found by their indexes."""
    own, parameters = "mapping_id IN (SELECT id FROM mappings)", []
    if mapping_id is not None:
        own, parameters = sql.same("mapping_id"), [mapping_id]
    sides = " UNION ".join(f"SELECT id FROM couplings WHERE {own} AND {side}_key = ?" for side in Side)
    found = sql.rows(
        f"SELECT {_FOUND} FROM couplings AS pair WHERE id IN ({sides}) ORDER BY id DESC LIMIT ?",
        *parameters,
        text,
        *parameters,
        text,
        LOOKED_THROUGH,
    )
    return [one for one in map(_found, found) if state in (None, one.state)]


def _window(mapping_id: int | None, state: str | None, before: int | None) -> tuple[str, list[Any]]:
    """What is looked through; those set aside are few among many, and are known by their own table."""
    conditions, parameters = ["1 = 1"], []
    for condition, value in (("mapping_id = ?", mapping_id), ("id < ?", before)):
        if value is not None:
            conditions.append(condition)
            parameters.append(value)
    if state == "aside":
        conditions.append("id IN (SELECT coupling_id FROM skipped_records WHERE status <> 'resolved')")
    return " AND ".join(conditions), parameters


def _conditions(text: str, state: str | None) -> tuple[str, list[Any]]:
    conditions, parameters = ["1 = 1"], []
    if text:
        # As it stands in a base, which is JSON; `!` marks what would mean something in a pattern.
        inside = re.sub(r"([!%_])", r"!\1", orjson.dumps(text).decode()[1:-1])
        conditions.append(" OR ".join(f"lower({side}_base) LIKE lower(?) ESCAPE '!'" for side in Side))
        parameters += [f"%{inside}%", f"%{inside}%"]
    if state is not None:
        conditions.append(f"{_STATE} = ?")
        parameters.append(state)
    return " AND ".join(f"({condition})" for condition in conditions), parameters


def _holds(found: Found, text: str) -> bool:
    wanted = text.casefold()
    return any(wanted in str(value).casefold() for base in found.bases.values() for value in (base or {}).values())


def _found(row: tuple[Any, ...]) -> Found:
    id, mapping_id, local_key, integration_key, local_base, integration_base, last_run_id, state = row
    return Found(
        id,
        mapping_id,
        {Side.LOCAL: local_key, Side.INTEGRATION: integration_key},
        _bases(local_base, integration_base),
        last_run_id,
        state,
    )

"""Reading by a plan: pages, counts, records by key and by value."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from service.connectors.sql.keys import native_of, params_of
from service.connectors.sql.plan import Part, Plan, exactly
from service.connectors.sql.searching import MANY
from service.connectors.sql.session import Row, Session
from service.core.records import Page, Record, Scalar, Stamp

Item = TypeVar("Item")

_CHUNK = 5_000
"""How many keys one statement asks for."""

MANY_PARTS = 3
"""Of more parts of a reading it is asked at once which of them have rows."""

Position: TypeAlias = tuple[Any, Any]
"""Raw stamp and raw key of the last row read in a part."""


def read_page(session: Session, plan: Plan, since: Stamp | None, cursor: str | None, limit: int) -> Page:
    """One page, by one statement in the midst of a part and a few more where parts begin or end.

    A cursor is the number of the part, whether the reading looks for what is hardly ever there, and where in the part
    the page ended. A part is read with one row more than wanted, so that the last page knows that it is the last.
    """
    parts = plan.parts(bounded=since is not None)
    index, position, looks = _decode(cursor)
    absent: Collection[int] = ()
    if since is not None and cursor is None:
        looks = plan.search.begin(since)
        absent = _absent(session, plan, since)
    records: list[Record] = []
    while index < len(parts):
        missing = limit - len(records)
        if (parts[index].sought and not looks) or index in absent:
            index, position = index + 1, None
            continue
        if not missing:
            behind = plan.stamps.behind(position[0]) if position and index == len(parts) - 1 else None
            return Page(records, _encode(index, position, looks), behind)
        rows = _rows(session, parts[index], position, since, missing + 1)
        plan.search.met(len(rows), sought=parts[index].sought)
        records += exactly(plan.records(rows[:missing]), since)
        if len(rows) > missing:
            position = (rows[missing - 1][1], plan.key.of_row(rows[missing - 1]))
        else:
            index, position = index + 1, None
    plan.search.end(holds=since is not None and plan.search.found_none and _crowded(session, plan, since))
    return Page(records, None)


def read_all(session: Session, plan: Plan, cursor: str | None, limit: int) -> Page:
    """One page of everything."""
    if cursor is None:
        plan.search.begin_all()
    page = read_page(session, plan, None, cursor, limit)
    note_all(session, plan, cursor, page.cursor, page.records)
    return page


def note_all(session: Session, plan: Plan, after: str | None, reached: str | None, records: Sequence[Record]) -> None:
    """Note that a reading of everything went from one place to another: all of it is a look for what is sought."""
    if plan.seeks and (since := plan.search.met_all(after, reached, records)) is not None:
        plan.search.end_all(holds=_crowded(session, plan, since))


def _absent(session: Session, plan: Plan, since: Stamp) -> set[int]:
    """The places of the parts in which there is nothing to be read. Where there are many, most have no row, and to ask
    that of all together costs less than to read each."""
    parts = plan.parts(bounded=True)
    if len(parts) <= MANY_PARTS:
        return set()
    [present] = session.rows(plan.statement("present"), plan.bounds(since))
    places = [place for place, part in enumerate(parts) if part.bounds is not None and not part.sought]
    return {place for place, there in zip(places, present, strict=True) if not there}


def _crowded(session: Session, plan: Plan, since: Stamp) -> bool:
    """Whether looking for what is hardly ever there goes through more rows than one would at every reading."""
    bounds = [part.bounds(since) for part in plan.parts(bounded=True) if part.sought and part.bounds is not None]
    return bool(bounds and session.rows(plan.statement("crowd"), {**bounds[0], "offset": MANY}))


def count(session: Session, plan: Plan, since: Stamp, until: Stamp) -> int | None:
    """How many records inside the filter have a stamp from `since` to `until`, None where only reading them tells."""
    if plan.stamps.between is not None and plan.stamps.bounds is not None:
        return int(session.rows(plan.statement("count"), plan.stamps.bounds(since, until))[0][0])
    if plan.unindexed and plan.stamps.whole is not None:
        return None
    found = 0
    for rows in session.chunks(plan.statement("tally"), plan.bounds(since)):
        stamps = plan.stamps.read([raw for raw, _ in rows])
        counted = zip(stamps, rows, strict=True)
        found += sum(number for stamp, (_, number) in counted if _within(stamp, since, until))
    return found


def _within(stamp: Stamp | None, since: Stamp, until: Stamp) -> bool:
    return stamp is not None and since <= stamp <= until


def fetch(session: Session, plan: Plan, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
    """The records with these keys, by key as it was asked for."""
    natives = plan.key.natives(keys)
    asked = {native: key for native, key in zip(natives, keys, strict=True) if native is not None}
    rows = rows_by_key(session, plan, list(asked), "fetch_filtered" if filtered else "fetch")
    found = zip(map(plan.key.of_row, rows), plan.records(rows), strict=True)
    return {asked.get(native, record.key): record for native, record in found}


def rows_by_key(session: Session, plan: Plan, natives: Sequence[Any], statement: str) -> list[Row]:
    """Raw rows by the driver's keys, by a statement of the plan; some thousand keys at a time."""
    rows: list[Row] = []
    for chunk in _chunks(natives):
        wanted = chunk if plan.key.several else [(native,) for native in chunk]
        params = plan.database.many(plan.key.columns, wanted)
        rows += session.rows(plan.statement(statement), params)
    return rows


def find(session: Session, plan: Plan, names: Sequence[str], wanted: Collection[tuple[Scalar, ...]]) -> list[Record]:
    """The records inside the filter that have one of the wanted combinations of values."""
    statement, columns = plan.finding(names)
    native = {
        tuple(
            plan.database.filter_value(value.rstrip(" ") if isinstance(value, str) else value, column)
            for value, column in zip(one, columns, strict=True)
        )
        for one in _in_columns(plan, names, wanted)
    }
    rows: list[Row] = []
    for chunk in _chunks(native):
        rows += session.rows(statement, plan.database.many(columns, chunk))
    return plan.records(rows)


def _in_columns(
    plan: Plan, names: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
) -> Collection[tuple[Scalar, ...]]:
    """The wanted combinations with the parts of keys in the place of their texts; without those that no record has."""
    fields = [plan.column(name) for name in names]
    if not any(field.parts for field in fields):
        return wanted
    found = []
    for one in wanted:
        parts = [
            native_of(plan.database, field, str(value)) if field.parts else (value,)
            for field, value in zip(fields, one, strict=True)
        ]
        if None not in parts:
            found.append(tuple(part for some in parts for part in some))
    return found


def _rows(session: Session, part: Part, position: Position | None, since: Stamp | None, limit: int) -> list[Row]:
    params: dict[str, Any] = {"limit": limit}
    if part.bounds is not None and since is not None:
        params |= part.bounds(since)
    if position is None:
        return session.rows(part.first, params)
    stamp, key = position
    if stamp is None and part.unstamped is not None:
        return session.rows(part.unstamped(), {**params, **params_of(key)})
    return session.rows(part.further(), {**params, "stamp": stamp, **params_of(key)})


def _chunks(items: Collection[Item]) -> Iterator[list[Item]]:
    left = iter(items)
    while chunk := list(islice(left, _CHUNK)):
        yield chunk


def _encode(index: int, position: Position | None, looks: bool) -> str:
    return json.dumps([index, looks, *(position or ())], separators=(",", ":"))


def _decode(cursor: str | None) -> tuple[int, Position | None, bool]:
    if cursor is None:
        return 0, None, True
    index, looks, *position = json.loads(cursor)
    if not position:
        return index, None, looks
    stamp, key = position
    return index, (stamp, tuple(key) if isinstance(key, list) else key), looks

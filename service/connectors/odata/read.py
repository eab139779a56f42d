"""Reading by a plan: pages by (stamp, key), records by key and by value, and counts, in few requests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import orjson

from service.connectors.odata.batch import Request, said_of, send_all
from service.connectors.odata.failures import Context, Refused, failure_of
from service.connectors.odata.keys import beyond, one_is, sources
from service.connectors.odata.plan import Plan
from service.connectors.odata.query import any_of, found_by, one_of
from service.connectors.odata.service import address, next_link, rows_of
from service.connectors.odata.tables import Property
from service.connectors.odata.values import literal, stamp_in, stamp_literal
from service.core.failures import Failure, SideFailed
from service.core.records import Page, Record, Scalar, Stamp

LONGEST_URL = 6_000
"""Characters of one question: what servers and what stands before them take without a word."""

COMPARISONS = 100
"""How many comparisons one filter has; a service that refuses them is asked for half as many."""

LONGEST_LINE = 7_500
"""Characters of a target that are sent as the line of a request; more would be refused by many a server or proxy."""

_Found: TypeAlias = tuple[list[Mapping[str, Any]], Refused | None]
"""Rows, or why there are none."""

_FEWEST = 5
_ALL = 1_000_000


def read_page(plan: Plan, since: Stamp | None, cursor: str | None, limit: int) -> Page:
    """A page: first the records without a stamp by key, then the others by stamp and key."""
    if plan.nothing:
        return Page([], None)
    phase, stamp, key = _position(cursor, unstamped=not plan.stamped)
    rows: list[Mapping[str, Any]] = []
    if phase == "unstamped":
        rows = _unstamped(plan, key, limit + 1)
        if len(rows) > limit or plan.stamp is None:
            return _page(plan, rows, limit, None, since)
        stamp, key = None, None
    rows += _stamped(plan, since, stamp, key, limit + 1 - len(rows))
    return _page(plan, rows, limit, plan.stamp.source if plan.stamp else None, since)


def _unstamped(plan: Plan, key: str | None, top: int) -> list[Mapping[str, Any]]:
    """Records without a stamp, or all records where nothing is a stamp, after a key."""
    conditions = [f"{plan.stamp.source} eq null"] if plan.stamp else []
    conditions += [beyond(key, plan.key)] if key is not None else []
    return _ask(plan, [*conditions, *plan.filter], sources(plan.key), top)


def _stamped(plan: Plan, since: Stamp | None, stamp: str | None, key: str | None, top: int) -> list[Mapping[str, Any]]:
    """Records after a position. Where their page ended inside a group of one stamp, first the rest of the group."""
    assert plan.stamp is not None
    name, order = plan.stamp.source, [plan.stamp.source, *sources(plan.key)]
    if stamp is None:
        low = [f"{name} ge {stamp_literal(since, plan.stamp.edm, plan.stamp.field.scale)}"] if since is not None else []
        some = low or ([] if plan.stamped else [f"{name} ne null"])
        return _ask(plan, [*some, *plan.filter], order, top)
    if key is None:
        return _ask(plan, [f"{name} gt {stamp}", *plan.filter], order, top)
    rest = f"{name} eq {stamp} and {beyond(key, plan.key)}"
    if plan.service.dialect.joins_fields:
        return _ask(plan, [f"({name} gt {stamp} or ({rest}))", *plan.filter], order, top)
    rows = _ask(plan, [rest, *plan.filter], sources(plan.key), top)
    if len(rows) < top:
        rows += _ask(plan, [f"{name} gt {stamp}", *plan.filter], order, top - len(rows))
    return rows


def _ask(plan: Plan, conditions: Sequence[str], order: Sequence[str], top: int) -> list[Mapping[str, Any]]:
    [(rows, refused)] = _replies(plan, [address(plan.place, plan.query(*conditions, order=order, top=top))], top)
    if refused is not None:
        raise refused
    return rows


def _page(plan: Plan, rows: Sequence[Mapping[str, Any]], limit: int, stamp: str | None, since: Stamp | None) -> Page:
    """The page and where the next one begins: after a stamp where the next record has another, else after a key."""
    if len({plan.is_same(row) for row in rows}) < len(rows):
        raise SideFailed(Failure("connection_failed", {"detail": "its pages repeat records"}))
    kept = rows[:limit]
    records = plan.records(kept, filtered=True)
    if since is not None:
        records = [record for record in records if record.modified_on is None or record.modified_on >= since]
    if len(rows) <= limit:
        return Page(records, None)
    last, after = kept[-1], rows[limit]
    at = None if stamp is None else last.get(stamp)
    if at is None:
        return Page(records, _cursor("unstamped", None, plan.place_of(last)))
    within = after.get(stamp or "") == at
    return Page(records, _cursor("stamped", at, plan.place_of(last) if within else None))


def _cursor(phase: str, stamp: str | None, key: Any) -> str:
    return orjson.dumps([phase, stamp, key]).decode()


def _position(cursor: str | None, *, unstamped: bool) -> tuple[str, str | None, Any]:
    if cursor is None:
        return ("unstamped" if unstamped else "stamped"), None, None
    phase, stamp, key = orjson.loads(cursor)
    return phase, stamp, None if key is None else str(key)


def count(plan: Plan, since: Stamp, until: Stamp) -> int | None:
    """How many records have a stamp in a range."""
    if plan.stamp is None:
        return None
    if plan.nothing:
        return 0
    edm, scale = plan.stamp.edm, plan.stamp.field.scale
    low, high = stamp_literal(since, edm, scale), stamp_literal(until, edm, scale)
    # What is finer than the property was cut off: a moment inside a tick is after it.
    least = "ge" if stamp_in(low) == since else "gt"
    conditions = [f"{plan.stamp.source} {least} {low}", f"{plan.stamp.source} le {high}", *plan.filter]
    query = {"$select": sources(plan.key)[0], "$filter": " and ".join(conditions), "$top": "1", "$count": "true"}
    target = address(plan.place, query)
    page = _page_at(plan, target)
    found = page.get("@odata.count", page.get("@count"))
    largest = plan.service.dialect.largest_count
    number = int(found) if isinstance(found, int | str) and str(found).isdigit() else None
    return None if number is None or (largest is not None and number >= largest) else number


def _page_at(plan: Plan, target: str) -> Mapping[str, Any]:
    """The answer at a target, however long that is. Raises Refused."""
    if len(target) <= LONGEST_LINE or plan.service.settings.batch == "none":
        return plan.service.get(target, context_of(plan))
    [reply] = send_all(plan.service, [Request("GET", target, {"Accept": "application/json"})])
    if not reply.ok or not isinstance(reply.body, dict):
        raise Refused(failure_of(said_of(reply), context_of(plan)), reply.status)
    return reply.body


def fetch(plan: Plan, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
    """Records by key. Keys that no record can have find nothing."""
    if filtered and plan.nothing:
        return {}
    rows = _rows_of(plan, keys, plan.filter if filtered else [])
    records = {record.key: record for record in plan.records(rows, filtered=filtered)}
    return {key: records[key] for key in keys if key in records}


def fetch_made(plan: Plan, keys: Collection[str], hands: tuple[str, str]) -> tuple[dict[str, Record], set[str]]:
    """Records that were just made, by key, and the keys of those that another user has changed since: `hands` are the
    fields that say who made a record and who changed it last."""
    rows = _rows_of(plan, keys, [], hands) if keys else []
    moved = {plan.key_of(row) for row in rows if row.get(hands[0]) != row.get(hands[1])}
    return {record.key: record for record in plan.records(rows, filtered=False)}, moved


def _rows_of(
    plan: Plan, keys: Collection[str], conditions: Sequence[str], more: Sequence[str] = ()
) -> list[Mapping[str, Any]]:
    wanted: list[str] = []
    for key in keys:
        try:
            wanted.append(one_is(key, plan.key) if plan.key.parts else literal(key, plan.key.edm))
        except ValueError:
            continue
    if plan.key.parts:
        weight = len(plan.key.parts)
        return _in_portions(plan, wanted, lambda some: [any_of(some), *conditions], weight=weight, more=more)
    return _in_portions(plan, wanted, lambda some: [one_of(plan.key.source, some), *conditions], more=more)


def find(plan: Plan, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]) -> list[Record]:
    """Records by values."""
    if plan.nothing or not wanted:
        return []
    properties = [plan.table.property(name) for name in fields]
    if any(one.made_of and not one.parts for one in properties):
        properties, wanted = _unmade(plan, properties, wanted)
    places = range(len(fields))
    if len(fields) > 1 and not plan.service.dialect.joins_fields:
        # Only comparisons of one field may be joined: the one with the most different values says the most.
        most = max(places, key=lambda place: len({values[place] for values in wanted}))
        places = range(most, most + 1)
    conditions: dict[str, None] = {}
    for values in wanted:
        try:
            conditions[found_by([properties[place] for place in places], [values[place] for place in places])] = None
        except ValueError:
            continue
    weight = 2 * len(places)
    rows = _in_portions(plan, list(conditions), lambda some: [any_of(some), *plan.filter], weight=weight)
    unique = {plan.is_same(row): row for row in rows}
    return plan.records(list(unique.values()), filtered=True)


def _unmade(
    plan: Plan, properties: list[Property], wanted: Collection[tuple[Scalar, ...]]
) -> tuple[list[Property], Collection[tuple[Scalar, ...]]]:
    """What is looked for by fields of the service alone; what no record can have is left out."""
    service, table = plan.service, plan.table
    for place, one in enumerate(properties):
        if one.made_of and not one.parts:
            pairs = [(values, service.dialect.unmade(one, values[place], service.gather)) for values in wanted]
            found = [(values, pair) for values, pair in pairs if pair is not None]
            wanted = [(*values[:place], pair[1], *values[place + 1 :]) for values, pair in found]
            properties = [
                *properties[:place],
                *(table.property(pair[0]) for _, pair in found[:1]),
                *properties[place + 1 :],
            ]
    return properties, wanted


def _in_portions(
    plan: Plan, pieces: list[str], conditions: Any, *, weight: int = 1, more: Sequence[str] = ()
) -> list[Mapping[str, Any]]:
    """The rows for many pieces of a condition, a portion at a time, all portions in one batch where there is one."""
    rows: list[Mapping[str, Any]] = []
    left = pieces
    while left:
        most = plan.service.shared.keep("comparisons", partial(_forever, COMPARISONS))
        portions = _portions(left, max(most // weight, 1))
        targets = [address(plan.place, plan.query(*conditions(one), more=more)) for one in portions]
        replies = _replies(plan, targets)
        left = []
        for portion, (found, refused) in zip(portions, replies, strict=True):
            rows += found
            if refused is None:
                continue
            if len(portion) * weight <= _FEWEST or refused.failure.stops_run or refused.failure.transient:
                raise refused
            left += portion
        if left:
            plan.service.shared.forget("comparisons")
            plan.service.shared.keep("comparisons", partial(_forever, max(most // 2, _FEWEST)))
    return rows


def _forever(number: int) -> tuple[int, float]:
    return number, float("inf")


def _portions(pieces: Sequence[str], most: int) -> list[list[str]]:
    portions: list[list[str]] = [[]]
    size = 0
    for piece in pieces:
        size += 3 * len(piece)  # Blanks and quotes take three characters in a URL.
        if portions[-1] and (len(portions[-1]) >= most or size > LONGEST_URL):
            portions.append([])
            size = 3 * len(piece)
        portions[-1].append(piece)
    return portions


def _replies(
    plan: Plan, targets: Sequence[str], top: int = _ALL
) -> list[tuple[list[Mapping[str, Any]], Refused | None]]:
    """Up to `top` rows at each target, or why they were refused; several targets, and those that are too long for the
    line of a request, in one batch."""
    if plan.service.settings.batch == "none" or (len(targets) == 1 and len(targets[0]) <= LONGEST_LINE):
        return [_collected(plan, target, top) for target in targets]
    found: list[_Found] = []
    headers = {"Accept": "application/json", **plan.service.dialect.row_headers}
    for reply in send_all(plan.service, [Request("GET", target, headers) for target in targets]):
        if not reply.ok or not isinstance(reply.body, dict):
            found.append(([], Refused(failure_of(said_of(reply), context_of(plan)), reply.status)))
            continue
        rows: list[Mapping[str, Any]] = list(rows_of(reply.body))
        following = next_link(reply.body)
        if following is not None and len(rows) < top:
            more, refused = _collected(plan, following, top - len(rows))
            found.append((rows + more, refused))
        else:
            found.append((rows[:top], None))
    return found


def _collected(plan: Plan, target: str, top: int) -> _Found:
    headers, key = plan.service.dialect.row_headers, plan.is_same
    try:
        rows = plan.service.collect(target, context_of(plan), top, headers=headers, exact=plan.exact, key=key)
        return list(rows), None
    except Refused as refused:
        return [], refused


def context_of(plan: Plan) -> Context:
    """What a question about a table was about."""
    return Context(plan.selection.table, fields=list(plan.table.properties))

"""Writing by a plan: requests in batches, each an outcome of its own, and records as the service says they are now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

import orjson

from service.connectors.base import Deletion, Insert, Result, Update
from service.connectors.odata import multiple
from service.connectors.odata.batch import Reply, Request, said_of, send_all
from service.connectors.odata.bodies import body_of, changed
from service.connectors.odata.creating import PREFER, Target, created_at, created_keys, exists, is_unknown, target_of
from service.connectors.odata.failures import Context, Refused, failure_of
from service.connectors.odata.keys import segment, sources
from service.connectors.odata.plan import Plan, etag_of
from service.connectors.odata.read import fetch, fetch_made
from service.connectors.odata.service import key_in
from service.connectors.odata.values import payload
from service.core.failures import Category, Failure, SideFailed
from service.core.records import Record, Scalar

Guarded = TypeVar("Guarded", Update, Deletion)

_ANY = "*"
_SILENT = Reply(204, {}, None)
"""A write that was done and of which nothing was said."""


def insert(plan: Plan, items: Sequence[Insert]) -> list[Result]:
    """Create records; each result is the record as it stands, or why it was refused."""
    plan.service.dialect.writes_begin()
    given = [_with_key(plan, item) for item in items]
    bodies: dict[int, bytes] = {}
    results: dict[int, Result] = {}
    for place, values in enumerate(given):
        body = body_of(plan, values, new=True)
        if isinstance(body, Failure):
            results[place] = body
        else:
            bodies[place] = body
    made = multiple.create(plan, bodies)
    written: dict[int, tuple[str | None, Reply]] = {place: (key, _SILENT) for place, key in made.items()}
    left = {place: body for place, body in bodies.items() if place not in made}
    targets = {place: target for place in left if (target := target_of(plan, given[place])) is not None}
    for place, reply in _created(plan, left, given, targets).items():
        if reply.ok:
            written[place] = (_text(given[place].get(plan.selection.key)), reply)
        else:
            there = exists(targets[place], reply) if place in targets else None
            results[place] = there or _refused(plan, "insert", reply, items[place].values, None)
    unsaid = {place for place, (key, reply) in written.items() if key is None and place in targets and not reply.body}
    for place, key in created_keys(plan, {place: targets[place] for place in unsaid}, given).items():
        written[place] = (key, written[place][1])
    return _answers(plan, len(items), results, written, set(made.values()))


def _text(value: Scalar) -> str | None:
    return None if value in (None, "") else str(value)


def _with_key(plan: Plan, item: Insert) -> Mapping[str, Scalar]:
    """The values of a new record, with the key that was chosen for it."""
    if item.key is None or plan.key.field.read_only:
        return item.values
    return {**item.values, plan.selection.key: item.key}


def _created(
    plan: Plan, bodies: Mapping[int, bytes], given: Sequence[Mapping[str, Scalar]], targets: dict[int, Target]
) -> dict[int, Reply]:
    """The reply to each creation. `targets` loses those whose service turns out not to create by a PATCH."""
    requests = {place: Request("POST", plan.place, {"Prefer": PREFER}, body) for place, body in bodies.items()}
    requests |= {place: created_at(plan, target, given[place]) for place, target in targets.items()}
    replies = _sent(plan, requests)
    again = [place for place in targets if is_unknown(plan, replies[place])]
    if again:
        plan.service.upserts_no_more(plan.table)
        for place in again:
            del targets[place]
        replies |= _created(plan, {place: bodies[place] for place in again}, given, {})
    return replies


def update(plan: Plan, items: Sequence[Update]) -> list[Result]:
    """Write values over records."""
    plan.service.dialect.writes_begin()
    results: dict[int, Any] = {}
    etags = _etags(plan, items, results, missing=True)
    requests: dict[int, Request] = {}
    written: dict[int, tuple[str | None, Reply]] = {}
    for place, etag in etags.items():
        key, values = items[place].record.key, items[place].values
        body = changed(plan, key, values)
        address = _address(plan, items[place].record)
        if isinstance(body, Failure) or address is None:
            results[place] = body if isinstance(body, Failure) else _gone(plan, key)
        elif body == b"{}":
            written[place] = (key, _SILENT)
        else:
            requests[place] = Request("PATCH", address, {"If-Match": etag, "Prefer": PREFER}, body)
    done: Collection[int] = ()
    if plan.service.dialect.multiple:
        sure = {place: one for place, one in requests.items() if not items[place].guarded}
        done = multiple.update(plan, {place: _named(plan, items[place].record.key, one) for place, one in sure.items()})
        written |= {place: (items[place].record.key, _SILENT) for place in done}
    left = {place: one for place, one in requests.items() if place not in done} if done else requests
    for place, reply in _sent(plan, left).items():
        if reply.ok:
            written[place] = (items[place].record.key, reply)
        else:
            results[place] = _refused(plan, "update", reply, items[place].values, items[place].record)
    return _answers(plan, len(items), results, written)


def delete(plan: Plan, items: Sequence[Deletion]) -> list[Failure | None]:
    """Delete records; one that is gone already is what was wanted."""
    results: dict[int, Any] = {}
    etags = _etags(plan, items, results, missing=False)
    requests = {
        place: Request("DELETE", address, {"If-Match": etag})
        for place, etag in etags.items()
        if (address := _address(plan, items[place].record)) is not None
    }
    for place, reply in _sent(plan, requests).items():
        if not reply.ok:
            failure = _refused(plan, "delete", reply, {}, items[place].record)
            results[place] = None if failure.code == "partner_deleted" else failure
    return [results.get(place) for place in range(len(items))]


def _named(plan: Plan, key: str, request: Request) -> bytes:
    """The body of an update with the key of its record among the members."""
    name = orjson.dumps({plan.key.source: payload(key, plan.key.edm)})
    return name[:-1] + b"," + (request.body or b"{}")[1:]


def _address(plan: Plan, record: Record) -> str | None:
    """Where a record is; None for one that no record can be."""
    own = plan.own_key is not plan.key and record.raw is None
    known = fetch(plan, [record.key], filtered=False).get(record.key) if own else record
    if known is None:
        return None
    try:
        return plan.place + segment(known.raw[0] if known.raw is not None else known.key, plan.own_key)
    except ValueError:
        return None


def _gone(plan: Plan, key: str) -> Failure:
    return Failure("partner_deleted", {"table": plan.selection.table, "key": key}, (plan.selection.table,))


def _etags(plan: Plan, items: Sequence[Guarded], results: dict[int, Any], *, missing: bool) -> dict[int, str]:
    """What each write is made conditional on; results for those that are known to be refused.

    Where an ETag is no version (or there is none), guarded records are read again and compared first, all in one go;
    an edit between that and the write is still refused where the ETag tells it. An unguarded write says "*", so that a
    record that is gone is not created by it.
    """
    again = [item.record for item in items if item.guarded and not _sure(plan, item.record)]
    now = fetch(plan, [record.key for record in again], filtered=False) if again else {}
    etags: dict[int, str] = {}
    for place, item in enumerate(items):
        record = item.record
        if not item.guarded:
            etags[place] = _ANY
        elif _sure(plan, record):
            etags[place] = _etag(record) or _ANY
        elif record.key not in now:
            results[place] = _gone(plan, record.key) if missing else None
        elif now[record.key] != record or (record.raw is not None and _etag(now[record.key]) != _etag(record)):
            results[place] = Failure("record_moved", {"table": plan.selection.table, "key": record.key})
        else:
            etags[place] = _etag(now[record.key]) or _ANY
    return etags


def _sure(plan: Plan, record: Record) -> bool:
    """Whether the service itself refuses a write to a record that is in another state."""
    return plan.service.dialect.versions and _etag(record) is not None


def _etag(record: Record) -> str | None:
    return record.raw[1] if record.raw is not None else None


# Answers


def _sent(plan: Plan, requests: Mapping[int, Request]) -> dict[int, Reply]:
    """The reply to each request, by place. SideFailed where the batch as a whole is refused."""
    try:
        replies = send_all(plan.service, list(requests.values()), plan.service.permit, exact=plan.exact)
        return dict(zip(requests, replies, strict=True))
    except Refused as refused:
        raise SideFailed(refused.failure) from None


def _refused(plan: Plan, privilege: str, reply: Reply, values: Mapping[str, Scalar], record: Record | None) -> Failure:
    """Why a write was refused. A refusal to find the whole table means that it cannot be written to."""
    names = [plan.selection.key, *plan.table.properties]
    key = record.key if record is not None else None
    own = str(record.raw[0]) if record is not None and record.raw is not None else None
    context = Context(plan.selection.table, privilege, names, key, list(values.values()), own)
    failure = failure_of(said_of(reply), context)
    if reply.status == 413:
        return Failure("value_rejected", {"rule": "too_large", "detail": "the record is too large"}, ("too_large",))
    if failure.code == "field_not_found" and failure.category is Category.SETUP:
        raise SideFailed(failure)
    return failure


def _answers(
    plan: Plan,
    length: int,
    results: dict[int, Any],
    written: Mapping[int, tuple[str | None, Reply]],
    unseen: Collection[str] = (),
) -> list[Result]:
    """Results in order: records from the answers to their writes, else read again, all in one go. `unseen`: keys of
    records that were made without a word of their state."""
    unread: dict[int, str] = {}
    whole: dict[int, Mapping[str, Any]] = {}
    for place, (known, reply) in written.items():
        body = reply.body if isinstance(reply.body, dict) else {}
        if plan.is_complete(body) and etag_of(body) is not None:
            whole[place] = body
        else:
            key = _key_of(plan, known, reply, body)
            if key is None:
                raise SideFailed(
                    Failure("connection_failed", {"detail": "a record was created without saying its key"})
                )
            unread[place] = key
    results |= zip(whole, plan.records(list(whole.values()), filtered=False), strict=True)
    if unread:
        found = fetch(plan, [key for key in unread.values() if key not in unseen], filtered=False)
        by_us, moved = fetch_made(plan, unseen, multiple.OWN_HAND)
        found |= by_us
        for place, key in unread.items():
            results[place] = _unmoved(plan, found.get(key), key, written[place][1])
            if key in moved:
                results[place] = Failure("record_moved", {"table": plan.selection.table, "key": key})
    return [results[place] for place in range(length)]


def _unmoved(plan: Plan, record: Record | None, key: str, reply: Reply) -> Result:
    """A record that was read after its write; refused where somebody else has written to it in between, for what it
    holds now would be taken for ours."""
    if record is None:
        return _gone(plan, key)
    etag = reply.headers.get("etag")
    if etag is not None and _etag(record) is not None and etag != _etag(record):
        return Failure("record_moved", {"table": plan.selection.table, "key": key})
    return record


def _key_of(plan: Plan, known: str | None, reply: Reply, body: Mapping[str, Any]) -> str | None:
    """The key of a new record: as the answer says it, in its body or in its address; else the one we chose."""
    if all(body.get(source) is not None for source in sources(plan.key)):
        return plan.is_same(body)
    if plan.own_key is not plan.key:
        return known
    said = key_in(reply.headers.get("odata-entityid") or reply.headers.get("location") or "")
    by_alternate = said is not None and "=" in said and not plan.own_key.parts
    if said is None or (known is not None and (said.startswith("'") or by_alternate)):
        return known
    return plan.key_said(unquote(said))

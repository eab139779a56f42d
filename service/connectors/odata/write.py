"""Writing by a plan: requests in batches, each an outcome of its own, and records as the service says they are now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

import orjson

from service.connectors.base import Deletion, Insert, Result, Update
from service.connectors.odata import keys, multiple
from service.connectors.odata.batch import Reply, Request, said_of, send_all
from service.connectors.odata.failures import Context, Refused, failure_of
from service.connectors.odata.keys import segment, sources
from service.connectors.odata.plan import BLANK_GUID, Plan, etag_of
from service.connectors.odata.read import fetch, fetch_made
from service.connectors.odata.service import key_in
from service.connectors.odata.tables import Property
from service.connectors.odata.values import OutOfRange, key_segment, payload
from service.core.compare import is_option, not_an_option
from service.core.failures import Category, Failure, SideFailed
from service.core.records import FieldType, Record, Scalar

Guarded = TypeVar("Guarded", Update, Deletion)

_ANY = "*"
_PREFER = "return=representation"
_SILENT = Reply(204, {}, None)
"""A write that was done and of which nothing was said."""


def insert(plan: Plan, items: Sequence[Insert]) -> list[Result]:
    """Create records; each result is the record as it stands, or why it was refused."""
    requests: dict[int, Request] = {}
    results: dict[int, Result] = {}
    for place, item in enumerate(items):
        values = dict(item.values)
        if item.key is not None and not plan.key.field.read_only:
            values[plan.selection.key] = item.key
        body = _body(plan, values, new=True)
        if isinstance(body, Failure):
            results[place] = body
        else:
            requests[place] = Request("POST", plan.place, {"Prefer": _PREFER}, body)
    made = multiple.create(plan, {place: one.body or b"{}" for place, one in requests.items()})
    written: dict[int, tuple[str | None, Reply]] = {place: (key, _SILENT) for place, key in made.items()}
    for place, reply in _sent(plan, {at: one for at, one in requests.items() if at not in made}).items():
        if reply.ok:
            written[place] = (items[place].key, reply)
        else:
            results[place] = _refused(plan, "insert", reply, items[place].values, None)
    return _answers(plan, len(items), results, written, set(made.values()))


def update(plan: Plan, items: Sequence[Update]) -> list[Result]:
    """Write values over records."""
    results: dict[int, Any] = {}
    etags = _etags(plan, items, results, missing=True)
    requests: dict[int, Request] = {}
    written: dict[int, tuple[str | None, Reply]] = {}
    for place, etag in etags.items():
        key, values = items[place].record.key, items[place].values
        body = _changes(plan, key, values)
        address = _address(plan, items[place].record)
        if isinstance(body, Failure) or address is None:
            results[place] = body if isinstance(body, Failure) else _gone(plan, key)
        elif body == b"{}":
            written[place] = (key, _SILENT)
        else:
            requests[place] = Request("PATCH", address, {"If-Match": etag, "Prefer": _PREFER}, body)
    sure = {place: one for place, one in requests.items() if not items[place].guarded}
    done = multiple.update(plan, {place: _named(plan, items[place].record.key, one) for place, one in sure.items()})
    written |= {place: (items[place].record.key, _SILENT) for place in done}
    for place, reply in _sent(plan, {at: one for at, one in requests.items() if at not in done}).items():
        if reply.ok:
            written[place] = (items[place].record.key, reply)
        else:
            results[place] = _refused(plan, "update", reply, items[place].values, items[place].record.key)
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
            failure = _refused(plan, "delete", reply, {}, items[place].record.key)
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


# Bodies


def _changes(plan: Plan, key: str, values: Mapping[str, Scalar]) -> bytes | Failure:
    """The body of an update. The key of a record cannot be changed."""
    known = {plan.selection.key: key, **dict(zip(sources(plan.key), keys.values_of(key, plan.key), strict=True))}
    for name in known:
        if name in values and str(values[name]) != known[name]:
            return Failure("value_rejected", {"field": name, "rule": "key_cannot_change"}, (name, "key_cannot_change"))
    return _body(plan, {field: value for field, value in values.items() if field not in known}, new=False)


def _body(plan: Plan, values: Mapping[str, Scalar], *, new: bool) -> bytes | Failure:
    """Values as JSON, or the first reason why the service could not take them. SideFailed(`field_not_found`)."""
    members: dict[str, Any] = {}
    refusal = plan.service.dialect.refusal(plan.selection.table, values, new=new)
    if refusal is not None:
        return refusal
    for name, value in values.items():
        property = plan.table.property(name)
        misfit = _misfit(property, value)
        if misfit is not None:
            return misfit
        if new and value is None:
            continue  # It is empty all the same, and some services refuse a null for what has a default.
        try:
            _put(plan, members, property, value)
        except OutOfRange:
            return _rejected(property, "out_of_range")
        except ValueError:
            return _rejected(property, "not_a", expected=property.field.type.value)
    try:
        return orjson.dumps(members)
    except TypeError:
        names = [name for name, value in values.items() if isinstance(value, str) and not _is_sendable(value)]
        return _rejected(plan.table.property(names[0]) if names else plan.key, "not_a", expected="text")


def _put(plan: Plan, members: dict[str, Any], property: Property, value: Scalar) -> None:
    if value is None and property.edm == "Edm.Guid" and plan.service.dialect.blank_guids:
        members[property.source] = BLANK_GUID
    elif property.bind is None:
        members[property.source] = payload(value, property.edm, property.field.scale)
    elif value is None:
        members[f"{property.field.name}@odata.bind"] = None
    else:
        place = plan.service.place(property.bind)
        members[f"{property.field.name}@odata.bind"] = f"/{place}{key_segment(str(value), property.edm)}"


def _misfit(property: Property, value: Scalar) -> Failure | None:
    """What the metadata rules out, told with the field's name before anybody is asked."""
    field = property.field
    if value is None:
        return None if field.nullable or property.bind is not None else _rejected(property, "not_null")
    if field.type is FieldType.STRING and field.length is not None and len(str(value)) > field.length:
        params = {"field": field.name, "length": len(str(value)), "maximum": field.length}
        return Failure("value_too_long", params, (field.name,))
    if field.options and not is_option(value, field):
        return not_an_option(value, field)
    return None


def _rejected(property: Property, rule: str, **more: Any) -> Failure:
    name = property.field.name
    return Failure("value_rejected", {"field": name, "rule": rule, **more}, (name, rule))


def _is_sendable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# Answers


def _sent(plan: Plan, requests: Mapping[int, Request]) -> dict[int, Reply]:
    """The reply to each request, by place. SideFailed where the batch as a whole is refused."""
    try:
        return dict(zip(requests, send_all(plan.service, list(requests.values()), plan.service.permit), strict=True))
    except Refused as refused:
        raise SideFailed(refused.failure) from None


def _refused(plan: Plan, privilege: str, reply: Reply, values: Mapping[str, Scalar], key: str | None) -> Failure:
    """Why a write was refused. A refusal to find the whole table means that it cannot be written to."""
    names = [plan.selection.key, *plan.table.properties]
    failure = failure_of(said_of(reply), Context(plan.selection.table, privilege, names, key, list(values.values())))
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
    for place, (known, reply) in written.items():
        body = reply.body if isinstance(reply.body, dict) else {}
        if plan.is_complete(body) and etag_of(body) is not None:
            [results[place]] = plan.records([body], filtered=False)
        else:
            key = _key_of(plan, known, reply, body)
            if key is None:
                raise SideFailed(
                    Failure("connection_failed", {"detail": "a record was created without saying its key"})
                )
            unread[place] = key
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
    if said is None or (known is not None and said.startswith("'")):
        return known
    return plan.key_said(unquote(said))

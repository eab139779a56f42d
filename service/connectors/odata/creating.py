"""Requests that create records, so that sending one twice makes no second record and writes over none.

Where the service takes it, that is an upsert which may not update: a `PATCH` to the address that the record will have,
with `If-None-Match: *` (OData 4.01, part 1, 11.4.4). The key is then no matter of whether the service heeds what stands
in a body, and a record that is there already is a 412, in whatever language the service speaks. Elsewhere it is a
`POST` with the key among the values, which creates by its nature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from service.connectors.odata.alternates import active, is_addressable
from service.connectors.odata.batch import Reply, Request, said_of
from service.connectors.odata.bodies import body_of
from service.connectors.odata.keys import named_segment, segment
from service.connectors.odata.plan import Plan
from service.connectors.odata.read import find
from service.connectors.odata.tables import Property
from service.core.failures import Failure
from service.core.records import Scalar

PREFER = "return=representation"

_NO_UPSERT = (404, 405, 501)
"""How services refuse to create by a PATCH; nothing of it was carried out."""

_ANOTHER_KEY = ("0x80060892",)
"""What Dataverse says with a 412 that is about an alternate key, and not about the address."""

_ELASTIC = "partitionid"
"""The property that only elastic tables of Dataverse have; an upsert there replaces what it finds."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a record will be: its address, and the fields that the address has, which the body then does not repeat."""

    address: str
    fields: tuple[str, ...]


def target_of(plan: Plan, values: Mapping[str, Scalar]) -> Target | None:
    """The address under which a record with these values is created; None where it is created by a POST."""
    if not plan.service.upserts(plan.table) or (plan.service.dialect.multiple and _ELASTIC in plan.table.properties):
        return None
    own = plan.own_key.parts or (plan.own_key,)
    texts = None if any(part.field.read_only for part in own) else _texts(own, values)
    if texts is not None:
        single = not plan.own_key.parts
        return _target(plan, own, lambda: segment(texts[0], plan.own_key) if single else named_segment(texts, own))
    for parts in active(plan.table, plan.table.table.alternate_keys):
        found = _texts(parts, values)
        if found is not None and all(map(is_addressable, found)):
            return _target(plan, parts, partial(named_segment, found, parts))
    return None


def _texts(parts: Sequence[Property], values: Mapping[str, Scalar]) -> list[str] | None:
    """The values of a key; None where one is missing."""
    found = [values.get(part.field.name) for part in parts]
    return None if any(value in (None, "") for value in found) else [str(value) for value in found]


def _target(plan: Plan, parts: Sequence[Property], end: Callable[[], str]) -> Target | None:
    try:
        return Target(plan.place + end(), tuple(part.field.name for part in parts))
    except ValueError:
        return None  # What is no value of its property is refused with the field's name, by the rest of the way.


def created_at(plan: Plan, target: Target, values: Mapping[str, Scalar]) -> Request:
    """The request that creates a record at its address, which the body does not repeat; refused where there is one."""
    body = body_of(plan, {name: value for name, value in values.items() if name not in target.fields}, new=True)
    assert isinstance(body, bytes)  # The same values have been a body before, of a POST.
    return Request("PATCH", target.address, {"If-None-Match": "*", "Prefer": PREFER}, body)


def created_keys(plan: Plan, targets: Mapping[int, Target], given: Sequence[Mapping[str, Scalar]]) -> dict[int, str]:
    """The keys of records that were created by an alternate key, and of which the service said nothing more."""
    found: dict[int, str] = {}
    for fields in {target.fields for target in targets.values()}:
        places = [place for place, target in targets.items() if target.fields == fields]
        wanted = {place: tuple(given[place][name] for name in fields) for place in places}
        at = [plan.selection.fields.index(name) for name in fields]
        keys = {tuple(record.values[one] for one in at): record.key for record in find(plan, fields, wanted.values())}
        found |= {place: keys[values] for place, values in wanted.items() if values in keys}
    return found


def is_unknown(plan: Plan, reply: Reply) -> bool:
    """Whether a service, of which it was only thought that it creates by a PATCH, does not know how."""
    return reply.status in _NO_UPSERT and not plan.service.dialect.upserts


def exists(target: Target, reply: Reply) -> Failure | None:
    """That a record is there already at the address; None where the refusal is about something else."""
    if reply.status != 412 or said_of(reply).code in _ANOTHER_KEY:
        return None
    name = ", ".join(target.fields)
    return Failure("value_rejected", {"field": name, "rule": "unique"}, (name, "unique"))

"""Values as the bodies of requests, and what the metadata rules out before anybody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from service.connectors.odata import keys
from service.connectors.odata.alternates import is_addressable
from service.connectors.odata.keys import sources, through_segment
from service.connectors.odata.plan import BLANK_GUID, Plan
from service.connectors.odata.tables import Property
from service.connectors.odata.values import OutOfRange, key_segment, payload
from service.core.compare import is_option, not_an_option
from service.core.failures import Failure
from service.core.records import FieldType, Scalar


def changed(plan: Plan, key: str, values: Mapping[str, Scalar]) -> bytes | Failure:
    """The body of an update. The key of a record cannot be changed."""
    if plan.key_names.isdisjoint(values):
        return body_of(plan, values, new=False)
    known = {plan.selection.key: key, **dict(zip(sources(plan.key), keys.values_of(key, plan.key), strict=True))}
    for name in known:
        if name in values and str(values[name]) != known[name]:
            return Failure("value_rejected", {"field": name, "rule": "key_cannot_change"}, (name, "key_cannot_change"))
    return body_of(plan, {field: value for field, value in values.items() if field not in known}, new=False)


def body_of(plan: Plan, values: Mapping[str, Scalar], *, new: bool) -> bytes | Failure:
    """Values as JSON, or the first reason why the service could not take them. SideFailed(`field_not_found`)."""
    members: dict[str, Any] = {}
    refusal = plan.service.dialect.refusal(plan.selection.table, values, new=new)
    if refusal is not None:
        return refusal
    for name, value in values.items():
        property = plan.table.property(name)
        if property.made_of and not property.parts and not (new and value is None):
            found = plan.service.dialect.unmade(property, value, plan.service.gather)
            if found is None:
                return _rejected(property, "foreign_key")
            property, value = plan.table.property(found[0]), found[1]
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
        members[f"{property.through or property.field.name}@odata.bind"] = None
    else:
        place, through = plan.service.place(property.bind), property.through
        end = through_segment(str(value), property) if through else key_segment(str(value), property.edm)
        members[f"{through or property.field.name}@odata.bind"] = f"/{place}{end}"


def _misfit(property: Property, value: Scalar) -> Failure | None:
    """What the metadata rules out, told with the field's name before anybody is asked."""
    field = property.field
    if value is None:
        return None if field.nullable or property.bind is not None else _rejected(property, "not_null")
    if field.type is FieldType.STRING and field.length is not None and len(str(value)) > field.length:
        params = {"field": field.name, "length": len(str(value)), "maximum": field.length}
        return Failure("value_too_long", params, (field.name,))
    if property.through is not None and not is_addressable(str(value)):
        return _rejected(property, "not_in_address")
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

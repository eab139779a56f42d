"""Filters and addresses in OData's words, for one entity set."""

from __future__ import annotations

from collections.abc import Sequence

from service.connectors.odata.tables import EntitySet, Property
from service.connectors.odata.values import literal
from service.core.compare import canonical
from service.core.failures import Failure, SideFailed
from service.core.records import Condition, FieldType, Scalar

NOTHING = "nothing"
"""The condition that no record meets; nobody has to be asked."""

_CHAIN = 20
_COMPARISONS = ("lt", "le", "gt", "ge")


def filter_of(table: EntitySet, lines: Sequence[Condition]) -> list[str]:
    """The lines of a filter, each as a condition; [NOTHING] where no record can meet them all. SideFailed
    (`field_not_found`, `mapping_invalid` for a value that its field cannot have)."""
    conditions = [_condition(table.property(line.field), line) for line in lines]
    return [NOTHING] if NOTHING in conditions else conditions


def joined(conditions: Sequence[str]) -> str:
    """All of the conditions."""
    return " and ".join(conditions)


def one_of(source: str, literals: Sequence[str]) -> str:
    """The condition that a property is one of some values: comparisons of one property, which every service knows."""
    return any_of([f"{source} eq {one}" for one in literals])


def any_of(conditions: Sequence[str]) -> str:
    """At least one of the conditions. In halves, because services go down as deep as a chain of them is long."""
    if len(conditions) <= _CHAIN:
        return "(" + " or ".join(conditions) + ")"
    middle = len(conditions) // 2
    return f"({any_of(conditions[:middle])} or {any_of(conditions[middle:])})"


def literal_of(property: Property, value: Scalar) -> str:
    """A value of a property. Raises ValueError for one that no record can have."""
    return literal(value, property.edm, property.field.scale)


def found_by(properties: Sequence[Property], values: Sequence[Scalar]) -> str:
    """The condition that properties have these values, trailing blanks of texts aside. Raises ValueError."""
    return "(" + " and ".join(_same(*pair) for pair in zip(properties, values, strict=True)) + ")"


def _same(property: Property, value: Scalar) -> str:
    if property.edm != "Edm.String":
        return f"{property.source} eq {literal_of(property, value)}"
    bare = str(value).rstrip(" ")
    exact, padded = literal_of(property, bare), literal_of(property, bare + " ")
    return f"({property.source} eq {exact} or startswith({property.source},{padded}))"


def _condition(property: Property, line: Condition) -> str:
    source, value = property.source, line.value
    if property.made_of and not property.parts:
        params = {"field": property.field.name, "type": property.field.type.value}
        raise SideFailed(Failure("mapping_invalid", params, (property.field.name,)))
    if line.op == "isNull":
        return f"{source} {'ne' if value is False else 'eq'} null"
    if line.op in ("startsWith", "contains"):
        return f"{line.op.lower()}({source},{_wanted(property, str(value))})"
    if line.op == "in":
        listed = [_wanted(property, one) for one in value if one is not None]
        listed += ["null"] if None in value else []
        return one_of(source, listed) if listed else NOTHING
    if value is None:
        return NOTHING if line.op in _COMPARISONS else f"{source} {line.op} null"
    wanted = _wanted(property, value)
    if line.op == "ne":  # Whatever a service makes of a comparison with nothing, a record without a value passes.
        return f"({source} ne {wanted} or {source} eq null)" if property.field.nullable else f"{source} ne {wanted}"
    return f"{source} {line.op} {wanted}"


def _wanted(property: Property, value: Scalar) -> str:
    try:
        plain = value if property.field.type is FieldType.JSON else canonical(value, property.field.type)
        return literal_of(property, plain)
    except ValueError:
        params = {"field": property.field.name, "type": property.field.type.value}
        raise SideFailed(Failure("mapping_invalid", params, (property.field.name,))) from None


_TEXTS = ("eq", "ne", "in", "startsWith", "contains")


def looked_at_again(table: EntitySet, lines: Sequence[Condition]) -> tuple[Condition, ...]:
    """The lines of a filter that a service may take more generously than they are meant."""
    return tuple(line for line in lines if line.op in _TEXTS and table.property(line.field).edm == "Edm.String")

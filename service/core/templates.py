"""Default values for records that are created: the first template whose filter the source record passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.core.compare import Unconvertible, coerce
from service.core.filters import passes
from service.core.records import Condition, Direction, Field, Record, Scalar


@dataclass(frozen=True, slots=True)
class Template:
    """Values by the fields of the destination, for the records of a one-way direction that pass `filter`."""

    direction: Direction
    priority: int
    filter: tuple[Condition, ...]
    values: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Defaults:
    """A template bound to both tables: where the fields of its filter stand, and values as they are written."""

    filter: tuple[Condition, ...]
    places: tuple[tuple[str, int], ...]
    values: Mapping[str, Scalar]

    def fit(self, record: Record) -> bool:
        return passes({name: record.values[place] for name, place in self.places}, self.filter)


def template_of(written: Mapping[str, Any]) -> Template:
    """A template as a mapping writes it."""
    lines = tuple(Condition(line["field"], line["op"], line.get("value")) for line in written["filter"])
    return Template(Direction(written["direction"]), written["priority"], lines, written["values"])


def bound(
    templates: Sequence[Template],
    way: Direction,
    names: Sequence[str],
    source: Mapping[str, Field],
    target: Mapping[str, Field],
) -> tuple[Defaults, ...]:
    """The templates of a direction, in the order in which they are tried. Raises Unconvertible."""
    own = [template for template in templates if template.direction is way]
    return tuple(
        Defaults(
            tuple(_canonical(line, source[line.field]) for line in template.filter),
            tuple((line.field, names.index(line.field)) for line in template.filter),
            {name: coerce(value, None, target[name]) for name, value in template.values.items()},
        )
        for template in sorted(own, key=lambda one: one.priority)
    )


def _canonical(line: Condition, field: Field) -> Condition:
    """A condition whose value has the canonical form of its field; what cannot have it is compared as it is."""
    bare = Field(field.name, field.type)

    def canonical(value: Any) -> Any:
        try:
            return coerce(value, None, bare)
        except Unconvertible:
            return value

    match line.op:
        case "in":
            return replace(line, value=[canonical(value) for value in line.value])
        case "eq" | "ne":
            return replace(line, value=canonical(line.value))
        case _:
            return line


def defaults(templates: Sequence[Defaults], record: Record) -> Mapping[str, Scalar]:
    """The values of the first template that fits, none where none does."""
    return next((template.values for template in templates if template.fit(record)), {})

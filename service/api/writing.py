"""Answers become plain values without a call of marshmallow for each field of each item, which costs far more.

What a field says is decided once, when its schema writes for the first time; a kind not known here writes itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import marshmallow as ma
from marshmallow import fields

Writer = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One field of an answer: where its value is, what it is called outside, and how the value is written."""

    attribute: str
    name: str
    default: Any
    write: Writer


def steps_of(schema: ma.Schema) -> tuple[Step, ...]:
    """What writes the objects of a schema, field by field."""
    return tuple(
        Step(field.attribute or name, field.data_key or name, field.dump_default, _writer(field))
        for name, field in schema.dump_fields.items()
    )


def written(steps: tuple[Step, ...], item: Any) -> dict[str, Any]:
    """An object, or a dict, as an answer says it; what it lacks is left out."""
    found: dict[str, Any] = {}
    is_dict = isinstance(item, dict)
    for step in steps:
        value = item.get(step.attribute, ma.missing) if is_dict else getattr(item, step.attribute, ma.missing)
        if value is ma.missing:
            value = step.default() if callable(step.default) else step.default
        if value is not ma.missing:
            found[step.name] = None if value is None else step.write(value)
    return found


def _writer(field: fields.Field[Any]) -> Writer:
    if isinstance(field, fields.Nested) and not field.many:
        return _nested(field.schema)
    if isinstance(field, fields.List):
        inner = _writer(field.inner)
        return lambda values: [None if value is None else inner(value) for value in values]
    own: Any = type(field)._serialize
    if own is fields.String._serialize:
        return _text
    if own is fields.Integer._serialize:
        return int
    if own is fields.Field._serialize:
        return _as_it_is
    return lambda value: field._serialize(value, field.name, None)


def _nested(schema: ma.Schema) -> Writer:
    found: list[tuple[Step, ...]] = []

    def write(item: Any) -> Any:
        if not found:
            found.append(steps_of(schema))
        return written(found[0], item)

    return write


def _text(value: Any) -> str:
    return value if type(value) is str else str(value)


def _as_it_is(value: Any) -> Any:
    return value

"""Answers become plain values without a call of marshmallow for each field of each item, which costs far more.

What a field says is decided once, when its schema writes for the first time; a kind not known here writes itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter, itemgetter
from types import NoneType
from typing import Any

import marshmallow as ma
from marshmallow import fields

Write = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One field of an answer: where its value is, what it is called outside, and how the value is written. Values of
    the types in `same` are written as they are, None: all are. `rare`: items may lack it."""

    attribute: str
    name: str
    default: Any
    same: frozenset[type] | None
    write: Write
    rare: bool


class Plan:
    """How the objects of a schema are written."""

    def __init__(self, schema: ma.Schema) -> None:
        self._steps = tuple(
            Step(
                field.attribute or name,
                field.data_key or name,
                field.dump_default,
                _same(field),
                _writer(field),
                not field.required,
            )
            for name, field in schema.dump_fields.items()
        )
        always = [step for step in self._steps if not step.rare]
        self._rare = frozenset(step.attribute for step in self._steps if step.rare)
        self._names = tuple(step.name for step in always)
        self._looked_at = tuple((step.name, step.same, step.write) for step in always if step.same is not None)
        attributes = [step.attribute for step in always]
        self._several = len(attributes) > 1
        self._of_dict, self._of_object = itemgetter(*attributes or [""]), attrgetter(*attributes or [""])

    def written(self, item: Any) -> dict[str, Any]:
        """An object, or a dict, as an answer says it; what it lacks is left out."""
        is_dict = isinstance(item, dict)
        if not self._several or (not self._rare.isdisjoint(item) if is_dict else self._rare):
            return self._one_by_one(item)
        try:
            values = self._of_dict(item) if is_dict else self._of_object(item)
        except (KeyError, AttributeError):
            return self._one_by_one(item)
        found = dict(zip(self._names, values))  # noqa: B905  (as many as there are, and asked for thousands of times)
        for name, same, write in self._looked_at:
            value = found[name]
            if type(value) not in same:
                found[name] = write(value)
        return found

    def _one_by_one(self, item: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        get = item.get if isinstance(item, dict) else partial(getattr, item)
        for step in self._steps:
            value = get(step.attribute, ma.missing)
            if value is ma.missing:
                value = step.default() if callable(step.default) else step.default
            if value is not ma.missing:
                found[step.name] = value if step.same is None or type(value) in step.same else step.write(value)
        return found


_SAME: Mapping[Any, frozenset[type] | None] = {
    fields.String._serialize: frozenset({str, NoneType}),
    fields.Integer._serialize: frozenset({int, NoneType}),
    fields.Field._serialize: None,
}
"""By how marshmallow writes a kind of field: the types of values that it writes as they are, None for all."""

_ONLY_NONE = frozenset({NoneType})


def _same(field: fields.Field[Any]) -> frozenset[type] | None:
    return _SAME.get(type(field)._serialize, _ONLY_NONE)


def _writer(field: fields.Field[Any]) -> Write:
    if isinstance(field, fields.Nested) and not field.many:
        return _nested(field.schema)
    if isinstance(field, fields.List):
        inner, same = _writer(field.inner), _same(field.inner)
        if same is None:
            return list
        return lambda values: [value if type(value) in same else inner(value) for value in values]
    return lambda value: field._serialize(value, field.name, None)


def _nested(schema: ma.Schema) -> Write:
    return Plan(schema).written

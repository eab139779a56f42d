"""Answers become plain values without a call of marshmallow for each field of each item, which costs far more.

What a field says is decided once, when its schema writes for the first time; a kind not known here writes itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from operator import attrgetter, itemgetter
from types import NoneType
from typing import Any

import marshmallow as ma
from marshmallow import fields
from orjson import Fragment

Write = Callable[[Any], Any]
WriteAll = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """One field of an answer: where its value is, what it is called outside, and how the value is written. Values of
    the types in `same` are written as they are, None: all are. `rare`: items may lack it. `write_all` writes the values
    of several items, those among them that stay as they are too."""

    attribute: str
    name: str
    default: Any
    same: frozenset[type] | None
    rare: bool
    write: Write
    write_all: WriteAll


_SOME = 4
"""From so many items on, writing them together is the faster way."""


class Plan:
    """How the objects of a schema are written."""

    def __init__(self, schema: ma.Schema) -> None:
        self._steps = tuple(
            Step(
                field.attribute or name,
                field.data_key or name,
                field.dump_default,
                _same(field),
                not field.required,
                *_writers(field),
            )
            for name, field in schema.dump_fields.items()
        )
        always = [step for step in self._steps if not step.rare]
        self._rare = frozenset(step.attribute for step in self._steps if step.rare)
        self._names = tuple(step.name for step in always)
        self._plain = all(step.name == step.attribute for step in self._steps) and not self._rare
        self._looked_at = tuple((step.name, step.same, step.write) for step in always if step.same is not None)
        places = enumerate(always)
        self._columns = tuple((place, one.same, one.write_all) for place, one in places if one.same is not None)
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

    def all_written(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        """Each of some objects, or dicts: what all of them have of one field is looked at together, which takes half
        the time once there are some."""
        read = self._of_several(items)
        if read is None:
            return [self.written(item) for item in items]
        try:
            columns: list[Sequence[Any]] = list(zip(*map(read, items)))  # noqa: B905  (all of them have each field)
        except (KeyError, AttributeError):
            return [self.written(item) for item in items]
        as_they_are = self._plain and {dict} == set(map(type, items)) and {len(self._names)} == set(map(len, items))
        for place, same, write_all in self._columns:
            column = columns[place]
            if not same.issuperset(map(type, column)):
                columns[place], as_they_are = write_all(column), False
        if as_they_are:
            return list(items)
        return [dict(zip(self._names, values)) for values in zip(*columns)]  # noqa: B905

    def _of_several(self, items: Sequence[Any]) -> Callable[[Any], Any] | None:
        """How all values of each item are read at once; None where the items are of several kinds, or lack a field."""
        kinds = set(map(type, items))
        if not self._several or len(items) < _SOME or len(kinds) != 1:
            return None
        if kinds != {dict}:
            return None if self._rare else self._of_object
        return self._of_dict if all(map(self._rare.isdisjoint, items)) else None

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

_WRITTEN: frozenset[type] = frozenset({NoneType, Fragment})
"""Of any other kind: none, and what is JSON already."""


def _same(field: fields.Field[Any]) -> frozenset[type] | None:
    return _SAME.get(type(field)._serialize, _WRITTEN)


def _writers(field: fields.Field[Any]) -> tuple[Write, WriteAll]:
    """How one value of a field is written, and how those of several items are."""
    if isinstance(field, fields.Nested) and not field.many:
        plan = Plan(field.schema)
        return plan.written, partial(_parts, plan)
    same = _same(field)
    if isinstance(field, fields.List):
        lists = partial(_lists, _same(field.inner), _writers(field.inner)[1])
        return lambda value: lists([value])[0], lists

    write = getattr(field, "written", None) or partial(_by_marshmallow, field)
    if same is None:
        return write, list
    return write, lambda column: [value if type(value) in same else write(value) for value in column]


def _by_marshmallow(field: fields.Field[Any], value: Any) -> Any:
    return field._serialize(value, field.name or "", None)


def _parts(plan: Plan, column: Sequence[Any]) -> Sequence[Any]:
    """Objects inside of items."""
    written = iter(plan.all_written([value for value in column if type(value) not in _WRITTEN]))
    return [value if type(value) in _WRITTEN else next(written) for value in column]


def _lists(same: frozenset[type] | None, write_all: WriteAll, column: Sequence[Any]) -> Sequence[Any]:
    """Lists inside of items: what is in all of them is written together."""
    lists = [value if type(value) in _WRITTEN else list(value) for value in column]
    found: Sequence[Any] = list(chain.from_iterable(value for value in lists if type(value) is list))
    if same is not None and not same.issuperset(map(type, found)):
        found = write_all(found)
    written = iter(found)
    return [list(islice(written, len(value))) if type(value) is list else value for value in lists]

"""Values to try a mapping with before it meets records: for a field, the simplest ones first, then its extremes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from service.core.composites import joined
from service.core.records import Field, FieldType, Scalar
from service.core.transforms import Step

_MODEST = 1000
"""A number that fits wherever an application sets no limit."""


def _texts(field: Field) -> list[Scalar]:
    plain: list[Scalar] = ["a", "A", "1", "a b", " a", "01", "ø"]
    if field.length is None:
        return plain
    return [text for text in plain if len(str(text)) <= field.length] + ["x" * field.length]


def _whole(field: Field) -> list[Scalar]:
    most = _MODEST if field.precision is None else 2 ** (field.precision - 1) - 1
    return [0, 1, 2, -1, most, -most]


def _decimals(field: Field) -> list[Scalar]:
    scale = 1 if field.scale is None else field.scale
    found: list[Scalar] = ["0", "1", "-1"]
    if scale > 0:
        found.append("0." + "0" * (scale - 1) + "5")
    if field.precision is not None:
        found.append("9" * max(field.precision - scale, 1))
    return found


def _moments(field: Field) -> list[Scalar]:
    found: list[Scalar] = ["2026-07-02T00:00:00.000000Z", "2026-07-02T13:14:15.000000Z"]
    if field.scale:
        found.append(f"2026-07-02T13:14:15.{'123456'[: min(field.scale, 6)].ljust(6, '0')}Z")
    return found


_SAMPLES: Mapping[FieldType, Callable[[Field], list[Scalar]]] = {
    FieldType.STRING: _texts,
    FieldType.INTEGER: _whole,
    FieldType.DECIMAL: _decimals,
    FieldType.FLOAT: lambda _: [0.0, 1.0, -1.0, 0.5],
    FieldType.BOOLEAN: lambda _: [False, True],
    FieldType.DATE: lambda _: ["2026-07-02", "1999-12-31"],
    FieldType.DATETIME: _moments,
    FieldType.TIME: lambda _: ["00:00:00", "13:14:15"],
    FieldType.UUID: lambda _: ["6f9619ff-8b86-4d01-b42d-00cf4fc964ff"],
    FieldType.BINARY: lambda _: ["YQ=="],
    FieldType.JSON: lambda _: ['{"a":1}'],
}


def _lists(field: Field) -> list[Scalar]:
    """The samples of the parts beside each other, and each part without a value."""
    columns = [samples(part) for part in field.parts]
    rows = [[column[min(row, len(column) - 1)] for column in columns] for row in range(max(map(len, columns)))]
    lone = [
        [None if place == empty else column[0] for place, column in enumerate(columns)]
        for empty, part in enumerate(field.parts)
        if part.nullable
    ]
    return [joined(values) for values in rows + lone]


def samples(field: Field) -> list[Scalar]:
    """Values that the field can hold, none among them where it can be empty."""
    if field.parts:
        return _lists(field)
    if field.options:
        return [one.value for one in field.options] + ([None] if field.nullable else [])
    return _SAMPLES[field.type](field) + ([None] if field.nullable else [])


def separated(field: Field, steps: tuple[Step, ...]) -> list[Scalar]:
    """Values with a text in their midst that means something to these steps: in each part of a composite."""
    texts = [f"a{hint}b" for hint in hints(steps)]
    if not field.parts:
        return [*texts] if field.type is FieldType.STRING else []
    found: list[Scalar] = []
    for text in texts:
        for place, part in enumerate(field.parts):
            if part.type is FieldType.STRING:
                found.append(joined([text if at == place else "c" for at in range(len(field.parts))]))
    return found


def hints(steps: tuple[Step, ...]) -> list[str]:
    """Texts that mean something to these steps: the keys and values of a map, what is replaced, a separator."""
    found: list[str] = []
    for step in steps:
        for value in step.params.values():
            found += _texts_in(value)
    return list(dict.fromkeys(found))


def _texts_in(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [*value, *(one for one in value.values() if isinstance(one, str))]
    return [value] if isinstance(value, str) else []

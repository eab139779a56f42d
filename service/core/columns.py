"""One direction of a mapping for many records at a time: what most fields of most pages want costs one look at a whole
column. Where a record needs a look of its own, the page is gone through record by record (`flow.new_values`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any

from service.core.compare import Unconvertible, coerce
from service.core.flow import Flow, Line
from service.core.records import Field, FieldType, Record, Scalar


def new_rows(flow: Flow, records: Sequence[Record]) -> list[dict[str, Scalar]] | None:
    """`flow.new_values` of many records; None where references, templates or a value that does not fit ask for each
    by itself."""
    if flow.templates or flow.refers:
        return None
    if not records:
        return []
    wanted = wanted_columns(flow.lines, records)
    if wanted is None:
        return None
    names = [line.field.name for line in flow.lines]
    if all(line.source is None for line in flow.lines):
        return [dict(zip(names, row, strict=True)) for row, _ in zip(zip(*wanted, strict=True), records, strict=False)]
    return [dict(zip(names, row, strict=True)) for row in zip(*wanted, strict=False)]


def agreeing(flow: Flow, sources: Sequence[Record], destinations: Sequence[Record]) -> list[bool]:
    """For each pair whether the destination surely holds, to the letter, all that the flow wants it to; False does not
    mean that it does not."""
    wanted = None if flow.refers or not flow.lines or not sources else wanted_columns(flow.lines, sources)
    if wanted is None:
        return [False] * len(sources)
    columns = list(zip(*(record.values for record in destinations), strict=True))
    held = zip(*(columns[line.destination] for line in flow.lines), strict=True)
    return [
        one == other and list(map(type, one)) == list(map(type, other))
        for one, other in zip(held, zip(*wanted, strict=False), strict=False)
    ]


def wanted_columns(lines: Sequence[Line], records: Sequence[Record]) -> list[Any] | None:
    """For each of the lines what it wants the destinations of some records to hold, without an end where that is a
    constant; None where a value does not fit. No line is a reference, and there are records."""
    columns = list(zip(*(record.values for record in records), strict=True))
    try:
        return [_wanted(line, columns) for line in lines]
    except Unconvertible:
        return None


def _wanted(line: Line, columns: Sequence[Sequence[Scalar]]) -> Any:
    """What the line wants the destinations of all records to hold. Raises Unconvertible."""
    if line.source is None:
        return repeat(coerce(line.constant, None, line.field))
    column = columns[line.source]
    if line.transform is not None:
        column = [line.transform(value) for value in column]
    if line.source_type is line.field.type and _stay(column, line.field):
        return column
    return [coerce(value, line.source_type, line.field) for value in column]


def _stay(column: Sequence[Scalar], field: Field) -> bool:
    """Whether `coerce` surely makes nothing else of any value of a column of the field's own type."""
    if field.options:
        return False
    if None in column:
        if not field.nullable:
            return False
        column = [value for value in column if value is not None]
    try:
        return field.type in _STAY and _STAY[field.type](column, field)
    except TypeError:  # An SQLite column may hold anything.
        return False


def _always(_column: Sequence[Any], _field: Field) -> bool:
    return True


def _strings(column: Sequence[Any], field: Field) -> bool:
    return field.length is None or max(map(len, column), default=0) <= field.length


def _integers(column: Sequence[Any], field: Field) -> bool:
    limit: int = 2 ** ((field.precision or 64) - 1)
    return not column or (-limit <= min(column) and max(column) < limit)


_DECIMAL = re.compile(r"(?!-0$)-?(0|[1-9][0-9]*)(?:\.([0-9]*[1-9]))?")
_MOST_DIGITS = 400


def _decimals(column: Sequence[Any], field: Field) -> bool:
    scale = _MOST_DIGITS if field.scale is None else field.scale
    digits = _MOST_DIGITS if field.precision is None else field.precision - (field.scale or 0)
    for value in column:
        found = _DECIMAL.fullmatch(value)
        if found is None or len(found[2] or "") > scale or len(found[1]) > digits:
            return False
    return True


def _moments(_column: Sequence[Any], field: Field) -> bool:
    return field.scale is None or field.scale >= 6


_STAY: Mapping[FieldType, Callable[[Sequence[Any], Field], bool]] = {
    **dict.fromkeys((FieldType.BOOLEAN, FieldType.FLOAT, FieldType.DATE, FieldType.TIME, FieldType.UUID), _always),
    **dict.fromkeys((FieldType.BINARY, FieldType.JSON), _always),
    FieldType.STRING: _strings,
    FieldType.INTEGER: _integers,
    FieldType.DECIMAL: _decimals,
    FieldType.DATETIME: _moments,
}

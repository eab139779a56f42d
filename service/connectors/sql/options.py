"""The values that a column may hold, where its database says so: in a CHECK constraint, or as an enumeration.

Conditions are read with sqlglot, a parser for the SQL of each database. What it cannot read, or what says something
else than a list of values, limits nothing here: the database itself still refuses what it must.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from service.connectors.sql.database import Column
from service.core.compare import canonical
from service.core.records import Field, FieldType, Option, Scalar

_Values: TypeAlias = list[Any] | None
"""The only values that pass a condition; None where it is about something else."""

_LISTED = (FieldType.STRING, FieldType.INTEGER, FieldType.DECIMAL)
"""Types whose fields have options; a truth value has its two anyway."""

_MOST = 500
"""Longer lists are data, and no options."""

_KEPT = 500
"""So many texts are not parsed again: every run looks at its tables, and they are hardly ever other ones."""


def limited(columns: dict[str, Column], found: Iterable[tuple[str, Sequence[Any]]]) -> dict[str, Column]:
    """The columns, those with options that are found for; of several lists only what is in all of them."""
    listed: dict[str, list[Any]] = {}
    for name, values in found:
        known = listed.get(name)
        listed[name] = list(values) if known is None else [value for value in known if value in values]
    return {
        name: replace(column, field=_with_options(column.field, listed.get(name))) for name, column in columns.items()
    }


def _with_options(field: Field, values: Sequence[Any] | None) -> Field:
    if not values or field.type not in _LISTED or len(values) > _MOST:
        return field
    try:
        told = [canonical(value, field.type) for value in values]
    except ValueError:
        return field
    return replace(field, options=tuple(Option(value, str(value)) for value in dict.fromkeys(told)))


def of_type(declared: str) -> list[str] | None:
    """The members of an enumeration as MariaDB writes its type: "enum('a','b')"."""
    try:
        type = exp.DataType.build(declared, dialect="mysql")
    except (SqlglotError, ValueError):
        return None
    if not type.is_type(exp.DataType.Type.ENUM):
        return None
    return [str(one.this) for one in type.expressions if isinstance(one, exp.Literal)]


@lru_cache(_KEPT)
def of_table(create: str) -> Sequence[tuple[str, list[Any]]]:
    """Columns with their values, by the CHECK constraints of a CREATE TABLE statement of SQLite."""
    try:
        table = sqlglot.parse_one(create, dialect="sqlite")
    except (SqlglotError, RecursionError):
        return ()
    checks = table.find_all(exp.CheckColumnConstraint, exp.Check)
    return [found for check in checks for found in _of_condition(check.this)]


@lru_cache(_KEPT)
def of_clause(clause: str, dialect: str) -> Sequence[tuple[str, list[Any]]]:
    """Columns with their values, by one condition: what stands in the brackets of CHECK."""
    try:
        condition = sqlglot.parse_one(clause, dialect=dialect)
    except (SqlglotError, RecursionError):
        return ()
    found: list[tuple[str, list[Any]]] = []
    if condition is not None:
        found += _of_condition(condition)
    return found


def _of_condition(condition: Any) -> Iterator[tuple[str, list[Any]]]:
    """Each part of a conjunction that is about one column. A column that may be empty passes a CHECK anyway."""
    for part in _parts(condition, exp.And):
        names = {column.name for column in part.find_all(exp.Column)}
        values = _values(part) if len(names) == 1 else None
        if values:
            yield names.pop(), values


def _parts(condition: Any, join: type[exp.Connector]) -> Iterator[Any]:
    inside = _bare(condition)
    if isinstance(inside, join):
        yield from _parts(inside.left, join)
        yield from _parts(inside.right, join)
    else:
        yield inside


def _bare(one: Any) -> Any:
    """An expression without brackets and casts around it."""
    while isinstance(one, exp.Paren | exp.Cast):
        one = one.this
    return one


def _values(part: Any) -> _Values:
    """The values that one column must have for a condition to hold; those of all branches of an OR."""
    found: list[Any] = []
    for branch in _parts(part, exp.Or):
        values = _branch(branch)
        if values is None:
            return None
        found += values
    return found


def _branch(branch: Any) -> _Values:
    match branch:
        case exp.Is() if isinstance(_bare(branch.expression), exp.Null):
            return []
        case exp.In() if isinstance(_bare(branch.this), exp.Column):
            return _literals(branch.expressions)
        case exp.EQ() if isinstance(_bare(branch.this), exp.Column):
            other = _bare(branch.expression)
            array = _bare(other.this) if isinstance(other, exp.Any) else None
            return _literals(array.expressions) if isinstance(array, exp.Array) else _literals([other])
        case _:
            return None


def _literals(expressions: Sequence[Any]) -> _Values:
    values = [_literal(_bare(one)) for one in expressions]
    return None if not values or any(value is None for value in values) else values


def _literal(one: Any) -> Scalar:
    if isinstance(one, exp.Neg) and isinstance(one.this, exp.Literal) and not one.this.is_string:
        return f"-{one.this.this}"
    return str(one.this) if isinstance(one, exp.Literal) else None

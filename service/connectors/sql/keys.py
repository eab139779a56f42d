"""The key of a table in its database: of one column or of several, as the driver's values, as a text, as conditions.

A key of one column is the driver's value for it, and its parameters are called by one name; a key of several is the
tuple of the values, and its parameters have numbers behind that name. Rows that were read begin with a key's first
value and end with its others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from service.connectors.sql.database import Column, Database
from service.connectors.sql.stamps import Expression, bind
from service.connectors.sql.values import canonical_or_text
from service.core.keys import joined, parted
from service.core.records import FieldType

if TYPE_CHECKING:
    from service.connectors.sql.session import Row


class Key:
    """The key of `table`; `column` is its column, or the field that stands for several."""

    def __init__(self, database: Database, table: sa.TableClause, column: Column) -> None:
        self._database = database
        self.column = column
        self.several = bool(column.parts)
        self.columns = column.parts or (column,)
        self.names = tuple(one.field.name for one in self.columns)
        self.clauses: tuple[Expression, ...] = tuple(table.c[name] for name in self.names)
        self.pairs = tuple(zip(self.clauses, self.columns, strict=True))
        self.of_row: Callable[[Row], Any] = itemgetter(0, *range(1 - len(self.names), 0))

    def returned(self, row: Row) -> Any:
        """The key that a row has which is nothing but a key."""
        return tuple(row) if self.several else row[0]

    def is_one(self, name: str = "key") -> Expression:
        """The condition that a row has the key in the parameters."""
        return sa.and_(*map(_equal, self.clauses, self.binds(name)))

    def after(self, name: str = "key") -> Expression:
        """The condition that a row comes after the key in the parameters, in the database's own order."""
        values = self.binds(name)
        return self._database.beyond(self.clauses, values) if self.several else self.clauses[0] > values[0]

    def upto(self, name: str) -> Expression:
        """The condition that a row does not come after the key in the parameters."""
        values = self.binds(name)
        return self._database.upto(self.clauses, values) if self.several else self.clauses[0] <= values[0]

    def binds(self, name: str) -> list[Expression]:
        """The parameters of a key as values of its columns."""
        names = [f"{name}{place}" for place in range(len(self.columns))] if self.several else [name]
        return [self._database.placed(bind(one), column) for one, column in zip(names, self.columns, strict=True)]

    def given(self, columns: Sequence[str]) -> Callable[[Row], Any] | None:
        """What takes a key out of values for these columns; None where they leave a part of it to the database."""
        if any(name not in columns for name in self.names):
            return None
        return itemgetter(*(columns.index(name) for name in self.names))

    def changed(self, native: Any, columns: Sequence[str], values: Row) -> Any:
        """The key that a row with this one has after these values were written to these columns."""
        if not self.several:
            name = self.names[0]
            return values[columns.index(name)] if name in columns else native
        pairs = zip(self.names, native, strict=True)
        return tuple(values[columns.index(name)] if name in columns else part for name, part in pairs)

    def natives(self, texts: Iterable[str]) -> list[Any]:
        """Keys as the driver's; None for each that no record can have."""
        if self.several:
            return [native_of(self._database, self.column, text) for text in texts]
        native_key, column = self._database.native_key, self.column
        return [native_key(text, column) for text in texts]

    def texts(self, natives: Sequence[Any]) -> list[str]:
        """The texts of keys as the driver gave them."""
        return texts_of(self.column, natives)


def params_of(native: Any, name: str = "key") -> dict[str, Any]:
    """The parameters for a key."""
    if isinstance(native, tuple):
        return {f"{name}{place}": part for place, part in enumerate(native)}
    return {name: native}


def native_of(database: Database, column: Column, text: str) -> Any:
    """A key as the driver's; None where no record can have it."""
    if not column.parts:
        return database.native_key(text, column)
    try:
        parts = [database.native_key(part, one) for part, one in zip(parted(text), column.parts, strict=True)]
    except ValueError:
        return None
    return None if None in parts else tuple(parts)


def texts_of(column: Column, natives: Sequence[Any]) -> list[str]:
    """The texts of keys as the driver gave them."""
    if column.parts:
        parts = map(texts_of, column.parts, zip(*natives, strict=True))
        return list(map(joined, zip(*parts, strict=True)))
    if column.native == "bpchar":
        return [native.rstrip(" ") for native in natives]
    return [native if type(native) is str else _text(native) for native in natives]


def condition_of(database: Database, table: sa.TableClause, column: Column, op: str, value: Any) -> Expression | None:
    """A line of a filter on a field that stands for several columns; None where it cannot be asked."""
    clauses = [table.c[one.field.name] for one in column.parts]

    def one_is(text: Any) -> Expression:
        native = native_of(database, column, text) if isinstance(text, str) else None
        if native is None:
            return sa.false()
        fixed = [sa.bindparam(None, part, type_=sa.types.NULLTYPE, unique=True) for part in native]
        return sa.and_(*map(_equal, clauses, map(database.typed, fixed, column.parts)))

    match op:
        case "isNull":
            return sa.true() if value is False else sa.false()
        case "eq":
            return one_is(value)
        case "ne":
            return sa.not_(one_is(value))
        case "in":
            return sa.or_(sa.false(), *map(one_is, value))
        case _:
            return None


def _equal(clause: Expression, value: Expression) -> Expression:
    return clause == value


def _text(native: Any) -> str:
    if type(native) is int:
        return str(native)
    return str(canonical_or_text(native, FieldType.STRING))

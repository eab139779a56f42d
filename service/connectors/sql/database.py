"""What databases differ in, and what a connection learns about a table before it reads from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import sqlalchemy as sa

from service.connectors.base import Check, Clock, TableName
from service.connectors.naming import modified_on_among
from service.connectors.sql.failures import Context
from service.connectors.sql.session import Session
from service.connectors.sql.settings import Settings
from service.connectors.sql.stamps import Expression, Stamps
from service.connectors.sql.values import Converter, Writer
from service.core.failures import Failure, SideFailed
from service.core.keys import field_of
from service.core.records import Field, FieldType, Scalar, Selection, Table


@dataclass(frozen=True, slots=True)
class Column:
    """A column: our field, the database's own name for its type, and whether an index begins with it. `parts`: the
    columns that a primary key has, for the field that stands for all of them."""

    field: Field
    native: str
    indexed: bool = False
    parts: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """A table or view with its columns by name."""

    table: Table
    columns: Mapping[str, Column]
    is_view: bool = False
    insert_triggers: bool = True
    """Whether something of the application's own may run when rows are inserted."""


def modified_on_of(columns: Mapping[str, Column], types: Collection[Any]) -> str | None:
    """The column that is the modified-on stamp by its name, among those of these types."""
    return modified_on_among(name for name, column in columns.items() if column.field.type in types)


def key_of(columns: dict[str, Column], primary: Sequence[str], unique: Collection[str]) -> str | None:
    """What tells records apart: the primary key, or without one a unique column that is never empty. A primary key of
    several columns is added to them as a field of its own; None where it has one that cannot be asked for."""
    if len(primary) == 1:
        return primary[0]
    if not primary:
        return next((name for name in columns if name in unique and not columns[name].field.nullable), None)
    whole, parts = field_of(primary), [columns[name] for name in primary]
    if whole.name in columns or not all(map(_orders, parts)):
        return None
    columns[whole.name] = Column(whole, "", True, tuple(parts))
    return whole.name


_KEYED = {
    FieldType.STRING, FieldType.INTEGER, FieldType.UUID, FieldType.DECIMAL, FieldType.BOOLEAN,
    FieldType.DATE, FieldType.DATETIME, FieldType.TIME,
}  # fmt: skip
"""Types of which each value has one text by which every database finds it again."""


def _orders(column: Column) -> bool:
    """Whether a part of a key is compared as it is ordered. MariaDB orders sets and enumerations by their members'
    places, and compares them with texts as texts; of enumerations the places are known."""
    listed = column.native == "enum" and column.field.options
    return column.field.type in _KEYED and (column.native not in ("set", "enum") or bool(listed))


def table_missing(table: str) -> SideFailed:
    return SideFailed(Failure("table_not_found", {"table": table}, (table,)))


class Database(ABC):
    """A kind of database. Its methods know SQL of their own; everything else is common."""

    session: Session
    UPDATES_COUNT_ON_VIEWS: ClassVar[bool] = True
    """Whether the database says how many rows an UPDATE of a view touched."""

    KNOWS_RIGHTS: ClassVar[bool] = True
    """Whether `checks` tells what the user may do with each table."""

    COMPARES_ROWS_BY_INDEX: ClassVar[bool] = False
    """Whether a reading goes on by `beyond` alone: told the first of its columns besides, it would begin with that, and
    go through all rows of one stamp for each page of them."""

    EMPTY_IN_KEYS: ClassVar[bool] = False
    """Whether a part of a primary key may be empty all the same; a row with such a one is no record."""

    REASONS: ClassVar[Mapping[str, str]] = {}
    """Why a setup check cannot be made, by its code, where that is not as with other databases."""

    @abstractmethod
    def __init__(self, settings: Settings) -> None:
        """Make the session, without connecting."""

    def rest(self) -> None:
        """Nobody needs the connection for now. It stays open, unless others would be in its way."""
        return

    @abstractmethod
    def tables(self) -> Sequence[TableName]:
        """Every table and view that the user may read."""

    @abstractmethod
    def describe(self, table: str) -> Described:
        """A table or view as it is now. SideFailed(`table_not_found`)."""

    def mark(self, table: str) -> Any:  # noqa: ARG002
        """What changes with everything that a description tells of a table, by one statement; None where only
        describing it tells."""
        return None

    @abstractmethod
    def clock(self) -> Clock:
        """The database's clock and horizon."""

    @abstractmethod
    def readable(self, expression: Expression, column: Column) -> Expression:
        """What is selected so that the driver gives values that tell everything and compare well."""

    @abstractmethod
    def typed(self, parameter: Expression, column: Column) -> Expression:
        """A parameter as a value of the column's type."""

    def placed(self, parameter: Expression, column: Column) -> Expression:
        """A parameter that is part of a key as what the column's order compares."""
        return self.typed(parameter, column)

    @abstractmethod
    def reader(self, column: Column) -> Converter | None:
        """How values of the column become canonical; None where they are so already."""

    @abstractmethod
    def writer(self, expression: Expression, column: Column, context: Context) -> Writer | None:
        """How canonical values (never None) become the driver's; None where they are as they should be. May look at
        what the column holds."""

    @abstractmethod
    def stamps(self, expression: Expression, column: Column) -> Stamps:
        """How the column keeps stamps. SideFailed(`mapping_invalid`) where it cannot."""

    @abstractmethod
    def native_key(self, key: str, column: Column) -> Any:
        """The key as the driver's value; None when no record can have it."""

    @abstractmethod
    def among(self, expressions: Sequence[tuple[Expression, Column]]) -> Expression:
        """The condition that the expressions are one of the combinations in the parameters of `many`."""

    @abstractmethod
    def many(self, columns: Sequence[Column], wanted: Collection[tuple[Any, ...]]) -> Mapping[str, Any]:
        """The parameters for `among`; combinations that no record can have are left out."""

    def bulk(self, plan: Any) -> Any:  # noqa: ARG002
        """How many rows of a plan are written by one call (a `bulk.Bulk`), None: one after the other."""
        return None

    @abstractmethod
    def same_text(self, expression: Expression, value: str, *, prefix: bool) -> Expression:
        """The condition that a text contains another or begins with it, letter case included."""

    def comparable(self, expression: Expression, column: Column) -> tuple[Expression, Column]:
        """What a filter compares instead of the column, and as what `typed` and `filter_value` treat its parameters."""
        return expression, column

    def filter_value(self, value: Scalar, column: Column) -> Any:  # noqa: ARG002
        """A canonical value as a filter compares it; `column` as `comparable` gave it."""
        return value

    def same_ignoring_blanks(
        self,
        table: sa.FromClause,  # noqa: ARG002
        keys: Sequence[str],  # noqa: ARG002
        field: str,  # noqa: ARG002
    ) -> Expression | None:
        """The condition that a text is among the parameters of `many` but for trailing blanks, where an index on the
        field can answer that; None where it cannot."""
        return None

    def among_keys(self, table: sa.FromClause, keys: Sequence[tuple[Expression, Column]]) -> Expression:  # noqa: ARG002
        """`among` for the parts of the table's primary key, such that its index is used for all of them."""
        return self.among(keys)

    def aside(self, condition: Expression) -> Expression:
        """The same condition, such that no index is chosen for its sake where one serves the order of a reading."""
        return condition

    def beyond(self, ordered: Sequence[Expression], values: Sequence[Expression]) -> Expression:
        """The condition that several expressions come after as many values, in the order of a reading by all."""
        return sa.tuple_(*ordered) > sa.tuple_(*values)

    def upto(self, ordered: Sequence[Expression], values: Sequence[Expression]) -> Expression:
        """The condition that several expressions do not come after as many values."""
        return sa.tuple_(*ordered) <= sa.tuple_(*values)

    def lock(self, select: sa.Select[Any], table: sa.FromClause, *, wait: bool) -> sa.Select[Any]:  # noqa: ARG002
        """The same rows, locked until the transaction ends; rows locked by others are left out or waited for."""
        return select

    @abstractmethod
    def checks(self, selections: Collection[Selection]) -> Sequence[Check]:
        """What only this kind of database can tell about the user."""

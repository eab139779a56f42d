"""Writing many rows by one call of the driver, where the database has a way that is cheaper than one after the other.

Which row is which record is never taken from an order that a database does not promise: it is told by the key that was
sent, or by all values that were. Where that is not possible nothing may be kept of the attempt (`Unclear`), and the
rows are written one by one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa

from service.connectors.sql.failures import Context, Refused, Unclear, unreadable_value
from service.connectors.sql.plan import Plan
from service.connectors.sql.prepared import KEPT
from service.connectors.sql.read import rows_by_key
from service.connectors.sql.session import Row, Statement
from service.connectors.sql.stamps import bind
from service.core.records import FieldType


class Bulk(ABC):
    """The writing of many rows for a plan; its statements are made when first needed."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._session = plan.database.session
        self._statements: dict[tuple[str, tuple[str, ...]], Statement] = {}

    @abstractmethod
    def insert(self, columns: tuple[str, ...], rows: Sequence[Row]) -> tuple[list[Row], bool]:
        """Insert rows of native values; returns raw rows of the plan, one for each in any order, and whether they are
        what the table holds now: else only their keys and fields count. Raises Refused, Unclear."""

    @abstractmethod
    def update(self, columns: tuple[str, ...], rows: Sequence[Row]) -> int:
        """Write native values, the parts of the key last, over rows; how many rows were touched. Raises Refused."""

    def _keep(self, verb: str, columns: tuple[str, ...], clause: sa.ClauseElement) -> Statement:
        if len(self._statements) >= KEPT:
            self._statements.clear()
        return self._statements.setdefault((verb, columns), self._plan.compile(clause, verb))


class ByParameters(Bulk):
    """For a database in our own process: the driver goes through the rows itself, and knows at which one it stopped."""

    def insert(self, columns: tuple[str, ...], rows: Sequence[Row]) -> tuple[list[Row], bool]:
        plan = self._plan
        if plan.described.is_view:
            raise Unclear
        key = plan.key.given(columns)
        if key is None and plan.key.column.field.type is not FieldType.INTEGER:
            raise Unclear
        before = None if key else self._session.rows(self._greatest_key())[0][0]
        if self._run(self._insert(columns), rows) != len(rows):
            raise Unclear  # A trigger has dropped one without a word.
        if key is not None:
            return rows_by_key(self._session, plan, list(map(key, rows)), "fetch"), True
        # Keys that grow with each row; were they drawn by chance, there would not be as many above the last one.
        return self._session.rows(self._later_keys(), {"before": before, "limit": len(rows) + 1}), True

    def update(self, columns: tuple[str, ...], rows: Sequence[Row]) -> int:
        return self._run(self._update(columns), rows, len(columns))

    def _run(self, statement: Statement, rows: Sequence[Row], columns: int = 0) -> int:
        """The statement has its parameters in an order of its own: that of the table's columns, and behind so many of
        them that of the key's parts."""
        names = statement.names or ()
        if len(names) < 2:
            return self._session.run_rows(statement, rows)
        arrange = itemgetter(
            *(columns + int(name[3:] or 0) if name.startswith("key") else int(name[1:]) for name in names)
        )
        return self._session.run_rows(statement, map(arrange, rows))

    def _insert(self, columns: tuple[str, ...]) -> Statement:
        if found := self._statements.get(("INSERT", columns)):
            return found
        table = self._plan.table
        values = {table.c[name]: bind(f"v{index}") for index, name in enumerate(columns)}
        return self._keep("INSERT", columns, sa.insert(table).values(values))

    def _update(self, columns: tuple[str, ...]) -> Statement:
        if found := self._statements.get(("UPDATE", columns)):
            return found
        plan = self._plan
        values = {plan.table.c[name]: bind(f"v{index}") for index, name in enumerate(columns)}
        return self._keep("UPDATE", columns, sa.update(plan.table).where(plan.key.is_one()).values(values))

    def _greatest_key(self) -> Statement:
        least: sa.ColumnElement[Any] = sa.literal_column(str(-(2**63)))
        return self._kept("greatest", sa.select(sa.func.coalesce(sa.func.max(self._plan.key.clauses[0]), least)))

    def _later_keys(self) -> Statement:
        later = self._plan.rows_where(self._plan.key.clauses[0] > bind("before"))
        return self._kept("later", later.limit(sa.bindparam("limit", type_=sa.types.Integer)))

    def _kept(self, name: str, clause: sa.ClauseElement) -> Statement:
        return self._statements.get((name, ())) or self._keep(name, (), clause)


class ByDocument(Bulk):
    """For a server: all rows travel as one JSON document, and one statement makes rows of it again."""

    def insert(self, columns: tuple[str, ...], rows: Sequence[Row]) -> tuple[list[Row], bool]:
        # What RETURNING gives is what a trigger that fires later, or for another row, may change again.
        final = self._plan.side is None and not self._plan.described.insert_triggers
        statement = self._insert(columns)
        found = self._session.rows(statement, {"rows": _document(columns, rows, statement.context)})
        return found, final

    def update(self, columns: tuple[str, ...], rows: Sequence[Row]) -> int:
        statement = self._update(columns)
        names = (*columns, *self._plan.key.names)
        return len(self._session.rows(statement, {"rows": _document(names, rows, statement.context)}))

    def _insert(self, columns: tuple[str, ...]) -> Statement:
        if found := self._statements.get(("INSERT", columns)):
            return found
        plan = self._plan
        given, values = self._given(columns, 0)
        select = sa.select(*values).select_from(given)
        insert = sa.insert(plan.table).from_select([plan.table.c[name] for name in columns], select)
        return self._keep("INSERT", columns, insert.returning(*plan.returned()))

    def _update(self, columns: tuple[str, ...]) -> Statement:
        if found := self._statements.get(("UPDATE", columns)):
            return found
        plan = self._plan
        given, values = self._given(columns, len(plan.key.columns))
        same = [
            clause == plan.database.typed(given.c[f"v{len(columns) + place}"], column)
            for place, (clause, column) in enumerate(plan.key.pairs)
        ]
        update = sa.update(plan.table).values(dict(zip([plan.table.c[name] for name in columns], values, strict=True)))
        one: sa.ColumnElement[Any] = sa.literal_column("1")
        return self._keep("UPDATE", columns, update.where(*same).returning(one))

    def _given(self, columns: tuple[str, ...], keys: int) -> tuple[sa.FromClause, list[sa.ColumnElement[Any]]]:
        """The rows of the document as a table of texts, and its columns as what the table's are."""
        names = [sa.column(f"v{index}", sa.types.Text()) for index in range(len(columns) + keys)]
        document = sa.cast(bind("rows"), sa.types.JSON())
        given = sa.func.json_to_recordset(document).table_valued(*names, name="given")
        listed = given.render_derived(with_types=True)
        typed = [
            self._plan.database.typed(listed.c[f"v{index}"], self._plan.column(name))
            for index, name in enumerate(columns)
        ]
        return listed, typed


def _document(columns: Sequence[str], rows: Sequence[Row], context: Context) -> str:  # noqa: ARG001
    names = [f"v{index}" for index in range(len(columns))]
    try:
        return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows], default=_hexadecimal).decode()
    except (TypeError, UnicodeError) as error:  # Half a surrogate pair, a whole number over 64 bits.
        raise Refused(unreadable_value(error)) from None


def _hexadecimal(value: Any) -> str:
    r"""Bytes as PostgreSQL reads them: '\x00ff'."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(type(value).__name__)


def in_order(plan: Plan, fields: Sequence[str], sent: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """The rows in the order of what was sent, `fields` in canonical form, by all those values. Rows of which nothing
    differs may stand for one another. Raises Unclear where the table made something else of a value."""
    if len(rows) != len(sent):
        raise Unclear
    places = [plan.selection.fields.index(name) for name in fields]
    held: dict[Row, list[Row]] = {}
    for record, row in zip(plan.records(rows), rows, strict=True):
        held.setdefault(tuple(record.values[place] for place in places), []).append(row)
    try:
        return [held[values].pop() for values in sent]
    except (KeyError, IndexError):
        raise Unclear from None


def by_keys(plan: Plan, natives: Sequence[Any], rows: Sequence[Row]) -> list[Row]:
    """The rows in the order of the keys that were sent. Raises Unclear where the table made another key of one."""
    key = plan.key
    held = dict(zip(key.texts(list(map(key.of_row, rows))), rows, strict=True))
    if len(held) != len(rows) or len(rows) != len(natives):
        raise Unclear
    try:
        return [held[text] for text in key.texts(natives)]
    except KeyError:
        raise Unclear from None

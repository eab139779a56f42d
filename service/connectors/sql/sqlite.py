"""SQLite: files that exist already, columns whose declared types are only a wish, one writer at a time."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import orjson
import sqlalchemy as sa

from service.connectors.base import Check, Clock, TableName
from service.connectors.sql import options, values
from service.connectors.sql.bulk import Bulk, ByParameters
from service.connectors.sql.database import Column, Database, Described, key_of, modified_on_of, table_missing
from service.connectors.sql.failures import Context, Refused, sqlite_failure
from service.connectors.sql.plan import Plan
from service.connectors.sql.session import Row, Session
from service.connectors.sql.settings import Settings
from service.connectors.sql.sqlite_types import affinity_of, field_of, rowid_alias
from service.connectors.sql.stamps import (
    Expression,
    Stamps,
    behind_any,
    bind,
    number_phases,
    read_any,
    text_phases,
    text_range,
    together,
)
from service.connectors.sql.values import Converter, Writer
from service.core.failures import SideFailed
from service.core.records import FieldType, Scalar, Selection, Stamp, Table

_BUSY_SECONDS = 5.0
_UNKNOWN_WRITER: Stamp = 3_600_000_000
"""How far the horizon is put back when somebody has been writing since before we first looked: an hour."""

_KEY = re.compile(r"0|-?[1-9]\d{0,18}")
_EMPTY: Expression = sa.literal_column("''")
_MOMENT = "%Y-%m-%dT%H:%M:%f"

_READERS: Mapping[FieldType, Converter] = {
    FieldType.STRING: values.read_unless({str}, FieldType.STRING),
    FieldType.INTEGER: values.read_unless({int}, FieldType.INTEGER),
    FieldType.DECIMAL: values.read_decimals,
    FieldType.FLOAT: values.read_unless({float}, FieldType.FLOAT),
    FieldType.BOOLEAN: values.read_booleans,
    FieldType.DATE: values.read_dates,
    FieldType.DATETIME: values.read_moments,
}

_TEXTS = {FieldType.STRING, FieldType.UUID}
"""What is in a JSON list as it is."""

_STAMP_TYPES = {FieldType.DATETIME, FieldType.DATE, FieldType.STRING, FieldType.INTEGER, FieldType.FLOAT}


class SqliteDatabase(Database):
    """An SQLite file."""

    UPDATES_COUNT_ON_VIEWS: ClassVar[bool] = False
    KNOWS_RIGHTS: ClassVar[bool] = False
    COMPARES_ROWS_BY_INDEX: ClassVar[bool] = True
    EMPTY_IN_KEYS: ClassVar[bool] = True
    REASONS: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("credentials", "user_is_administrator", "password_change", "write_access", "rate_limits"), "no_users"
    )

    def __init__(self, settings: Settings) -> None:
        path = Path(settings.url.database or "")
        address = f"file:{quote(str(path))}?mode=rw"
        self._quiet: Stamp | None = None

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(
                address, uri=True, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False
            )

        engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.NullPool)
        self.session = Session(
            engine,
            begin="BEGIN IMMEDIATE",
            prepare=_prepare,
            classify=sqlite_failure,
            returning_many=_returning_many,
        )

    def rest(self) -> None:
        """A file is closed: who restores a backup replaces the file or writes over it, and what an open one remembers
        of it, or its write-ahead log that stays as long as somebody has it open, would be mixed with the backup."""
        self._quiet = None
        self.session.hang_up()

    def tables(self) -> Sequence[TableName]:
        statement = self.session.compile(
            sa.text(
                "SELECT m.name, m.type = 'view' AND NOT EXISTS (SELECT 1 FROM sqlite_master AS t"
                " WHERE t.type = 'trigger' AND t.tbl_name = m.name)"
                " FROM sqlite_master AS m WHERE m.type IN ('table', 'view') AND m.name NOT GLOB 'sqlite_*'"
                " ORDER BY m.name"
            ),
            Context(),
        )
        return [TableName(name, name, bool(read_only)) for name, read_only in self.session.rows(statement)]

    def describe(self, table: str) -> Described:
        found = self._rows("SELECT type, sql FROM sqlite_master WHERE name = :table", table)
        kind, text = next((row for row in found if row[0] in ("table", "view")), ("", ""))
        if not kind:
            raise table_missing(table)
        triggers = self._rows("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table", table)
        rows = self._rows(
            'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(:table) WHERE hidden <> 1',
            table,
        )
        unique, indexed = self._indexes(table)
        primary = [row[0] for row in sorted(rows, key=itemgetter(4)) if row[4]]
        is_view = kind == "view"
        rowid = rowid_alias(rows, text) if not is_view else None
        fixed = is_view and not triggers
        columns = {
            row[0]: Column(
                field_of(row, rowid, read_only=fixed), affinity_of(row[1]), row[0] in indexed or row[0] in primary[:1]
            )
            for row in rows
        }
        columns = options.limited(columns, options.of_table(text) if not is_view else ())
        key = key_of(columns, primary, unique)
        made = key is not None and (key == rowid or any(row[0] == key and row[3] is not None for row in rows))
        fields = {name: column.field for name, column in columns.items()}
        modified_on = modified_on_of(columns, _STAMP_TYPES)
        generates = made or len(primary) > 1
        return Described(Table(table, fields, key, modified_on, table, generates), columns, is_view)

    def mark(self, table: str) -> Any:
        """The statements that made a table, its indexes and its triggers: they say all that there is to describe. What
        a view shows depends on other tables."""
        rows = self._rows("SELECT type, name, sql FROM sqlite_master WHERE tbl_name = :table ORDER BY rowid", table)
        return None if any(row[0] == "view" for row in rows) else rows or None

    def clock(self) -> Clock:
        """This machine's clock. A writer stamps its rows before they can be seen, so the horizon is where nobody was
        writing: now, when the lock for writing is to be had (it is given back at once), else when it last was."""
        before = time.time_ns() // 1_000
        try:
            self.session.execute("BEGIN IMMEDIATE")
        except Refused:
            now = time.time_ns() // 1_000
            return Clock(now, self._quiet if self._quiet is not None else before - _UNKNOWN_WRITER)
        except SideFailed as failed:
            if failed.failure.code != "permission_denied":
                raise
            now = time.time_ns() // 1_000
            return Clock(now, now)  # A file that we may only read: nothing can be told about its writers.
        now = time.time_ns() // 1_000
        self.session.execute("ROLLBACK")
        self._quiet = now
        return Clock(now, now)

    def readable(self, expression: Expression, column: Column) -> Expression:  # noqa: ARG002
        return expression

    def typed(self, parameter: Expression, column: Column) -> Expression:
        return sa.func.strftime(_MOMENT, parameter) if column.native == "moment" else parameter

    def reader(self, column: Column) -> Converter | None:
        return _READERS.get(column.field.type) or values.read_as(column.field.type)

    def writer(self, expression: Expression, column: Column, context: Context) -> Writer | None:
        if column.field.type is FieldType.BINARY:
            return values.write_binary
        if column.field.type is not FieldType.DATETIME:
            return None
        sample = sa.select(expression).where(expression.is_not(None)).limit(1)
        rows = self.session.rows(self.session.compile(sample, context))
        return values.write_like(rows[0][0] if rows else None)

    def stamps(self, expression: Expression, column: Column) -> Stamps:
        numbers = () if column.native == "TEXT" else number_phases(expression, _EMPTY)
        whole = together((*numbers, text_range(expression)))
        return Stamps(read_any, (*numbers, *text_phases(expression)), whole=whole, behind=behind_any)

    def native_key(self, key: str, column: Column) -> Any:
        if column.field.type is not FieldType.INTEGER:
            return key if _sendable(key) else None
        return int(key) if _KEY.fullmatch(key) and -(2**63) <= int(key) < 2**63 else None

    def among(self, expressions: Sequence[tuple[Expression, Column]]) -> Expression:
        if len(expressions) == 1:
            expression, column = expressions[0]
            listed = sa.func.json_each(bind("wanted")).table_valued("value")
            return expression.in_(sa.select(self.typed(listed.c.value, column)))
        listed = sa.func.json_each(bind("wanted")).table_valued("value")
        parts = [
            self.typed(sa.func.json_extract(listed.c.value, f"$[{index}]"), column)
            for index, (_, column) in enumerate(expressions)
        ]
        return sa.tuple_(*(expression for expression, _ in expressions)).in_(sa.select(*parts))

    def many(self, columns: Sequence[Column], wanted: Collection[tuple[Any, ...]]) -> Mapping[str, Any]:
        if len(columns) == 1 and columns[0].field.type in _TEXTS and columns[0].native != "BLOB":
            return {"wanted": orjson.dumps([text for (text,) in wanted if _sendable(text)]).decode()}
        listed = [
            [_listed(value, column) for value, column in zip(one, columns, strict=True)]
            for one in wanted
            if all(map(_sendable, one))
        ]
        if len(columns) > 1:
            alike = [both for one in listed for both in product(*map(_alike, one, columns))]
            return {"wanted": orjson.dumps(alike).decode()}
        single = [one[0] for one in listed]
        if columns[0].native == "BLOB":
            single = [both for one in single for both in _alike(one, columns[0])]
        return {"wanted": orjson.dumps(single).decode()}

    def comparable(self, expression: Expression, column: Column) -> tuple[Expression, Column]:
        match column.field.type:
            case FieldType.DATETIME:
                return sa.func.strftime(_MOMENT, expression), Column(column.field, "moment")
            case FieldType.DATE:
                return sa.func.date(expression), Column(column.field, "date")
            case FieldType.UUID:
                plain = sa.func.lower(sa.func.replace(expression, "-", ""))
                return plain, Column(column.field, "uuid")
            case FieldType.BINARY:
                return sa.func.hex(expression), Column(column.field, "hex")
            case _:
                return expression, column

    def filter_value(self, value: Scalar, column: Column) -> Any:
        if column.native == "hex":
            return values.write_binary(value).hex().upper()
        return str(value).replace("-", "") if column.native == "uuid" else value

    def among_keys(self, table: sa.FromClause, keys: Sequence[tuple[Expression, Column]]) -> Expression:
        """SQLite uses an index for several columns at once where they are compared with columns like them."""
        again = table.alias("again")
        listed = sa.func.json_each(bind("wanted")).table_valued("value").alias("listed")
        own = [again.c[column.field.name] for _, column in keys]
        same = [
            clause == self.typed(sa.func.json_extract(listed.c.value, f"$[{index}]"), column)
            for index, (clause, (_, column)) in enumerate(zip(own, keys, strict=True))
        ]
        hits = sa.select(*own).select_from(sa.join(listed, again, sa.true())).where(*same)
        return sa.tuple_(*(clause for clause, _ in keys)).in_(hits)

    def same_ignoring_blanks(self, table: sa.FromClause, keys: Sequence[str], field: str) -> Expression | None:
        """Every text that continues with nothing above a blank lies between the text and the text with a "!"."""
        again = table.alias("again")
        listed = sa.func.json_each(bind("wanted")).table_valued("value").alias("listed")
        column = again.c[field]
        hits = (
            sa.select(*(again.c[key] for key in keys))
            .select_from(sa.join(listed, again, sa.true()))
            .where(column >= listed.c.value, column < listed.c.value.concat(sa.literal_column("'!'")))
        )
        own = [table.c[key] for key in keys]
        return (sa.tuple_(*own) if len(own) > 1 else own[0]).in_(hits)

    def aside(self, condition: Expression) -> Expression:
        """SQLite takes an index for an equality before one for a range, and would sort all that is left, each page."""
        return sa.func.coalesce(condition, sa.literal_column("0"))

    def bulk(self, plan: Plan) -> Bulk:
        return ByParameters(plan)

    def same_text(self, expression: Expression, value: str, *, prefix: bool) -> Expression:
        if prefix:
            return sa.func.substr(expression, 1, len(value)) == bind("", value)
        return sa.func.instr(expression, value) > 0

    def checks(self, selections: Collection[Selection]) -> Sequence[Check]:  # noqa: ARG002
        """A file has no users: whoever may write to it may do everything."""
        return []

    def _rows(self, text: str, table: str) -> list[Row]:
        return self.session.rows(self.session.prepared(text, Context(table)), {"table": table})

    def _indexes(self, table: str) -> tuple[set[str], set[str]]:
        """The columns that are unique by themselves, and those with which an index begins."""
        rows = self._rows(
            'SELECT l.name, l."unique", l.partial, i.seqno, i.name FROM pragma_index_list(:table) AS l'
            " JOIN pragma_index_info(l.name) AS i",
            table,
        )
        longer = {row[0] for row in rows if row[3] > 0}
        whole = [row for row in rows if not row[2] and row[3] == 0 and row[4] is not None]
        return {row[4] for row in whole if row[1] and row[0] not in longer}, {row[4] for row in whole}


def _prepare(driver: sqlite3.Connection) -> None:
    # The application declared its foreign keys to be kept; SQLite forgets that with every new connection.
    driver.execute("PRAGMA foreign_keys = ON").close()
    driver.execute("SELECT 1 FROM sqlite_master LIMIT 1").close()  # The file is opened only now.


def _returning_many(cursor: sqlite3.Cursor, text: str, params: Sequence[Any]) -> list[Row]:
    """SQLite's executemany drops what RETURNING returns."""
    return [cursor.execute(text, one).fetchone() or () for one in params]


def _sendable(value: Any) -> bool:
    """Whether SQLite can be asked for it: no half of a surrogate pair, no number over 64 bits."""
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value) if not value.isascii() else True
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def _alike(value: Any, column: Column) -> list[Any]:
    """The values that a column may hold for one: without a declared type a number is not equal to its text."""
    number = column.native == "BLOB" and isinstance(value, str) and _KEY.fullmatch(value)
    return [value, int(value)] if number else [value]


def _listed(value: Any, column: Column) -> Any:
    """A value in a JSON list: a decimal as a number, because a list has no affinity that would make it one."""
    if column.field.type is FieldType.DECIMAL and isinstance(value, str):
        return float(value) if "." in value else int(value)
    return int(value) if isinstance(value, bool) else value

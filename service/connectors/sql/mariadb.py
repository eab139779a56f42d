"""MariaDB by PyMySQL: texts that ignore letter case, many statements in one packet, locks that are waited for."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from service.connectors.base import Check, Clock, SettingsRefused, TableName
from service.connectors.sql import options, values
from service.connectors.sql.database import Column, Database, Described, key_of, modified_on_of, table_missing
from service.connectors.sql.failures import Context
from service.connectors.sql.mariadb_checks import check_user
from service.connectors.sql.mariadb_failures import mariadb_failure
from service.connectors.sql.mariadb_types import READERS, field_of, fits, native_key, native_moment
from service.connectors.sql.session import Row, Session
from service.connectors.sql.settings import Settings
from service.connectors.sql.stamps import (
    Expression,
    Phase,
    Stamps,
    bind,
    date_stamps,
    moment_stamps,
    number_phases,
    read_any,
)
from service.connectors.sql.values import Converter, Writer
from service.core.failures import Failure, SideFailed
from service.core.records import FieldType, Selection, Stamp, Table

_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 90
"""Longer than a statement may take, so that the server ends it first and says so."""

_PACKET = 1_000_000
"""Characters of statements that are sent together; a server takes 16 million bytes unless it is told otherwise."""

_FOUND_ROWS, _MULTI_STATEMENTS = 2, 1 << 16
# A page is the beginning of an index. Put together of two and sorted, it would cost all that comes after it.
_SESSION = (
    "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO',"
    " max_statement_time = 60, innodb_lock_wait_timeout = 5, lock_wait_timeout = 5, tx_isolation = 'READ-COMMITTED',"
    " optimizer_switch = 'index_merge_sort_union=off'"
)
_OLDEST = (10, 6)
"""The first version with SKIP LOCKED; RETURNING came in 10.5."""

_TABLES = """
SELECT t.TABLE_NAME, t.TABLE_COMMENT, COALESCE(v.IS_UPDATABLE = 'NO', t.ENGINE <> 'InnoDB', FALSE)
FROM information_schema.TABLES AS t
LEFT JOIN information_schema.VIEWS AS v ON v.TABLE_SCHEMA = t.TABLE_SCHEMA AND v.TABLE_NAME = t.TABLE_NAME
WHERE t.TABLE_SCHEMA = COALESCE(:schema, DATABASE())
  AND t.TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
ORDER BY CAST(t.TABLE_NAME AS BINARY)
"""
_COLUMNS = """
SELECT c.COLUMN_NAME, c.DATA_TYPE, c.COLUMN_TYPE, c.CHARACTER_MAXIMUM_LENGTH, c.NUMERIC_PRECISION, c.NUMERIC_SCALE,
       c.DATETIME_PRECISION, c.IS_NULLABLE, c.COLUMN_DEFAULT, c.EXTRA, t.TABLE_TYPE = 'VIEW',
       COALESCE(v.IS_UPDATABLE = 'NO', t.ENGINE <> 'InnoDB', FALSE)
FROM information_schema.COLUMNS AS c
JOIN information_schema.TABLES AS t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
LEFT JOIN information_schema.VIEWS AS v ON v.TABLE_SCHEMA = c.TABLE_SCHEMA AND v.TABLE_NAME = c.TABLE_NAME
WHERE c.TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND CAST(c.TABLE_NAME AS BINARY) = CAST(:table AS BINARY)
ORDER BY c.ORDINAL_POSITION
"""
_INDEXES = """
SELECT INDEX_NAME, NON_UNIQUE, SEQ_IN_INDEX, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_NAME = :table ORDER BY INDEX_NAME, SEQ_IN_INDEX
"""
_CHECKS = """
SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_NAME = :table
"""
_NOW = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS INT), VERSION()"
# A statement's time is that of its start, and a transaction begins no earlier than its first statement does. What the
# table shows is the machine's local time.
_OLDEST_TRANSACTION = """
SELECT CAST(UNIX_TIMESTAMP(CONVERT_TZ(MIN(trx_started), 'SYSTEM', '+00:00')) * 1000000 AS INT)
FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id <> CONNECTION_ID()
"""
_STAMP_TYPES = {FieldType.DATETIME}
_OTHER_STAMP_TYPES = {FieldType.DATE, FieldType.INTEGER, FieldType.FLOAT}


class Listed(tuple[Any, ...]):
    """Values for IN, which the driver writes in brackets."""

    __slots__ = ()


class MariaDatabase(Database):
    """A MariaDB database."""

    def __init__(self, settings: Settings) -> None:
        self._schema = settings.schema
        self._sees_all = True
        self._unique: dict[tuple[str, str], str] = {}
        query = {"charset": "utf8mb4", **settings.url.query}
        url = settings.url.set(drivername="mariadb+pymysql", query=query)
        try:
            options = _connect_args(settings.url, url.get_dialect().import_dbapi())
            engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=options)
        except ModuleNotFoundError as error:
            raise SettingsRefused([("url", "driver_missing", {"package": "pymysql"})]) from error
        self.session = Session(
            engine,
            begin="START TRANSACTION",
            prepare=_prepare,
            classify=self._classify,
            returning_many=_returning_many,
            lives=_lives,
            running_many=_running_many,
        )

    def tables(self) -> Sequence[TableName]:
        rows = self._rows(_TABLES, schema=self._schema)
        return [TableName(name, _caption(comment) or name, bool(read_only)) for name, comment, read_only in rows]

    def describe(self, table: str) -> Described:
        asked = {"table": table, "schema": self._schema}
        rows = self._rows(_COLUMNS, **asked)
        if not rows:
            raise table_missing(table)
        indexes = self._rows(_INDEXES, **asked)
        clauses = {row[0] for row in self._rows(_CHECKS, **asked)}
        is_view, fixed = bool(rows[0][10]), bool(rows[0][11])
        longer = {row[0] for row in indexes if int(row[2]) > 1}
        leading = {row[3] for row in indexes if int(row[2]) == 1 and row[4] is None}
        single = {row[0]: row[3] for row in indexes if not int(row[1]) and row[0] not in longer and row[4] is None}
        self._unique |= {(table, index): column for index, column in single.items()}
        columns = {
            row[0]: Column(
                field_of(row, is_json=f"json_valid(`{row[0]}`)" in clauses, fixed=fixed), row[1], row[0] in leading
            )
            for row in rows
        }
        columns = options.limited(columns, _listed(rows, clauses))
        primary = [row[3] for row in indexes if row[0] == "PRIMARY"]
        key = key_of(columns, primary, set(single.values()))
        made = any(row[0] == key and ("auto_increment" in row[9] or row[8] not in (None, "NULL")) for row in rows)
        fields = {name: column.field for name, column in columns.items()}
        modified_on = modified_on_of(columns, _STAMP_TYPES) or modified_on_of(columns, _OTHER_STAMP_TYPES)
        generates = made or len(primary) > 1
        return Described(Table(table, fields, key, modified_on, table, generates), columns, is_view)

    def clock(self) -> Clock:
        now, version = self._rows(_NOW)[0]
        _refuse_others(version)
        oldest = self._oldest_transaction()
        return Clock(now, now if oldest is None else min(now, oldest))

    def readable(self, expression: Expression, column: Column) -> Expression:
        return expression.op("+")(sa.literal_column("0")) if column.native == "bit" else expression

    def typed(self, parameter: Expression, column: Column) -> Expression:  # noqa: ARG002
        return parameter

    def placed(self, parameter: Expression, column: Column) -> Expression:
        """An enumeration is ordered by the places of its members, and would be compared with a text as a text."""
        if column.native != "enum" or not column.field.options:
            return parameter
        return sa.func.field(
            parameter,
            *(sa.bindparam(None, one.value, type_=sa.types.NULLTYPE, unique=True) for one in column.field.options),
        )

    def reader(self, column: Column) -> Converter | None:
        return READERS.get(column.field.type)

    def writer(self, expression: Expression, column: Column, context: Context) -> Writer | None:  # noqa: ARG002
        return {FieldType.BINARY: values.write_binary, FieldType.DATETIME: native_moment}.get(column.field.type)

    def stamps(self, expression: Expression, column: Column) -> Stamps:
        match column.field.type:
            case FieldType.DATETIME:
                made = moment_stamps(expression, _as_it_is, zoned=False)
            case FieldType.DATE:
                made = date_stamps(expression, _as_it_is)
            case FieldType.INTEGER | FieldType.FLOAT:
                return Stamps(read_any, number_phases(expression, None))
            case _:
                params = {"field": column.field.name, "type": column.native}
                raise SideFailed(Failure("mapping_invalid", params, (column.field.name,)))
        return Stamps(made.read, (_zero(expression), *made.phases), made.between, made.bounds)

    def native_key(self, key: str, column: Column) -> Any:
        return native_key(key, column)

    def among(self, expressions: Sequence[tuple[Expression, Column]]) -> Expression:
        compared = [expression for expression, _ in expressions]
        left: Expression = compared[0] if len(compared) == 1 else sa.tuple_(*compared)
        return left.op("IN")(bind("wanted"))

    def many(self, columns: Sequence[Column], wanted: Collection[tuple[Any, ...]]) -> Mapping[str, Any]:
        fitting = [one for one in wanted if all(map(fits, map(_plain, one), columns))]
        if len(columns) == 1:
            return {"wanted": Listed(one[0] for one in fitting) or Listed([None])}
        return {"wanted": Listed(map(Listed, fitting)) or Listed([Listed([None] * len(columns))])}

    def beyond(self, ordered: Sequence[Expression], values: Sequence[Expression]) -> Expression:
        """MariaDB makes ranges of an index of this, and none of a comparison of rows."""
        (*before, (last, value)) = zip(ordered, values, strict=True)
        return _nested(before, last > value, operator.gt)

    def upto(self, ordered: Sequence[Expression], values: Sequence[Expression]) -> Expression:
        (*before, (last, value)) = zip(ordered, values, strict=True)
        return _nested(before, last <= value, operator.lt)

    def filter_value(self, value: Any, column: Column) -> Any:
        match column.field.type:
            case FieldType.BINARY:
                return values.write_binary(value)
            case FieldType.DATETIME:
                return native_moment(value)
            case FieldType.DECIMAL:
                return Decimal(value)  # Quoted, it would be compared as a float.
            case _:
                return value

    def same_text(self, expression: Expression, value: str, *, prefix: bool) -> Expression:
        escaped = re.sub(r"([\\%_])", r"\\\1", value)
        pattern = bind("", f"{escaped}%" if prefix else f"%{escaped}%")
        exact = sa.func.convert(expression.op("USING")(sa.literal_column("utf8mb4"))).op("COLLATE")(
            sa.literal_column("utf8mb4_bin")
        )
        return exact.op("LIKE")(pattern)

    def lock(self, select: sa.Select[Any], table: sa.FromClause, *, wait: bool) -> sa.Select[Any]:  # noqa: ARG002
        return select.with_for_update(skip_locked=not wait)  # The side table's rows too: MariaDB has no OF.

    def checks(self, selections: Collection[Selection]) -> Sequence[Check]:
        self._oldest_transaction()
        return check_user(self._rows, self._schema, selections, sees_all=self._sees_all)

    def _oldest_transaction(self) -> Stamp | None:
        """The start of the oldest transaction that others have open; None where there is none, or the user lacks the
        right PROCESS and must not know. Then only the overlap covers what is committed late."""
        if not self._sees_all:
            return None
        try:
            found: Stamp | None = self._rows(_OLDEST_TRANSACTION)[0][0]
        except SideFailed as failed:
            if failed.failure.code != "permission_denied":
                raise
            self._sees_all = False
            return None
        return found

    def _classify(self, error: Exception, context: Context) -> Failure:
        return mariadb_failure(error, context, lambda table, index: self._unique.get((table, index)))

    def _rows(self, text: str, **params: Any) -> list[Row]:
        return self.session.rows(self.session.prepared(text, Context(params.get("table", ""))), params)


def _connect_args(url: sa.URL, driver: Any) -> dict[str, Any]:
    """What the driver is told: numbers as numbers, everything else as the text that MariaDB sends."""
    integers = dict.fromkeys((1, 2, 3, 8, 9, 13), int)
    floats = dict.fromkeys((4, 5), float)
    seconds = {"connect_timeout": _CONNECT_SECONDS, "read_timeout": _ANSWER_SECONDS, "write_timeout": _ANSWER_SECONDS}
    return {
        "conv": {**driver.converters.encoders, **integers, **floats, Listed: _in_brackets},
        "client_flag": _FOUND_ROWS | _MULTI_STATEMENTS,
        **{name: value for name, value in seconds.items() if name not in url.query},
    }


def _in_brackets(items: Listed, mapping: Mapping[Any, Any]) -> str:
    return f"({','.join(mapping.get(type(item), mapping[str])(item, mapping) for item in items)})"


def _prepare(driver: Any) -> None:
    with driver.cursor() as cursor:
        cursor.execute(_SESSION)


def _lives(driver: Any) -> bool:
    try:
        driver.ping(reconnect=False)
    except Exception:
        return False
    return True


def _returning_many(cursor: Any, text: str, params: Sequence[Any]) -> list[Row]:
    """Many statements go in one packet; the answers come one by one, in order."""
    rows: list[Row] = []
    for packet in _packets(cursor, text, params):
        cursor.execute(packet)
        rows.append(cursor.fetchone() or ())
        while cursor.nextset():
            rows.append(cursor.fetchone() or ())
    return rows


def _running_many(cursor: Any, text: str, params: Sequence[Any]) -> int:
    touched = 0
    for packet in _packets(cursor, text, params):
        cursor.execute(packet)
        touched += cursor.rowcount
        while cursor.nextset():
            touched += cursor.rowcount
    return touched


def _packets(cursor: Any, text: str, params: Sequence[Any]) -> Iterator[str]:
    """Statements with their values in them, put together up to the size of a packet."""
    waiting: list[str] = []
    size = 0
    for one in params:
        statement = cursor.mogrify(text, one)
        if waiting and size + len(statement) > _PACKET:
            yield ";".join(waiting)
            waiting, size = [], 0
        waiting.append(statement)
        size += len(statement)
    if waiting:
        yield ";".join(waiting)


def _nested(
    before: Sequence[tuple[Expression, Expression]], found: Expression, past: Callable[[Any, Any], Expression]
) -> Expression:
    """`found`, where the expressions before it equal their values, or one of these `past` its value."""
    for expression, value in reversed(before):
        found = sa.or_(past(expression, value), sa.and_(expression == value, found))
    return found


def _zero(expression: Expression) -> Phase:
    """Rows whose stamp is the zero date, which is no stamp: they are read whatever the moment is."""
    zero: Expression = sa.literal_column("'0000-00-00'")
    return Phase(expression >= zero, expression <= zero, lambda _: {})


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _listed(rows: Sequence[Row], clauses: Collection[str]) -> Iterator[tuple[str, Sequence[Any]]]:
    """The values of columns that are enumerations, and of those whose constraints list them."""
    for row in rows:
        members = options.of_type(row[2]) if row[1] == "enum" else None
        if members:
            yield row[0], members
    for clause in clauses:
        yield from options.of_clause(clause, "mysql")


def _as_it_is(parameter: Expression) -> Expression:
    return parameter


def _caption(comment: str) -> str:
    """A table's comment; that of a view is always the same."""
    return "" if comment == "VIEW" else comment


def _refuse_others(version: str) -> None:
    """SideFailed for a server that lacks what is needed here: another product, or one that is too old."""
    found = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)", version)
    if "MariaDB" not in version or found is None or (int(found[1]), int(found[2])) < _OLDEST:
        detail = f"the server is {version[:60]}, and MariaDB {_OLDEST[0]}.{_OLDEST[1]} or newer is needed"
        raise SideFailed(Failure("connection_failed", {"detail": detail}))

"""PostgreSQL by psycopg 3: types that hold what they say, many writers at a time, transactions that commit late."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
import sqlalchemy as sa

from service.connectors.base import Check, Clock, SettingsRefused, TableName
from service.connectors.sql import options, values
from service.connectors.sql.bulk import Bulk, ByDocument
from service.connectors.sql.database import Column, Database, Described, key_of, modified_on_of, table_missing
from service.connectors.sql.failures import Context, postgres_failure
from service.connectors.sql.plan import Plan
from service.connectors.sql.postgresql_checks import check_user
from service.connectors.sql.postgresql_types import (
    AS_THEY_ARE,
    COMPARED_AS_THEY_ARE,
    INTEGER_BITS,
    READERS,
    field_of,
    fits,
)
from service.connectors.sql.session import Row, Session
from service.connectors.sql.settings import Settings
from service.connectors.sql.stamps import (
    Expression,
    Stamps,
    bind,
    date_stamps,
    moment_stamps,
    number_phases,
    read_any,
)
from service.connectors.sql.values import Converter, Writer
from service.core.failures import Failure, SideFailed
from service.core.records import FieldType, Selection, Table

_CONNECT_SECONDS = 10
_SESSION = (
    "SET TIME ZONE 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'iso_8601'; SET bytea_output = 'hex';"
    " SET statement_timeout = '60s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '60s';"
    " SET jit = off"
)
"""Statements are of a page, and compiling one takes longer than it runs."""

_TABLES = """
SELECT c.relname, coalesce(obj_description(c.oid, 'pg_class'), ''),
       c.relkind = 'm' OR (pg_relation_is_updatable(c.oid, true) & 28) <> 28
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = coalesce(:schema, current_schema())
  AND NOT c.relispartition AND has_table_privilege(c.oid, 'SELECT')
ORDER BY c.relname
"""

# A domain is described as the type beneath it, with the domain's own limits.
_COLUMNS = """
SELECT a.attname, format_type(y.type, -1),
       information_schema._pg_char_max_length(y.type, y.modifier),
       information_schema._pg_numeric_precision(y.type, y.modifier),
       information_schema._pg_numeric_scale(y.type, y.modifier),
       information_schema._pg_datetime_precision(y.type, y.modifier),
       a.attnotnull OR t.typnotnull, a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL,
       a.attgenerated <> '' OR a.attidentity = 'a' OR v.is_view AND NOT pg_column_is_updatable(c.oid, a.attnum, true),
       v.is_view,
       (SELECT array_agg(CAST(e.enumlabel AS text) ORDER BY e.enumsortorder) FROM pg_enum AS e
        WHERE e.enumtypid = y.type),
       (SELECT array_agg(pg_get_expr(k.conbin, k.conrelid)) FROM pg_constraint AS k
        WHERE k.contype = 'c' AND k.conrelid = c.oid AND k.conkey = ARRAY[a.attnum]),
       c.oid
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END AS type,
                           CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier) AS y
CROSS JOIN LATERAL (SELECT c.relkind IN ('v', 'm') AS is_view) AS v
WHERE c.relname = :table AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND CASE WHEN CAST(:schema AS text) IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = :schema END
ORDER BY a.attnum
"""

# An index on an expression has no name there, and none on part of the rows counts.
_INDEXES = """
SELECT i.indisprimary, i.indisunique,
       ARRAY(SELECT CAST(a.attname AS text) FROM unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY AS k (number, place)
             LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
             WHERE k.place <= i.indnkeyatts ORDER BY k.place)
FROM pg_index AS i WHERE i.indrelid = CAST(:oid AS oid) AND i.indpred IS NULL
"""
_INSERT_TRIGGERS = """
SELECT c.relkind <> 'r'
       OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgtype & 4 <> 0)
       OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid)
FROM pg_class AS c WHERE c.oid = CAST(:oid AS oid)
"""

# Each row of the catalog has the number of the transaction that wrote it: what a description is made of is the same as
# long as all of these are. What a view shows depends on other tables; the types that come with PostgreSQL stay.
_MARK = """
SELECT c.oid, c.xmin,
       (SELECT string_agg(CAST(xmin AS text), ' ') FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0),
       (SELECT string_agg(CAST(xmin AS text), ' ') FROM pg_index WHERE indrelid = c.oid),
       (SELECT string_agg(CAST(xmin AS text), ' ') FROM pg_constraint WHERE conrelid = c.oid),
       (SELECT string_agg(CAST(xmin AS text), ' ') FROM pg_trigger WHERE tgrelid = c.oid),
       (SELECT string_agg(CAST(xmin AS text), ' ') FROM pg_rewrite WHERE ev_class = c.oid),
       (SELECT string_agg(concat_ws(' ', y.oid, y.xmin, e.xmin), ' ')
        FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
        JOIN pg_type AS y ON y.oid IN (t.oid, t.typbasetype) LEFT JOIN pg_enum AS e ON e.enumtypid = y.oid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid >= 16384)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = :table AND c.relkind IN ('r', 'p')
  AND CASE WHEN CAST(:schema AS text) IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = :schema END
"""

# Whoever may not see other users' activity sees no start times; then the horizon is the clock (and `check` says so).
# A transaction that has not written yet may still do so, with the stamp of its start: all of them count, those that an
# error has stopped as well, because they can go on from a savepoint. When a prepared one began is kept nowhere. A
# standby knows nothing of the transactions of its primary, but up to when it has followed it.
_CLOCK = """
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint),
       CAST(extract(epoch FROM least(
           (SELECT min(xact_start) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND backend_type NOT IN ('autovacuum worker', 'walsender')),
           (SELECT min(prepared) - interval '1 hour' FROM pg_prepared_xacts WHERE database = current_database()),
           CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() END
       )) * 1000000 AS bigint)
"""


class _Named(sa.types.UserDefinedType[Any]):
    """A type by the name that PostgreSQL itself gave it."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


class PostgresDatabase(Database):
    """A PostgreSQL database."""

    def __init__(self, settings: Settings) -> None:
        self._schema = settings.schema
        logging.getLogger("psycopg").addFilter(_is_loud)
        url = settings.url.set(drivername="postgresql+psycopg")
        timeout = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_SECONDS}
        try:
            engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=timeout, use_native_hstore=False)
        except ModuleNotFoundError as error:
            raise SettingsRefused([("url", "driver_missing", {"package": "psycopg"})]) from error
        self.session = Session(
            engine, begin="BEGIN", prepare=_prepare, classify=postgres_failure,
            returning_many=_returning_many, lives=_lives,
        )  # fmt: skip

    def tables(self) -> Sequence[TableName]:
        rows = self._rows(_TABLES, schema=self._schema)
        return [TableName(name, caption or name, read_only) for name, caption, read_only in rows]

    def describe(self, table: str) -> Described:
        rows = self._rows(_COLUMNS, table=table, schema=self._schema)
        if not rows:
            raise table_missing(table)
        indexes = self._rows(_INDEXES, oid=rows[0][12])
        primary: list[str] = next((names for is_primary, _, names in indexes if is_primary), [])
        unique = {names[0] for _, is_unique, names in indexes if is_unique and len(names) == 1 and names[0]}
        leading = {names[0] for _, _, names in indexes}
        triggers = self._rows(_INSERT_TRIGGERS, oid=rows[0][12])[0][0]
        columns = {row[0]: Column(field_of(row), row[1], row[0] in leading) for row in rows}
        columns = options.limited(columns, _listed(rows))
        key = key_of(columns, primary, unique)
        generates = len(primary) > 1 or any(row[0] == key and row[7] for row in rows)
        fields = {name: column.field for name, column in columns.items()}
        modified_on = modified_on_of(columns, {FieldType.DATETIME}) or modified_on_of(
            columns, {FieldType.DATE, FieldType.INTEGER}
        )
        return Described(Table(table, fields, key, modified_on, table, generates), columns, rows[0][9], triggers)

    def mark(self, table: str) -> Any:
        return self._rows(_MARK, table=table, schema=self._schema) or None

    def clock(self) -> Clock:
        now, oldest = self._rows(_CLOCK)[0]
        return Clock(now, now if oldest is None else min(now, oldest))

    def readable(self, expression: Expression, column: Column) -> Expression:
        return expression if column.native in AS_THEY_ARE else sa.cast(expression, _Named("text"))

    def typed(self, parameter: Expression, column: Column) -> Expression:
        return sa.cast(parameter, _Named(column.native))

    def reader(self, column: Column) -> Converter | None:
        return READERS.get(column.native)

    def writer(self, expression: Expression, column: Column, context: Context) -> Writer | None:  # noqa: ARG002
        return values.write_binary if column.native == "bytea" else None

    def stamps(self, expression: Expression, column: Column) -> Stamps:
        def cast(parameter: Expression) -> Expression:
            return self.typed(parameter, column)

        match column.native:
            case "timestamp with time zone" | "timestamp without time zone":
                return moment_stamps(expression, cast, zoned=column.native == "timestamp with time zone")
            case "date":
                return date_stamps(expression, cast)
            case "bigint" | "double precision":
                return Stamps(read_any, number_phases(expression, None))
            case _:
                params = {"field": column.field.name, "type": column.native}
                raise SideFailed(Failure("mapping_invalid", params, (column.field.name,)))

    def native_key(self, key: str, column: Column) -> Any:
        if column.native in INTEGER_BITS:
            whole = int(key) if re.fullmatch(r"0|-?[1-9]\d{0,18}", key) else None
            return whole if whole is not None and fits(whole, column) else None
        return key if fits(key, column) else None

    def among(self, expressions: Sequence[tuple[Expression, Column]]) -> Expression:
        arrays = [
            sa.cast(bind(f"wanted{index}"), _Named(f"{column.native}[]"))
            for index, (_, column) in enumerate(expressions)
        ]
        if len(arrays) == 1:
            condition: Expression = expressions[0][0] == sa.any_(arrays[0])
            return condition
        listed = (
            sa.func.unnest(*arrays)
            .table_valued(*(f"c{index}" for index in range(len(arrays))), name="listed")
            .render_derived()
        )
        return sa.tuple_(*(expression for expression, _ in expressions)).in_(sa.select(*listed.c))

    def many(self, columns: Sequence[Column], wanted: Collection[tuple[Any, ...]]) -> Mapping[str, Any]:
        fitting = [one for one in wanted if all(map(fits, one, columns))]
        return {f"wanted{index}": _array([one[index] for one in fitting]) for index in range(len(columns))}

    def comparable(self, expression: Expression, column: Column) -> tuple[Expression, Column]:
        if column.native in COMPARED_AS_THEY_ARE:
            return expression, column
        return sa.cast(expression, _Named("text")), replace(column, native="text", indexed=False)

    def filter_value(self, value: Any, column: Column) -> Any:
        return values.write_binary(value) if column.native == "bytea" else value

    def bulk(self, plan: Plan) -> Bulk:
        return ByDocument(plan)

    def same_text(self, expression: Expression, value: str, *, prefix: bool) -> Expression:
        escaped = re.sub(r"([\\%_])", r"\\\1", value)
        return sa.cast(expression, _Named("text")).op("LIKE")(bind("", f"{escaped}%" if prefix else f"%{escaped}%"))

    def lock(self, select: sa.Select[Any], table: sa.FromClause, *, wait: bool) -> sa.Select[Any]:
        return select.with_for_update(of=table, skip_locked=not wait)

    def checks(self, selections: Collection[Selection]) -> Sequence[Check]:
        return check_user(self._rows, self._schema, selections)

    def _rows(self, text: str, **params: Any) -> list[Row]:
        return self.session.rows(self.session.prepared(text, Context(params.get("table", ""))), params)


def _listed(rows: Sequence[Row]) -> Iterator[tuple[str, Sequence[Any]]]:
    """The values of columns that are enumerations, and of those whose constraints list them."""
    for row in rows:
        if row[10]:
            yield row[0], row[10]
        for clause in row[11] or ():
            yield from options.of_clause(clause, "postgres")


def _is_loud(record: logging.LogRecord) -> bool:
    """psycopg's warnings about a pipeline that an error has ended quote the rejected row; the error is raised too."""
    return not str(record.msg).startswith("error ignored")


def _prepare(driver: Any) -> None:
    driver.execute(_SESSION)


def _array(items: list[Any]) -> Any:
    """Texts as PostgreSQL reads an array: JSON, but for the brackets and what a backslash means. psycopg would quote
    each by itself, which takes seventy times as long."""
    if not {str}.issuperset(map(type, items)):
        return items
    document = orjson.dumps(items).decode()
    return items if "\\" in document else f"{{{document[1:-1]}}}"


def _lives(driver: Any) -> bool:
    try:
        driver.execute("SELECT 1").close()
    except Exception:
        return False
    return True


def _returning_many(cursor: Any, text: str, params: Sequence[Any]) -> list[Row]:
    """psycopg sends them in one pipeline; the answers come one by one, in order."""
    cursor.executemany(text, params, returning=True)
    rows: list[Row] = []
    while True:
        rows.append(cursor.fetchone() or ())
        if not cursor.nextset():
            return rows

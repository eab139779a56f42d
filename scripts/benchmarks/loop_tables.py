"""How the plain and the tuned loop read and write a table of an application, on SQLite and on PostgreSQL.

Every call takes a batch. An update is guarded by the stamp that was read, and tells which rows took it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol, cast

import orjson
import psycopg

from scripts.benchmarks.tables import Shape, Values

BATCH = 1_000

Row = tuple[str, str, Values]
"""Key, stamp, values."""


class LoopTable(Protocol):
    """One table of an application."""

    def pages(self, stamp: str, key: str) -> Iterator[list[Row]]:
        """What comes after a stamp and a key, in their order; both empty at the beginning."""
        ...

    def fetch(self, keys: Collection[str]) -> list[Row]:
        """Records by their keys."""
        ...

    def by_numbers(self, numbers: Collection[str]) -> list[Row]:
        """Records by their numbers."""
        ...

    def insert(self, rows: Sequence[tuple[str, Values]]) -> dict[str, str]:
        """Insert keys with values; returns the stamps that they got."""
        ...

    def update(self, rows: Sequence[Row]) -> dict[str, str]:
        """Write values where the stamp is still the given one; returns the new stamps of those that took them."""
        ...


class SqliteTable:
    """A table in a file."""

    def __init__(self, url: str, side: Shape) -> None:
        self._db = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        self._side = side
        self._select = f"SELECT {', '.join((side.key, side.stamp, *side.columns))} FROM {side.table}"
        marks = ", ".join("?" * (len(side.columns) + 1))
        self._insert = f"INSERT INTO {side.table} ({', '.join((side.key, *side.columns))}) VALUES ({marks})"
        assignments = ", ".join(f"{column} = ?" for column in side.columns)
        self._update = f"UPDATE {side.table} SET {assignments} WHERE {side.key} = ?"

    def pages(self, stamp: str, key: str) -> Iterator[list[Row]]:
        order, here = f"{self._side.stamp}, {self._side.key}", (stamp, key)
        statement = f"{self._select} WHERE ({order}) > (?, ?) ORDER BY {order} LIMIT {BATCH}"
        while page := self._rows(statement, here):
            yield page
            here = (page[-1][1], page[-1][0])

    def fetch(self, keys: Collection[str]) -> list[Row]:
        return self._among(self._side.key, keys)

    def by_numbers(self, numbers: Collection[str]) -> list[Row]:
        return self._among(self._side.number, numbers)

    def insert(self, rows: Sequence[tuple[str, Values]]) -> dict[str, str]:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(self._insert, [(key, *values) for key, values in rows])
            return self._stamps([key for key, _ in rows])

    def update(self, rows: Sequence[Row]) -> dict[str, str]:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            now = self._stamps([key for key, _, _ in rows])
            written = [(*values, key) for key, stamp, values in rows if now.get(key) == stamp]
            self._db.executemany(self._update, written)
            return self._stamps([row[-1] for row in written])

    def _stamps(self, keys: Collection[str]) -> dict[str, str]:
        side = self._side
        statement = f"SELECT {side.key}, {side.stamp} FROM {side.table} WHERE {side.key} IN"
        return dict(self._db.execute(f"{statement} (SELECT value FROM json_each(?))", (json.dumps(list(keys)),)))

    def _among(self, column: str, values: Collection[str]) -> list[Row]:
        statement = f"{self._select} WHERE {column} IN (SELECT value FROM json_each(?))"
        return self._rows(statement, (json.dumps(list(values)),))

    def _rows(self, statement: str, parameters: tuple[Any, ...]) -> list[Row]:
        return [(row[0], row[1], row[2:]) for row in self._db.execute(statement, parameters)]


class PostgresTable:
    """A table in PostgreSQL: batches are written from one array for each column."""

    def __init__(self, url: str, side: Shape) -> None:
        self._db = psycopg.connect(url, autocommit=True)
        self._side = side
        columns = ", ".join(f"t.{column}::text" if _as_text(side, column) else f"t.{column}" for column in side.columns)
        # The stamp is qualified where it orders: its text, which has the same name, would sort the whole table.
        self._select = f"SELECT t.{side.key}::text, t.{side.stamp}::text, {columns} FROM {side.table} AS t"
        self._types = self._types_of_columns()

    def pages(self, stamp: str, key: str) -> Iterator[list[Row]]:
        order = f"t.{self._side.stamp}, t.{self._side.key}"
        here = (stamp or "-infinity", key or "00000000-0000-0000-0000-000000000000")
        statement = f"{self._select} WHERE ({order}) > (%s::timestamptz, %s::uuid) ORDER BY {order} LIMIT {BATCH}"
        while page := self._rows(statement, here):
            yield page
            here = (page[-1][1], page[-1][0])

    def fetch(self, keys: Collection[str]) -> list[Row]:
        return self._rows(f"{self._select} WHERE t.{self._side.key} = ANY(%s::uuid[])", (list(keys),))

    def by_numbers(self, numbers: Collection[str]) -> list[Row]:
        return self._rows(f"{self._select} WHERE t.{self._side.number} = ANY(%s)", (list(numbers),))

    def insert(self, rows: Sequence[tuple[str, Values]]) -> dict[str, str]:
        side, columns = self._side, ", ".join(self._side.columns)
        statement = (
            f"INSERT INTO {side.table} ({side.key}, {columns}) SELECT * FROM {self._source(('uuid', *self._types))}"
            f" RETURNING {side.key}::text, {side.stamp}::text"
        )
        return self._written(statement, self._parameters([(key, *values) for key, values in rows]))

    def update(self, rows: Sequence[Row]) -> dict[str, str]:
        side = self._side
        names = ", ".join(("key_", "stamp_", *side.columns))
        assignments = ", ".join(f"{column} = v.{column}" for column in side.columns)
        statement = (
            f"UPDATE {side.table} AS t SET {assignments}"
            f" FROM {self._source(('uuid', 'timestamptz', *self._types))} AS v({names})"
            f" WHERE t.{side.key} = v.key_ AND t.{side.stamp} = v.stamp_"
            f" RETURNING t.{side.key}::text, t.{side.stamp}::text"
        )
        return self._written(statement, self._parameters([(key, stamp, *values) for key, stamp, values in rows]))

    def _source(self, types: Sequence[str]) -> str:
        return f"unnest({', '.join(f'%s::{type_}[]' for type_ in types)})"

    def _parameters(self, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [list(column) for column in zip(*rows, strict=True)]

    def _types_of_columns(self) -> tuple[str, ...]:
        side = self._side
        found = self._db.execute(
            "SELECT attname, format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = %s::regclass", (side.table,)
        ).fetchall()
        types = {str(name): str(type_) for name, type_ in found}
        return tuple(types[column] for column in side.columns)

    def _written(self, statement: str, parameters: Sequence[Any]) -> dict[str, str]:
        return dict(self._db.execute(cast(Any, statement), parameters).fetchall())

    def _rows(self, statement: str, parameters: tuple[Any, ...]) -> list[Row]:
        return [(row[0], row[1], row[2:]) for row in self._db.execute(cast(Any, statement), parameters)]


class TunedPostgresTable(PostgresTable):
    """The same with each batch in one parameter of JSON, which costs a third of arrays."""

    def _source(self, types: Sequence[str]) -> str:
        columns = ", ".join(f'"{number}" {type_}' for number, type_ in enumerate(types))
        return f"(SELECT * FROM json_to_recordset(%s::json) AS r({columns}))"

    def insert(self, rows: Sequence[tuple[str, Values]]) -> dict[str, str]:
        side = self._side
        source = self._source(("uuid", *self._types))
        statement = (
            f"INSERT INTO {side.table} ({side.key}, {', '.join(side.columns)}) SELECT * FROM {source} AS v"
            f" RETURNING {side.key}::text, {side.stamp}::text"
        )
        return self._written(statement, self._parameters([(key, *values) for key, values in rows]))

    def _parameters(self, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        names = [str(number) for number in range(len(rows[0]))]
        return [orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()]


def _as_text(side: Shape, column: str) -> bool:
    """Whether a column is read as text, because JSON knows no such type: decimals and dates."""
    return side.columns.index(column) >= len(side.columns) - 2


def loop_table(url: str, side: Shape, tuned: bool) -> LoopTable:
    """The table that a URL leads to."""
    if url.startswith("sqlite"):
        return SqliteTable(url, side)
    return TunedPostgresTable(url, side) if tuned else PostgresTable(url, side)

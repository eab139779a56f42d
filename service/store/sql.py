"""Statements on whole pages: one text for SQLite and PostgreSQL, rows as tuples, no model instances.

Building such statements with Peewee costs ten times what the database needs for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import orjson
import peewee as pw

from service.store.database import database, is_postgresql

_as_ours = pw.__exception_wrapper__  # type: ignore[attr-defined]
"""What peewee puts around each statement of its own: errors of a driver become its errors."""


def rows(statement: str, *parameters: Any, anew: bool = False) -> list[tuple[Any, ...]]:
    """All rows of a query; `?` marks a parameter."""
    found: list[tuple[Any, ...]] = _executed(statement, parameters, anew).fetchall()
    return found


def execute(statement: str, *parameters: Any, anew: bool = False) -> int:
    """Carry out one statement and return how many rows it touched."""
    touched: int = _executed(statement, parameters, anew).rowcount
    return touched


def _executed(statement: str, parameters: Sequence[Any], anew: bool) -> Any:
    """`anew`: PostgreSQL is to make a plan for the tables as they are. It keeps that of a statement that comes often,
    from when a table was small, until it happens to count the rows."""
    if not (anew and is_postgresql()):
        return database.execute_sql(_dialect(statement), parameters)
    with _as_ours:
        return database.cursor().execute(_dialect(statement), parameters, prepare=False)


def execute_many(statement: str, parameters: Sequence[Sequence[Any]]) -> None:
    """Carry out one statement for many rows of parameters."""
    if parameters:
        with _as_ours:
            database.cursor().executemany(_dialect(statement), parameters)


def insert_many(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, together: int = 1) -> None:
    """Add rows to a table of ours: by COPY, a third of the work of single statements, where there is one. `together`:
    so many rows by one statement where there is none, which is cheaper for a table without triggers."""
    if not rows:
        return
    if not is_postgresql():
        whole = len(rows) // together * together
        some = [list(chain.from_iterable(rows[at : at + together])) for at in range(0, whole, together)]
        for each, given in ((together, some), (1, rows[whole:])):
            marks = ", ".join([f"({', '.join('?' * len(columns))})"] * each)
            execute_many(f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks}", given)
        return
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with _as_ours, database.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def update_many(table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], also: str) -> None:
    """Write over rows of a table of ours, whose ids come last in each of `rows`. `columns`: the SQL types by name;
    `also`: what else is set."""
    if not rows:
        return
    if not is_postgresql():
        values = "".join(f"{name} = ?, " for name in columns)
        execute_many(f"UPDATE {table} SET {values}{also} WHERE id = ?", rows)
        return
    names, given = (*columns, "id"), {**columns, "id": "bigint"}
    execute(
        f"UPDATE {table} SET {''.join(f'{name} = given.{name}, ' for name in columns)}{also}"
        f" FROM json_to_recordset(?) AS given ({', '.join(f'{name} {type}' for name, type in given.items())})"
        f" WHERE {table}.id = given.id",
        orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode(),
        anew=True,
    )


def new_ids(table: str, number: int) -> Sequence[int]:
    """Ids for new rows, which are to be inserted with them in the transaction that the caller has open: so they are
    known without asking for them afterwards."""
    if not number:
        return ()
    if is_postgresql():
        found = rows("SELECT nextval(pg_get_serial_sequence(?, 'id')) FROM generate_series(1, ?)", table, number)
        return [id for (id,) in found]
    # The transaction is the only writer, and the sequence moves on with the greatest id that is inserted.
    found = rows("SELECT seq FROM sqlite_sequence WHERE name = ?", table)
    last = found[0][0] if found else 0
    return range(last + 1, last + number + 1)


def among(column: str) -> str:
    """The condition that `column` (a text or an integer) is among the values of one parameter made by `values`."""
    if is_postgresql():
        return f"{column} = ANY(?)"
    return f"{column} IN (SELECT value FROM json_each(?))"


def found(columns: str, table: str, column: str, condition: str) -> str:
    """A query for rows whose `column` is among the values of its first parameter, and that fulfil `condition`. To be
    carried out `anew`.

    On PostgreSQL each value is looked up by itself, since for an array of them it may look through all rows of a
    mapping. Another index than that of `column` has to be out of the question: of a mapping that is new in a large
    table it would expect a single row there. What is not first in the index is compared by `same`, which uses none.
    """
    if not is_postgresql():
        return f"SELECT {columns} FROM {table} WHERE {among(column)} AND {condition}"
    kind = "bigint" if column == "id" else "text"
    one = f"SELECT {columns} FROM {table} WHERE {column} = wanted.value AND {condition} OFFSET 0"
    return f"SELECT one.* FROM unnest(?::{kind}[]) AS wanted (value) CROSS JOIN LATERAL ({one}) AS one"


def same(column: str) -> str:
    """The condition that `column` is the parameter, which may be None."""
    return f"{column} IS NOT DISTINCT FROM ?" if is_postgresql() else f"{column} IS ?"


def values(items: Collection[Any]) -> Any:
    """The parameter for `among`. PostgreSQL reads an array from a text that differs from JSON in its brackets and in
    what a backslash means; psycopg would quote each item by itself, which takes seventy times as long."""
    document = orjson.dumps(list(items)).decode()
    if not is_postgresql():
        return document
    return list(items) if "\\" in document else f"{{{document[1:-1]}}}"


class Clash(Exception):
    """Somebody else wrote the same thing first: a record coupled twice, a key used twice; or two waited for each other,
    and this one was chosen to give in. Nothing was written."""


DEADLOCK = "40P01"
"""What PostgreSQL calls it when workers of one run write down the same things in different orders."""


@contextmanager
def transaction() -> Iterator[None]:
    """Everything inside is committed together, or not at all. Raises Clash."""
    try:
        with database.atomic():
            yield
    except pw.IntegrityError as error:
        raise Clash(str(error)[:200]) from error
    except pw.OperationalError as error:
        if getattr(getattr(error, "orig", None), "sqlstate", None) != DEADLOCK:
            raise
        raise Clash("two transactions waited for each other") from error


def in_transaction() -> bool:
    """Whether a transaction is open in this thread."""
    return bool(database.in_transaction())


def _dialect(statement: str) -> str:
    return statement.replace("?", "%s") if is_postgresql() else statement


def dump(document: Any) -> str | None:
    """JSON text for a column, None for None."""
    return None if document is None else orjson.dumps(document).decode()

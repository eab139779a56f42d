"""Statements on whole pages: one text for SQLite and PostgreSQL, rows as tuples, no model instances.

Building such statements with Peewee costs ten times what the database needs for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import peewee as pw

from service.store.database import database, is_postgresql


def rows(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """All rows of a query; `?` marks a parameter."""
    found: list[tuple[Any, ...]] = database.execute_sql(_dialect(statement), parameters).fetchall()
    return found


def execute(statement: str, *parameters: Any) -> int:
    """Carry out one statement and return how many rows it touched."""
    touched: int = database.execute_sql(_dialect(statement), parameters).rowcount
    return touched


def execute_many(statement: str, parameters: Sequence[Sequence[Any]]) -> None:
    """Carry out one statement for many rows of parameters."""
    if parameters:
        database.cursor().executemany(_dialect(statement), parameters)


def among(column: str) -> str:
    """The condition that `column` (a text or an integer) is among the values of one parameter made by `values`."""
    if is_postgresql():
        return f"{column} = ANY(?)"
    return f"{column} IN (SELECT value FROM json_each(?))"


def same(column: str) -> str:
    """The condition that `column` is the parameter, which may be None."""
    return f"{column} IS NOT DISTINCT FROM ?" if is_postgresql() else f"{column} IS ?"


def values(items: Collection[Any]) -> Any:
    """The parameter for `among`."""
    return list(items) if is_postgresql() else orjson.dumps(list(items)).decode()


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


def _dialect(statement: str) -> str:
    return statement.replace("?", "%s") if is_postgresql() else statement


def dump(document: Any) -> str | None:
    """JSON text for a column, None for None."""
    return None if document is None else orjson.dumps(document).decode()

"""What all tables have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Self

import orjson
import peewee as pw

from service.core.records import Stamp
from service.store import sql
from service.store.database import database, is_postgresql

FEW = 1_000
"""So many rows are looked up by their ids, rather than looked for among all."""


class JsonField(pw.TextField):
    """A JSON document in a text column."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else orjson.dumps(value).decode()

    def python_value(self, value: str | None) -> Any:
        return None if value is None else orjson.loads(value)


class State(pw.Model):
    """What all tables have in common."""

    class Meta:
        database = database
        legacy_table_names = False

    @classmethod
    def of_id(cls, id: int) -> Self | None:
        """The row with this id. The statement is made once, because making it costs more than asking it."""
        row = database.execute_sql(_by_id(cls, is_postgresql()), (id,)).fetchone()
        return None if row is None else cls._made([row])[0]

    @classmethod
    def listed(cls, rest: str, *parameters: Any, unread: Collection[str] = ()) -> list[Self]:
        """Rows of the table, whole; `rest` is what follows the table's name in the statement, `?` marks a parameter.
        Documents in the fields `unread` stay JSON (`orjson.Fragment`), for those who only pass them on.

        Peewee would take longer to write such a statement, and to make instances of its rows, than the database to
        answer it.
        """
        found = sql.rows(f"SELECT {_columns(cls)} FROM {cls._meta.table_name} {rest}", *parameters)
        return cls._made(found, unread)

    @classmethod
    def values_of(cls, fields: Sequence[str], rest: str, *parameters: Any) -> Iterable[dict[str, Any]]:
        """Some fields of the rows that `listed` gives, by name: an instance for each of a thousand rows costs more than
        what is done with them."""
        columns = ", ".join(cls._meta.fields[name].column_name for name in fields)
        return _read(cls, fields, sql.rows(f"SELECT {columns} FROM {cls._meta.table_name} {rest}", *parameters))

    @classmethod
    def newest(
        cls,
        equals: Mapping[str, Any],
        before: int | None,
        limit: int,
        *more: tuple[str, Sequence[Any]],
        unread: Collection[str] = (),
    ) -> list[Self]:
        """Up to `limit` + 1 rows by falling ids, those below `before` if it is given. `equals` maps fields to what
        they must be, None: whatever they are. `more`: conditions, each with its parameters. `unread` as in `listed`."""
        found = [(f"{cls._meta.fields[name].column_name} = ?", [value]) for name, value in equals.items()]
        kept = [(text, given) for text, given in [*found, ("id < ?", [before])] if given[0] is not None]
        conditions = [*kept, *more]
        where = f"WHERE {' AND '.join(text for text, _ in conditions)}" if conditions else ""
        parameters = [value for _, given in conditions for value in given]
        return cls.listed(f"{where} ORDER BY id DESC LIMIT ?", *parameters, limit + 1, unread=unread)

    @classmethod
    def later(cls, field: str, than: Stamp) -> tuple[str, Sequence[Any]]:
        """The condition that a time is later. Few such rows are looked up by it; where there are many, the newest, with
        which a list begins, are among them."""
        column = cls._meta.fields[field].column_name
        found = sql.rows(
            f"SELECT id FROM {cls._meta.table_name} WHERE {column} > ? ORDER BY {column} LIMIT ?", than, FEW + 1
        )
        if len(found) > FEW:
            return f"{column} > ?", [than]
        return sql.among("id"), [sql.values([id for (id,) in found])]

    @classmethod
    def _made(cls, rows: Iterable[Sequence[Any]], unread: Collection[str] = ()) -> list[Self]:
        """Instances of whole rows, which a constructor and a setter for each field would take ten times as long for."""
        made = []
        for values in _read(cls, _names(cls), rows, unread):
            one = cls.__new__(cls)
            one.__dict__.update(__data__=values, __rel__={}, _dirty=set())
            made.append(one)
        return made


@cache
def _by_id(model: type[State], _postgresql: bool) -> str:
    """The statement for a row by its id, as the open database wants it."""
    query: Any = model.select().where(model._meta.primary_key == 0)
    text: str = query.sql()[0]
    return text


@cache
def _columns(model: type[State]) -> str:
    """All columns of a table, as a statement lists them."""
    return ", ".join(field.column_name for field in model._meta.sorted_fields)


@cache
def _names(model: type[State]) -> tuple[str, ...]:
    """The fields of a table, in the order of `_columns`."""
    return tuple(field.name for field in model._meta.sorted_fields)


def _read(
    model: type[State], names: Sequence[str], rows: Iterable[Sequence[Any]], unread: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    """Rows as values by name, as they are here."""
    reading = [(name, orjson.Fragment if name in unread else read) for name, read in _reading(model) if name in names]
    for row in rows:
        values = dict(zip(names, row))  # noqa: B905  (as many as were asked for, and this is done a thousand times)
        for name, read in reading:
            value = values[name]
            if value is not None:
                values[name] = read(value)
        yield values


@cache
def _reading(model: type[State]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """The fields whose values are not in the database what they are here: documents, and flags, which SQLite has as
    numbers. Numbers and texts are what they are; there are no other kinds."""
    read: Mapping[type[pw.Field], Callable[[Any], Any]] = {JsonField: orjson.loads, pw.BooleanField: bool}
    return tuple((field.name, read[type(field)]) for field in model._meta.sorted_fields if type(field) in read)

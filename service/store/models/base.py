"""What all tables have in common."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Self

import orjson
import peewee as pw

from service.store.database import database, is_postgresql


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
        fields: Sequence[pw.Field] = cls._meta.sorted_fields
        row = database.execute_sql(_by_id(cls, is_postgresql()), (id,)).fetchone()
        if row is None:
            return None
        found = cls(__no_default__=True)
        read: Any = zip(fields, row, strict=True)
        found.__data__ = {field.name: field.python_value(value) for field, value in read}
        return found


@cache
def _by_id(model: type[State], _postgresql: bool) -> str:
    """The statement for a row by its id, as the open database wants it."""
    query: Any = model.select().where(model._meta.primary_key == 0)
    text: str = query.sql()[0]
    return text

"""What all tables have in common."""

from __future__ import annotations

from typing import Any

import orjson
import peewee as pw

from service.store.database import database


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

"""What the database itself refuses, as refusals with a code; and the errors that mean that it cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import peewee as pw

from service.core.errors import Conflict
from service.store.database import database, is_postgresql

BROKEN_RULE = pw.IntegrityError
"""A rule of the schema was broken that no operation foresaw."""

UNREACHABLE = (pw.OperationalError, pw.InterfaceError, pw.DatabaseError)
"""The database is not there, is not the one it should be, is none at all, or lacks tables."""

MISTAKES = (pw.DataError, pw.InternalError, pw.NotSupportedError)
"""Of the kind of those, but our own doing."""

_REFUSALS = (
    ("conflicts_need_a_bidirectional_mapping", "open_conflicts"),
    ("connections.name", "name_taken"),
    ("connections_name_key", "name_taken"),
    ("mappings.name", "name_taken"),
    ("mappings_name_key", "name_taken"),
)
"""A part of the database's message (SQLite's and PostgreSQL's), and what it means to the caller."""


def is_lost(error: BaseException) -> bool:
    """Whether an error means that a PostgreSQL went away, or let go of us, in the midst of work that can be done again
    from its last transaction: a restart, a failover, a deadlock."""
    if not is_postgresql():
        return False
    return isinstance(error, (pw.OperationalError, pw.InterfaceError)) or bool(
        not database.is_closed() and database.connection().closed
    )


@contextmanager
def refusals(**params: Any) -> Iterator[None]:
    """Raise Conflict, with these parameters, where the schema refuses what is done inside."""
    try:
        yield
    except pw.IntegrityError as error:
        text = str(error)
        raise Conflict(next((code for part, code in _REFUSALS if part in text), "conflict"), **params) from error

"""From an error of a database to a failure: by SQLSTATE or SQLite's error code, never by the language of its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.core.failures import Category, Failure

_DETAIL_LENGTH = 200


class Refused(Exception):
    """A statement that the database refused; `failure` says why. `place`: which of many rows it was, where the driver
    tells. Inside this package only."""

    def __init__(self, failure: Failure, place: int | None = None) -> None:
        super().__init__(failure.code, dict(failure.params))
        self.failure = failure
        self.place = place


class Undone(Refused):
    """As `Refused`, and the database has rolled back the whole transaction."""


class Unclear(Refused):
    """As `Refused`, by ourselves: of many rows that were written nobody can tell which record each is."""

    def __init__(self) -> None:
        super().__init__(value_rejected("not_stored"))


@dataclass(frozen=True, slots=True)
class Context:
    """What a statement was about, for the parameters of its failures."""

    table: str = ""
    privilege: str = ""


def concerns_side(failure: Failure) -> bool:
    """Whether a failure says that the application cannot be worked with, not that one record is wrong."""
    return failure.category is Category.SETUP or failure.code in ("connection_failed", "timeout", "rate_limited")


def value_rejected(rule: str, *, field: str | None = None, constraint: str | None = None, detail: str = "") -> Failure:
    """A record that breaks a rule of its table."""
    params = {"field": field, "rule": rule, "constraint": constraint, "detail": shorten(detail)}
    return Failure(
        "value_rejected",
        {name: value for name, value in params.items() if value},
        tuple(part for part in (field, rule, constraint) if part),
    )


def shorten(text: str) -> str:
    """A database's sentence without what follows a colon in quotes (the value it rejects), cut to 200 characters."""
    kept = re.sub(r':\s+(".*"|\'.*\')', "", text.strip().split("\n")[0], flags=re.DOTALL)
    return kept if len(kept) <= _DETAIL_LENGTH else kept[: _DETAIL_LENGTH - 1] + "…"


def connection_failed(detail: str) -> Failure:
    """No answer, or none that helps."""
    return Failure("connection_failed", {"detail": shorten(detail)})


def permission_denied(context: Context, detail: str = "") -> Failure:
    """The user may not do this to this table."""
    params = {"table": context.table, "privilege": context.privilege, "detail": shorten(detail)}
    return Failure("permission_denied", params, (context.table, context.privilege))


def unreadable_value(error: Exception) -> Failure:
    """A value that the driver cannot even send: a whole number over 64 bits, half a surrogate pair, a zero byte."""
    rule = "out_of_range" if isinstance(error, OverflowError) else "not_a"
    return value_rejected(rule, detail="" if isinstance(error, UnicodeError) else str(error))


# SQLite

_SQLITE_RULES: Mapping[int, str] = {
    2067: "unique",  # SQLITE_CONSTRAINT_UNIQUE
    1555: "unique",  # SQLITE_CONSTRAINT_PRIMARYKEY
    2579: "unique",  # SQLITE_CONSTRAINT_ROWID
    1299: "not_null",
    275: "check",
    787: "foreign_key",
    1811: "trigger",
    3091: "not_a",  # SQLITE_CONSTRAINT_DATATYPE: a STRICT table
}
_SQLITE_CONSTRAINT, _SQLITE_TOOBIG, _SQLITE_MISMATCH = 19, 18, 20
_SQLITE_LOCKED = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED
_SQLITE_READ_ONLY = (3, 8, 23)  # SQLITE_PERM, SQLITE_READONLY, SQLITE_AUTH
_SQLITE_NO_DATABASE = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB


def sqlite_failure(error: Exception, context: Context) -> Failure:
    """The failure that an error of the module sqlite3 stands for."""
    code = getattr(error, "sqlite_errorcode", None)
    text = str(error)
    if not isinstance(code, int):
        return unreadable_value(error)
    primary = code & 0xFF
    if primary == _SQLITE_CONSTRAINT:
        return _sqlite_constraint(code, text)
    if primary in (_SQLITE_TOOBIG, _SQLITE_MISMATCH):
        return value_rejected("out_of_range" if primary == _SQLITE_TOOBIG else "not_a", detail=text)
    if primary in _SQLITE_LOCKED:
        return Failure("record_locked", {"table": context.table})
    if primary in _SQLITE_READ_ONLY:
        return permission_denied(context, text)
    if primary in _SQLITE_NO_DATABASE:
        return Failure("not_a_database", {"detail": shorten(text)})
    return _sqlite_rest(primary, text, context)


def _sqlite_rest(primary: int, text: str, context: Context) -> Failure:
    """SQLITE_ERROR stands for many things; its texts are not translated."""
    if primary != 1:
        return connection_failed(text)
    code = {"no such table": "table_not_found", "no such column": "field_not_found"}.get(text.partition(":")[0])
    return Failure(code or "internal_error", {"table": context.table, "detail": shorten(text)}, (context.table,))


def _sqlite_constraint(code: int, text: str) -> Failure:
    """SQLite names the columns ("UNIQUE constraint failed: customer.number") or the check, never the values."""
    rule = _SQLITE_RULES.get(code, "check")
    named = text.partition("constraint failed: ")[2]
    if rule in ("unique", "not_null", "not_a") and named:
        fields = ", ".join(part.strip().rpartition(".")[2] for part in named.split(","))
        return value_rejected(rule, field=fields, detail=text)
    return value_rejected(rule, constraint=named if rule == "check" else None, detail=text)


# PostgreSQL

_POSTGRES_RULES: Mapping[str, str] = {
    "23505": "unique",
    "23503": "foreign_key",
    "23001": "foreign_key",
    "23502": "not_null",
    "23514": "check",
    "23P01": "exclusion",
    "44000": "check",  # a view's CHECK OPTION
    "22003": "out_of_range",
    "22008": "out_of_range",
    "428C9": "read_only",  # GENERATED ALWAYS
    "P0001": "trigger",
}
_POSTGRES_CREDENTIALS = ("28000", "28P01")
_POSTGRES_LOCKED = ("40001", "40P01", "55P03")
_POSTGRES_READ_ONLY = ("25006", "42501")


def postgres_failure(error: Exception, context: Context) -> Failure:
    """The failure that an error of psycopg stands for."""
    state = getattr(error, "sqlstate", None)
    if not isinstance(state, str):
        return _postgres_without_state(error)
    diagnosis: Any = getattr(error, "diag", None)
    detail = getattr(diagnosis, "message_primary", None) or str(error)
    source = getattr(diagnosis, "source_function", None)
    if state == "42501" and source == "ExecWithCheckOptions":
        return value_rejected("policy", detail=detail)  # Row-level security: this record, not the table.
    if state in _POSTGRES_RULES:
        return _postgres_rule(_POSTGRES_RULES[state], diagnosis, detail)
    if state in _POSTGRES_READ_ONLY:
        return permission_denied(context, detail)
    if state in _POSTGRES_CREDENTIALS:
        return Failure("credentials_rejected", {"detail": shorten(detail)})
    if state in _POSTGRES_LOCKED:
        return Failure("record_locked", {"table": context.table})
    return _postgres_rest(state, source, detail, context)


def _postgres_rest(state: str, source: str | None, detail: str, context: Context) -> Failure:
    if state == "22001":
        return Failure("value_too_long", {"detail": shorten(detail)})
    if state == "0A000" and source == "RevalidateCachedQuery":
        return connection_failed(detail)  # The table changed under a prepared statement: a new connection knows none.
    if state in ("0A000", "55000"):  # What this table or view cannot do.
        return permission_denied(context, detail)
    if state == "57014":  # Cancelled, which we never do ourselves: the time-out.
        return Failure("timeout", {"table": context.table})
    if state in ("42P01", "3F000"):
        return Failure("table_not_found", {"table": context.table}, (context.table,))
    if state == "42703":
        return Failure("field_not_found", {"table": context.table, "detail": shorten(detail)}, (context.table,))
    if state[:2] in ("08", "53", "57", "58"):  # connection, resources, administrator's shutdown, the machine
        return connection_failed(detail)
    if state[:2] in ("22", "42"):
        return value_rejected("not_a", detail=detail)
    if state[:2] in ("21", "23", "44", "P0"):
        return value_rejected("check", detail=detail)
    return Failure("internal_error", {"detail": shorten(detail), "sqlstate": state}, (state,))


def _postgres_rule(rule: str, diagnosis: Any, detail: str) -> Failure:
    field = diagnosis.column_name
    if field is None and diagnosis.message_detail:
        # "Key (number)=(42) already exists.": translated, but with these brackets in every language.
        named = re.search(r"\((.+?)\)=\(", diagnosis.message_detail)
        field = named[1] if named else None
    return value_rejected(rule, field=field, constraint=diagnosis.constraint_name, detail=detail)


_CREDENTIAL_PHRASES = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "role ",
)
"""libpq gives no SQLSTATE for a connection that was refused. A server that speaks another language at this point is
recognized by `needs_password` only."""


def _postgres_without_state(error: Exception) -> Failure:
    text = str(error)
    if type(error).__name__ == "DataError" or not hasattr(error, "sqlstate"):
        return unreadable_value(error)
    session: Any = getattr(error, "pgconn", None)
    asked = session is not None and session.needs_password
    if asked or any(phrase in text for phrase in _CREDENTIAL_PHRASES):
        return Failure("credentials_rejected", {"detail": shorten(text)})
    return connection_failed(text)

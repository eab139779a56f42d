"""Connections: keeping them, opening them, and asking what they lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from service.connectors import connector_class, connector_kinds
from service.connectors.base import Connector, SettingsRefused, TableName
from service.core.errors import Conflict, Invalid, NotFound, Problem, Stale, Unavailable
from service.core.failures import Failure, SideFailed
from service.core.records import Table
from service.operations import audit
from service.operations.context import Context, SecretLost
from service.operations.figures import observed
from service.operations.secret_settings import mask, unmask
from service.store import connections as store
from service.store.integrity import refusals
from service.store.models import Connection
from service.store.sql import transaction


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is encrypted of a connection: its credentials, and the settings that have a password inside."""

    credentials: Mapping[str, Any]
    settings: Mapping[str, str]


def get(id: int) -> Connection:
    """One connection."""
    found = store.get(id)
    if found is None:
        raise NotFound("connection", id)
    return found


def list_connections(*, before: int | None, limit: int) -> list[Connection]:
    """Up to `limit` + 1 connections, newest first."""
    return store.page(before, limit)


def create(
    context: Context,
    *,
    name: str,
    kind: str,
    settings: Mapping[str, Any],
    credentials: Mapping[str, Any] | None,
    enabled: bool,
    actor: str,
) -> Connection:
    """A new connection. Its settings are checked; whether it leads anywhere is what `check` is for."""
    columns = {"name": name, "kind": kind, "enabled": enabled}
    columns |= settled(context, kind, settings, Secrets(credentials or {}, {}))
    return get(write_new(context, columns, actor))


def change(context: Context, id: int, changes: Mapping[str, Any], expected: int | None, actor: str) -> Connection:
    """Change some of a connection. `settings` are merged, null removing one; `credentials` are replaced."""
    row = get(id)
    columns = {name: changes[name] for name in ("name", "enabled") if name in changes}
    if "settings" in changes or "credentials" in changes:
        secrets = secrets_of(context, row)
        merged = {**row.settings, **changes.get("settings", {})}
        settings = {name: value for name, value in merged.items() if value is not None}
        credentials = changes.get("credentials", secrets.credentials) or {}
        columns |= settled(context, row.kind, settings, Secrets(credentials, secrets.settings))
    write_over(context, row, columns, expected, actor)
    return get(id)


def write_new(context: Context, columns: Mapping[str, Any], actor: str) -> int:
    """Write down a new connection whose columns are settled; its id."""
    now = context.now()
    with transaction(), refusals(noun="connection", name=columns["name"]):
        id = store.insert({**columns, "created_at": now, "updated_at": now})
        audit.record(context, actor, "create", "connection", id, after=_shown(columns))
    return id


def write_over(context: Context, row: Connection, columns: Mapping[str, Any], expected: int | None, actor: str) -> None:
    """Write down columns of a connection that are settled. Raises Conflict, Stale."""
    before = _shown({name: getattr(row, name) for name in ("name", "kind", "settings", "credentials", "enabled")})
    with transaction(), refusals(noun="connection", name=columns.get("name", row.name)):
        if not store.update(row.id, expected or row.version, {**columns, "updated_at": context.now()}):
            raise Stale("connection", row.id)
        audit.record_change(context, actor, "connection", row.id, before, _shown(columns))


def delete(context: Context, id: int, expected: int | None, actor: str) -> None:
    """Delete a connection that no mapping uses."""
    row = get(id)
    with transaction(), refusals():
        mappings = store.mappings_using(id)
        if mappings:
            raise Conflict("connection_in_use", mappings=mappings)
        if not store.delete(id, expected or row.version):
            raise Stale("connection", id)
        audit.record(context, actor, "delete", "connection", id, before={"name": row.name})


def open_connector(context: Context, row: Connection) -> Connector:
    """The connector of an enabled connection; the caller closes it. Raises SideFailed; reaches nothing yet."""
    if not row.enabled:
        raise SideFailed(Failure("connection_disabled", {"connection": row.name}, (row.name,)))
    return _open(context, row)


@contextmanager
def borrowed_connector(context: Context, row: Connection) -> Iterator[Connector]:
    """A connector of an enabled connection, which rests afterwards for the next who needs it. Raises SideFailed."""
    if not row.enabled:
        raise SideFailed(Failure("connection_disabled", {"connection": row.name}, (row.name,)))
    # All that it is made of, and not its number alone: a state that was restored gives numbers and versions again.
    key = (row.id, row.version, row.kind, orjson.dumps(row.settings), row.credentials, context.connector_class)
    with context.kept.borrowed(key, lambda: _open(context, row)) as connector:
        yield connector


@contextmanager
def connected(context: Context, id: int) -> Iterator[Connector]:
    """A connector for a caller who is waiting, whether the connection is enabled or not. Raises Unavailable."""
    row = get(id)
    try:
        connector = _open(context, row)
        try:
            yield connector
        finally:
            connector.close()
    except SideFailed as error:
        raise Unavailable(error.failure) from error


def list_tables(context: Context, id: int, *, before: str | None, limit: int) -> list[TableName]:
    """Up to `limit` + 1 tables that can be mapped, by name, after the name `before`."""
    with connected(context, id) as connector:
        tables = sorted(connector.tables(), key=lambda table: table.name)
    return [table for table in tables if before is None or table.name > before][: limit + 1]


def get_table(context: Context, id: int, name: str) -> Table:
    """One table with its fields."""
    with connected(context, id) as connector:
        try:
            return connector.describe(name)
        except SideFailed as error:
            if error.failure.code == "table_not_found":
                raise NotFound("table", name) from error
            raise


def _open(context: Context, row: Connection) -> Connector:
    try:
        secrets = secrets_of(context, row)
        settings, _ = unmask(row.settings, secrets.settings)
        connector = context.connector_class(row.kind)(settings, secrets.credentials)
        connector.networks = context.private_networks
        return observed(connector, row.name)
    except SecretLost as error:
        raise SideFailed(Failure("secret_lost", {"connection": row.name}, (row.name,))) from error
    except KeyError as error:
        raise _cannot_open(f"the kind {row.kind} is not installed") from error
    except SettingsRefused as error:
        names = ", ".join(name for name, _, _ in error.problems)
        raise _cannot_open(f"its settings are not valid any more: {names}") from error


def _cannot_open(detail: str) -> SideFailed:
    return SideFailed(Failure("connection_failed", {"detail": detail}))


def secrets_of(context: Context, row: Connection) -> Secrets:
    """What is encrypted of a connection. Raises SecretLost."""
    opened = context.secrets.open(row.credentials)
    return Secrets(opened.get("credentials", {}), opened.get("settings", {}))


def settled(context: Context, kind: str, settings: Mapping[str, Any], secrets: Secrets) -> dict[str, Any]:
    """The columns for settings and credentials that the kind accepts. Raises Invalid with all problems."""
    used, lost = unmask(settings, secrets.settings)
    problems = [Problem(f"/settings/{name}", "password_masked") for name in lost]
    problems += _refused(kind, used, secrets.credentials)
    if problems:
        raise Invalid(problems)
    shown, hidden = mask(used)
    sealed = {"credentials": dict(secrets.credentials), "settings": hidden}
    return {"settings": shown, "credentials": context.secrets.seal(sealed) if any(sealed.values()) else None}


def _refused(kind: str, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> list[Problem]:
    try:
        connector_class(kind)(settings, credentials).close()
    except KeyError:
        return [Problem("/kind", "unknown_kind", {"kind": kind, "kinds": connector_kinds()})]
    except SettingsRefused as error:
        return [
            Problem(f"/{'credentials' if name in credentials else 'settings'}/{name}", code, params)
            for name, code, params in error.problems
        ]
    return []


def _shown(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as an audit entry may hold them: whether there are credentials, not which."""
    known = {name: value for name, value in columns.items() if name != "credentials"}
    return known | ({"credentials": bool(columns["credentials"])} if "credentials" in columns else {})

"""Queries on connections."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from service.store import sql
from service.store.models import Connection


def get(id: int) -> Connection | None:
    """One connection."""
    return Connection.of_id(id)


def among(ids: Collection[int]) -> dict[int, Connection]:
    """Those of these connections that exist, by id."""
    return {row.id: row for row in Connection.listed(f"WHERE {sql.among('id')}", sql.values(ids))}


def page(before: int | None, limit: int) -> list[Connection]:
    """Up to `limit` + 1 connections, newest first."""
    return Connection.newest({}, before, limit)


def everything() -> list[Connection]:
    """All connections, in the order in which they were made."""
    return Connection.listed("ORDER BY id")


def insert(columns: Mapping[str, Any]) -> int:
    """A new connection; its id."""
    return int(Connection.insert(**columns).execute())


def update(id: int, version: int, columns: Mapping[str, Any]) -> bool:
    """Change it if it still has this version, and count the version up."""
    query = Connection.update({**columns, "version": version + 1})
    return bool(query.where((Connection.id == id) & (Connection.version == version)).execute())


def delete(id: int, version: int) -> bool:
    """Delete it if it still has this version."""
    return bool(Connection.delete().where((Connection.id == id) & (Connection.version == version)).execute())


def remember_notification(id: int, digest: str) -> None:
    """Keep the digest of the secret of its notifications."""
    Connection.update(notification_digest=digest).where(Connection.id == id).execute()


def mappings_using(id: int) -> list[str]:
    """The names of the mappings that use a connection."""
    found = sql.rows(
        "SELECT name FROM mappings WHERE local_connection_id = ? OR integration_connection_id = ? ORDER BY name", id, id
    )
    return [row[0] for row in found]

"""The connections and mappings as one document that people review: keyed by names, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.core.records import Side
from service.operations import placeholders
from service.operations.connections import secrets_of
from service.operations.context import Context, SecretLost
from service.operations.mapping_drafts import Document, document_of
from service.store import connections, mappings
from service.store.models import Connection


def export(context: Context) -> Document:
    """Everything that `applying` makes again: `connections`, then `mappings`, in the order in which they were made."""
    rows = connections.everything()
    names = {row.id: row.name for row in rows}
    return {"connections": [_connection(context, row) for row in rows], "mappings": _mappings(names)}


def _connection(context: Context, row: Connection) -> Document:
    try:
        credentials = secrets_of(context, row).credentials
    except SecretLost:
        credentials = {}
    shown: Document = {
        "name": row.name,
        "kind": row.kind,
        "settings": placeholders.named(row.name, row.settings),
        "enabled": row.enabled,
    }
    if credentials:
        shown["credentials"] = {
            name: {placeholders.KEY: placeholders.variable(row.name, name)} for name in sorted(credentials)
        }
    return shown


def _mappings(connection_names: Mapping[int, str]) -> list[Document]:
    rows = mappings.everything()
    lines, names = mappings.lines([row.id for row in rows]), {row.id: row.name for row in rows}
    return [by_name(document_of(row, lines[row.id], names), connection_names, names) for row in rows]


def by_name(document: Document, connection_names: Mapping[int, str], mapping_names: Mapping[int, str]) -> Document:
    """A mapping's document with names instead of ids."""
    shown: dict[str, Any] = dict(document)
    for side in Side:
        held = dict(document[side])
        shown[side.value] = {"connection": connection_names[held.pop("connection_id")], **held}
    shown["depends_on"] = [mapping_names[id] for id in document["depends_on"]]
    return shown

"""A hint from outside that tables changed: the mappings that use them are synchronized at once."""

from __future__ import annotations

from collections.abc import Collection

from service.operations import connections, runs
from service.operations.context import Context
from service.store import mappings
from service.store.models import Mapping, SyncRun


def announce(context: Context, connection_id: int, tables: Collection[str], actor: str) -> list[SyncRun]:
    """Start a run for each enabled mapping that uses one of the tables; a run that is queued already will do."""
    connections.get(connection_id)
    using = [row for row in mappings.of_connection(connection_id) if row.enabled and _uses(row, connection_id, tables)]
    return [runs.start(context, runs.RunRequest(mapping_id=row.id), actor, trigger="change") for row in using]


def _uses(row: Mapping, connection_id: int, tables: Collection[str]) -> bool:
    sides = (
        (row.local_connection_id, row.local_table, row.local_modified_on),
        (row.integration_connection_id, row.integration_table, row.integration_modified_on),
    )
    return any(
        connection == connection_id and (table in tables or (isinstance(stamp, dict) and stamp["table"] in tables))
        for connection, table, stamp in sides
    )

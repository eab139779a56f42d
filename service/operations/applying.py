"""Carrying out a plan for connections and mappings: all of it in one transaction, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from service.core.records import Side
from service.operations import connections, mappings
from service.operations.context import Context
from service.operations.mapping_drafts import Document
from service.operations.planning import Plan
from service.store.models import Mapping as MappingRow
from service.store.sql import transaction

_COLUMNS = ("name", "kind", "settings", "credentials", "enabled")


def carry_out(context: Context, made: Plan, actor: str) -> None:
    """Do all of it in one transaction. Raises Conflict, Stale: then nothing was done."""
    with transaction():
        _delete(context, made, "mapping", mappings.delete, actor)
        made_connections: dict[int, int] = {}
        for wanted, row in made.connections.values():
            columns = {name: getattr(wanted, name) for name in _COLUMNS}
            if row is None:
                made_connections[wanted.id] = connections.write_new(context, columns, actor)
            else:
                connections.write_over(context, row, columns, row.version, actor)
        made_mappings: dict[int, int] = {}
        for before, id, document in _in_order(made):
            real = _real(document, made_connections, made_mappings)
            if before is None:
                made_mappings[id] = mappings.write_new(context, real, actor)
            else:
                mappings.write_over(context, before, real, before.version, actor)
        _delete(context, made, "connection", connections.delete, actor)


def _delete(
    context: Context, made: Plan, noun: str, delete: Callable[[Context, int, int | None, str], None], actor: str
) -> None:
    for kind, row in made.deleted:
        if kind == noun:
            delete(context, row.id, row.version, actor)


def _in_order(made: Plan) -> list[tuple[MappingRow | None, int, Document]]:
    """Each mapping after those that it depends on; there are no rings."""
    waiting = {id: (row, id, document) for row, id, document in made.mappings.values()}
    ordered: list[tuple[MappingRow | None, int, Document]] = []

    def place(id: int) -> None:
        item = waiting.pop(id, None)
        if item is not None:
            for needed in item[2]["depends_on"]:
                place(needed)
            ordered.append(item)

    for id in list(waiting):
        place(id)
    return ordered


def _real(document: Document, made_connections: Mapping[int, int], made_mappings: Mapping[int, int]) -> Document:
    """A document in which what was just made has its real id."""
    sides = {side.value: dict(document[side]) for side in Side}
    for side in sides.values():
        side["connection_id"] = made_connections.get(side["connection_id"], side["connection_id"])
    return {**document, **sides, "depends_on": [made_mappings.get(id, id) for id in document["depends_on"]]}

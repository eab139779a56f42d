"""Carrying out a plan for connections and mappings: all of it in one transaction, or nothing."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.records import Side
from service.operations import connections, mappings
from service.operations.context import Context
from service.operations.mapping_drafts import Document
from service.operations.planning import Plan, Wanted
from service.store import mappings as mapping_rows
from service.store.sql import transaction

_COLUMNS = ("name", "kind", "settings", "credentials", "enabled")


def carry_out(context: Context, made: Plan, actor: str) -> None:
    """Do all of it in one transaction. Raises Conflict, Stale: then nothing was done."""
    with transaction():
        ids = _write_connections(context, made, actor)
        _write_mappings(context, made, ids, actor)
        _delete(context, made, actor)


def _write_connections(context: Context, made: Plan, actor: str) -> dict[int, int]:
    """The real ids of new connections, by those that the plan gave them."""
    ids: dict[int, int] = {}
    for wanted, row in made.connections.values():
        columns = {name: getattr(wanted, name) for name in _COLUMNS}
        if row is None:
            ids[wanted.id] = connections.write_new(context, columns, actor)
        else:
            connections.write_over(context, row, columns, row.version, actor)
    return ids


def _write_mappings(context: Context, made: Plan, connection_ids: Mapping[int, int], actor: str) -> None:
    """Rows first, since field mappings may refer to each other's mappings."""
    ids: dict[int, int] = {}
    ordered = _in_order(made)
    for wanted in ordered:
        if wanted.row is None:
            ids[wanted.id] = mappings.insert(context, _real(wanted.document, connection_ids, ids))
    for wanted in ordered:
        document = _real(wanted.document, connection_ids, ids)
        if wanted.row is None:
            mappings.fill(context, ids[wanted.id], document, wanted.optional, actor)
        else:
            mappings.write_over(context, wanted.row, document, wanted.optional, wanted.row.version, actor)


def _delete(context: Context, made: Plan, actor: str) -> None:
    """Mappings before the connections that they use; first of all what they refer to in each other."""
    gone = [row for noun, row in made.deleted if noun == "mapping"]
    for row in gone:
        mapping_rows.replace_lines(row.id, {}, [])
    for row in gone:
        mappings.delete(context, row.id, row.version, actor)
    for noun, row in made.deleted:
        if noun == "connection":
            connections.delete(context, row.id, row.version, actor)


def _in_order(made: Plan) -> list[Wanted]:
    """Each mapping after those that it depends on; there are no rings."""
    waiting = {wanted.id: wanted for wanted in made.mappings.values()}
    ordered: list[Wanted] = []

    def place(id: int) -> None:
        wanted = waiting.pop(id, None)
        if wanted is not None:
            for needed in wanted.document["depends_on"]:
                place(needed)
            ordered.append(wanted)

    for id in list(waiting):
        place(id)
    return ordered


def _real(document: Document, connection_ids: Mapping[int, int], mapping_ids: Mapping[int, int]) -> Document:
    """A document in which what was just made has its real id."""
    sides = {side.value: dict(document[side]) for side in Side}
    for side in sides.values():
        side["connection_id"] = connection_ids.get(side["connection_id"], side["connection_id"])
    return {**document, **sides, "depends_on": [mapping_ids.get(id, id) for id in document["depends_on"]]}

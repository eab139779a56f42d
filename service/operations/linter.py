"""The linter: everything that is wrong with a mapping, and everything that is likely to be, before it is saved.

An error keeps a mapping from being saved. A warning says what will go wrong with some records, or does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from service.connectors.base import Connector
from service.core import composites
from service.core.failures import SideFailed
from service.core.records import Selection, Side, SideTable, Table
from service.operations import mappings
from service.operations.connections import open_connector
from service.operations.context import Context
from service.operations.linter_keys import repeated_keys
from service.operations.linter_rules import RULES, written_elsewhere
from service.operations.linter_scene import SEVERITIES, Finding, Scene
from service.operations.mapping_drafts import Document, MappingDraft, SideDraft, draft_of
from service.operations.mapping_rules import STORED, Surroundings
from service.store import mappings as mapping_rows

__all__ = ["SEVERITIES", "Finding", "lint", "warnings"]

_CHECKS = ("modified_on_index", "write_access", "read_access")
"""What a connector's setup checks say about a table that belongs to a mapping of it."""


def lint(context: Context, given: Document, own_id: int | None = None) -> list[Finding]:
    """Everything there is to say about a mapping, errors first. `own_id`: the stored one that it is a change of; where
    nobody says, that of the same name."""
    document = {**mappings.DEFAULTS, **given}
    own_id = own_id or mapping_rows.id_of(document["name"])
    draft = draft_of(document)
    checked = mappings.check(context, document, own_id, live=True)
    if checked.problems:
        return [_about(draft, Finding("error", one.pointer, one.code, one.params)) for one in checked.problems]
    return warnings(context, draft, own_id)


def warnings(context: Context, draft: MappingDraft, own_id: int | None, around: Surroundings = STORED) -> list[Finding]:
    """What there is to say about a mapping without problems. Both applications are asked."""
    tables: dict[Side, Table] = {}
    found: list[Finding] = []
    for side in Side:
        found += _look(context, draft, side, tables, around)
    if len(tables) == len(Side):
        scene = Scene(draft, tables)
        for rule in RULES:
            found += rule(scene)
        others = ((name, other) for id, name, other in around.drafts() if id != own_id)
        found += written_elsewhere(scene, others)
    return sorted((_about(draft, one) for one in found), key=lambda one: SEVERITIES.index(one.severity))


def _about(draft: MappingDraft, finding: Finding) -> Finding:
    match finding.pointer.split("/")[1:]:
        case ["fieldMappings", place, *_]:
            line = draft.field_mappings[int(place)]
            names = tuple(name for side in Side if (name := line.field(side)) is not None)
            return replace(finding, about=names)
        case _:
            return finding


def _look(
    context: Context, draft: MappingDraft, side: Side, tables: dict[Side, Table], around: Surroundings
) -> list[Finding]:
    """What the application of a side says of its table, which is put into `tables`."""
    own = draft.side(side)
    row = around.connection(own.connection_id)
    if row is None:
        return []
    try:
        with closing(open_connector(context, row)) as connector:
            table = tables[side] = connector.describe(own.table)
            selection = _selection(draft, own, table, side)
            return [*_checked(connector, selection, side), *repeated_keys(connector, draft, side, selection, table)]
    except SideFailed as error:
        return [Finding("warning", f"/{side}/connectionId", error.failure.code, error.failure.params)]


def _selection(draft: MappingDraft, own: SideDraft, table: Table, side: Side) -> Selection:
    names = (line.field(side) for line in draft.field_mappings if line.enabled)
    fields = composites.plain(table.fields, (name for name in names if name is not None))
    stamp: str | SideTable = own.modified_on or table.modified_on or ""
    return Selection(own.table, own.key or table.key or "", stamp, fields, own.filter)


def _checked(connector: Connector, selection: Selection, side: Side) -> Iterator[Finding]:
    """What the setup checks say of this table."""
    stamp = selection.modified_on
    name = stamp.field if isinstance(stamp, SideTable) else stamp
    for one in connector.check([selection]):
        if one.code not in _CHECKS or one.status not in ("warn", "fail"):
            continue
        if one.code == "modified_on_index":
            yield Finding("warning", f"/{side}/modifiedOn", "lint_no_index", {"field": name, **one.params})
        else:
            yield Finding("warning", f"/{side}/table", one.code, {**one.params, "rule": one.status})

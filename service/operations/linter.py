"""The linter: everything that is wrong with a mapping, and everything that is likely to be, before it is saved.

An error keeps a mapping from being saved. A warning says what will go wrong with some records, or does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from service.core import composites
from service.core.contradictions import contradictions
from service.core.failures import SideFailed
from service.core.linting import lost, refused, uncovered, unknown_options
from service.core.mapping import flowing_steps
from service.core.records import Direction, Field, Selection, Side, SideTable, Table
from service.core.ways import Way
from service.operations import mappings
from service.operations.connections import open_connector
from service.operations.context import Context
from service.operations.mapping_drafts import Document, LineDraft, MappingDraft, SideDraft, draft_of, draft_of_row
from service.operations.mapping_line_rules import WAYS
from service.store import connections as connection_rows
from service.store import mappings as mapping_rows

SEVERITIES = ("error", "warning", "info")

_CHECKS = ("modified_on_index", "write_access", "read_access")
"""What a connector's setup checks say about a table that belongs to a mapping of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to be said about a mapping: where (a JSON pointer), which (a code of `wording`), and with what.

    `about`: the fields of the field mapping that it is about.
    """

    severity: str
    pointer: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Tables:
    """A draft and its two tables."""

    draft: MappingDraft
    tables: Mapping[Side, Table]

    def fields(self, own: SideDraft) -> Mapping[str, Field]:
        """The fields of a side of any mapping, where it is one of the two tables."""
        places = {(self.draft.side(side).connection_id, self.draft.side(side).table): side for side in Side}
        side = places.get((own.connection_id, own.table))
        return {} if side is None else self.tables[side].fields

    def way(self, line: LineDraft, way: Direction) -> Way | None:
        """A line in one direction, None where it does not flow or has no two fields."""
        source, target = line.field(way.source), line.field(way.source.other)
        flows = line.enabled and self.draft.direction.allows(way) and line.direction.allows(way)
        if source is None or target is None or not flows or line.reference is not None:
            return None
        here, there = self.tables[way.source], self.tables[way.source.other]
        origin, goal = composites.found(here.fields, source), composites.found(there.fields, target)
        if origin is None or goal is None:
            return None
        back = Direction.out_of(way.source.other)
        returns = self.draft.direction.allows(back) and line.direction.allows(back)
        undone = flowing_steps(line.transforms, back) if returns else None
        return Way(origin, goal, flowing_steps(line.transforms, way), undone)


def lint(context: Context, given: Document, own_id: int | None = None) -> list[Finding]:
    """Everything there is to say about a mapping, errors first. `own_id`: the stored one that it is a change of; where
    nobody says, that of the same name."""
    document = {**mappings.DEFAULTS, **given}
    own_id = own_id or mapping_rows.id_of(document["name"])
    draft = draft_of(document)
    checked = mappings.check(context, document, own_id, live=True)
    if checked.problems:
        return [_about(draft, Finding("error", one.pointer, one.code, one.params)) for one in checked.problems]
    tables, found = _looked_at(context, draft)
    if len(tables) == len(Side):
        scene = _Tables(draft, tables)
        for rule in (_line_findings, _filter_findings, _idle_findings):
            found += rule(scene)
        found += _elsewhere(scene, own_id)
    return sorted((_about(draft, one) for one in found), key=lambda one: SEVERITIES.index(one.severity))


def _about(draft: MappingDraft, finding: Finding) -> Finding:
    match finding.pointer.split("/")[1:]:
        case ["fieldMappings", place, *_]:
            line = draft.field_mappings[int(place)]
            names = tuple(name for side in Side if (name := line.field(side)) is not None)
            return replace(finding, about=names)
        case _:
            return finding


def _looked_at(context: Context, draft: MappingDraft) -> tuple[dict[Side, Table], list[Finding]]:
    """Both tables, and what the applications say of them."""
    tables: dict[Side, Table] = {}
    found: list[Finding] = []
    for side in Side:
        own, row = draft.side(side), connection_rows.get(draft.side(side).connection_id)
        if row is None:
            continue
        try:
            with closing(open_connector(context, row)) as connector:
                table = tables[side] = connector.describe(own.table)
                names = (line.field(side) for line in draft.field_mappings if line.enabled)
                fields = composites.plain(table.fields, (name for name in names if name is not None))
                stamp: str | SideTable = own.modified_on or table.modified_on or ""
                checks = connector.check([Selection(own.table, own.key or table.key or "", stamp, fields, own.filter)])
        except SideFailed as error:
            found.append(Finding("warning", f"/{side}/connectionId", error.failure.code, error.failure.params))
            continue
        found += [
            Finding("warning", f"/{side}/modifiedOn", "lint_no_index", {"field": str(_stamp_name(stamp)), **one.params})
            if one.code == "modified_on_index"
            else Finding("warning", f"/{side}/table", one.code, {**one.params, "rule": one.status})
            for one in checks
            if one.code in _CHECKS and one.status in ("warn", "fail")
        ]
    return tables, found


def _stamp_name(stamp: str | SideTable) -> str:
    return stamp.field if isinstance(stamp, SideTable) else stamp


def _line_findings(scene: _Tables) -> Iterator[Finding]:
    for index, line in enumerate(scene.draft.field_mappings):
        pointer = f"/fieldMappings/{index}"
        ways = {way: bound for way in WAYS if (bound := scene.way(line, way)) is not None}
        for way, bound in ways.items():
            for code, params in refused(bound):
                yield Finding("warning", f"{pointer}/{way.source.other}Field", code, params)
            for told in (uncovered(bound), unknown_options(bound)):
                if told is not None:
                    yield Finding("warning", f"{pointer}/transforms/{way}", *told)
        if len(ways) == len(WAYS):
            there, back = ways.values()
            # What a step on the way back makes of values that its counterpart never writes does not matter.
            lossy = lost(there, back) or (None if there.steps or back.steps else lost(back, there))
            if lossy is not None:
                yield Finding("warning", f"{pointer}/transforms", *lossy)


def _filter_findings(scene: _Tables) -> Iterator[Finding]:
    for side in Side:
        conditions = scene.draft.side(side).filter
        for place, name in contradictions(conditions, scene.tables[side].fields):
            params = {"field": name, "table": scene.tables[side].name}
            yield Finding("warning", f"/{side}/filter/{place}", "lint_filter_never_matches", params)


def _idle_findings(scene: _Tables) -> Iterator[Finding]:
    """What stands there and does nothing."""
    draft = scene.draft
    for index, line in enumerate(draft.field_mappings):
        if not line.enabled:
            continue
        pointer, name = f"/fieldMappings/{index}", line.local_field or line.integration_field
        flowing = [way for way in WAYS if draft.direction.allows(way) and line.direction.allows(way)]
        if not any(line.field(way.source.other) is not None for way in flowing):
            params = {"field": name, "direction": line.direction.value, "mapping_direction": draft.direction.value}
            yield Finding("warning", f"{pointer}/direction", "lint_never_flows", params)
            continue
        for way, steps in line.transforms.items():
            if steps and Direction(way) not in flowing:
                said = {"field": name, "way": way}
                yield Finding("warning", f"{pointer}/transforms/{way}", "lint_transforms_idle", said)
    if draft.synch_only_coupled_records and not any(line.match_key for line in draft.field_mappings if line.enabled):
        yield Finding("info", "/synchOnlyCoupledRecords", "lint_nothing_couples")


def _elsewhere(scene: _Tables, own_id: int | None) -> Iterator[Finding]:
    """Fields that another enabled mapping writes too, for records that both could concern."""
    rows = [row for row in mapping_rows.everything() if row.enabled and row.id != own_id]
    lines, names = mapping_rows.lines([row.id for row in rows]), mapping_rows.names()
    written = [(row.name, draft) for row in rows for draft in [draft_of_row(row, lines[row.id], names)]]
    for index, place, pointer in _written(scene, scene.draft):
        for name, other in written:
            for _, theirs, _ in _written(scene, other):
                if theirs[:3] == place[:3] and not _apart(scene, place, theirs):
                    params = {"field": place[2], "table": place[1], "mapping": name}
                    yield Finding("warning", f"/fieldMappings/{index}/{pointer}", "lint_written_elsewhere", params)
                    break


def _written(scene: _Tables, draft: MappingDraft) -> Iterator[tuple[int, tuple[Any, ...], str]]:
    """Every field that a mapping writes: its line's place, (connection, table, field, side, filter), and the member."""
    for index, line in enumerate(draft.field_mappings):
        for way in WAYS:
            side = way.source.other
            name = line.field(side)
            if line.enabled and name is not None and draft.direction.allows(way) and line.direction.allows(way):
                own = draft.side(side)
                for one in composites.plain(scene.fields(own), [name]):
                    yield index, (own.connection_id, own.table, one, side, own.filter), f"{side}Field"


def _apart(scene: _Tables, one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether no record can be inside both filters."""
    return any(True for _ in contradictions((*one[4], *other[4]), scene.tables[one[3]].fields))

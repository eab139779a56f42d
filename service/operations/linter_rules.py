"""What the linter can tell of a mapping whose tables are known, without asking anybody again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from service.core import composites
from service.core.contradictions import contradictions
from service.core.linting import lost, refused, uncovered, unknown_options
from service.core.records import Direction, Side
from service.operations.linter_scene import Finding, Scene
from service.operations.mapping_drafts import MappingDraft
from service.operations.mapping_line_rules import WAYS, missing_fields


def _line_findings(scene: Scene) -> Iterator[Finding]:
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


def _filter_findings(scene: Scene) -> Iterator[Finding]:
    for side in Side:
        conditions = scene.draft.side(side).filter
        for place, name in contradictions(conditions, scene.tables[side].fields):
            params = {"field": name, "table": scene.tables[side].name}
            yield Finding("warning", f"/{side}/filter/{place}", "lint_filter_never_matches", params)


def _idle_findings(scene: Scene) -> Iterator[Finding]:
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


def written_elsewhere(scene: Scene, others: Iterable[tuple[str, MappingDraft]]) -> Iterator[Finding]:
    """Fields that another enabled mapping writes too, for records that both could concern."""
    drafts = list(others)
    for index, place, pointer in _written(scene, scene.draft):
        for name, other in drafts:
            for _, theirs, _ in _written(scene, other):
                if theirs[:3] == place[:3] and not _apart(scene, place, theirs):
                    params = {"field": place[2], "table": place[1], "mapping": name}
                    yield Finding("warning", f"/fieldMappings/{index}/{pointer}", "lint_written_elsewhere", params)
                    break


def _written(scene: Scene, draft: MappingDraft) -> Iterator[tuple[int, tuple[Any, ...], str]]:
    """Every field that a mapping writes: its line's place, (connection, table, field, side, filter), and the member."""
    for index, line in enumerate(draft.field_mappings):
        for way in WAYS:
            side = way.source.other
            name = line.field(side)
            if line.enabled and name is not None and draft.direction.allows(way) and line.direction.allows(way):
                own = draft.side(side)
                for one in composites.plain(scene.fields(own), [name]):
                    yield index, (own.connection_id, own.table, one, side, own.filter), f"{side}Field"


def _apart(scene: Scene, one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether no record can be inside both filters."""
    return any(True for _ in contradictions((*one[4], *other[4]), scene.tables[one[3]].fields))


def _creation_findings(scene: Scene) -> Iterator[Finding]:
    """What would keep records from being created, by a mapping that leaves new ones alone and may be asked for some."""
    draft = scene.draft
    for way in WAYS:
        table = scene.tables[way.source.other]
        if not draft.synch_only_coupled_records or not draft.direction.allows(way):
            continue
        missing = missing_fields(draft, way, table)
        if missing:
            params = {"table": table.name, "fields": missing}
            yield Finding("info", f"/{way.source.other}/table", "lint_required_unmapped", params)


RULES = (_line_findings, _filter_findings, _idle_findings, _creation_findings)
"""What is looked at, one after the other."""

"""The three-way merge of one pair, field by field, each side against its own base (semantics.md, section 3b)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.core.compare import equal
from service.core.flow import Coupled, Flow, Line, is_empty, settled
from service.core.records import Record, Scalar, Side


@dataclass(frozen=True, slots=True)
class Merged:
    """`writes`: per side, values by field name. `conflicts`: per line id and side, the line that would write to that
    side and the value of the other side that it would write. `agreed`: lines on which both sides agree afterwards."""

    writes: Mapping[Side, Mapping[str, Scalar]]
    conflicts: Mapping[str, Mapping[Side, tuple[Line, Scalar]]]
    agreed: frozenset[str]


def merge(flows: Mapping[Side, Flow], coupled: Coupled, records: Mapping[Side, Record]) -> Merged:
    """Merge both records of a pair. Swapping the sides gives the mirrored answer. Raises Unconvertible."""
    lines: dict[str, dict[Side, Line]] = {}
    for side, flow in flows.items():
        for line in flow.lines:
            lines.setdefault(line.id, {})[side] = line
    writes: dict[Side, dict[str, Scalar]] = {side: {} for side in Side}
    conflicts: dict[str, dict[Side, tuple[Line, Scalar]]] = {}
    agreed: set[str] = set()
    for id, by_source in lines.items():
        goals = _line_goals(flows, coupled, records, by_source)
        if len(goals) == 2:
            conflicts[id] = goals
            continue
        agreed.add(id)
        for side, (line, value) in goals.items():
            writes[side][line.field.name] = value
    return Merged(writes, conflicts, frozenset(agreed))


def _line_goals(
    flows: Mapping[Side, Flow], coupled: Coupled, records: Mapping[Side, Record], by_source: Mapping[Side, Line]
) -> dict[Side, tuple[Line, Scalar]]:
    """The sides that this line wants to write to, with what: none, one, or both (a conflict)."""
    goals: dict[Side, tuple[Line, Scalar]] = {}
    for source, line in by_source.items():
        here, there = records[source], records[source.other]
        if settled(line, here, there, coupled, source):
            return {}
        wanted = flows[source].desired(line, here)
        if equal(wanted, there.values[line.destination]):
            return {}
        if line.source is not None and not _changed(coupled, source, line.id, here.values[line.source]):
            continue
        if not (line.not_null and is_empty(wanted)):
            goals[source.other] = (line, wanted)
    return _fill_only(coupled, records, goals) if len(goals) == 2 else goals


def _changed(coupled: Coupled, side: Side, id: str, value: Scalar) -> bool:
    base = coupled.known[side].base
    return base is None or id not in base or not equal(value, base[id])


def _fill_only(
    coupled: Coupled, records: Mapping[Side, Record], goals: dict[Side, tuple[Line, Scalar]]
) -> dict[Side, tuple[Line, Scalar]]:
    """Where a line has no base yet, a value is written into an empty field instead of asking a person."""
    if any((coupled.known[side].base or {}).get(line.id) is not None for side, (line, _) in goals.items()):
        return goals
    filling = {
        side: (line, value)
        for side, (line, value) in goals.items()
        if is_empty(records[side].values[line.destination]) and not is_empty(value)
    }
    return filling if len(filling) == 1 else goals

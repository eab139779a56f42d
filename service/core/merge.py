"""The three-way merge of one pair, field by field, each side against its own base (semantics.md, section 3b)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from service.core.compare import Unconvertible, equal
from service.core.flow import Coupled, Flow, Line, is_empty, repointed, settled
from service.core.records import Record, Scalar, Side

Goals: TypeAlias = Mapping[Side, tuple[Line, Scalar | Unconvertible]]
"""Per side, the line that wants to write there and what: a value, or why the field cannot hold it."""


@dataclass(frozen=True, slots=True)
class Merged:
    """`writes`: per side, values by field name. `conflicts`: per line id and side, the line that would write to that
    side and what it would write there, or why it cannot. `agreed`: lines on which both sides agree afterwards."""

    writes: Mapping[Side, Mapping[str, Scalar]]
    conflicts: Mapping[str, Goals]
    agreed: frozenset[str]


def merge(flows: Mapping[Side, Flow], coupled: Coupled, records: Mapping[Side, Record]) -> Merged:
    """Merge both records of a pair. Swapping the sides gives the mirrored answer.

    Raises Unconvertible where a value that is to be written does not fit; one that merely could be hinders nobody.
    """
    lines: dict[str, dict[Side, Line]] = {}
    for side, flow in flows.items():
        for line in flow.lines:
            lines.setdefault(line.id, {})[side] = line
    writes: dict[Side, dict[str, Scalar]] = {side: {} for side in Side}
    conflicts: dict[str, Goals] = {}
    agreed: set[str] = set()
    for id, by_source in lines.items():
        goals = _line_goals(flows, coupled, records, by_source)
        if len(goals) == 2:
            conflicts[id] = goals
            continue
        agreed.add(id)
        for side, (line, value) in goals.items():
            if isinstance(value, Unconvertible):
                raise value
            writes[side][line.field.name] = value
    return Merged(writes, conflicts, frozenset(agreed))


def _line_goals(
    flows: Mapping[Side, Flow], coupled: Coupled, records: Mapping[Side, Record], by_source: Mapping[Side, Line]
) -> Goals:
    """The sides that this line wants to write to, with what: none, one, or both (a conflict)."""
    goals: dict[Side, tuple[Line, Scalar | Unconvertible]] = {}
    for source, line in by_source.items():
        here, there = records[source], records[source.other]
        if settled(line, here, there, coupled, source):
            if not repointed(flows[source], line, here, there):
                return {}
            goals[source.other] = (line, flows[source].desired(line, here))
            continue
        wanted = _wanted(flows[source], line, here)
        if not isinstance(wanted, Unconvertible) and equal(wanted, there.values[line.destination]):
            return {}
        if line.source is not None and not _changed(coupled, source, line.id, here.values[line.source]):
            continue
        if not (line.not_null and _empties(wanted)):
            goals[source.other] = (line, wanted)
    return _fill_only(coupled, records, goals) if len(goals) == 2 else goals


def _wanted(flow: Flow, line: Line, record: Record) -> Scalar | Unconvertible:
    try:
        return flow.desired(line, record)
    except Unconvertible as refusal:
        return refusal


def _empties(wanted: Scalar | Unconvertible) -> bool:
    return not isinstance(wanted, Unconvertible) and is_empty(wanted)


def _changed(coupled: Coupled, side: Side, id: str, value: Scalar) -> bool:
    base = coupled.known[side].base
    return base is None or id not in base or not equal(value, base[id])


def _fill_only(coupled: Coupled, records: Mapping[Side, Record], goals: Goals) -> Goals:
    """Where a line has no base yet, a value is written into an empty field instead of asking a person."""
    if any((coupled.known[side].base or {}).get(line.id) is not None for side, (line, _) in goals.items()):
        return goals
    filling = {
        side: (line, value)
        for side, (line, value) in goals.items()
        if is_empty(records[side].values[line.destination]) and not _empties(value)
    }
    return filling if len(filling) == 1 else goals

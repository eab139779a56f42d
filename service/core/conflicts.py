"""What a person sees of a skipped record, and what each resolution does (semantics.md, section 4). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.core.compare import Unconvertible, coerce, equal, shown
from service.core.decide import Decision, Do, Pair, keep
from service.core.failures import Failure
from service.core.flow import Coupled, Flow, Line, new_values, settled
from service.core.mapping import SyncMapping
from service.core.merge import merge
from service.core.outcomes import Outcome
from service.core.records import FieldType, Record, Scalar, Side


class Resolution(StrEnum):
    """What a person can say about a skipped record."""

    KEEP_LOCAL = "keepLocal"
    KEEP_INTEGRATION = "keepIntegration"
    MERGE = "merge"
    RETRY = "retry"
    RESTORE = "restore"
    DELETE = "delete"
    UNCOUPLE = "uncouple"


class FieldState(StrEnum):
    """What happened to one field of a pair since the last synchronization."""

    EQUAL = "equal"
    CHANGED_LOCALLY = "changedLocally"
    CHANGED_IN_INTEGRATION = "changedInIntegration"
    CHANGED_IN_BOTH = "changedInBoth"


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field mapping of a pair, side by side. A side that has no such field, or no record, shows None."""

    local_field: str | None
    integration_field: str | None
    local: Scalar
    integration: Scalar
    base: Scalar
    state: FieldState


def compare_fields(
    mapping: SyncMapping, flows: Mapping[Side, Flow], coupled: Coupled | None, records: Mapping[Side, Record | None]
) -> list[FieldView]:
    """Every field mapping of a pair with the state of its field."""
    return [
        _view(mapping, flows, coupled, records, str(line.id), line.local_field, line.integration_field)
        for line in mapping.field_mappings
    ]


def _view(
    mapping: SyncMapping,
    flows: Mapping[Side, Flow],
    coupled: Coupled | None,
    records: Mapping[Side, Record | None],
    id: str,
    local_field: str | None,
    integration_field: str | None,
) -> FieldView:
    names = {Side.LOCAL: local_field, Side.INTEGRATION: integration_field}
    values = {side: _value(mapping, side, names[side], records.get(side)) for side in Side}
    bases = {side: (coupled.known[side].base or {}) if coupled else {} for side in Side}
    types = {side: mapping.side(side).fields[name].type if name else None for side, name in names.items()}
    here = Side.LOCAL if local_field else Side.INTEGRATION
    return FieldView(
        local_field,
        integration_field,
        shown(values[Side.LOCAL], types[Side.LOCAL]),
        shown(values[Side.INTEGRATION], types[Side.INTEGRATION]),
        shown(bases[here].get(id), types[here]),
        _state(flows, coupled, records, id, values, bases),
    )


def _value(mapping: SyncMapping, side: Side, name: str | None, record: Record | None) -> Scalar:
    return None if name is None or record is None else record.values[mapping.side(side).index(name)]


def _state(
    flows: Mapping[Side, Flow],
    coupled: Coupled | None,
    records: Mapping[Side, Record | None],
    id: str,
    values: Mapping[Side, Scalar],
    bases: Mapping[Side, Mapping[str, Scalar]],
) -> FieldState:
    changed = {side: id not in bases[side] or not equal(values[side], bases[side][id]) for side in Side}
    for side in Side:
        line = next((line for line in flows[side].lines if line.id == id), None)
        here, there = records.get(side), records.get(side.other)
        if line is None or here is None or there is None:
            continue
        if (coupled is not None and settled(line, here, there, coupled, side)) or _agrees(
            flows[side], line, here, there
        ):
            return FieldState.EQUAL
        if line.source is None:
            return FieldState.CHANGED_IN_INTEGRATION if side is Side.LOCAL else FieldState.CHANGED_LOCALLY
    if changed[Side.LOCAL] and changed[Side.INTEGRATION]:
        return FieldState.CHANGED_IN_BOTH
    if changed[Side.LOCAL]:
        return FieldState.CHANGED_LOCALLY
    return FieldState.CHANGED_IN_INTEGRATION if changed[Side.INTEGRATION] else FieldState.EQUAL


def _agrees(flow: Flow, line: Line, source: Record, destination: Record) -> bool:
    try:
        return equal(flow.desired(line, source), destination.values[line.destination])
    except Unconvertible:
        return False


def fitting(records: Mapping[Side, Record | None], coupled: bool) -> frozenset[Resolution]:
    """The resolutions that fit what is left of a skipped record."""
    left = [side for side in Side if records.get(side) is not None]
    if not coupled:
        return frozenset({Resolution.RETRY, Resolution.UNCOUPLE})
    if len(left) == 2:
        two = {Resolution.KEEP_LOCAL, Resolution.KEEP_INTEGRATION, Resolution.MERGE}
        return frozenset(two | {Resolution.RETRY, Resolution.UNCOUPLE})
    if len(left) == 1:
        return frozenset({Resolution.RESTORE, Resolution.DELETE, Resolution.RETRY, Resolution.UNCOUPLE})
    return frozenset({Resolution.RETRY, Resolution.UNCOUPLE})


def keep_side(
    winner: Side, _mapping: SyncMapping, flows: Mapping[Side, Flow], pair: Pair, _choices: Mapping[str, Any]
) -> Decision:
    """Write one side's values to the other."""
    assert pair.destination is not None
    return keep(flows, pair, pair.destination, winner)


def restore(_mapping: SyncMapping, flows: Mapping[Side, Flow], pair: Pair, _choices: Mapping[str, Any]) -> Decision:
    """Create the deleted partner again from the survivor."""
    values = {pair.source.other: new_values(flows[pair.source], pair.record)}
    return Decision(Do.INSERT, Outcome.INSERTED, values)


def delete_survivor(
    _mapping: SyncMapping, _flows: Mapping[Side, Flow], _pair: Pair, _choices: Mapping[str, Any]
) -> Decision:
    """Delete the survivor too."""
    return Decision(Do.DELETE, Outcome.DELETED)


def end_coupling(
    _mapping: SyncMapping, _flows: Mapping[Side, Flow], _pair: Pair, _choices: Mapping[str, Any]
) -> Decision:
    """End the coupling; both records stay."""
    return Decision(Do.UNCOUPLE, Outcome.UNCOUPLED)


def merge_by_choice(
    mapping: SyncMapping, flows: Mapping[Side, Flow], pair: Pair, choices: Mapping[str, Any]
) -> Decision:
    """The merged record: each chosen field as the person says, the others by the three-way merge.

    `choices` maps a local field (or the integration field of a line without one) to "local", "integration" or
    `{"value": ...}`. A field in conflict without a choice makes the decision fail (`value_rejected`, rule `undecided`).
    """
    assert pair.destination is not None
    records = {pair.source: pair.record, pair.source.other: pair.destination}
    merged = merge(flows, pair.coupled, records)
    writes: dict[Side, dict[str, Scalar]] = {side: dict(values) for side, values in merged.writes.items()}
    undecided = set(merged.conflicts)
    for line in mapping.field_mappings:
        name = line.local_field or line.integration_field or ""
        if name not in choices:
            continue
        undecided.discard(str(line.id))
        by_source = {side: item for side in Side for item in flows[side].lines if item.id == str(line.id)}
        for side, item in by_source.items():
            writes[side.other].pop(item.field.name, None)
        _write_choice(flows, records, by_source, choices[name], writes)
    if undecided:
        names = sorted(str(line.local_field) for line in mapping.field_mappings if str(line.id) in undecided)
        raise Unconvertible(Failure("value_rejected", {"field": ", ".join(names), "rule": "undecided"}, ("undecided",)))
    kept = {side: values for side, values in writes.items() if values}
    return Decision(Do.WRITE if kept else Do.REFRESH, Outcome.MODIFIED if kept else Outcome.UNCHANGED, kept)


def _write_choice(
    flows: Mapping[Side, Flow],
    records: Mapping[Side, Record],
    by_source: Mapping[Side, Line],
    choice: Any,
    writes: dict[Side, dict[str, Scalar]],
) -> None:
    if isinstance(choice, Mapping):
        _write_value(flows, records, by_source, choice["value"], writes)
        return
    line = by_source.get(Side(choice))
    if line is None:
        return
    source = Side(choice)
    wanted = flows[source].desired(line, records[source])
    if not equal(wanted, records[source.other].values[line.destination]):
        writes[source.other][line.field.name] = wanted


def _write_value(
    flows: Mapping[Side, Flow],
    records: Mapping[Side, Record],
    by_source: Mapping[Side, Line],
    typed: Scalar,
    writes: dict[Side, dict[str, Scalar]],
) -> None:
    """A third value, in the terms of the local field, goes to both sides."""
    back, out = by_source.get(Side.INTEGRATION), by_source.get(Side.LOCAL)
    value, kind = typed, None
    if back is not None:
        value, kind = coerce(typed, None, back.field), back.field.type
        if not equal(value, records[Side.LOCAL].values[back.destination]):
            writes[Side.LOCAL][back.field.name] = value
    if out is not None:
        sent = _sent(flows[Side.LOCAL], out, value, kind)
        if not equal(sent, records[Side.INTEGRATION].values[out.destination]):
            writes[Side.INTEGRATION][out.field.name] = sent


def _sent(flow: Flow, line: Line, value: Scalar, kind: FieldType | None) -> Scalar:
    if line.pointer is not None:
        return flow.translated(line, line.pointer, value)
    if line.transform is not None:
        value, kind = line.transform(value), line.source_type
    return coerce(value, kind, line.field)


Resolver = Callable[[SyncMapping, Mapping[Side, Flow], Pair, Mapping[str, Any]], Decision]

RESOLVERS: Mapping[Resolution, Resolver] = {
    Resolution.KEEP_LOCAL: lambda *given: keep_side(Side.LOCAL, *given),
    Resolution.KEEP_INTEGRATION: lambda *given: keep_side(Side.INTEGRATION, *given),
    Resolution.MERGE: merge_by_choice,
    Resolution.RESTORE: restore,
    Resolution.DELETE: delete_survivor,
    Resolution.UNCOUPLE: end_coupling,
}
"""What a resolution does to a pair; `retry` is not here: it lets the mapping's rules decide."""

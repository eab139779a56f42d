"""What happens to a candidate: one function, one answer, no question to anybody (semantics.md, sections 3 to 5).

`decide` is called with both records as they were just read. It never knows which side is ours: the source is the
side whose candidate it is, and swapping the sides gives the mirrored answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from service.core.columns import agreeing, new_rows
from service.core.compare import Unconvertible
from service.core.failures import Failure
from service.core.flow import (
    Coupled,
    Flow,
    Line,
    differences,
    differs_from_base,
    is_empty,
    missing,
    new_values,
    settled,
    withheld,
    without,
)
from service.core.mapping import ConflictDetection, DeletionResolution, SyncMapping, UpdateResolution
from service.core.merge import merge
from service.core.outcomes import Outcome
from service.core.records import Record, Scalar, Side
from service.core.references import NOT_COUPLED, Missing


class Do(StrEnum):
    """What is to be done about a pair, besides writing it down."""

    NOTHING = "nothing"
    REFRESH = "refresh"
    WRITE = "write"
    INSERT = "insert"
    DELETE = "delete"
    COUPLE = "couple"
    UNCOUPLE = "uncouple"
    CONFLICT = "conflict"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `writes`: per side, the values to be written there by field name. `agreed`: ids of the lines on
    which both sides agree once that is done, None for all. A conflict may come with writes: the fields that it does
    not concern. `rule`: the policy or the person's word that decided, empty where none was needed. `waits`: references
    that are left for a later visit, because the records that they lead to are not coupled."""

    do: Do
    outcome: Outcome
    writes: Mapping[Side, Mapping[str, Scalar]] = field(default_factory=dict)
    agreed: frozenset[str] | None = None
    failure: Failure | None = None
    rule: str = ""
    waits: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """A candidate of `source` and its partner. `past`: its stamp is later than its side's watermark. `destination` is
    None when the partner was deleted."""

    source: Side
    record: Record
    coupled: Coupled
    destination: Record | None
    past: bool


def decide(mapping: SyncMapping, flows: Mapping[Side, Flow], pair: Pair) -> Decision:
    """What happens to a coupled candidate."""
    return waiting(lambda rest: _decide_pair(mapping, rest, pair), flows, pair)


def _decide_pair(mapping: SyncMapping, flows: Mapping[Side, Flow], pair: Pair) -> Decision:
    if pair.destination is None:
        return _partner_deleted(mapping, flows[pair.source], pair)
    if mapping.conflict_detection is ConflictDetection.FIELD and mapping.bidirectional:
        return _decide_by_field(mapping, flows, pair, pair.destination)
    return _decide_by_record(mapping, flows, pair, pair.destination)


def decide_new(flows: Mapping[Side, Flow], source: Side, record: Record) -> Decision:
    """What happens to a candidate without a coupling that is to be created on the other side."""

    def insert(rest: Mapping[Side, Flow]) -> Decision:
        return Decision(Do.INSERT, Outcome.INSERTED, {source.other: new_values(rest[source], record)})

    return _waiting(insert, flows, missing(flows, None, {source: record}))


def decide_all_new(flows: Mapping[Side, Flow], source: Side, records: Sequence[Record]) -> list[Decision]:
    """`decide_new` for many records."""
    rows = new_rows(flows[source], records)
    if rows is None:
        return [decide_new(flows, source, record) for record in records]
    return [Decision(Do.INSERT, Outcome.INSERTED, {source.other: row}) for row in rows]


def decide_all_first(
    mapping: SyncMapping, flows: Mapping[Side, Flow], source: Side, pairs: Sequence[Pair]
) -> list[Decision]:
    """`decide` for many pairs that were never synchronized, all with a candidate of `source` and its partner."""
    flow, back = flows[source], flows[source.other]
    by_field = mapping.conflict_detection is ConflictDetection.FIELD and mapping.bidirectional
    alike = [False] * len(pairs)
    if not back.refers and not (by_field and back.ids - flow.ids):
        partners = [pair.destination for pair in pairs if pair.destination is not None]
        alike = agreeing(flow, [pair.record for pair in pairs], partners)
    agreed = Decision(Do.REFRESH, Outcome.UNCHANGED, agreed=flow.ids)
    return [agreed if same else decide(mapping, flows, pair) for same, pair in zip(alike, pairs, strict=True)]


def waiting(decide_rest: Callable[[Mapping[Side, Flow]], Decision], flows: Mapping[Side, Flow], pair: Pair) -> Decision:
    """The decision about a pair without the references that are left for a later visit."""
    records = {pair.source: pair.record, pair.source.other: pair.destination}
    return _waiting(decide_rest, flows, missing(flows, pair.coupled, records))


def _waiting(
    decide_rest: Callable[[Mapping[Side, Flow]], Decision], flows: Mapping[Side, Flow], open_ones: Sequence[Missing]
) -> Decision:
    """Leave the references out that can be written later; one that cannot makes its record wait as a whole."""
    left = tuple(item for item in open_ones if item.pointer.deferrable)
    ids = {item.line for item in left}
    try:
        decision = decide_rest(without(flows, ids))
    except Unconvertible as refusal:
        waits = tuple(open_ones) if refusal.failure.code == NOT_COUPLED else ()
        return Decision(Do.FAIL, Outcome.FAILED, failure=refusal.failure, waits=waits)
    if not ids or decision.do in (Do.FAIL, Do.DELETE, Do.UNCOUPLE):
        return decision
    everything = frozenset(id for flow in flows.values() for id, _ in flow.remembered)
    agreed = everything if decision.agreed is None else decision.agreed
    return replace(decision, agreed=agreed - ids, waits=left)


def _decide_by_record(mapping: SyncMapping, flows: Mapping[Side, Flow], pair: Pair, destination: Record) -> Decision:
    flow, coupled = flows[pair.source], pair.coupled
    different = differences(flow, pair.record, destination, coupled)
    agreed = flow.ids - withheld(flow, pair.record, destination, coupled)
    if not different:
        return Decision(Do.REFRESH, Outcome.UNCHANGED, agreed=agreed)
    source_changed = flow.changed(pair.record, coupled.known[pair.source])
    back: dict[str, Scalar] = {}
    if mapping.bidirectional:
        if _destination_changed(flows, pair, destination, different):
            if pair.past or flow.edited(pair.record, coupled.known[pair.source]):
                return _record_conflict(mapping, flows, pair, destination)
            # Looked at again without a new stamp: the edit on the other side travels in its own direction.
            return Decision(Do.NOTHING, Outcome.UNCHANGED)
        back = _fill_back(flows, pair, destination, different)
    if not source_changed and not _repointed(flow, pair, destination, different):
        return Decision(Do.NOTHING, Outcome.UNCHANGED)
    writes = {pair.source.other: _values(different), pair.source: back}
    return Decision(Do.WRITE, Outcome.MODIFIED, {side: values for side, values in writes.items() if values}, agreed)


def _destination_changed(
    flows: Mapping[Side, Flow], pair: Pair, destination: Record, different: Mapping[str, tuple[Line, Scalar]]
) -> bool:
    """The destination check: has somebody edited the partner since the last synchronization?

    With a base its values decide, so that a mere new stamp is no conflict; in a coupling that has none the stamp does.
    A line that never was synchronized is a conflict when both sides have a value for it.
    """
    back, known = flows[pair.source.other], pair.coupled.known[pair.source.other]
    if known.base is None and known.modified_on is not None:
        return back.stamp_is_later(destination, known)
    if back.as_in_base(destination, known):
        return False
    base = known.base or {}
    return any(
        differs_from_base(destination, base, id, position)
        if id in base
        else id in different and not is_empty(destination.values[position]) and not is_empty(different[id][1])
        for id, position in back.watched
    )


def _repointed(flow: Flow, pair: Pair, destination: Record, different: Mapping[str, tuple[Line, Scalar]]) -> bool:
    """Whether a value differs although nobody touched it: a reference leads to a new partner."""
    return any(settled(line, pair.record, destination, pair.coupled, flow.source) for line, _ in different.values())


def _fill_back(
    flows: Mapping[Side, Flow],
    pair: Pair,
    destination: Record,
    different: dict[str, tuple[Line, Scalar]],
) -> dict[str, Scalar]:
    """Lines that never were synchronized and are empty in the source take the destination's value instead of emptying
    it; they are taken out of `different`."""
    base = pair.coupled.known[pair.source.other].base or {}
    filled: dict[str, Scalar] = {}
    for line in flows[pair.source.other].lines:
        if line.id in different and line.id not in base and is_empty(different[line.id][1]):
            filled[line.field.name] = flows[pair.source.other].desired(line, destination)
            del different[line.id]
    return filled


def _record_conflict(mapping: SyncMapping, flows: Mapping[Side, Flow], pair: Pair, destination: Record) -> Decision:
    winner = winning_side(mapping.update_resolution, pair.source, pair.record, destination)
    if winner is None:
        return Decision(Do.CONFLICT, Outcome.SKIPPED, failure=conflict_failure(mapping, pair.source))
    return replace(keep(flows, pair, destination, winner), rule=mapping.update_resolution.value)


def keep(flows: Mapping[Side, Flow], pair: Pair, destination: Record, winner: Side) -> Decision:
    """Write `winner`'s values to the other side. Fields that flow only towards the winner flow too, and those that the
    winner has empty and must not empty on the other side, where they were edited."""
    records = {pair.source: pair.record, pair.source.other: destination}
    back = withheld(flows[winner], records[winner], records[winner.other], pair.coupled)
    writes: dict[Side, Mapping[str, Scalar]] = {}
    for side in (winner, winner.other):
        here, there = records[side], records[side.other]
        found = differences(flows[side], here, there, pair.coupled, returning=side is winner, besides=back)
        if found:
            writes[side.other] = _values(found)
    return Decision(Do.WRITE if writes else Do.REFRESH, Outcome.MODIFIED if writes else Outcome.UNCHANGED, writes)


def winning_side(policy: UpdateResolution, source: Side, record: Record, destination: Record) -> Side | None:
    """Which side an update policy prefers; None: a person has to say. Only `newestWins` compares the two clocks."""
    match policy:
        case UpdateResolution.NONE:
            return None
        case UpdateResolution.SEND_UPDATE_TO_INTEGRATION:
            return Side.LOCAL
        case UpdateResolution.GET_UPDATE_FROM_INTEGRATION:
            return Side.INTEGRATION
        case UpdateResolution.NEWEST_WINS:
            if record.modified_on == destination.modified_on:
                return Side.LOCAL
            later = (record.modified_on or 0) > (destination.modified_on or 0)
            return source if later else source.other


def conflict_failure(mapping: SyncMapping, source: Side) -> Failure:
    """The origin's error for a conflict, naming the two tables."""
    params = {"destination": mapping.side(source.other).caption, "source": mapping.side(source).caption}
    return Failure("destination_modified_later", params, (source.value,))


def _decide_by_field(mapping: SyncMapping, flows: Mapping[Side, Flow], pair: Pair, destination: Record) -> Decision:
    merged = merge(flows, pair.coupled, {pair.source: pair.record, pair.source.other: destination})
    writes = {side: dict(values) for side, values in merged.writes.items()}
    if merged.conflicts:
        winner = winning_side(mapping.update_resolution, pair.source, pair.record, destination)
        if winner is None:
            failure = conflict_failure(mapping, pair.source)
            return Decision(Do.CONFLICT, Outcome.SKIPPED, writes, merged.agreed, failure)
        for id in merged.conflicts:
            line, value = merged.conflicts[id][winner.other]
            if isinstance(value, Unconvertible):
                raise value
            writes.setdefault(winner.other, {})[line.field.name] = value
    writes = {side: values for side, values in writes.items() if values}
    agreed = merged.agreed | frozenset(merged.conflicts)
    if not writes:
        return Decision(Do.REFRESH, Outcome.UNCHANGED, agreed=agreed)
    rule = mapping.update_resolution.value if merged.conflicts else ""
    return Decision(Do.WRITE, Outcome.MODIFIED, writes, agreed, rule=rule)


def _partner_deleted(mapping: SyncMapping, flow: Flow, pair: Pair) -> Decision:
    rule = mapping.deletion_resolution.value
    match mapping.deletion_resolution:
        case DeletionResolution.NONE:
            captions = {"source": mapping.side(pair.source), "destination": mapping.side(pair.source.other)}
            params = {name: side.caption for name, side in captions.items()}
            failure = Failure("partner_deleted", params, (pair.source.value,))
            return Decision(Do.FAIL, Outcome.FAILED, failure=failure, rule=rule)
        case DeletionResolution.RESTORE_RECORDS:
            if not flow.lines:
                return Decision(Do.NOTHING, Outcome.UNCHANGED)
            values = {pair.source.other: new_values(flow, pair.record)}
            return Decision(Do.INSERT, Outcome.INSERTED, values, rule=rule)
        case DeletionResolution.REMOVE_COUPLING:
            return Decision(Do.UNCOUPLE, Outcome.UNCOUPLED, rule=rule)
        case DeletionResolution.DELETE_PARTNER:
            return Decision(Do.DELETE, Outcome.DELETED, rule=rule)


def _values(different: Mapping[str, tuple[Line, Scalar]]) -> dict[str, Scalar]:
    return {line.field.name: value for line, value in different.values()}

"""The decide step for a page: read the partners in one call, look for twins in one query, then ask `core.decide`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.core.decide import Decision, Do, Pair, decide, decide_all_new
from service.core.flow import NOTHING_KNOWN, Coupled
from service.core.outcomes import Outcome
from service.core.records import Record, Side
from service.engine.detect import PENDING
from service.engine.references import look_up
from service.engine.rivals import twins_beside_others
from service.engine.task import Task, Visit


def decide_page(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    """Give every visit that has none its decision."""
    pending = [visit for visit in visits if visit.decision is PENDING]
    _decide_coupled(task, source, [visit for visit in pending if visit.coupled is not None])
    _decide_new(task, source, [visit for visit in pending if visit.coupled is None])


def decide_again(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    """Decide once more, from both records as they are now, for pairs that moved between reading and writing."""
    side = task.mapping.side(source)
    keys = [visit.record.key for visit in visits]
    records = task.connectors[source].fetch(side.selection, keys, filtered=False)
    for visit in visits:
        if visit.record.key in records:
            visit.record, visit.past, visit.failure = records[visit.record.key], True, None
    _decide_coupled(task, source, [visit for visit in visits if visit.failure is None])


def _decide_coupled(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    if not visits:
        return
    keys = {visit.coupled.keys[source.other] for visit in visits if visit.coupled is not None}
    selection = task.mapping.side(source.other).selection
    partners = task.connectors[source.other].fetch(selection, keys, filtered=False)
    for visit in visits:
        if visit.coupled is not None:
            visit.destination = partners.get(visit.coupled.keys[source.other])
    decide_pairs(task, source, visits)


def decide_pairs(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    """Decide about visits whose partners are known."""
    partners = [visit.destination for visit in visits]
    flows = look_up(task.flows, {source: [visit.record for visit in visits], source.other: partners})
    for visit in visits:
        if visit.coupled is not None:
            pair = Pair(source, visit.record, visit.coupled, visit.destination, visit.past)
            visit.decision = decide(task.mapping, flows, pair)


def _decide_new(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    if not visits:
        return
    twins = twins_beside_others(task, source, visits)
    flows = look_up(task.flows, {source: [visit.record for visit in visits]})
    lone = []
    for visit in visits:
        key = visit.record.key
        if key in twins.found:
            visit.destination, visit.first = twins.found[key], True
            visit.coupled = unsynchronized(source, visit.record, twins.found[key])
        elif key in twins.ambiguous:
            visit.decision = Decision(Do.FAIL, Outcome.FAILED, failure=twins.ambiguous[key])
        else:
            lone.append(visit)
    made = decide_all_new(flows, source, [visit.record for visit in lone])
    for visit, decision in zip(lone, made, strict=True):
        visit.decision = decision
    decide_pairs(task, source, [visit for visit in visits if visit.first])


def unsynchronized(source: Side, record: Record, twin: Record) -> Coupled:
    """A coupling about to be made of two records that were never synchronized."""
    return Coupled(0, {source: record.key, source.other: twin.key}, dict.fromkeys(Side, NOTHING_KNOWN))


def recoupled(coupled: Coupled, side: Side, key: str) -> Coupled:
    """The coupling with another record on one side, of which nothing is known yet."""
    return replace(coupled, keys={**coupled.keys, side: key}, known={**coupled.known, side: NOTHING_KNOWN})

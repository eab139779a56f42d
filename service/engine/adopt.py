"""Finding again what was synchronized already, after our own state was set back to an older one.

Of what happened since the backup nothing is known: a record without a coupling may have been inserted on the other side
long ago. One that is there to the letter is coupled. Where nothing can be told the record is left to a person, because
inserting it might make it twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.core.compare import Unconvertible, equal
from service.core.decide import Decision, Do
from service.core.failures import Failure
from service.core.flow import Flow, new_values
from service.core.outcomes import Outcome
from service.core.records import Record, Scalar, Side
from service.engine.decisions import decide_pairs, recoupled, unsynchronized
from service.engine.match import bare, free_keys, matchable
from service.engine.references import look_up
from service.engine.task import Task, Visit


def adopt(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    """Couple the lone records of a page with their equals on the other side, and hold back those that would be inserted
    without anything that tells whether they are there."""
    lone = {visit.record.key: visit for visit in visits if visit.decision.do is Do.INSERT or _lost_partner(visit)}
    records = [visit.record for visit in lone.values()]
    flow, matching = look_up(task.flows, {source: records})[source], matchable(task, source, records)
    wanted = {key: values for key, visit in lone.items() if (values := _values(flow, visit)) is not None}
    equals = _equals(task, source, wanted)
    for key, visit in lone.items():
        if key in equals:
            _couple(source, visit, equals[key])
        elif visit.decision.do is Do.INSERT and key not in matching:
            visit.decision = Decision(Do.FAIL, Outcome.FAILED, failure=_uncertain(task, source))
    decide_pairs(task, source, [lone[key] for key in equals])


def _lost_partner(visit: Visit) -> bool:
    failure = visit.decision.failure
    return visit.coupled is not None and failure is not None and failure.code == "partner_deleted"


def _values(flow: Flow, visit: Visit) -> Mapping[str, Scalar] | None:
    """What the record would be on the other side, by field name."""
    if visit.decision.do is Do.INSERT:
        return visit.decision.writes[flow.source.other]
    try:
        return new_values(flow, visit.record)
    except Unconvertible:
        return None


def _equals(task: Task, source: Side, wanted: Mapping[str, Mapping[str, Scalar]]) -> dict[str, Record]:
    """For each record a free one of the other side that holds exactly what it would; none is given twice."""
    side = task.mapping.side(source.other)
    found: dict[str, Record] = {}
    taken: set[str] = set()
    for names, keys in _by_filled_fields(wanted).items():
        values = {key: tuple(bare(wanted[key][name]) for name in names) for key in keys}
        hits = task.connectors[source.other].find(side.selection, names, set(values.values()))
        free = free_keys(task, source.other, [hit.key for hit in hits])
        for key in keys:
            for hit in hits:
                if hit.key in free and hit.key not in taken and _holds(task, source.other, hit, wanted[key]):
                    found[key] = hit
                    taken.add(hit.key)
                    break
    return found


def _by_filled_fields(wanted: Mapping[str, Mapping[str, Scalar]]) -> dict[tuple[str, ...], list[str]]:
    """The records by the fields that have a value in them, since only those can be asked for."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for key, values in wanted.items():
        names = tuple(name for name, value in values.items() if value is not None)
        if names:
            groups.setdefault(names, []).append(key)
    return groups


def _holds(task: Task, side: Side, record: Record, values: Mapping[str, Scalar]) -> bool:
    mapped = task.mapping.side(side)
    return all(equal(record.values[mapped.index(name)], value) for name, value in values.items())


def _couple(source: Side, visit: Visit, twin: Record) -> None:
    visit.destination = twin
    if visit.coupled is None:
        visit.coupled, visit.first = unsynchronized(source, visit.record, twin), True
    else:
        visit.coupled = recoupled(visit.coupled, source.other, twin.key)


def _uncertain(task: Task, source: Side) -> Failure:
    sides = {"source": task.mapping.side(source), "destination": task.mapping.side(source.other)}
    params = {name: side.caption for name, side in sides.items()}
    return Failure("uncertain_after_restore", params, (source.value,))

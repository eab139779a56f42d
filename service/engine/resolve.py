"""Carrying out what people said about skipped records: a run with trigger `resolution`.

A resolution is good for the states that the person saw. A record that has moved on is not written; it is offered again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from service.core.conflicts import RESOLVERS, Resolution
from service.core.decide import Pair, waiting
from service.core.flow import Coupled, Flow
from service.core.records import Record, Scalar, Side, state_of
from service.engine.apply import apply
from service.engine.decisions import decide_page, unsynchronized
from service.engine.detect import PENDING
from service.engine.journal import write_down
from service.engine.references import look_up
from service.engine.task import Task, Visit
from service.engine.uncouple import exclude
from service.store import couplings, problems, skipped, sql
from service.store.models import SkippedRecord


@dataclass(slots=True)
class Case:
    """A skipped record with its coupling and both records as they are now."""

    item: SkippedRecord
    coupled: Coupled | None
    records: Mapping[Side, Record | None]
    source: Side

    @property
    def seen(self) -> dict[str, str | None]:
        return {side.value: state_of(self.records.get(side)) for side in Side}


def resolve_skipped(task: Task) -> None:
    """One page of resolutions."""
    ids = task.request["skipped"]
    start = task.checkpoint.get("from", 0)
    cases = _cases(task, ids[start : start + task.page_size])
    moved = [case for case in cases if case.item.resolution != Resolution.RETRY and case.seen != case.item.seen]
    _offer_again(task, moved)
    rest = [case for case in cases if case not in moved]
    _decide_and_write(task, [case for case in rest if case.item.resolution != Resolution.RETRY])
    _let_run(task, [case for case in rest if case.item.resolution == Resolution.RETRY])
    after = start + task.page_size
    task.checkpoint = {"from": after} if after < len(ids) else {"finished": True}
    write_down(task, Side.LOCAL, [])


def _cases(task: Task, ids: Sequence[int]) -> list[Case]:
    items = skipped.resolving(task.lease.run_id, ids)
    coupled = {
        pair.id: pair for pair in couplings.by_ids(task.mapping.id, [i.coupling_id for i in items if i.coupling_id])
    }
    keys = {side: {_key(item, side) for item in items} - {None} for side in Side}
    found: dict[Side, dict[str, Record]] = {
        side: task.connectors[side].fetch(
            task.mapping.side(side).selection, [key for key in keys[side] if key], filtered=False
        )
        if keys[side]
        else {}
        for side in Side
    }
    cases = []
    for item in items:
        records = {side: found[side].get(_key(item, side) or "") for side in Side}
        source = Side.LOCAL if records[Side.LOCAL] is not None else Side.INTEGRATION
        cases.append(Case(item, coupled.get(item.coupling_id or 0), records, source))
    return cases


def _key(item: SkippedRecord, side: Side) -> str | None:
    return item.local_key if side is Side.LOCAL else item.integration_key


def _offer_again(task: Task, cases: Sequence[Case]) -> None:
    for case in cases:
        skipped.reopen(case.item.id, case.seen, case.item.error_id)
        task.progress["offeredAgain"] = task.progress.get("offeredAgain", 0) + 1


def _decide_and_write(task: Task, cases: Sequence[Case]) -> None:
    for source in Side:
        some = [case for case in cases if case.source is source]
        flows = look_up(task.flows, {side: [case.records[side] for case in some] for side in Side}, _typed(some))
        visits = [_visit(task, flows, case) for case in some]
        apply(task, source, visits)
        with sql.transaction():
            write_down(task, source, visits)
            for case, visit in zip(some, visits, strict=True):
                _conclude(task, case, visit)


def _typed(cases: Sequence[Case]) -> list[Scalar]:
    """The values that people wrote themselves."""
    choices = [choice for case in cases for choice in (case.item.choices or {}).values()]
    return [choice["value"] for choice in choices if isinstance(choice, Mapping)]


def _visit(task: Task, flows: Mapping[Side, Flow], case: Case) -> Visit:
    record = case.records[case.source] or Record(_key(case.item, case.source) or "", None, ())
    destination = case.records[case.source.other]
    resolution = Resolution(case.item.resolution or Resolution.RETRY)
    visit = Visit(record, case.coupled, PENDING, destination, past=True, resolving=True)
    coupled = case.coupled or unsynchronized(case.source, record, record)
    pair = Pair(case.source, record, coupled, destination, past=True)
    resolver, choices = RESOLVERS[resolution], case.item.choices or {}
    decision = waiting(lambda rest: resolver(task.mapping, rest, pair, choices), flows, pair)
    visit.decision = replace(decision, rule="" if decision.failure else resolution.value)
    return visit


def _conclude(task: Task, case: Case, visit: Visit) -> None:
    if visit.failure is not None:
        skipped.reopen(case.item.id, case.seen, visit.error_id or case.item.error_id)
        return
    skipped.close([case.item.id], task.now())
    _heal(task, case)
    if case.item.resolution == Resolution.UNCOUPLE:
        if case.coupled is not None:
            exclude(task, [case.coupled])
        else:
            skipped.exclude(task.mapping.id, task.now(), task.requested_by, [(case.source, visit.record.key)])


def _heal(task: Task, case: Case) -> None:
    problems.resolve_ids([case.item.error_id] if case.item.error_id else [])
    for side in Side:
        key = _key(case.item, side)
        problems.resolve(task.mapping.id, side, [key] if key else [])


def _let_run(task: Task, cases: Sequence[Case]) -> None:
    """Set records free and synchronize them under the mapping's rules, each side as a source in turn."""
    if not cases:
        return
    with sql.transaction():
        skipped.close([case.item.id for case in cases], task.now())
        for case in cases:
            _heal(task, case)
    for source in task.sources:
        visits = _freed(task, source, cases)
        decide_page(task, source, visits)
        apply(task, source, visits)
        write_down(task, source, visits)


def _freed(task: Task, source: Side, cases: Sequence[Case]) -> list[Visit]:
    """The records of one side that were set free, and their couplings, as the pass before has left them."""
    keys = {key: case for case in cases if (key := _key(case.item, source)) is not None}
    found = task.connectors[source].fetch(task.mapping.side(source).selection, keys, filtered=False) if keys else {}
    ids = [case.coupled.id for case in cases if case.coupled is not None]
    coupled = {pair.id: pair for pair in couplings.by_ids(task.mapping.id, ids)}
    return [
        Visit(record, coupled.get(case.coupled.id) if case.coupled is not None else None, PENDING)
        for key, case in keys.items()
        if (record := found.get(key)) is not None
    ]

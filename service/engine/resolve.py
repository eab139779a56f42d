"""Carrying out what people said about skipped records: a run with trigger `resolution`.

A resolution is good for the states that the person saw. A record that has moved on is not written; it is offered again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from service.core.conflicts import RESOLVERS, Resolution
from service.core.decide import Pair, waiting
from service.core.flow import Coupled, Flow
from service.core.records import Record, Scalar, Side, state_of
from service.engine.apply import apply
from service.engine.decisions import decide_page, unsynchronized
from service.engine.detect import PENDING
from service.engine.journal import write_down, writing
from service.engine.references import look_up
from service.engine.task import Task, Visit
from service.engine.uncouple import exclude
from service.store import couplings, problems, retries, runs, skipped, sql
from service.store.models import SkippedRecord
from service.store.retries import Postponed


@dataclass(slots=True)
class Case:
    """A skipped record with its coupling and both records as they are now."""

    item: SkippedRecord
    coupled: Coupled | None
    records: Mapping[Side, Record | None]
    source: Side
    keys: Mapping[Side, str | None]

    @property
    def restored(self) -> bool:
        """Whether the record was created again already, before a crash: its coupling has another key by now."""
        was = {side: _key(self.item, side) for side in Side}
        there = all(self.records.get(side) is not None for side in Side)
        return self.item.resolution == Resolution.RESTORE and there and self.keys != was

    @property
    def seen(self) -> dict[str, str | None]:
        return {side.value: state_of(self.records.get(side)) for side in Side}


def resolve_skipped(task: Task) -> None:
    """One page of resolutions."""
    ids = task.request["skipped"]
    start = task.checkpoint.get("from", 0)
    cases = _cases(task, ids[start : start + task.page_size])
    restored = [case for case in cases if case.restored]
    _conclude_restored(task, restored)
    cases = [case for case in cases if case not in restored]
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
    coupled = _coupled(task, items)
    keys = {item.id: _keys(item, coupled.get(item.id)) for item in items}
    found = {side: _fetch(task, side, {some[side] for some in keys.values()}) for side in Side}
    cases = []
    for item in items:
        records = {side: found[side].get(keys[item.id][side] or "") for side in Side}
        source = Side.LOCAL if records[Side.LOCAL] is not None else Side.INTEGRATION
        cases.append(Case(item, coupled.get(item.id), records, source, keys[item.id]))
    return cases


def _coupled(task: Task, items: Sequence[SkippedRecord]) -> dict[int, Coupled]:
    """The couplings of skipped records by the id of these; one that was made since it was set aside, too."""
    ids = [item.coupling_id for item in items if item.coupling_id]
    by_id = {pair.id: pair for pair in couplings.by_ids(task.mapping.id, ids)} if ids else {}
    found = {item.id: by_id[item.coupling_id] for item in items if item.coupling_id in by_id}
    for side in Side:
        alone = {key: item.id for item in items if item.id not in found and (key := _key(item, side))}
        found |= {alone[key]: pair for key, pair in couplings.by_keys(task.mapping.id, side, list(alone)).items()}
    return found


def _keys(item: SkippedRecord, coupled: Coupled | None) -> dict[Side, str | None]:
    return {side: _key(item, side) if coupled is None else coupled.keys[side] for side in Side}


def _fetch(task: Task, side: Side, keys: Collection[str | None]) -> dict[str, Record]:
    wanted = sorted(key for key in keys if key)
    return task.connectors[side].fetch(task.mapping.side(side).selection, wanted, filtered=False) if wanted else {}


def _key(item: SkippedRecord, side: Side) -> str | None:
    return item.local_key if side is Side.LOCAL else item.integration_key


def _offer_again(task: Task, cases: Sequence[Case]) -> None:
    if not cases:
        return
    with writing(task):
        runs.assert_held(task.lease)
        for case in cases:
            skipped.reopen(case.item.id, case.seen, case.item.error_id)
        task.progress["offeredAgain"] = task.progress.get("offeredAgain", 0) + len(cases)


def _decide_and_write(task: Task, cases: Sequence[Case]) -> None:
    for source in Side:
        some = [case for case in cases if case.source is source]
        flows = look_up(task.flows, {side: [case.records[side] for case in some] for side in Side}, _typed(some))
        visits = [_visit(task, flows, case) for case in some]
        apply(task, source, visits)
        with writing(task):
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


def _conclude_restored(task: Task, cases: Sequence[Case]) -> None:
    if not cases:
        return
    with sql.transaction():
        runs.assert_held(task.lease)
        skipped.close([case.item.id for case in cases], task.now())
        for case in cases:
            _heal(task, case)


def _heal(task: Task, case: Case) -> None:
    problems.resolve_ids([case.item.error_id] if case.item.error_id else [])
    for side in Side:
        key = _key(case.item, side)
        problems.resolve(task.mapping.id, side, [key] if key else [])


def _let_run(task: Task, cases: Sequence[Case]) -> None:
    """Set records free and synchronize them under the mapping's rules, each side as a source in turn."""
    if not cases:
        return
    for source in task.sources:
        visits = _freed(task, source, cases)
        decide_page(task, source, visits)
        apply(task, source, visits)
        with writing(task):
            if source is task.sources[0]:
                _set_free(task, cases)
            write_down(task, source, visits)


def _set_free(task: Task, cases: Sequence[Case]) -> None:
    """Close the cases when their first side has been looked at; the other side waits until it was, too, whatever may
    come between."""
    skipped.close([case.item.id for case in cases], task.now())
    for case in cases:
        _heal(task, case)
    rest = [(side, key) for side in task.sources[1:] for case in cases if (key := case.keys.get(side)) is not None]
    retries.save(task.mapping.id, task.now(), [Postponed(side, key) for side, key in rest])


def _freed(task: Task, source: Side, cases: Sequence[Case]) -> list[Visit]:
    """The records of one side that were set free, and their couplings, as the pass before has left them."""
    keys = {key: case for case in cases if (key := case.keys.get(source)) is not None}
    waiting = retries.by_keys(task.mapping.id, source, list(keys))
    found = task.connectors[source].fetch(task.mapping.side(source).selection, keys, filtered=False) if keys else {}
    ids = [case.coupled.id for case in cases if case.coupled is not None]
    coupled = {pair.id: pair for pair in couplings.by_ids(task.mapping.id, ids)}
    return [
        Visit(
            record,
            coupled.get(case.coupled.id) if case.coupled is not None else None,
            PENDING,
            waiting=waiting.get(key),
        )
        for key, case in keys.items()
        if (record := found.get(key)) is not None
    ]

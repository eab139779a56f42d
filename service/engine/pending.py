"""Noting what is about to be overwritten or deleted, and telling the history of it when a crash came between the write
and its writing down: the next attempt finds both records equal, and would not know that it was us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.core.compare import equal, same_but_form, shown
from service.core.flow import Known
from service.core.outcomes import Outcome
from service.core.records import Direction, Record, Scalar, Side
from service.engine.task import Task, Visit
from service.store import couplings, pending, runs, sql
from service.store.couplings import Saved
from service.store.pending import Pending
from service.store.runs import Done


def note(task: Task, source: Side, side: Side, visits: Sequence[Visit], outcome: Outcome) -> None:
    """Note writes to records of `side` before they are sent, if the run is still ours. Raises LeaseLost."""
    noted = [_pending(task, source, side, visit, outcome) for visit in visits]
    with sql.transaction():
        runs.assert_held(task.lease)
        pending.save(task.mapping.id, task.lease, side, noted)
    task.noted = True


def forget(task: Task, visits: Sequence[Visit]) -> None:
    """These writes were refused, because their records had moved."""
    for side in Side:
        keys = [visit.after[side].key for visit in visits if side in visit.after]
        pending.remove(task.mapping.id, side, keys, task.lease.range_id)


def _pending(task: Task, source: Side, side: Side, visit: Visit, outcome: Outcome) -> Pending:
    record, mapped = visit.after[side], task.mapping.side(side)
    written = {} if outcome is Outcome.DELETED else visit.decision.writes[side]
    before = None if outcome is Outcome.DELETED else {name: record.values[mapped.index(name)] for name in written}
    partner = visit.coupled.keys.get(source.other) if visit.coupled is not None else None
    coupling_id = visit.coupled.id if visit.coupled is not None and outcome is not Outcome.DELETED else None
    way = Direction.out_of(source).value
    rule = visit.decision.rule or None
    done = Done(coupling_id or None, way, source.value, visit.record.key, partner, outcome.value, None, rule, None)
    return Pending(side, record.key, before, written, done)


def settle_pending(task: Task) -> None:
    """Look what became of writes that were sent and not written down, and tell the history of those that took effect.

    What is to be done about the records is decided anew from what they are now, as for any other.
    """
    noted = pending.open_ones(task.mapping.id, task.lease.range_id)
    if not noted:
        return
    there = {side: _look_up(task, side, [item for _, item in noted if item.side is side]) for side in Side}
    saved = _remembered(task, [item for _, item in noted], there)
    told: dict[int, list[Done]] = {}
    for run_id, item in noted:
        told.setdefault(run_id, []).extend(_told(task, item, there[item.side].get(item.key)))
    with sql.transaction():
        runs.assert_held(task.lease)
        for run_id, done in told.items():
            runs.record(run_id, done)
        couplings.save(task.mapping.id, task.lease.run_id, saved)
        pending.clear(task.mapping.id, task.lease.range_id)


def _look_up(task: Task, side: Side, items: Sequence[Pending]) -> Mapping[str, Record]:
    if not items:
        return {}
    return task.connectors[side].fetch(task.mapping.side(side).selection, [item.key for item in items], filtered=False)


def _remembered(task: Task, items: Sequence[Pending], there: Mapping[Side, Mapping[str, Record]]) -> list[Saved]:
    """The couplings, with what the applications made of writes that arrived as their state: it is no edit. What
    somebody edited since is not among it, and still is one."""
    ids = [item.done.coupling_id for item in items if item.done.coupling_id is not None]
    coupled = {pair.id: pair for pair in couplings.by_ids(task.mapping.id, ids)} if ids else {}
    for item in items:
        pair, now = coupled.get(item.done.coupling_id or 0), there[item.side].get(item.key)
        if pair is None or now is None or item.before is None or pair.keys[item.side] != item.key:
            continue
        known = pair.known[item.side]
        arrived = _arrived(task, item, item.before, now)
        if known.base is not None and arrived:
            ours = Known(now.modified_on, now.version, {**known.base, **arrived}, echo=True)
            coupled[pair.id] = replace(pair, known={**pair.known, item.side: ours})
    return [Saved(pair, "success") for pair in coupled.values()]


def _arrived(task: Task, item: Pending, before: Mapping[str, Scalar], now: Record) -> dict[str, Scalar]:
    """What is held in the fields, by line, that were other before and hold what was sent, in whatever form."""
    names = task.mapping.side(item.side).selection.fields
    return {
        id: now.values[at]
        for id, at in task.flows[item.side].remembered
        if (name := names[at]) in item.written
        and not equal(now.values[at], before[name])
        and same_but_form(item.written[name], now.values[at])
    }


def _told(task: Task, item: Pending, now: Record | None) -> list[Done]:
    """What the history has to say: nothing where the write did not arrive."""
    if item.before is None:
        return [item.done] if now is None else []
    fields = [] if now is None else _fields(task, item, item.before, now)
    return [replace(item.done, fields=fields)] if fields else []


def _fields(task: Task, item: Pending, before: Mapping[str, Scalar], now: Record) -> list[dict[str, Any]]:
    """The fields that are not any more what they were; an application may have made something else of what we sent."""
    mapped = task.mapping.side(item.side)
    changed = []
    for name, value in item.written.items():
        if name in mapped.selection.fields and not equal(now.values[mapped.index(name)], before[name]):
            type = mapped.fields[name].type
            entry = {"side": item.side.value, "field": name, "before": shown(before[name], type)}
            changed.append({**entry, "after": shown(value, type)})
    return changed

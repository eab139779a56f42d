"""Noting what is about to be overwritten or deleted, and telling the history of it when a crash came between the write
and its writing down: the next attempt finds both records equal, and would not know that it was us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.core.compare import equal, shown
from service.core.outcomes import Outcome
from service.core.records import Direction, Record, Scalar, Side
from service.engine.task import Task, Visit
from service.store import pending, runs, sql
from service.store.pending import Pending
from service.store.runs import Done


def note(task: Task, source: Side, side: Side, visits: Sequence[Visit], outcome: Outcome) -> None:
    """Note writes to records of `side` before they are sent, if the run is still ours. Raises LeaseLost."""
    with sql.transaction():
        runs.assert_held(task.lease)
        pending.save(
            task.mapping.id, task.lease.run_id, [_pending(task, source, side, visit, outcome) for visit in visits]
        )
    task.noted = True


def forget(task: Task, visits: Sequence[Visit]) -> None:
    """These writes were refused, because their records had moved."""
    for side in Side:
        keys = [visit.after[side].key for visit in visits if side in visit.after]
        pending.remove(task.mapping.id, side, keys)


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
    noted = pending.open_ones(task.mapping.id)
    if not noted:
        return
    there = {side: _look_up(task, side, [item for _, item in noted if item.side is side]) for side in Side}
    told: dict[int, list[Done]] = {}
    for run_id, item in noted:
        told.setdefault(run_id, []).extend(_told(task, item, there[item.side].get(item.key)))
    with sql.transaction():
        runs.assert_held(task.lease)
        for run_id, done in told.items():
            runs.record(run_id, done)
        pending.clear(task.mapping.id)


def _look_up(task: Task, side: Side, items: Sequence[Pending]) -> Mapping[str, Record]:
    if not items:
        return {}
    return task.connectors[side].fetch(task.mapping.side(side).selection, [item.key for item in items], filtered=False)


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

"""Runs of kind `reconcile`: every key and version of both sides is held against the couplings, so that "in step as of
then: N of N" is something that can be said.

Both sides are read from the beginning. A record that is as its coupling left it is only ticked off; every other one is
a candidate as in any run, and is put right. Then the couplings are gone through: of those that were not ticked off on a
side, the record is looked up by key, and is gone, outside the filter, or was moved while the side was read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from service.core.flow import Coupled
from service.core.outcomes import Outcome
from service.core.records import Record, Side
from service.engine.deleted import deal_with_lost
from service.engine.detect import Batch, next_batch, select
from service.engine.guards import guard_sides
from service.engine.page import work_through
from service.engine.task import Task, Visit
from service.store import couplings, runs, sql, watermarks

SIDES = tuple(Side)


def reconcile(task: Task) -> None:
    """One page: of a side, of the couplings, or the sum at the end."""
    number = task.checkpoint.setdefault("pass", 0)
    if number == 0 and "position" not in task.checkpoint:
        guard_sides(task)
        none = {side.value: 0 for side in SIDES}
        task.progress |= {"slipped": none, "uncoupled": dict(none), "drifted": 0, "outOfFilter": 0}
    if number < len(SIDES):
        _read_side(task, SIDES[number])
    elif number == len(SIDES):
        _go_through_couplings(task)
    else:
        _sum_up(task)


def _read_side(task: Task, side: Side) -> None:
    number = task.checkpoint["pass"]
    batch = next_batch(task, side, task.checkpoint.get("position"))
    if side not in task.sources:
        batch = Batch([], batch.position, read=batch.read)
    ahead = {"pass": number + 1} if batch.position is None else {"pass": number, "position": batch.position}
    task.progress["slipped"][side] += sum(1 for visit in batch.visits if _slipped(visit, batch.usual))
    work_through(task, side, batch, ahead)
    _tick_off(task, side, batch.read)


def _slipped(visit: Visit, usual: int | None) -> bool:
    """Whether no ordinary run would have come to this record: it lies behind where one begins to read."""
    if usual is None or visit.waiting is not None or visit.outcome in (Outcome.IGNORED, Outcome.SKIPPED):
        return False
    return visit.record.modified_on is not None and visit.record.modified_on < usual


def _tick_off(task: Task, side: Side, records: Sequence[Record]) -> None:
    """Remember the couplings of these records, but of those that drifted: they are looked at once more at the end."""
    if not records:
        return
    coupled = couplings.by_keys(task.mapping.id, side, [record.key for record in records])
    task.progress["uncoupled"][side] += len(records) - len(coupled)
    for record in records:
        pair = coupled.get(record.key)
        if pair is not None and not task.flows[side].drifted(record, pair.known[side]):
            task.seen[side].add(pair.id)


def _go_through_couplings(task: Task) -> None:
    page = couplings.page(task.mapping.id, task.checkpoint.get("after", 0), task.page_size)
    there = {side: _look_up(task, side, page) for side in SIDES}
    lost = [pair for pair in page if any(pair.keys[side] in there[side].missing for side in SIDES)]
    drifted = [pair for pair in page if any(_drifted(task, side, pair, there[side].inside) for side in SIDES)]
    outside = [pair for pair in page if any(pair.keys[side] in there[side].outside for side in SIDES)]
    deal_with_lost(task, lost)
    for side in task.sources:
        _look_again(task, side, list(there[side].inside))
    task.progress["drifted"] += len(drifted)
    task.progress["outOfFilter"] += len(outside)
    if len(page) < task.page_size:
        task.checkpoint = {"pass": len(SIDES) + 1}
    else:
        task.checkpoint = {"pass": len(SIDES), "after": page[-1].id}
    _save(task)


def _look_again(task: Task, side: Side, keys: Sequence[str]) -> None:
    """Candidates among records that were not ticked off: they moved while their side was read, or were read by a worker
    that is gone. They are read once more, since what was done about others may have changed them."""
    found = task.connectors[side].fetch(task.mapping.side(side).selection, keys, filtered=True) if keys else {}
    mark = watermarks.get(task.mapping.id, side)
    visits = select(task, side, list(found.values()), None if mark is None else mark.modified_on, force=task.full)
    work_through(task, side, Batch(visits, None), task.checkpoint)


@dataclass(frozen=True, slots=True)
class _Found:
    """What became of the couplings that were not ticked off on a side: keys of records that are gone, records inside
    the filter by key, and keys of those outside."""

    missing: Collection[str] = ()
    inside: Mapping[str, Record] = field(default_factory=dict)
    outside: Collection[str] = ()


def _look_up(task: Task, side: Side, page: Sequence[Coupled]) -> _Found:
    keys = [pair.keys[side] for pair in page if pair.id not in task.seen[side]]
    if not keys:
        return _Found()
    connector, selection = task.connectors[side], task.mapping.side(side).selection
    found = connector.fetch(selection, keys, filtered=False)
    inside = connector.fetch(selection, list(found), filtered=True) if found and selection.filter else found
    return _Found(set(keys) - set(found), inside, set(found) - set(inside))


def _drifted(task: Task, side: Side, pair: Coupled, there: Mapping[str, Record]) -> bool:
    record = there.get(pair.keys[side])
    return record is not None and task.flows[side].drifted(record, pair.known[side])


def _sum_up(task: Task) -> None:
    """How many pairs there are, and how many of them are in step: synchronized, and neither set aside nor waiting."""
    progress = task.progress
    coupled = couplings.count(task.mapping.id)
    progress["coupled"] = coupled
    apart = couplings.out_of_step(task.mapping.id) + progress["drifted"] + progress["outOfFilter"]
    progress["inSync"] = max(0, coupled - apart)
    task.checkpoint = {"finished": True}
    _save(task)


def _save(task: Task) -> None:
    with sql.transaction():
        runs.save_page(task.lease, task.counts, task.progress, task.checkpoint)

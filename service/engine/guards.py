"""Refusing the absurd before anything is done: a side that lists nothing, more deletions than are normal, a side that
went back to an older state. An operator can let one run do it (`allowMassDelete`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from service.core.failures import Failure, SideFailed
from service.core.flow import Coupled
from service.core.mapping import DeletionResolution
from service.core.records import Record, Side
from service.engine.task import Task, Visit
from service.store import couplings, ranges

SAMPLE = 50
"""So many couplings are looked up before a run begins. Of a side that lost a fifth of its records, a sample of fifty
shows none with a chance of one in seventy thousand."""

FEW = 10
"""So many deleted records are normal in a mapping that only reports them, whatever percentage they are."""

BACK = 3
"""So many records of a page may show an older state than the coupling knows before that is suspicious."""


def guard_sides(task: Task) -> None:
    """Before the first page of a run: look at some couplings, and at all of them if those are suspicious.

    A single coupling says nothing: its record may simply have been deleted. Raises SideFailed (`side_is_empty`,
    `mass_deletion`).
    """
    if task.allow_mass_delete:
        return
    some = couplings.sample(task.mapping.id, SAMPLE, task.lease.run_id)
    if len(some) < 2:
        return
    there = _look_up(task, some)
    for side in Side:
        _refuse_empty_side(task, side, some, there[side])
    gone = _lost(some, there)
    if gone * 200 > (task.max_delete_percent or 0) * len(some) or (gone and len(some) < SAMPLE):
        refuse_mass_deletion(task, *count_deleted(task))


def _refuse_empty_side(task: Task, side: Side, some: Sequence[Coupled], there: Mapping[str, Record]) -> None:
    """A side is empty when it shows none of its coupled records and no other one, or when its filter fits nothing."""
    mapped, connector = task.mapping.side(side), task.connectors[side]
    if there and mapped.selection.filter:
        there = connector.fetch(mapped.selection, [coupled.keys[side] for coupled in some], filtered=True)
    if not there and not connector.read(mapped.selection, None, None, 1).records:
        params = {"table": mapped.caption, "coupled": couplings.count(task.mapping.id)}
        raise SideFailed(Failure("side_is_empty", params, (side.value,)))


def guard_deletions(task: Task, met: int) -> None:
    """Before a run does anything about the first deleted partner it meets, count how many there are in all.

    Every coupling is looked up once, a page at a time; runs that meet no deleted partner pay nothing. Raises SideFailed
    (`mass_deletion`).
    """
    if not met or task.allow_mass_delete or _counted(task):
        return
    refuse_mass_deletion(task, *count_deleted(task))
    task.progress["deletionsCounted"] = True


def _counted(task: Task) -> bool:
    """Whether somebody who works on the run has counted."""
    if task.progress.get("deletionsCounted") or task.lease.range_id is None:
        return bool(task.progress.get("deletionsCounted"))
    return any(progress.get("deletionsCounted") for progress in ranges.progress_of(task.lease.run_id))


def refuse_mass_deletion(task: Task, total: int, gone: int) -> None:
    """Raise SideFailed (`mass_deletion`) when `gone` of `total` couplings are more than the mapping allows.

    A percentage that comes to less than one record still allows one.
    """
    allowed = [] if task.max_delete_count is None else [task.max_delete_count]
    if task.max_delete_percent is not None:
        least = FEW if task.mapping.deletion_resolution is DeletionResolution.NONE else 1
        allowed.append(max(least, math.floor(total * task.max_delete_percent / 100)))
    if allowed and gone > min(allowed):
        params = {"deletions": gone, "allowed": min(allowed), "coupled": total}
        raise SideFailed(Failure("mass_deletion", params))


def count_deleted(task: Task) -> tuple[int, int]:
    """How many couplings there are, and of how many one record is gone and the other is not."""
    total = gone = after = 0
    while page := couplings.page(task.mapping.id, after, task.page_size):
        total += len(page)
        gone += _lost(page, _look_up(task, page))
        after = page[-1].id
    return total, gone


def guard_restored(task: Task, source: Side, visits: Sequence[Visit], in_step: int = 0) -> None:
    """Stop before a page carries the values of an older backup to the other side as if they were edits.

    What was stamped early and shown late, or by a clock that was set back, is an edit. A single record may have been
    set back by somebody; a fifth of those looked at was not. `in_step`: how many others were looked at. Raises
    SideFailed (`side_went_back`).
    """
    coupled = [visit for visit in visits if visit.coupled is not None and visit.coupled.id and not visit.resolving]
    back = [visit for visit in coupled if visit.decision.writes and _went_back(source, visit)]
    looked = len(coupled) + in_step
    limit = max(BACK, math.floor(looked * (task.max_delete_percent or 100) / 100))
    if len(back) > limit and not task.allow_mass_delete:
        params = {"table": task.mapping.side(source).caption, "records": len(back), "looked": looked}
        raise SideFailed(Failure("side_went_back", params, (source.value,)))


def _went_back(source: Side, visit: Visit) -> bool:
    known = visit.coupled.known[source].modified_on if visit.coupled is not None else None
    stamp = visit.record.modified_on
    return known is not None and stamp is not None and stamp < known and not visit.fresh


def _look_up(task: Task, some: Sequence[Coupled]) -> dict[Side, dict[str, Record]]:
    """The records of couplings that are there, without their values: nobody asks for those."""
    return {
        side: task.connectors[side].fetch(
            replace(task.mapping.side(side).selection, fields=()),
            [coupled.keys[side] for coupled in some],
            filtered=False,
        )
        for side in Side
    }


def _lost(some: Sequence[Coupled], there: Mapping[Side, Mapping[str, Record]]) -> int:
    """Of how many couplings exactly one record is gone; where both are, there is nothing to lose."""
    found = ([coupled.keys[side] in there[side] for side in Side] for coupled in some)
    return sum(1 for one, other in found if one != other)

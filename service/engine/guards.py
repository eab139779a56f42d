"""Refusing the absurd before anything is done about it: a side that lists nothing, more deletions than are normal."""

from __future__ import annotations

import math

from service.core.failures import Failure, SideFailed
from service.core.mapping import DeletionResolution
from service.core.records import Side
from service.engine.task import Task
from service.store import couplings

FEW = 10
"""So many deleted records are normal in a mapping that only reports them, whatever percentage they are."""


SAMPLE = 10
"""So many coupled records are looked up by key first: any of them shows that a side is not empty."""


def guard_empty_sides(task: Task) -> None:
    """Stop a run when a side with couplings suddenly lists nothing: emptied, or a filter that fits nothing any more.

    A single coupling says nothing: its record may simply have been deleted. Raises SideFailed (`side_is_empty`).
    """
    some = [] if task.allow_mass_delete else couplings.page(task.mapping.id, 0, SAMPLE)
    if len(some) < 2:
        return
    for side in Side:
        mapped, connector = task.mapping.side(side), task.connectors[side]
        if connector.fetch(mapped.selection, [coupled.keys[side] for coupled in some], filtered=True):
            continue
        if not connector.read(mapped.selection, None, None, 1).records:
            params = {"table": mapped.caption, "coupled": couplings.count(task.mapping.id)}
            raise SideFailed(Failure("side_is_empty", params, (side.value,)))


def guard_deletions(task: Task, met: int) -> None:
    """Before a run does anything about the first deleted partner it meets, count how many there are in all.

    Every coupling is looked up once, a page at a time; runs that meet no deleted partner pay nothing. Raises SideFailed
    (`mass_deletion`).
    """
    if not met or task.allow_mass_delete or task.progress.get("deletionsCounted"):
        return
    total, gone = count_deleted(task)
    refuse_mass_deletion(task, total, gone)
    task.progress["deletionsCounted"] = True


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
    """How many couplings there are, and of how many a record is gone."""
    total = gone = after = 0
    while page := couplings.page(task.mapping.id, after, task.page_size):
        there = {
            side: task.connectors[side].fetch(
                task.mapping.side(side).selection, [coupled.keys[side] for coupled in page], filtered=False
            )
            for side in Side
        }
        total += len(page)
        gone += sum(1 for coupled in page if any(coupled.keys[side] not in there[side] for side in Side))
        after = page[-1].id
    return total, gone

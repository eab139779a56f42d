"""Refusing the absurd before anything is written: a side that lists nothing, deletions beyond the mapping's limits."""

from __future__ import annotations

import math

from service.core.failures import Failure, SideFailed
from service.core.mapping import DeletionResolution
from service.core.records import Side
from service.engine.task import Task
from service.store import couplings


def guard_empty_sides(task: Task) -> None:
    """Stop a run that could act on deletions when a side with couplings suddenly lists nothing (`side_is_empty`)."""
    acts = task.kind == "findDeleted" or task.mapping.deletion_resolution is not DeletionResolution.NONE
    if not acts or task.allow_mass_delete or couplings.count(task.mapping.id) < 2:
        return
    for side in Side:
        mapped = task.mapping.side(side)
        if not task.connectors[side].read(mapped.selection, None, None, 1).records:
            params = {"table": mapped.caption, "coupled": couplings.count(task.mapping.id)}
            raise SideFailed(Failure("side_is_empty", params, (side.value,)))


def guard_deletions(task: Task, more: int) -> None:
    """Stop before `more` deletions would take the run beyond the mapping's limits (`mass_deletion`).

    A percentage of the couplings that comes to less than one record still allows one.
    """
    if not more or task.allow_mass_delete:
        return
    total = task.progress.setdefault("coupledAtStart", couplings.count(task.mapping.id))
    deleted = task.progress.get("deleted", 0) + more
    allowed = [] if task.max_delete_count is None else [task.max_delete_count]
    if task.max_delete_percent is not None:
        allowed.append(max(1, math.floor(total * task.max_delete_percent / 100)))
    if allowed and deleted > min(allowed):
        params = {"deletions": deleted, "allowed": min(allowed), "coupled": total}
        raise SideFailed(Failure("mass_deletion", params))
    task.progress["deleted"] = deleted

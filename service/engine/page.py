"""The second half of a step, the same for every kind of run that synchronizes: decide, apply, write down."""

from __future__ import annotations

from typing import Any

from service.core.records import Side
from service.engine.adopt import adopt
from service.engine.apply import apply
from service.engine.decisions import decide_page
from service.engine.detect import Batch
from service.engine.journal import write_down
from service.engine.task import Task


def work_through(task: Task, source: Side, batch: Batch, checkpoint: dict[str, Any]) -> None:
    """Do with a page of candidates what is to be done; `checkpoint` says where the run stands after it."""
    decide_page(task, source, batch.visits)
    if task.restored:
        adopt(task, source, batch.visits)
    visits = [visit for visit in batch.visits if task.full or not visit.still_waits]
    apply(task, source, visits)
    task.checkpoint = checkpoint
    task.progress["read"] = task.progress.get("read", 0) + len(visits)
    write_down(task, source, visits, batch.mark, batch.gone)

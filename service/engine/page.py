"""The second half of a step, the same for every kind of run that synchronizes: decide, apply, write down."""

from __future__ import annotations

from itertools import repeat
from typing import Any

from service.core.outcomes import Outcome, count
from service.core.records import Direction, Side
from service.engine.adopt import adopt
from service.engine.apply import apply
from service.engine.decisions import decide_page
from service.engine.detect import Batch
from service.engine.journal import write_down
from service.engine.task import Task


def work_through(task: Task, source: Side, batch: Batch, checkpoint: dict[str, Any]) -> None:
    """Do with a page of candidates what is to be done; `checkpoint` says where the run stands after it."""
    count(task.counts[Direction.out_of(source)], repeat(Outcome.UNCHANGED, batch.in_step))
    if postponed(task, source, batch, checkpoint):
        return
    decide_page(task, source, batch.visits)
    if task.restored:
        adopt(task, source, batch.visits)
    all_count = task.full or task.kind == "records"
    visits = [visit for visit in batch.visits if all_count or not visit.still_waits]
    apply(task, source, visits, batch.in_step)
    task.checkpoint = checkpoint
    count_progress(task, max(len(batch.read), len(batch.visits)))
    write_down(task, source, visits, batch.mark, batch.gone)


def postponed(task: Task, source: Side, batch: Batch, checkpoint: dict[str, Any]) -> bool:
    """Whether a page has nothing to write down but how far was read, and nothing would be lost by doing that with the
    next one, or with the end of the run: nobody waits for a retry, or a pass has ended. A worker that dies before reads
    that side again."""
    idle = not batch.visits and not batch.gone and (batch.position is None or not batch.read)
    if not idle or task.noted or task.lease.range_id is not None:
        return False
    if batch.mark is not None:
        task.marks[source] = batch.mark
    task.checkpoint = checkpoint
    count_progress(task, len(batch.read))
    return True


def count_progress(task: Task, read: int) -> None:
    """Add records that were read; with the records per second of this worker, and where the reading could be counted
    the seconds that it will still take."""
    progress = task.progress
    progress["read"] = progress.get("read", 0) + read
    task.read_here += read
    seconds = (task.now() - task.began) / 1_000_000
    if seconds > 0:
        progress["rate"] = round(task.read_here / seconds, 1)
    left = progress.get("estimate", 0) - progress["read"]
    if left > 0 and progress.get("rate"):
        progress["remainingSeconds"] = round(left / progress["rate"])
    else:
        progress.pop("remainingSeconds", None)

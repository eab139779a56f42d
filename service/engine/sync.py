"""A run on one page: settle what a crash left, then page by page detect, decide, apply, write down.

A page that fails in passing is done again from its beginning: nothing of it was written down, what it wrote to the
applications is found equal, and what it inserted is found by its intents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry import trace

from service.core.records import Side
from service.engine.deleted import find_deleted
from service.engine.detect import first_position, next_batch
from service.engine.follow import follow
from service.engine.guards import guard_sides
from service.engine.matching import match_existing
from service.engine.page import work_through
from service.engine.patience import patiently
from service.engine.ranges import Part, cut, is_cut, share, work_page
from service.engine.reconcile import reconcile
from service.engine.resolve import resolve_skipped
from service.engine.settle import settle
from service.engine.task import Task
from service.engine.uncouple import uncouple


def execute(task: Task) -> None:
    """Carry out a run from its checkpoint to its end, or to where its reading is cut into ranges: they are worked on by
    `work_on_range`, each by one worker at a time, and summed up by `ranges.fold`.

    Raises SideFailed (the run cannot go on), Stopped (between two pages) and LeaseLost (another worker has it now).
    """
    patiently(task, lambda: settle(task))
    step = resolve_skipped if "skipped" in task.request else KINDS[task.kind]
    while not task.checkpoint.get("finished") and not is_cut(task.checkpoint):
        task.check_stop()
        with trace.get_tracer("accord").start_as_current_span("page", record_exception=False):
            patiently(task, lambda: step(task))


def work_on_range(task: Task, part: Part, told: Callable[[], None]) -> None:
    """Carry out a range from its checkpoint to its end; `told` is called after each page.

    Raises SideFailed, Stopped (between two pages, never before the first) and LeaseLost, as `execute` does.
    """
    patiently(task, lambda: settle(task))
    while not task.checkpoint.get("finished"):
        with trace.get_tracer("accord").start_as_current_span("page", record_exception=False):
            patiently(task, lambda: work_page(task, part))
        told()
        if not task.checkpoint.get("finished"):
            task.check_stop()


def synchronize(task: Task) -> None:
    """One page of the pass that the checkpoint names."""
    number = task.checkpoint.setdefault("pass", 0)
    if number == 0 and "position" not in task.checkpoint:
        guard_sides(task)
    if number < len(task.passes):
        _page(task, task.passes[number])
    elif task.checkpoint.get("feeds"):
        follow(task)
    else:
        task.checkpoint = {"finished": True}


def _page(task: Task, source: Side) -> None:
    number = task.checkpoint["pass"]
    here = task.checkpoint.get("position") or first_position(task, source)
    batch = next_batch(task, source, here)
    if batch.position is None:
        work_through(task, source, batch, task.beyond(number))
    elif bounds := cut(task, source, here):
        share(task, here, bounds)
    else:
        work_through(task, source, batch, {**task.following, "pass": number, "position": batch.position})


KINDS: Mapping[str, Callable[[Task], None]] = {
    "modified": synchronize,
    "full": synchronize,
    "records": synchronize,
    "match": match_existing,
    "findDeleted": find_deleted,
    "uncouple": uncouple,
    "reconcile": reconcile,
}
"""What one step of a run does, by the run's kind."""

"""Runs of kind `uncouple`: couplings end, both records stay and are left alone from then on."""

from __future__ import annotations

from collections.abc import Sequence

from service.core.decide import Decision, Do
from service.core.flow import Coupled
from service.core.outcomes import Outcome
from service.core.records import Record, Side
from service.engine.detect import chosen_keys
from service.engine.journal import write_down
from service.engine.task import Task, Visit
from service.store import couplings, skipped, sql


def uncouple(task: Task) -> None:
    """One page of an uncoupling run: the chosen couplings, or all of the mapping."""
    page, last = _page(task)
    visits = [as_uncoupled(coupled) for coupled in page]
    task.checkpoint = {"finished": True} if last else {"after": page[-1].id}
    with sql.transaction():
        write_down(task, Side.LOCAL, visits)
        if not task.dry_run:
            exclude(task, page)


def as_uncoupled(coupled: Coupled) -> Visit:
    """The visit that ends a coupling; the records themselves are not read."""
    record = Record(coupled.keys[Side.LOCAL], None, ())
    return Visit(record, coupled, Decision(Do.UNCOUPLE, Outcome.UNCOUPLED), after={Side.LOCAL: record})


def exclude(task: Task, page: Sequence[Coupled]) -> None:
    """Keep runs from inserting uncoupled records a second time."""
    records = [(side, coupled.keys[side]) for coupled in page for side in Side]
    skipped.exclude(task.mapping.id, task.now(), task.requested_by, records)


def _page(task: Task) -> tuple[list[Coupled], bool]:
    if task.request:
        found = {
            coupled.id: coupled
            for side in Side
            for coupled in couplings.by_keys(task.mapping.id, side, chosen_keys(task, side)).values()
        }
        return list(found.values()), True
    page = couplings.page(task.mapping.id, task.checkpoint.get("after", 0), task.page_size)
    return page, len(page) < task.page_size

"""Pairs that a page made by inserts of which nothing else is to be said, written down a column at a time: a first load
is hardly anything else."""

from __future__ import annotations

from collections.abc import Sequence

from service.core.decide import Do
from service.core.outcomes import Outcome
from service.core.records import Direction, Side
from service.engine.task import Task, Visit
from service.store import couplings, runs
from service.store.couplings import Half


def is_plain(task: Task, source: Side, visit: Visit) -> bool:
    """Whether the visit made a new pair whose records are in step, after nothing had been wrong with its record.

    What a template gave to a new record is told field by field, and a dry run makes no pair.
    """
    decision, coupled = visit.decision, visit.coupled
    return (
        decision.do is Do.INSERT
        and visit.failure is None
        and visit.waiting is None
        and coupled is not None
        and not coupled.id
        and decision.agreed is None
        and not decision.rule
        and visit.outcome is Outcome.INSERTED
        and not task.flows[source].templates
    )


def write_down(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    """Make the couplings of plain visits and tell what the run did, inside the transaction of their page."""
    if not visits:
        return
    run_id, halves = task.lease.run_id, {side: _half(task, source, side, visits) for side in Side}
    ids = couplings.make(task.mapping.id, run_id, halves)
    runs.record_made(run_id, ids, Direction.out_of(source).value, source, Outcome.INSERTED.value)


def _half(task: Task, source: Side, side: Side, visits: Sequence[Visit]) -> Half:
    """Only the state that we wrote is an echo."""
    flow, records = task.flows[side], [visit.after[side] for visit in visits]
    return Half(records, flow.ids_of_base, list(map(flow.in_base, records)), echo=side is not source)

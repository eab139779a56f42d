"""Runs of kind `findDeleted`: couplings whose one record is gone (semantics.md, section 5).

Both sides are asked by key, without the mapping's filters, so that a record that merely left a filter is not taken for
a deleted one. The couplings are gone through twice: first to count, before anything is done, against the guards.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.core.decide import Decision, Do, Pair, decide
from service.core.flow import Coupled
from service.core.outcomes import Outcome
from service.core.records import Record, Side
from service.engine.adopt import adopt
from service.engine.apply import apply
from service.engine.guards import count_deleted, guard_sides, refuse_mass_deletion
from service.engine.journal import write_down, writing
from service.engine.references import look_up
from service.engine.task import Task, Visit
from service.store import couplings, retries, skipped


def find_deleted(task: Task) -> None:
    """One page of a run that looks for deleted records."""
    if not task.checkpoint:
        guard_sides(task)
        if not task.allow_mass_delete:
            refuse_mass_deletion(task, *count_deleted(task))
        task.progress["deletionsCounted"] = True
    page = couplings.page(task.mapping.id, task.checkpoint.get("after", 0), task.page_size)
    task.checkpoint = {"finished": True} if len(page) < task.page_size else {"after": page[-1].id}
    deal_with_lost(task, page)


def deal_with_lost(task: Task, page: Sequence[Coupled]) -> None:
    """Look both records of these couplings up, and do what is to be done about those that are gone."""
    found = _fetch(task, page)
    visits = {source: _visits(task, source, page, found) for source in Side}
    for source in Side:
        if task.restored:
            adopt(task, source, visits[source])
        apply(task, source, visits[source])
    with writing(task):
        for source in Side:
            write_down(task, source, visits[source])


def _fetch(task: Task, page: Sequence[Coupled]) -> dict[Side, dict[str, Record]]:
    return {
        side: task.connectors[side].fetch(
            task.mapping.side(side).selection, [coupled.keys[side] for coupled in page], filtered=False
        )
        if page
        else {}
        for side in Side
    }


def _visits(task: Task, source: Side, page: Sequence[Coupled], found: dict[Side, dict[str, Record]]) -> list[Visit]:
    """The survivors of `source` whose partner is gone; pairs of which both are gone end with the local side."""
    here, there = found[source], found[source.other]
    lost = [coupled for coupled in page if coupled.keys[source.other] not in there]
    keys = [coupled.keys[source] for coupled in lost]
    aside = skipped.keys_set_aside(task.mapping.id, source, keys) if keys else set()
    waiting = retries.by_keys(task.mapping.id, source, keys)
    flows = look_up(task.flows, {source: [here[key] for key in keys if key in here]})
    visits = []
    for coupled in lost:
        key = coupled.keys[source]
        if key not in here:
            if source is Side.LOCAL:
                gone = Record(key, None, ())
                visits.append(Visit(gone, coupled, Decision(Do.UNCOUPLE, Outcome.UNCOUPLED), after={source: gone}))
        elif key in aside:
            visits.append(Visit(here[key], coupled, Decision(Do.NOTHING, Outcome.SKIPPED)))
        else:
            decision = decide(task.mapping, flows, Pair(source, here[key], coupled, None, past=True))
            visits.append(Visit(here[key], coupled, decision, waiting=waiting.get(key)))
    return visits

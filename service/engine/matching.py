"""Runs of kind `match`: coupling records that both applications had already (semantics.md, section 8).

The local side is read in full, page by page; each priority is one query on the other side, and one back, because a key
that several records of either side share couples nobody. Nothing is written to the applications: what differs is a
conflict at once where a person decides, and otherwise waits for the next run, which settles it by the mapping's rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from service.core.decide import Decision, Do, Pair, decide_all_first
from service.core.failures import Failure
from service.core.flow import Flow
from service.core.outcomes import Outcome
from service.core.records import Direction, Record, Side
from service.engine.decisions import unsynchronized
from service.engine.detect import PENDING, select
from service.engine.journal import write_down
from service.engine.match import find_twins
from service.engine.match_by_form import is_one_to_one, twins_of
from service.engine.page import count_progress
from service.engine.references import look_up
from service.engine.task import Task, Visit
from service.store import retries, sql
from service.store.retries import Postponed


def match_existing(task: Task) -> None:
    """One page of a match run."""
    source = Side.LOCAL if task.flows[Side.LOCAL].lines else Side.INTEGRATION
    selection = task.mapping.side(source).selection
    page = task.connectors[source].read(selection, None, task.checkpoint.get("cursor"), task.page_size)
    visits = select_uncoupled(task, source, page.records)
    _couple(task, source, [visit for visit in visits if visit.decision is PENDING])
    for visit in visits:
        visit.failure = visit.decision.failure if visit.decision.do is Do.FAIL else None
        visit.after = {source: visit.record}
        if visit.destination is not None:
            visit.after[source.other] = visit.destination
    task.checkpoint = {"cursor": page.cursor} if page.cursor else {"finished": True}
    count_progress(task, len(page.records))
    with sql.transaction():
        write_down(task, source, visits)
        _postpone(task, source, visits)


def select_uncoupled(task: Task, source: Side, records: Sequence[Record]) -> list[Visit]:
    """The records of a page that are in no coupling, those to be left alone with that outcome."""
    visits = select(task, source, records, None, force=True, uncoupled=True)
    return [visit for visit in visits if visit.coupled is None]


def _couple(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    twins = twins_of(task, source, [visit.record for visit in visits])
    rivals = _rivals(task, source, twins.found)
    flows = look_up(task.flows, {source: [visit.record for visit in visits], source.other: list(twins.found.values())})
    coupling = []
    for visit in visits:
        key = visit.record.key
        failure = twins.ambiguous.get(key)
        if failure is not None and failure.params["candidates"]:
            visit.decision = Decision(Do.FAIL, Outcome.FAILED, failure=failure)
        elif key in rivals:
            visit.decision = Decision(Do.FAIL, Outcome.FAILED, failure=rivals[key])
        elif key in twins.found:
            visit.destination = twins.found[key]
            coupling.append(visit)
        else:
            visit.decision = Decision(Do.NOTHING, Outcome.IGNORED)
    _first_couplings(task, flows, source, coupling)


def _rivals(task: Task, source: Side, found: Mapping[str, Record]) -> dict[str, Failure]:
    """Records whose twin has another equally good partner, on this or any other page."""
    if is_one_to_one(task):
        return {}
    back = find_twins(task, source.other, list(found.values()), whole=False)
    partner = {twin.key: key for key, twin in found.items()}
    return {partner[key]: failure for key, failure in back.ambiguous.items() if key in partner}


def _first_couplings(task: Task, flows: Mapping[Side, Flow], source: Side, visits: Sequence[Visit]) -> None:
    """Couple; equal records are in step from now on, different ones are settled by the update policy, not silently."""
    pairs = []
    for visit in visits:
        assert visit.destination is not None
        visit.coupled, visit.first = unsynchronized(source, visit.record, visit.destination), True
        pairs.append(Pair(source, visit.record, visit.coupled, visit.destination, past=True))
    for visit, decision in zip(visits, decide_all_first(task.mapping, flows, source, pairs), strict=True):
        if decision.do in (Do.REFRESH, Do.CONFLICT):
            visit.decision = replace(decision, writes={}) if decision.writes else decision
        else:
            visit.decision = Decision(Do.COUPLE, Outcome.COUPLED)


def _postpone(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    """Pairs that are not in step yet are looked at by the next run, wherever their stamps are."""
    waiting = [
        Postponed(side, visit.coupled.keys[side])
        for visit in visits
        if visit.coupled is not None and visit.decision.do is Do.COUPLE
        for side in (source, source.other)
        if task.mapping.direction.allows(Direction.out_of(side))
    ]
    if waiting and not task.dry_run:
        retries.save(task.mapping.id, task.now(), waiting)

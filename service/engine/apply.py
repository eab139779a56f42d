"""The apply step for a page: bulk writes, each with the state that was read, and each noted before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from service.connectors.base import Deletion, Insert, Result, Update
from service.core.decide import Do
from service.core.failures import Failure, SideFailed
from service.core.flow import NOTHING_KNOWN, Coupled, Known
from service.core.outcomes import Outcome
from service.core.records import FieldType, Record, Side
from service.engine.decisions import decide_again, recoupled
from service.engine.guards import guard_deletions, guard_restored
from service.engine.pending import forget, note
from service.engine.settle import have_arrived
from service.engine.task import Task, Visit
from service.store import intents, runs, sql
from service.store.intents import Intent


def apply(task: Task, source: Side, visits: Sequence[Visit], in_step: int = 0) -> None:
    """Carry out the decisions of a page, of which so many other pairs are in step. Raises SideFailed when a side cannot
    be worked with any more."""
    for visit in visits:
        visit.failure = visit.decision.failure if visit.decision.do is Do.FAIL else None
        _remember_as_read(source, visit)
    guard_deletions(task, sum(1 for visit in visits if _partner_gone(visit)))
    guard_restored(task, source, visits, in_step)
    if task.dry_run:
        return
    writing = [visit for visit in visits if visit.decision.do in (Do.WRITE, Do.CONFLICT) and visit.decision.writes]
    inserting = [visit for visit in visits if visit.decision.do is Do.INSERT]
    deleting = [visit for visit in visits if visit.decision.do is Do.DELETE]
    _insert(task, source, inserting)
    _update(task, source, writing)
    _update_again(task, source, [visit for visit in writing if _moved(visit)])
    _delete(task, source, deleting)


def _partner_gone(visit: Visit) -> bool:
    """Whether the mapping's rule for deleted partners is about to be applied."""
    return visit.coupled is not None and visit.destination is None and not visit.resolving and visit.decision.rule != ""


def _remember_as_read(source: Side, visit: Visit) -> None:
    visit.after = {source: visit.record}
    if visit.destination is not None:
        visit.after[source.other] = visit.destination


def _moved(visit: Visit) -> bool:
    """Whether the mapping's rules are to decide anew; what a person decided holds for what the person saw."""
    return (
        not visit.resolving and visit.failure is not None and visit.failure.code in ("record_moved", "partner_deleted")
    )


def _insert(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    side = source.other
    visits = [visit for visit in visits if not _given_up(task, side, visit)]
    if not visits:
        return
    choose = _key_chooser(task, side)
    items = [Insert(visit.decision.writes[side], choose(visit)) for visit in visits]
    noted = [Intent(visit.record.key, item.key, item.values) for visit, item in zip(visits, items, strict=True)]
    with sql.transaction():
        runs.assert_held(task.lease)
        intents.save(task.mapping.id, task.lease, side, task.now(), noted)
    task.permit()
    results = task.connectors[side].insert(task.mapping.side(side).selection, items)
    _look_for_arrived(task, side, noted, results)
    _settle_unclear(task, side, noted, results)
    for visit, result in zip(visits, results, strict=True):
        if _take(visit, side, result) and isinstance(result, Record):
            visit.coupled = _coupling_of(source, visit, result)


def _look_for_arrived(task: Task, side: Side, noted: Sequence[Intent], results: Sequence[Result]) -> None:
    """Raise Clash where a refused insert is there already: under the very key that we chose, or as it was sent before
    and looked for too early. It is found by its intent when the page is done again."""
    refused = [
        item
        for item, result in zip(noted, results, strict=True)
        if isinstance(result, Failure) and result.code == "value_rejected"
        if item.chosen_key is not None or (side, item.source_key) in task.sent
    ]
    if refused and have_arrived(task, side, refused):
        raise sql.Clash("an insert had arrived before")


ANSWERLESS = ("connection_failed", "timeout")
"""What is said of one write among others that may have taken effect, because its answer got lost."""

UNCLEAR = (*ANSWERLESS, "record_moved")
"""What is said of such an insert; also where somebody was at the new record before it could be read."""

LOOKS = 2
"""So often a write is sent in one run of which nobody knew afterwards whether it had arrived."""


def _settle_unclear(task: Task, side: Side, noted: Sequence[Intent], results: Sequence[Result]) -> None:
    """Raise SideFailed where nobody knows of some inserts whether they arrived, or in which state: the page is done
    again, and all that arrived are found by their intents first."""
    try:
        _note_unclear(task, side, [one.source_key for one in noted], results, UNCLEAR)
    except SideFailed:
        told = [told for one, result in zip(noted, results, strict=True) if (told := _told(one, result)) is not None]
        with sql.transaction():
            runs.assert_held(task.lease)
            intents.remove(task.mapping.id, side, task.lease.range_id)
            intents.save(task.mapping.id, task.lease, side, task.now(), told)
        raise


def _note_unclear(
    task: Task, side: Side, keys: Sequence[str], results: Sequence[Result], codes: Collection[str]
) -> None:
    """Raise SideFailed for the first of these writes of which nobody knows whether it arrived: the page is done again,
    after it was looked what became of them. `keys`: those of their sources."""
    unclear = {
        key: result
        for key, result in zip(keys, results, strict=True)
        if isinstance(result, Failure) and result.code in codes
    }
    for key, failure in unclear.items():
        task.unclear.setdefault((side, key), []).append(failure)
    if unclear:
        raise SideFailed(next(iter(unclear.values())))


def _given_up(task: Task, side: Side, visit: Visit) -> bool:
    """Whether a write was sent often enough; it waits for the next run."""
    failures = task.unclear.get((side, visit.record.key), [])
    if len(failures) < LOOKS:
        return False
    visit.failure = failures[-1]
    return True


def _told(noted: Intent, result: Result) -> Intent | None:
    """An insert with the key that its answer told; None for one that surely was refused."""
    if isinstance(result, Record):
        return noted._replace(chosen_key=result.key)
    if result.code not in UNCLEAR:
        return None
    moved = result.code == "record_moved" and result.params.get("key")
    return noted._replace(chosen_key=moved) if moved else noted


def _coupling_of(source: Side, visit: Visit, made: Record) -> Coupled:
    if visit.coupled is not None:
        return recoupled(visit.coupled, source.other, made.key)
    return Coupled(0, {source: visit.record.key, source.other: made.key}, _UNKNOWN)


_UNKNOWN: Mapping[Side, Known] = dict.fromkeys(Side, NOTHING_KNOWN)


def _key_chooser(task: Task, side: Side) -> Callable[[Visit], str | None]:
    """What gives a key of our own to a new record of `side`, so that after a crash it can be found by it; None where
    the application, or one of the written values, makes the key."""
    target = task.mapping.side(side)
    name, field = target.selection.key, target.fields[target.selection.key]
    if field.read_only or not task.connectors[side].accepts_keys:
        return lambda _: None
    short = field.length is not None and field.length < 36
    open_to_us = field.type is FieldType.STRING and not target.generates_keys
    ours = field.type is FieldType.UUID or (open_to_us and (field.length is None or field.length >= 32))

    def choose(visit: Visit) -> str | None:
        if name in visit.decision.writes[side]:
            return None
        sent = task.chosen.get((side, visit.record.key)) if task.chosen else None
        if sent is not None or not ours:
            return sent
        key = task.new_key()
        return key.hex if short and field.type is FieldType.STRING else str(key)

    return choose


def _update(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    for side in (source.other, source):
        some = [visit for visit in visits if visit.failure is None and visit.decision.writes.get(side)]
        some = [visit for visit in some if not _given_up(task, side, visit)]
        if not some:
            continue
        items = [
            Update(visit.after[side], visit.decision.writes[side], task.mapping.bidirectional or visit.resolving)
            for visit in some
        ]
        note(task, source, side, some, Outcome.MODIFIED)
        task.permit()
        results = task.connectors[side].update(task.mapping.side(side).selection, items)
        _note_unclear(task, side, [visit.record.key for visit in some], results, ANSWERLESS)
        for visit, result in zip(some, results, strict=True):
            _take(visit, side, result)


def _update_again(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    """Pairs that somebody moved between our reading and our writing are decided anew from what they are now."""
    if not visits:
        return
    moved = [visit for visit in visits if not visit.written]
    forget(task, moved)
    decide_again(task, source, moved)
    for visit in moved:
        if visit.failure is None:
            _remember_as_read(source, visit)
            visit.failure = visit.decision.failure if visit.decision.do is Do.FAIL else None
    again = [visit for visit in moved if visit.failure is None and visit.decision.do in (Do.WRITE, Do.CONFLICT)]
    _update(task, source, [visit for visit in again if visit.decision.writes])
    for visit in moved:
        if visit.failure is None and visit.decision.do in (Do.INSERT, Do.DELETE):
            visit.failure = Failure("record_moved", {"table": task.mapping.side(source.other).caption})


def _delete(task: Task, source: Side, visits: Sequence[Visit]) -> None:
    """The deletion travels: the survivor goes too, unless somebody edits it at this moment."""
    if not visits:
        return
    items = [Deletion(visit.record, guarded=True) for visit in visits]
    note(task, source, source, visits, Outcome.DELETED)
    task.permit()
    results = task.connectors[source].delete(task.mapping.side(source).selection, items)
    for visit, failure in zip(visits, results, strict=True):
        visit.failure = failure
        if failure is None:
            visit.written.add(source)


def _take(visit: Visit, side: Side, result: Result) -> bool:
    """Keep what became of one write; returns whether it succeeded."""
    if isinstance(result, Failure):
        if result.stops_run:
            raise SideFailed(result)
        visit.failure = result
        return False
    visit.after[side] = result
    visit.written.add(side)
    return True

"""The write-down step: everything a page did, in one transaction of our database, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from service.core.compare import shown
from service.core.composites import parted
from service.core.conflicts import Resolution
from service.core.decide import Do
from service.core.failures import Failure
from service.core.flow import NOTHING_KNOWN, Coupled, Flow, remember
from service.core.mapping import DeletionResolution, MappedSide
from service.core.outcomes import Outcome, count
from service.core.records import Direction, FieldType, Record, Side, state_of
from service.core.references import NOT_COUPLED, Missing
from service.core.templates import defaults
from service.engine import new_pairs
from service.engine.task import Task, Visit
from service.store import couplings, intents, mappings, pending, problems, retries, runs, skipped, sql, watermarks
from service.store.couplings import Saved
from service.store.problems import Problem
from service.store.retries import Postponed
from service.store.runs import Done
from service.store.skipped import Skip
from service.store.watermarks import Mark

SKIP_REASONS: Mapping[str, str] = {
    "destination_modified_later": "conflict",
    "partner_deleted": "deleted",
    "ambiguous_match": "ambiguous",
    "uncertain_after_restore": "ambiguous",
}
"""Why a record is set aside, by the code of its error; any other is a repeated failure."""


@dataclass(slots=True)
class Entries:
    """The rows that a page adds. Errors come first: `problem` numbers point into `problems` until they have ids.
    `sent`: inserts were noted before they were sent. `plain`: see `new_pairs`."""

    plain: list[Visit] = field(default_factory=list)
    saved: list[Saved] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)
    waits_no_more: list[str] = field(default_factory=list)
    partners: list[str] = field(default_factory=list)
    sent: bool = False
    inserted: list[Coupled] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skips: list[tuple[Visit, str, int]] = field(default_factory=list)
    postponed: list[tuple[Visit, int, int | None]] = field(default_factory=list)
    done: list[tuple[Visit, Outcome, int | None]] = field(default_factory=list)


def write_down(
    task: Task,
    source: Side,
    visits: Sequence[Visit],
    mark: Mark | None = None,
    gone: Sequence[str] = (),
) -> None:
    """Write a page down: outcomes, couplings, errors, skipped records, the checkpoint and the watermark together.

    Raises LeaseLost, and then nothing of the page is written. A dry run keeps its outcomes alone.
    """
    entries = Entries(waits_no_more=list(gone))
    count(task.counts[Direction.out_of(source)], [_enter(task, source, visit, entries) for visit in visits])
    with writing(task):
        runs.save_page(task.lease, task.counts, task.progress, task.checkpoint)
        if task.dry_run:
            runs.record(task.lease.run_id, _done(task, source, entries.done, {}, []))
        else:
            _save(task, source, entries)
            if task.noted:
                pending.clear(task.mapping.id, task.lease.range_id)
            watermarks.advance(task.mapping.id, {**task.marks, **({} if mark is None else {source: mark})})


@contextmanager
def writing(task: Task) -> Iterator[None]:
    """The transaction of what a page did. Once it is over that is counted, whatever happens to the rest of its step."""
    with sql.transaction():
        yield
    if not sql.in_transaction():
        task.noted = False
        task.marks.clear()
        task.keep()


def _enter(task: Task, source: Side, visit: Visit, entries: Entries) -> Outcome:
    """Note one visit, and say what became of it."""
    if visit.decision.do is Do.INSERT:
        entries.sent = True
        if new_pairs.is_plain(task, source, visit):
            entries.plain.append(visit)
            return Outcome.INSERTED
    if visit.failure is not None:
        return _enter_failure(task, source, visit, visit.failure, entries)
    problem = None
    if visit.decision.do is Do.CONFLICT and visit.decision.failure is not None:
        problem = _problem(task, source, visit, visit.decision.failure, entries)
        entries.skips.append((visit, "conflict", problem))
        _set_aside(task)
        entries.waits_no_more.append(visit.record.key)
    elif visit.waiting is not None:
        entries.healed.append(visit.record.key)
    if problem is None and visit.decision.waits:
        entries.postponed.append((visit, 0, None))
    _enter_coupling(task, source, visit, entries)
    if visit.outcome is not Outcome.UNCHANGED:
        entries.done.append((visit, visit.outcome, problem))
    return visit.outcome


def _enter_coupling(task: Task, source: Side, visit: Visit, entries: Entries) -> None:
    match visit.decision.do:
        case Do.REFRESH | Do.WRITE | Do.INSERT:
            if visit.coupled is not None:
                # Of a record that has taken another's place nothing is known.
                moved = NOTHING_KNOWN in visit.coupled.known.values()
                entries.saved.append(Saved(renewed(task, visit, visit.decision.agreed), "success", moved))
                if _covers(task.flows[source.other], visit.decision.agreed):
                    entries.partners.append(visit.coupled.keys[source.other])
                if visit.decision.do is Do.INSERT:
                    entries.inserted.append(visit.coupled)
        case Do.COUPLE:
            if visit.coupled is not None:
                entries.saved.append(Saved(visit.coupled, None))
        case Do.CONFLICT:
            if visit.coupled is not None and (visit.first or visit.written):
                kept = renewed(task, visit, visit.decision.agreed) if visit.written else visit.coupled
                entries.saved.append(Saved(kept, "failure"))
            elif visit.coupled is not None:
                entries.failed.append(visit.coupled.id)
        case Do.UNCOUPLE | Do.DELETE:
            if visit.coupled is not None:
                entries.removed.append(visit.coupled.id)
        case Do.NOTHING | Do.FAIL:
            pass


def _covers(back: Flow, agreed: frozenset[str] | None) -> bool:
    """Whether nothing is left that would have to flow back, so that the partner need not wait for its own visit."""
    return agreed is None or back.ids <= agreed


def renewed(task: Task, visit: Visit, agreed: frozenset[str] | None) -> Coupled:
    """The coupling as both records stand now. Only a state that we wrote, or knew as ours, is an echo."""
    assert visit.coupled is not None
    known = {}
    for side, record in visit.after.items():
        before = visit.coupled.known[side]
        echo = side in visit.written or (before.echo and task.flows[side].knows(record, before))
        known[side] = remember(task.flows[side], record, before, agreed, echo)
    return Coupled(visit.coupled.id, visit.coupled.keys, known)


def _enter_failure(task: Task, source: Side, visit: Visit, failure: Failure, entries: Entries) -> Outcome:
    """Log the error; the second identical failure in a row sets the record aside, a transient one never does."""
    if failure.code == NOT_COUPLED and not visit.resolving:
        return _enter_waiting(source, visit, failure, entries)
    problem = _problem(task, source, visit, failure, entries)
    outcome = Outcome.FAILED
    if visit.coupled is not None and visit.written:
        entries.saved.append(Saved(_half_done(task, visit, visit.coupled), "failure"))
    elif visit.coupled is not None and visit.coupled.id:
        entries.failed.append(visit.coupled.id)
    again = visit.waiting is not None and visit.waiting.fingerprint == failure.fingerprint
    if visit.resolving:
        pass
    elif failure.code == "record_not_found":
        entries.waits_no_more.append(visit.record.key)
    elif (again and not failure.transient) or _at_once(task, failure):
        entries.skips.append((visit, SKIP_REASONS.get(failure.code, "repeatedFailure"), problem))
        entries.waits_no_more.append(visit.record.key)
        _set_aside(task)
        outcome = Outcome.SKIPPED
    else:
        attempts = visit.waiting.attempts + 1 if again and visit.waiting is not None else 1
        entries.postponed.append((visit, attempts, problem))
    entries.done.append((visit, outcome, problem))
    return outcome


def _half_done(task: Task, visit: Visit, coupled: Coupled) -> Coupled:
    """The coupling of a pair of which one side was written and the other refused: what we wrote is remembered as ours,
    or it would be taken for an edit of somebody else's, and stand against a real one."""
    known = dict(coupled.known)
    for side in visit.written:
        names, flow = task.mapping.side(side).selection.fields, task.flows[side]
        ours = {id for id, at in flow.remembered if names[at] in visit.decision.writes[side]}
        known[side] = remember(flow, visit.after[side], coupled.known[side], ours, echo=True)
    return replace(coupled, known=known)


def _enter_waiting(source: Side, visit: Visit, failure: Failure, entries: Entries) -> Outcome:
    """The record waits until what it refers to is coupled. One error stands for all records that wait so."""
    params = {name: value for name, value in failure.params.items() if name != "key"}
    way = Direction.out_of(source).value
    entries.problems.append(Problem(replace(failure, params=params), way, None, None, standing=True))
    problem = len(entries.problems) - 1
    if visit.coupled is not None and visit.coupled.id:
        entries.failed.append(visit.coupled.id)
    entries.postponed.append((visit, 0, problem))
    entries.done.append((visit, Outcome.FAILED, problem))
    return Outcome.FAILED


def _at_once(task: Task, failure: Failure) -> bool:
    """Whether a person has to look before another run does: it would go by what the state does not know any more."""
    return failure.code == "uncertain_after_restore" or (task.restored and failure.code == "partner_deleted")


def _set_aside(task: Task) -> None:
    task.progress["setAside"] = task.progress.get("setAside", 0) + 1


def _problem(task: Task, source: Side, visit: Visit, failure: Failure, entries: Entries) -> int:
    partner = visit.coupled.keys.get(source.other) if visit.coupled is not None else None
    entries.problems.append(
        Problem(
            failure,
            Direction.out_of(source).value,
            about(task, source, visit.record.key, visit.record),
            about(task, source.other, partner, visit.destination),
        )
    )
    return len(entries.problems) - 1


def about(task: Task, side: Side, key: str | None, record: Record | None) -> dict[str, Any]:
    """A record as an error shows it, with the first text among its mapped fields as description."""
    mapped = task.mapping.side(side)
    texts = [text for text in _texts(mapped, record) if text.strip()]
    return {
        "side": side.value,
        "connectionId": mapped.connection_id,
        "table": mapped.selection.table,
        "key": key,
        "description": texts[0][:200] if texts else key,
    }


def _texts(mapped: MappedSide, record: Record | None) -> Iterator[str]:
    """The texts of a record; those of several fields that are mapped as one stand beside each other."""
    for name, value in zip(mapped.selection.fields, record.values if record else (), strict=False):
        if mapped.fields[name].type is FieldType.LIST:
            yield " ".join(str(part) for part in parted(value, 0) if part is not None)
        elif isinstance(value, str):
            yield value


def _save(task: Task, source: Side, entries: Entries) -> None:
    mapping_id, run_id, now = task.mapping.id, task.lease.run_id, task.now()
    resolution = Resolution.UNCOUPLE if task.kind == "uncouple" else None
    skipped.close_for_couplings(mapping_id, entries.removed, resolution, task.requested_by, now)
    couplings.remove(entries.removed)
    new = [visit.after[source.other].key for visit in entries.plain]
    retire(task, source.other, {**dict.fromkeys(new, 0), **_keys_of(source.other, entries.inserted)})
    new_pairs.write_down(task, source, entries.plain)
    ids_of_saved = couplings.save(mapping_id, run_id, entries.saved)
    if any(coupled.id for coupled in entries.inserted):
        mappings.read_referring_in_full(mapping_id)
    couplings.mark(run_id, "failure", entries.failed)
    if entries.sent:
        intents.remove(mapping_id, source.other, task.lease.range_id)
    ids = problems.save(mapping_id, run_id, now, entries.problems)
    for visit, _, at in entries.done:
        visit.error_id = None if at is None else ids[at]
    made = _new_ids(source, entries, ids_of_saved)
    skipped.save(
        mapping_id,
        task.mapping.direction,
        now,
        [_skip(source, visit, reason, ids[at], made) for visit, reason, at in entries.skips],
    )
    retries.save(mapping_id, now, [_postponed(source, visit, n, at, ids) for visit, n, at in entries.postponed])
    waiting = {visit.record.key for visit, _, _ in entries.postponed}
    retries.remove(mapping_id, source, {*entries.healed, *entries.waits_no_more} - waiting)
    retries.remove(mapping_id, source.other, [*new, *entries.partners])
    problems.resolve(mapping_id, source, entries.healed)
    if any(flow.refers for flow in task.flows.values()):
        problems.resolve_waits(mapping_id)
    runs.record(run_id, _done(task, source, entries.done, made, ids))


def _keys_of(side: Side, inserted: Sequence[Coupled]) -> dict[str, int]:
    return {coupled.keys[side]: coupled.id for coupled in inserted}


def retire(task: Task, side: Side, made: Mapping[str, int]) -> None:
    """End couplings whose key the application has given to a record that we just made: their record was deleted. What
    becomes of the survivor is for a person to say, unless the mapping's rule is to end such couplings."""
    lost = couplings.stale(task.mapping.id, side, made) if made else []
    if not lost:
        return
    couplings.remove([coupled.id for coupled in lost])
    if task.mapping.deletion_resolution is DeletionResolution.REMOVE_COUPLING:
        return
    params = {"source": task.mapping.side(side.other).caption, "destination": task.mapping.side(side).caption}
    failure = Failure("partner_deleted", params, (side.other.value,))
    found = [
        Problem(
            failure,
            Direction.out_of(side.other).value,
            about(task, side.other, coupled.keys[side.other], None),
            about(task, side, coupled.keys[side], None),
        )
        for coupled in lost
    ]
    ids = problems.save(task.mapping.id, task.lease.run_id, task.now(), found)
    skips = [
        Skip("deleted", None, {side.other: coupled.keys[side.other]}, error_id)
        for coupled, error_id in zip(lost, ids, strict=True)
    ]
    skipped.save(task.mapping.id, task.mapping.direction, task.now(), skips)
    _set_aside(task)


def _new_ids(source: Side, entries: Entries, ids: Sequence[int]) -> dict[str, int]:
    """The ids of the couplings that this page made, by source key."""
    pairs = zip(entries.saved, ids, strict=True)
    return {saved.coupled.keys[source]: id for saved, id in pairs if not saved.coupled.id}


def _coupling_id(source: Side, visit: Visit, made: Mapping[str, int]) -> int | None:
    if visit.coupled is None or visit.decision.do in (Do.UNCOUPLE, Do.DELETE):
        return None
    return visit.coupled.id or made.get(visit.coupled.keys[source])


def _skip(source: Side, visit: Visit, reason: str, error_id: int, made: Mapping[str, int]) -> Skip:
    keys = dict(visit.coupled.keys) if visit.coupled is not None else {source: visit.record.key}
    seen = {side.value: state_of(visit.after.get(side)) for side in Side}
    return Skip(reason, _coupling_id(source, visit, made), keys, error_id, seen)


def _postponed(source: Side, visit: Visit, attempts: int, at: int | None, ids: Sequence[int]) -> Postponed:
    key, error_id = visit.record.key, None if at is None else ids[at]
    if visit.failure is None:
        return Postponed(source, key, attempts, NOT_COUPLED, awaited=visit.decision.waits)
    code, fingerprint = visit.failure.code, visit.failure.fingerprint
    return Postponed(source, key, attempts, code, fingerprint, error_id, _waits(visit))


def _waits(visit: Visit) -> tuple[Missing, ...]:
    """What a visit waits for, unless it failed for another reason."""
    waits = visit.failure is None or visit.failure.code == NOT_COUPLED
    return visit.decision.waits if waits else ()


def _done(
    task: Task,
    source: Side,
    done: Sequence[tuple[Visit, Outcome, int | None]],
    made: Mapping[str, int],
    ids: Sequence[int],
) -> list[Done]:
    """What the run did, as it is told. Nothing is looked up for each record that is the same for all."""
    way, side, far = Direction.out_of(source).value, source.value, source.other
    outcomes = {outcome: outcome.value for outcome in Outcome}
    return [
        Done(
            _coupling_id(source, visit, made),
            way,
            side,
            visit.record.key,
            visit.coupled.keys.get(far) if visit.coupled is not None else None,
            outcomes[outcome],
            _changes(task, source, visit),
            visit.decision.rule or None,
            ids[problem] if problem is not None and ids else None,
            [_awaited(missing) for missing in _waits(visit)] or None,
        )
        for visit, outcome, problem in done
    ]


def _awaited(missing: Missing) -> dict[str, Any]:
    """What a record waits for, as the run shows it."""
    pointer = missing.pointer
    named = {"mappingId": pointer.mapping_id, "mapping": pointer.mapping, "side": pointer.side.value}
    return {"field": pointer.field, **named, "key": missing.key}


def _changes(task: Task, source: Side, visit: Visit) -> list[dict[str, Any]] | None:
    """The fields that a visit changed, or would change: side, field, the value before and after. Of a new record, which
    has its values from the other one, only those that a template gave it."""
    before = {source: visit.record, source.other: visit.destination}
    changes = []
    for side, values in visit.decision.writes.items():
        if visit.decision.do is Do.INSERT:
            if not task.flows[source].templates:
                continue
            given = defaults(task.flows[source].templates, visit.record)
            values = {name: value for name, value in values.items() if name in given and given[name] == value}
        elif not task.dry_run and side not in visit.written:
            continue
        mapped, was = task.mapping.side(side), before[side]
        for name, value in values.items():
            old, type = None if was is None else was.values[mapped.index(name)], mapped.fields[name].type
            changes.append({"side": side.value, "field": name, "before": shown(old, type), "after": shown(value, type)})
    return changes or None

"""Carrying out the runs that are queued: claim one, bind its mapping, let the engine work, write down how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog

from service.core.failures import Failure, SideFailed
from service.core.flow import Flow
from service.core.mapping import DeletionResolution, SyncMapping, UpdateResolution
from service.core.records import Direction, Side
from service.engine.ranges import is_cut
from service.engine.sync import execute
from service.engine.task import PAGE_SIZE, Stop, Stopped, Task
from service.operations import run_groups, schedules, sharing
from service.operations.announcements import ending
from service.operations.context import Context
from service.operations.mapping_binding import Bound, patiently_bound
from service.operations.sharing import Hold, StillShared, internal
from service.operations.traces import run_traced
from service.store import mappings, problems, skipped, watermarks
from service.store import runs as store
from service.store.integrity import is_lost
from service.store.models import Mapping as MappingRow
from service.store.models import SyncRun
from service.store.problems import Problem
from service.store.runs import Lease, LeaseLost

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How a worker goes about a run: whether it should stop, how it waits, how many records it takes at a time."""

    stopping: Callable[[], Stop | None]
    sleep: Callable[[float], None]
    page_size: int


class StateLost(Exception):
    """Our own database went away in the midst of a run; the run itself goes on where its last page ended."""


def claim(context: Context, owner: str, run_id: int | None = None, *, short: bool = False) -> Lease | None:
    """Take the next run that can be worked on, or this one. `short`: none that is known to be long."""
    now = context.now()
    if run_id is None:
        lease = store.claim(owner, now, now + context.lease, short=short)
    else:
        lease = store.claim_one(run_id, owner, now, now + context.lease)
    if lease is not None:
        context.note_run(lease.run_id)
    return lease


def keep_lease(context: Context, lease: Lease) -> bool:
    """Say that the worker is alive; returns whether somebody asked to cancel. Raises LeaseLost."""
    return store.extend(lease, context.now() + context.lease)


def carry_out(
    context: Context,
    lease: Lease,
    stopping: Callable[[], Stop | None],
    sleep: Callable[[float], None],
    page_size: int = PAGE_SIZE,
    hold: Hold | None = None,
) -> None:
    """Work on a claimed run until it ends, is handed over, or belongs to somebody else. Raises StateLost when our own
    database went away, and nothing else of its own."""

    pace = Pace(stopping, sleep, page_size)

    def work(row: MappingRow, task: Task) -> None:
        _work(context, task, row, hold or sharing.unkept(stopping, sleep))

    try:
        run = store.get(lease.run_id)
        row = mappings.get(run.mapping_id) if run else None
        if run is not None and row is not None:
            with run_traced(run, row.name):
                _carry_out(context, lease, run, row, pace, partial(work, row))
    except Exception as error:
        if not is_lost(error):
            raise
        log.warning("run_interrupted", run_id=lease.run_id, error=type(error).__name__)
        raise StateLost from error


def help_out(
    context: Context, owner: str, hold: Hold, page_size: int = PAGE_SIZE, *, short: bool = False
) -> int | None:
    """Take ranges of a run that has any to be taken, one after another, as long as no run waits to begin (`short`: none
    that is not known to be long); returns which run that was. Raises what comes of a database that went away, and
    nothing else of its own."""
    lease = sharing.claim(context, owner)
    run = store.get(lease.run_id) if lease else None
    row = mappings.get(run.mapping_id) if run else None
    if lease is None or run is None or row is None:
        return None

    def stopping() -> Stop | None:
        return Stop.HAND_OVER if store.something_waits(context.now(), short=short) else None

    with run_traced(run, row.name):
        _help_out(context, lease, run, row, hold, Pace(stopping, time.sleep, page_size))
    context.wake()
    return lease.run_id


def _help_out(context: Context, lease: Lease, run: SyncRun, row: MappingRow, hold: Hold, pace: Pace) -> None:
    taken: Lease | None = lease
    bound_log = log.bind(run_id=run.id, mapping=row.name, kind=run.kind)
    try:
        with patiently_bound(context, row, pace.stopping, pace.sleep) as parts:
            task = _task(context, lease, run, row, parts, pace)
            while taken is not None:
                bound_log.info("range_started", range_id=taken.range_id)
                sharing.work(task, taken, hold, lambda: None)
                taken = None if task.stopping() else sharing.claim(context, lease.owner, run.id)
    except Stopped as stopped:
        bound_log.info("range_stopped", why=stopped.why)
    except SideFailed as error:
        bound_log.warning("range_failed", code=error.failure.code)
        sharing.fail(taken or lease, error.failure)
    except Exception as error:
        if is_lost(error):
            raise
        bound_log.exception("range_failed")
        sharing.fail(taken or lease, internal(error))


def _carry_out(
    context: Context, lease: Lease, run: SyncRun, row: MappingRow, pace: Pace, work: Callable[[Task], None]
) -> None:
    bound_log = log.bind(run_id=run.id, mapping=row.name, kind=run.kind)
    bound_log.info("run_started", attempt=lease.attempt)
    try:
        with patiently_bound(context, row, pace.stopping, pace.sleep) as parts:
            task = _task(context, lease, run, row, parts, pace)
            for connector in parts.connectors.values():
                connector.fence(task.permit)
            work(task)
        _finish(context, task, row)
    except LeaseLost:
        bound_log.warning("run_lease_lost")
    except Stopped as stopped:
        _stop(context, lease, stopped.why)
        bound_log.info("run_stopped", why=stopped.why)
    except SideFailed as error:
        _fail(context, lease, row, error.failure)
        bound_log.warning("run_failed", code=error.failure.code)
    except Exception as error:
        if is_lost(error):
            raise
        bound_log.exception("run_failed")
        _fail(context, lease, row, internal(error))


def _work(context: Context, task: Task, row: MappingRow, hold: Hold) -> None:
    if not any(flow.lines for flow in task.flows.values()):
        raise SideFailed(Failure("no_field_mappings", {"mapping": row.name}, (row.name,)))
    execute(task)
    while is_cut(task.checkpoint):
        context.wake()
        sharing.lead(context, task, hold)
        execute(task)


def _task(context: Context, lease: Lease, run: SyncRun, row: MappingRow, parts: Bound, pace: Pace) -> Task:
    restored = row.restored_at is not None and "skipped" not in run.request
    mapping = parts.mapping
    if run.request.get("createUnmatched"):
        mapping = replace(mapping, synch_only_coupled_records=False)
    return Task(
        lease=lease,
        kind=run.kind,
        direction=Direction(run.direction),
        dry_run=run.dry_run,
        allow_mass_delete=run.allow_mass_delete,
        request=run.request,
        requested_by=run.requested_by,
        mapping=careful(mapping) if restored else mapping,
        restored=restored,
        flows=parts.flows,
        connectors=parts.connectors,
        full=run.kind == "full" or (run.kind in ("modified", "reconcile") and row.full_read_due),
        now=context.now,
        steady=context.steady,
        new_key=context.new_key,
        margin=context.lease // 6,
        range_size=context.range_size,
        stopping=pace.stopping,
        sleep=pace.sleep,
        page_size=pace.page_size,
        max_delete_percent=row.max_delete_percent,
        max_delete_count=row.max_delete_count,
        counts=run.counts,
        progress=run.progress,
        checkpoint=run.checkpoint or {},
    )


def careful(mapping: SyncMapping) -> SyncMapping:
    """The mapping without the policies that decide in a person's place: they would go by a state that is too old."""
    return replace(mapping, update_resolution=UpdateResolution.NONE, deletion_resolution=DeletionResolution.NONE)


def _finish(context: Context, task: Task, row: MappingRow) -> None:
    failed = any(counts["failed"] for counts in task.counts.values())
    aside = task.progress.get("setAside") or task.progress.get("offeredAgain")
    status = "completedWithErrors" if failed or aside else "succeeded"
    with _ending(context, task.lease.run_id):
        store.complete(task.lease, status, context.now(), task.counts, task.progress, task.checkpoint)
        if task.dry_run:
            return
        watermarks.advance(row.id, task.marks)
        problems.resolve_setup(row.id)
        _slow_down_or_wake(context, task, row)
        if task.full and _covers(task.sources, task.flows):
            mappings.full_read_done(row.id, row.version, row.restored_at)
        if task.kind == "reconcile" and _covers(task.sources, task.flows):
            mappings.reconciled(row.id, _statement(task, store.get(task.lease.run_id)))
    log.info("run_finished", run_id=task.lease.run_id, counts=task.counts)


@contextmanager
def _ending(context: Context, run_id: int) -> Iterator[None]:
    """The transaction in which a run ends, and everything that follows from its end. Then others may begin."""
    with ending(context, run_id):
        yield
        run = store.get(run_id)
        if run is not None:
            run_groups.run_ended(context, run)
            context.dispatch()
    if run is not None and run.group_id is not None:
        context.wake()


def _end_early(context: Context, lease: Lease, end: Callable[[], None]) -> None:
    """End a run before it is done. While others work on ranges of it, it is handed over instead: whoever takes it when
    they have stopped ends it."""
    try:
        with _ending(context, lease.run_id):
            sharing.close(context, lease)
            end()
    except StillShared:
        store.hand_over(lease)


def _slow_down_or_wake(context: Context, task: Task, row: MappingRow) -> None:
    """Count a run of changes that had nothing to do; one that had ends the slower pace of the schedule."""
    quiet = {"read", "unchanged", "ignored", "skipped"}
    if any(number for counts in task.counts.values() for outcome, number in counts.items() if outcome not in quiet):
        if row.idle_runs:
            mappings.end_idling(row.id, schedules.next_due(row.schedule, context.now()))
    elif task.kind == "modified" and "slowestMinutes" in (row.schedule or {}):
        mappings.count_idle(row.id)


def _statement(task: Task, run: SyncRun | None) -> dict[str, Any]:
    """What a reconcile run found out: how many pairs were in step when it began, and how many there were."""
    progress = task.progress
    return {
        "as_of": run.started_at if run else None,
        "run_id": task.lease.run_id,
        "coupled": progress["coupled"],
        "in_sync": progress["inSync"],
        "slipped": progress["slipped"],
        "drifted": progress["drifted"],
        "out_of_filter": progress["outOfFilter"],
        "uncoupled": progress["uncoupled"],
    }


def _covers(sources: list[Side], flows: Mapping[Side, Flow]) -> bool:
    """Whether a run read every side that the mapping reads."""
    return all(side in sources for side, flow in flows.items() if flow.lines)


def _stop(context: Context, lease: Lease, why: Stop) -> None:
    if why is Stop.HAND_OVER:
        store.hand_over(lease)
        return

    def end() -> None:
        store.finish(lease, "cancelled", context.now(), None, None)
        skipped.reopen_of_run(lease.run_id)

    _end_early(context, lease, end)


def _fail(context: Context, lease: Lease, row: MappingRow, failure: Failure) -> None:
    """End a run that cannot go on, with one error for it; what it had not come to is found by the next."""

    def end() -> None:
        store.finish(lease, "failed", context.now(), failure.code, failure.params)
        problems.save(row.id, lease.run_id, context.now(), [Problem(failure, None, None, None)])
        skipped.reopen_of_run(lease.run_id)

    try:
        _end_early(context, lease, end)
    except LeaseLost:
        log.warning("run_lease_lost", run_id=lease.run_id)

"""Carrying out the runs that are queued: claim one, bind its mapping, let the engine work, write down how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from service.core.failures import Failure, SideFailed
from service.core.flow import Flow
from service.core.mapping import DeletionResolution, SyncMapping, UpdateResolution
from service.core.records import Direction, Side
from service.engine.sync import execute
from service.engine.task import PAGE_SIZE, Stop, Stopped, Task
from service.operations.announcements import ending
from service.operations.context import Context
from service.operations.mapping_binding import Bound, bound
from service.store import mappings, problems, skipped
from service.store import runs as store
from service.store.models import Mapping as MappingRow
from service.store.models import SyncRun
from service.store.problems import Problem
from service.store.runs import Lease, LeaseLost

LEASE = 30_000_000
"""Microseconds after which a run whose worker is silent may be taken by another."""

log = structlog.get_logger()


def claim(context: Context, owner: str) -> Lease | None:
    """Take the next run that can be worked on."""
    now = context.now()
    lease = store.claim(owner, now, now + LEASE)
    if lease is not None:
        context.note_run(lease.run_id)
    return lease


def keep_lease(context: Context, lease: Lease) -> bool:
    """Say that the worker is alive; returns whether somebody asked to cancel. Raises LeaseLost."""
    return store.extend(lease, context.now() + LEASE)


def carry_out(
    context: Context,
    lease: Lease,
    stopping: Callable[[], Stop | None],
    sleep: Callable[[float], None],
    page_size: int = PAGE_SIZE,
) -> None:
    """Work on a claimed run until it ends, is handed over, or belongs to somebody else. Raises nothing of its own."""
    run = store.get(lease.run_id)
    row = mappings.get(run.mapping_id) if run else None
    if run is None or row is None:
        return
    bound_log = log.bind(run_id=run.id, mapping=row.name, kind=run.kind)
    bound_log.info("run_started", attempt=lease.attempt)
    try:
        with bound(context, row) as parts:
            task = _task(context, lease, run, row, parts)
            task.stopping, task.sleep, task.page_size = stopping, sleep, page_size
            _work(task, row)
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
        bound_log.exception("run_failed")
        _fail(context, lease, row, Failure("internal_error", {"detail": type(error).__name__}, (type(error).__name__,)))


def _work(task: Task, row: MappingRow) -> None:
    if not any(flow.lines for flow in task.flows.values()):
        raise SideFailed(Failure("no_field_mappings", {"mapping": row.name}, (row.name,)))
    execute(task)


def _task(context: Context, lease: Lease, run: SyncRun, row: MappingRow, parts: Bound) -> Task:
    restored = row.restored_at is not None and "skipped" not in run.request
    return Task(
        lease=lease,
        kind=run.kind,
        direction=Direction(run.direction),
        dry_run=run.dry_run,
        allow_mass_delete=run.allow_mass_delete,
        request=run.request,
        requested_by=run.requested_by,
        mapping=careful(parts.mapping) if restored else parts.mapping,
        restored=restored,
        flows=parts.flows,
        connectors=parts.connectors,
        full=run.kind == "full" or (run.kind in ("modified", "reconcile") and row.full_read_due),
        now=context.now,
        steady=context.steady,
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
    with ending(context, task.lease.run_id):
        store.finish(task.lease, "completedWithErrors" if failed or aside else "succeeded", context.now(), None, None)
        if task.dry_run:
            return
        problems.resolve_setup(row.id)
        if task.full and _covers(task.sources, task.flows):
            mappings.full_read_done(row.id, row.version, row.restored_at)
        if task.kind == "reconcile" and _covers(task.sources, task.flows):
            mappings.reconciled(row.id, _statement(task, store.get(task.lease.run_id)))
    log.info("run_finished", run_id=task.lease.run_id, counts=task.counts)


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
    with ending(context, lease.run_id):
        store.finish(lease, "cancelled", context.now(), None, None)
        skipped.reopen_of_run(lease.run_id)


def _fail(context: Context, lease: Lease, row: MappingRow, failure: Failure) -> None:
    """End a run that cannot go on, with one error for it; what it had not come to is found by the next."""
    try:
        with ending(context, lease.run_id):
            store.finish(lease, "failed", context.now(), failure.code, failure.params)
            problems.save(row.id, lease.run_id, context.now(), [Problem(failure, None, None, None)])
            skipped.reopen_of_run(lease.run_id)
    except LeaseLost:
        log.warning("run_lease_lost", run_id=lease.run_id)

"""Runs: asking for one, and what one can see of it. `execution` carries them out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

from service.core.errors import Conflict, Invalid, NotFound, Problem
from service.core.outcomes import no_counts
from service.core.records import Direction, Side, Stamp
from service.operations import audit
from service.operations.announcements import run_ended
from service.operations.context import Context
from service.operations.traces import traceparent
from service.store import couplings, mappings, sql
from service.store import runs as store
from service.store.models import Mapping as MappingRow
from service.store.models import RunRecord, SyncRun

KINDS = ("modified", "full", "records", "match", "findDeleted", "uncouple", "reconcile")

FINISHED = store.FINISHED

TRIGGERS = ("api", "schedule", "resolution", "console", "cli", "change")

PRIORITIES = {"change": 5, "schedule": 10}
"""Runs that a person or a caller asked for (0) go before those that nobody waits for."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is asked for. `direction` narrows the mapping's own; the keys and couplings are those of a `records` run.
    `released`: only records that waited for others which are coupled now. After a `match` run, `synchronize` what was
    coupled, and `create_unmatched`: create what has no match on the other side, too; `follows` is then that run."""

    mapping_id: int
    kind: str = "modified"
    direction: Direction | None = None
    local_keys: tuple[str, ...] = ()
    integration_keys: tuple[str, ...] = ()
    coupling_ids: tuple[int, ...] = ()
    dry_run: bool = False
    allow_mass_delete: bool = False
    released: bool = False
    synchronize: bool = False
    create_unmatched: bool = False
    follows: int | None = None

    @property
    def chosen(self) -> dict[str, Any]:
        """The chosen records, as the run keeps them."""
        records = {Side.LOCAL.value: list(self.local_keys), Side.INTEGRATION.value: list(self.integration_keys)}
        chosen: dict[str, Any] = {"records": records} if any(records.values()) else {}
        return {**chosen, "couplingIds": list(self.coupling_ids)} if self.coupling_ids else chosen

    @property
    def asked(self) -> dict[str, Any]:
        """Everything that tells this run from others of its kind."""
        options = {"released": self.released, "synchronize": self.synchronize, "createUnmatched": self.create_unmatched}
        before = {} if self.follows is None else {"follows": self.follows}
        return {**self.chosen, **{name: True for name, wanted in options.items() if wanted}, **before}


def start(context: Context, request: RunRequest, actor: str, trigger: str = "api") -> SyncRun:
    """Queue a run and wake the worker; the same request that is queued already is returned instead.

    Raises NotFound, Conflict (`mapping_disabled`) and Invalid.
    """
    row = mappings.get(request.mapping_id)
    if row is None:
        raise NotFound("mapping", request.mapping_id)
    if not row.enabled:
        raise Conflict("mapping_disabled", mapping=row.name)
    problems = problems_of(row, request)
    if problems:
        raise Invalid(problems)
    try:
        run = _queued(context, request, row, actor, trigger)
    except sql.Clash:
        # Somebody asked for the same in the same moment: theirs is there now.
        run = _queued(context, request, row, actor, trigger)
    context.wake()
    return run


def _queued(context: Context, request: RunRequest, row: MappingRow, actor: str, trigger: str) -> SyncRun:
    with sql.transaction():
        run = enqueue(context, request, row, actor, trigger, request.asked)
        context.dispatch()
    return run


def request_of(run: SyncRun) -> RunRequest:
    """What was asked for with a run, to be asked for again."""
    records = (run.request or {}).get("records", {})
    return RunRequest(
        run.mapping_id,
        run.kind,
        Direction(run.direction),
        tuple(records.get(Side.LOCAL.value, ())),
        tuple(records.get(Side.INTEGRATION.value, ())),
        tuple((run.request or {}).get("couplingIds", ())),
        run.dry_run,
        run.allow_mass_delete,
        synchronize=(run.request or {}).get("synchronize", False),
        create_unmatched=(run.request or {}).get("createUnmatched", False),
    )


def enqueue(
    context: Context, request: RunRequest, row: MappingRow, actor: str, trigger: str, chosen: dict[str, Any]
) -> SyncRun:
    """Put a run into the queue, inside the caller's transaction, unless the same one is there already."""
    key = _request_key(request, chosen)
    found = store.queued_like(row.id, key)
    if found is not None:
        _hurry(context, found, PRIORITIES.get(trigger, 0))
        return found
    run = SyncRun.create(
        mapping_id=row.id,
        kind=request.kind,
        direction=request.direction or row.direction,
        trigger=trigger,
        dry_run=request.dry_run,
        allow_mass_delete=request.allow_mass_delete,
        request=chosen,
        request_key=key,
        priority=PRIORITIES.get(trigger, 0),
        counts={Direction.out_of(side).value: no_counts() for side in Side},
        requested_by=actor,
        traceparent=traceparent(),
        created_at=context.now(),
    )
    audit.record(context, actor, "start", "sync_run", run.id, after={"mappingId": row.id, "kind": request.kind})
    return run


def _hurry(context: Context, run: SyncRun, priority: int) -> None:
    """A queued run comes as soon as the one who needs it soonest may expect, whoever asked for it first."""
    if priority >= run.priority or not store.hurry(run.id, priority):
        return
    if run.job_id is not None and context.recall(run.job_id):
        store.forget_job(run.id)


def _request_key(request: RunRequest, chosen: dict[str, Any]) -> str:
    parts = [request.kind, request.direction, request.dry_run, request.allow_mass_delete, chosen]
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


def problems_of(row: MappingRow, request: RunRequest) -> list[Problem]:
    """What is wrong with a request for a run of this mapping."""
    problems = []
    if request.kind not in KINDS:
        problems.append(Problem("/kind", "kind_unknown", {"kind": request.kind, "kinds": list(KINDS)}))
    if request.direction is not None and not _narrows(Direction(row.direction), request.direction):
        problems.append(Problem("/direction", "direction_not_allowed", {"direction": row.direction}))
    if request.kind == "records" and not request.chosen:
        problems.append(Problem("/records", "records_missing"))
    if request.kind not in ("records", "uncouple") and request.chosen:
        problems.append(Problem("/records", "records_unexpected", {"kind": request.kind}))
    if request.kind != "match" and (request.synchronize or request.create_unmatched):
        problems.append(Problem("/kind", "only_after_matching", {"kind": request.kind}))
    known = (
        {coupled.id for coupled in couplings.by_ids(row.id, request.coupling_ids)} if request.coupling_ids else set()
    )
    for index, id in enumerate(request.coupling_ids):
        if id not in known:
            problems.append(Problem(f"/couplingIds/{index}", "coupling_unknown", {"id": id}))
    if request.kind == "match" and not any(line.match_key is not None for line in mappings.lines([row.id])[row.id]):
        problems.append(Problem("/kind", "match_keys_missing"))
    return problems


def _narrows(own: Direction, asked: Direction) -> bool:
    return own is Direction.BIDIRECTIONAL or own is asked


def get(run_id: int) -> SyncRun:
    """One run."""
    run = store.get(run_id)
    if run is None:
        raise NotFound("sync_run", run_id)
    return run


def list_runs(
    *,
    mapping_id: int | None = None,
    status: str | None = None,
    kind: str | None = None,
    created_after: Stamp | None = None,
    group_id: int | None = None,
    before: int | None = None,
    limit: int,
) -> list[SyncRun]:
    """Up to `limit` + 1 runs, newest first."""
    return store.list_runs(
        mapping_id=mapping_id,
        status=status,
        kind=kind,
        created_after=created_after,
        group_id=group_id,
        before=before,
        limit=limit,
    )


def latest(mapping_ids: Collection[int], count: int) -> dict[int, list[SyncRun]]:
    """The last `count` finished runs of each of these mappings, newest first."""
    return store.latest(mapping_ids, count)


def list_records(run_id: int, *, outcome: str | None = None, before: int | None = None, limit: int) -> list[RunRecord]:
    """Up to `limit` + 1 records that were not simply unchanged, newest first."""
    get(run_id)
    return store.list_records(run_id, outcome=outcome, before=before, limit=limit)


def cancel(context: Context, run_id: int, actor: str) -> SyncRun:
    """Stop a run: at once while it is queued, at its next page while it runs. Conflict (`already_finished`) later."""
    run = get(run_id)
    if run.status in store.FINISHED:
        raise Conflict("already_finished", status=run.status)
    with sql.transaction():
        if store.cancel_queued(run_id, context.now()):
            run_ended(context, run_id)
        else:
            store.ask_to_cancel(run_id)
        if run.job_id is not None:
            context.abort(run.job_id)
        context.dispatch()
        audit.record(context, actor, "cancel", "sync_run", run_id)
    context.wake()
    return get(run_id)

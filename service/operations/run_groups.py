"""Runs for several mappings at once: queued together, carried out in the order in which the mappings need each other.

A run begins when those of the mappings that it needs have ended, however they ended: what refers to a record that is
not coupled waits by itself. When the last run of a group ends, the mappings whose waiting records it released get
another run for those alone, in the same transaction, so that a group never looks as if it had ended before it has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from service.core.errors import Conflict, Invalid, Problem
from service.core.records import Direction
from service.operations import mapping_order, runs
from service.operations.context import Context
from service.operations.runs import RunRequest
from service.store import mappings, retries, sql
from service.store import run_groups as store
from service.store.models import Mapping as MappingRow
from service.store.models import SyncRun
from service.store.runs import newest_id

KINDS = ("modified", "full", "match", "findDeleted", "reconcile")
"""What can be asked for several mappings at once."""

MOST = 1000
"""No more runs are added to a group for records that were released: the others are found by the next."""


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """What is asked for. `mapping_ids` None: every enabled mapping that the request fits."""

    mapping_ids: tuple[int, ...] | None = None
    kind: str = "modified"
    direction: Direction | None = None
    dry_run: bool = False
    allow_mass_delete: bool = False
    synchronize: bool = False
    create_unmatched: bool = False

    def of(self, mapping_id: int) -> RunRequest:
        """The same for one of the mappings."""
        return RunRequest(
            mapping_id,
            self.kind,
            self.direction,
            dry_run=self.dry_run,
            allow_mass_delete=self.allow_mass_delete,
            synchronize=self.synchronize,
            create_unmatched=self.create_unmatched,
        )


def start(context: Context, request: GroupRequest, actor: str, trigger: str = "api") -> list[SyncRun]:
    """Queue a run for each mapping, those that others need first. A run that is queued already is part of the answer.

    Raises Conflict (`mapping_disabled`) and Invalid, with what is wrong with any of them.
    """
    if request.kind not in KINDS:
        raise Invalid([Problem("/kind", "kind_for_one_mapping", {"kind": request.kind, "kinds": list(KINDS)})])
    rows = _all(request) if request.mapping_ids is None else _named(request, request.mapping_ids)
    with sql.transaction():
        ids = _enqueue(context, {id: request.of(id) for id in rows}, rows, actor, trigger, None)
        context.dispatch()
    context.wake()
    return [runs.get(id) for id in ids]


def _all(request: GroupRequest) -> dict[int, MappingRow]:
    rows = {row.id: row for row in mappings.all_enabled() if not runs.problems_of(row, request.of(row.id))}
    if not rows:
        raise Invalid([Problem("/all", "no_mapping_fits")])
    return rows


def _named(request: GroupRequest, ids: Sequence[int]) -> dict[int, MappingRow]:
    rows, problems = mappings.by_ids(ids), []
    for index, id in enumerate(ids):
        if id not in rows:
            problems.append(Problem(f"/mappingIds/{index}", "mapping_unknown", {"id": id}))
            continue
        if not rows[id].enabled:
            raise Conflict("mapping_disabled", mapping=rows[id].name)
        problems += [
            replace(found, pointer=f"/mappingIds/{index}") for found in runs.problems_of(rows[id], request.of(id))
        ]
    if problems:
        raise Invalid(problems)
    return rows


def _enqueue(
    context: Context,
    requests: Mapping[int, RunRequest],
    rows: Mapping[int, MappingRow],
    actor: str,
    trigger: str,
    group_id: int | None,
) -> list[int]:
    """Queue the runs in their order and say what each comes after. One that was queued before keeps its place: only new
    ones wait for others, so that no two can wait for each other."""
    newest, order = newest_id(), mapping_order.order()
    ids: dict[int, int] = {}
    for mapping_id in [id for id in order.mappings if id in requests]:
        request = requests[mapping_id]
        run = runs.enqueue(context, request, rows[mapping_id], actor, trigger, request.asked)
        if run.id > newest:
            store.come_after(run.id, {ids[other] for other in _needed(mapping_id, order.needs) if other in ids})
        ids[mapping_id] = run.id
    store.join(group_id or min(ids.values()), list(ids.values()))
    return list(ids.values())


def _needed(mapping_id: int, needs: Mapping[int, Collection[int]]) -> set[int]:
    """Every mapping that one needs, directly or through others."""
    found: set[int] = set()
    waiting = list(needs.get(mapping_id, ()))
    while waiting:
        id = waiting.pop()
        if id not in found:
            found.add(id)
            waiting += needs.get(id, ())
    return found


def run_ended(context: Context, run: SyncRun) -> None:
    """Inside the transaction in which a run ends: go on with what was asked for besides, and with what its group has
    released, when it was the last."""
    if run.kind == "match" and not run.dry_run and run.status in ("succeeded", "completedWithErrors"):
        _follow_matching(context, run)
    if run.group_id is None or run.dry_run or run.status == "cancelled" or run.kind not in ("modified", "full"):
        return
    store.hold(run.group_id)
    if store.has_open(run.group_id):
        return
    members = store.members(run.group_id)
    ids = retries.released({member.mapping_id for member in members})
    rows = {id: row for id, row in mappings.by_ids(ids).items() if row.enabled}
    if rows and len(members) < MOST:
        requests = {id: RunRequest(id, released=True) for id in rows}
        _enqueue(context, requests, rows, run.requested_by or "", run.trigger, run.group_id)


def _follow_matching(context: Context, run: SyncRun) -> None:
    """Synchronize what was coupled, or create what was not as well."""
    create, synchronize = (run.request.get(name) for name in ("createUnmatched", "synchronize"))
    row = mappings.get(run.mapping_id)
    if row is None or not (create or synchronize):
        return
    request = RunRequest(row.id, "modified")
    if create:
        request = RunRequest(row.id, "full", create_unmatched=True, follows=run.id)
    follower = runs.enqueue(context, request, row, run.requested_by or "", run.trigger, request.asked)
    store.join(run.group_id or run.id, [run.id, follower.id])


def ended(group_id: int) -> bool:
    """Whether all that was asked for together has ended."""
    return not store.has_open(group_id)


def members(group_id: int) -> list[SyncRun]:
    """The runs of a group in their order, those for released records last."""
    return store.members(group_id)

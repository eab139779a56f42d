"""Runs: the queue, the leases and what became of them. Every write of a running run names its owner and attempt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import peewee as pw

from service.core.records import Side, Stamp
from service.store import sql
from service.store.models import RunRecord, SyncError, SyncRun

OPEN = ("queued", "running")
FINISHED = ("succeeded", "completedWithErrors", "failed", "cancelled")


class LeaseLost(Exception):
    """Another worker has taken the run over; whoever gets this must not write anything more for it."""


@dataclass(slots=True)
class Lease:
    """Who works on a run, or on a range of it. `attempt` is the fencing token: it grows with every claim. `until`: when
    others may take it; whoever extends the lease moves it on, while others of the same process read it."""

    run_id: int
    owner: str
    attempt: int
    until: Stamp
    range_id: int | None = None

    @property
    def place(self) -> str:
        """The table of what is held."""
        return "sync_runs" if self.range_id is None else "run_ranges"

    @property
    def mine(self) -> tuple[int, str, int, str]:
        """The parameters of `MINE`."""
        if self.range_id is None:
            return self.run_id, self.owner, self.attempt, "running"
        return self.range_id, self.owner, self.attempt, "open"


MINE = "id = ? AND owner = ? AND attempt = ? AND status = ?"
"""The condition under which what a lease was given for is still its own."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did with one record, as a row of `run_records`."""

    coupling_id: int | None
    direction: str
    side: str
    source_key: str
    destination_key: str | None
    outcome: str
    fields: Sequence[Mapping[str, Any]] | None
    rule: str | None
    error_id: int | None
    waits_for: Sequence[Mapping[str, Any]] | None = None


def get(run_id: int) -> SyncRun | None:
    """One run."""
    return SyncRun.of_id(run_id)


def queued_like(mapping_id: int, request_key: str) -> SyncRun | None:
    """The run of a mapping that is queued with exactly this request."""
    found: SyncRun | None = SyncRun.get_or_none(
        (SyncRun.mapping_id == mapping_id) & (SyncRun.request_key == request_key) & (SyncRun.status == "queued")
    )
    return found


def hurry(run_id: int, priority: int) -> bool:
    """Let a queued run come earlier; returns whether it is still queued."""
    query = "UPDATE sync_runs SET priority = ? WHERE id = ? AND status = 'queued'"
    return bool(sql.execute(query, priority, run_id))


def forget_job(run_id: int) -> None:
    """No job carries a run any more, so that the next dispatch makes one."""
    sql.execute("UPDATE sync_runs SET job_id = NULL WHERE id = ?", run_id)


def newest_id() -> int:
    """The number of the newest run; 0 when there never was one."""
    return int(sql.rows("SELECT coalesce(max(id), 0) FROM sync_runs")[0][0])


_FREE = (
    "((status = 'queued' AND NOT EXISTS (SELECT 1 FROM sync_runs AS other WHERE other.mapping_id = run.mapping_id"
    " AND other.status = 'running') AND NOT EXISTS (SELECT 1 FROM run_predecessors JOIN sync_runs AS before"
    " ON before.id = run_predecessors.after_id WHERE run_predecessors.run_id = run.id"
    " AND before.status IN ('queued', 'running'))) OR (status = 'running' AND lease_until < ?"
    " AND (NOT EXISTS (SELECT 1 FROM run_ranges AS part WHERE part.run_id = run.id AND part.lease_until >= ?)"
    " OR (NOT run.cancel_requested AND EXISTS (SELECT 1 FROM run_ranges AS part WHERE part.run_id = run.id"
    " AND part.status = 'open' AND part.lease_until < ?) AND NOT EXISTS (SELECT 1 FROM run_ranges AS part"
    " WHERE part.run_id = run.id AND part.status = 'failed')))))"
)
"""A run that can be worked on (parameters: now, three times): queued, while its mapping rests and after all it comes
after have ended; or one whose worker's lease has ended, unless others are at work on its last ranges."""


def claim(owner: str, now: Stamp, lease_until: Stamp, *, short: bool = False) -> Lease | None:
    """Take the next run that can be worked on; `short`: none that is known to be long.

    People's runs come first (`priority`), then the oldest. None when there is nothing to do or another was faster.
    """
    found = sql.rows(
        f"SELECT id, attempt FROM sync_runs AS run WHERE {_FREE} AND (is_long = ? OR NOT ?)"
        " ORDER BY priority, id LIMIT 1",
        now,
        now,
        now,
        False,
        short,
    )
    return _take(found, owner, now, lease_until)


def claim_one(run_id: int, owner: str, now: Stamp, lease_until: Stamp) -> Lease | None:
    """Take this run. None when it cannot be worked on now, or another was faster."""
    found = sql.rows(f"SELECT id, attempt FROM sync_runs AS run WHERE id = ? AND {_FREE}", run_id, now, now, now)
    return _take(found, owner, now, lease_until)


def _take(found: Sequence[tuple[Any, ...]], owner: str, now: Stamp, lease_until: Stamp) -> Lease | None:
    if not found:
        return None
    run_id, attempt = found[0]
    try:
        taken = sql.execute(
            "UPDATE sync_runs SET status = 'running', owner = ?, attempt = attempt + 1, lease_until = ?,"
            " started_at = coalesce(started_at, ?), version = version + 1 WHERE id = ? AND attempt = ?"
            " AND (status = 'queued' OR (status = 'running' AND lease_until < ?))",
            owner,
            lease_until,
            now,
            run_id,
            attempt,
            now,
        )
    except pw.IntegrityError:
        return None
    return Lease(run_id, owner, attempt + 1, lease_until) if taken else None


_PLACES = (("sync_runs", "running"), ("run_ranges", "open"))
"""Where there are leases, and the status of what is worked on."""


def something_waits(now: Stamp, *, short: bool = False) -> bool:
    """Whether there is a run that can be worked on and that nobody has; `short`: one that is not known to be long."""
    query = f"SELECT 1 FROM sync_runs AS run WHERE {_FREE} AND (is_long = ? OR NOT ?) LIMIT 1"
    return bool(sql.rows(query, now, now, now, False, short))


def end_leases(owners: Sequence[str]) -> int:
    """Let runs, and ranges, of workers that are known to be dead be taken at once; returns how many."""
    return sum(
        sql.execute(f"UPDATE {place} SET lease_until = 0 WHERE status = ? AND {sql.among('owner')}", status, among)
        for place, status, among in [(*place, sql.values(owners)) for place in _PLACES]
    )


def owners() -> list[str]:
    """Who holds a lease."""
    text = "SELECT owner FROM {} WHERE status = ? AND owner IS NOT NULL"
    return list({owner for place, status in _PLACES for (owner,) in sql.rows(text.format(place), status)})


def extend(lease: Lease, lease_until: Stamp) -> bool:
    """Keep a lease alive; returns whether somebody asked to cancel. Raises LeaseLost."""
    held = sql.execute(f"UPDATE {lease.place} SET lease_until = ? WHERE {MINE}", lease_until, *lease.mine)
    if not held:
        raise LeaseLost
    lease.until = lease_until
    return bool(sql.rows("SELECT cancel_requested FROM sync_runs WHERE id = ?", lease.run_id)[0][0])


def save_page(lease: Lease, counts: Mapping[str, Any], progress: Mapping[str, Any], checkpoint: Any) -> None:
    """Write down where a run, or a range of it, stands, inside the transaction of a page. Raises LeaseLost, which
    undoes the page."""
    changed = "version = version + 1" if lease.range_id is None else "works_on = NULL"
    held = sql.execute(
        f"UPDATE {lease.place} SET counts = ?, progress = ?, checkpoint = ?, {changed} WHERE {MINE}",
        sql.dump(counts),
        sql.dump(progress),
        sql.dump(checkpoint),
        *lease.mine,
    )
    if not held:
        raise LeaseLost


def assert_held(lease: Lease) -> None:
    """Raise LeaseLost unless the lease is still ours."""
    if not sql.rows(f"SELECT 1 FROM {lease.place} WHERE {MINE}", *lease.mine):
        raise LeaseLost


def complete(
    lease: Lease, status: str, now: Stamp, counts: Mapping[str, Any], progress: Mapping[str, Any], checkpoint: Any
) -> None:
    """End a run that came to its end, and write down where that is. Raises LeaseLost."""
    held = sql.execute(
        "UPDATE sync_runs SET status = ?, finished_at = ?, counts = ?, progress = ?, checkpoint = ?, code = NULL,"
        " params = NULL, owner = NULL, lease_until = NULL, version = version + 1"
        " WHERE id = ? AND owner = ? AND attempt = ? AND status = 'running'",
        status,
        now,
        sql.dump(counts),
        sql.dump(progress),
        sql.dump(checkpoint),
        lease.run_id,
        lease.owner,
        lease.attempt,
    )
    if not held:
        raise LeaseLost


def finish(lease: Lease, status: str, now: Stamp, code: str | None, params: Mapping[str, Any] | None) -> None:
    """End a run before its end. Raises LeaseLost."""
    held = sql.execute(
        "UPDATE sync_runs SET status = ?, code = ?, params = ?, finished_at = ?, owner = NULL, lease_until = NULL,"
        " version = version + 1 WHERE id = ? AND owner = ? AND attempt = ? AND status = 'running'",
        status,
        code,
        sql.dump(params),
        now,
        lease.run_id,
        lease.owner,
        lease.attempt,
    )
    if not held:
        raise LeaseLost


def hand_over(lease: Lease) -> None:
    """Put a run, or a range, back so that another worker goes on at once where this one stopped. It is nobody's from
    then on: a sign of life that comes late must not keep it."""
    sql.execute(f"UPDATE {lease.place} SET lease_until = 0, owner = NULL WHERE {MINE}", *lease.mine)


def call_long(lease: Lease) -> None:
    """From now on a run waits for the places of long ones. Raises LeaseLost."""
    if not sql.execute(
        "UPDATE sync_runs SET is_long = ? WHERE id = ? AND owner = ? AND attempt = ?",
        True,
        lease.run_id,
        lease.owner,
        lease.attempt,
    ):
        raise LeaseLost


def cancel_queued(run_id: int, now: Stamp) -> bool:
    """Cancel a run that nobody has taken yet; returns whether that was so."""
    return bool(
        sql.execute(
            "UPDATE sync_runs SET status = 'cancelled', finished_at = ?, version = version + 1"
            " WHERE id = ? AND status = 'queued'",
            now,
            run_id,
        )
    )


def ask_to_cancel(run_id: int) -> None:
    """Ask the worker of a running run to stop at its next page."""
    sql.execute(
        "UPDATE sync_runs SET cancel_requested = ?, version = version + 1 WHERE id = ? AND status = 'running'",
        True,
        run_id,
    )


_TOGETHER = 50
"""SQLite notes the greatest id once for each statement."""


def record(run_id: int, done: Sequence[Done]) -> None:
    """Write down what a run did with the records of a page."""
    sql.insert_many(
        "run_records",
        (
            "run_id",
            "coupling_id",
            "direction",
            "side",
            "source_key",
            "destination_key",
            "outcome",
            "fields",
            "rule",
            "error_id",
            "waits_for",
        ),
        [
            (
                run_id,
                item.coupling_id,
                item.direction,
                item.side,
                item.source_key,
                item.destination_key,
                item.outcome,
                sql.dump(item.fields),
                item.rule,
                item.error_id,
                sql.dump(item.waits_for),
            )
            for item in done
        ],
        together=_TOGETHER,
    )


def record_made(run_id: int, coupling_ids: Collection[int], direction: str, source: Side, outcome: str) -> None:
    """Write down that a run made these couplings, with nothing more to say of any; inside the transaction in which it
    did, since that is told from the couplings."""
    sql.execute(
        "INSERT INTO run_records (run_id, coupling_id, direction, side, source_key, destination_key, outcome)"
        f" SELECT ?, id, ?, ?, {source}_key, {source.other}_key, ? FROM couplings WHERE {sql.among('id')} ORDER BY id",
        run_id,
        direction,
        source,
        outcome,
        sql.values(coupling_ids),
        anew=True,
    )


def latest(mapping_ids: Collection[int], count: int) -> dict[int, list[SyncRun]]:
    """The last `count` finished runs of each of these mappings, newest first, with status and counters; nothing else of
    them is read."""
    finished = ", ".join(f"'{status}'" for status in FINISHED)
    ids = sql.rows(
        "SELECT run.id FROM (SELECT mappings.id, coalesce((SELECT first.id FROM sync_runs AS first"
        f" WHERE first.mapping_id = mappings.id AND first.status IN ({finished})"
        " ORDER BY first.id DESC LIMIT 1 OFFSET ?), 0) AS since"
        f" FROM mappings WHERE {sql.among('mappings.id')}) AS mapping"
        " JOIN sync_runs AS run ON run.mapping_id = mapping.id AND run.id >= mapping.since"
        f" WHERE run.status IN ({finished})",
        count - 1,
        sql.values(mapping_ids),
    )
    found: dict[int, list[SyncRun]] = {id: [] for id in mapping_ids}
    columns = (SyncRun.id, SyncRun.mapping_id, SyncRun.status, SyncRun.counts)
    query = SyncRun.select(*columns).where(SyncRun.id.in_([id for (id,) in ids])).order_by(SyncRun.id.desc())
    for run in query if ids else ():
        found[run.mapping_id].append(run)
    return found


def list_runs(
    *,
    mapping_id: int | None,
    status: str | None,
    kind: str | None,
    created_after: Stamp | None,
    group_id: int | None,
    before: int | None,
    limit: int,
) -> list[SyncRun]:
    """Runs, newest first, one more than `limit` when there are more."""
    equals = {"mapping_id": mapping_id, "status": status, "kind": kind, "group_id": group_id}
    more = [] if created_after is None else [SyncRun.later("created_at", created_after)]
    return SyncRun.newest(equals, before, limit, *more)


_COMMON = ("inserted", "modified", "coupled")
"""Outcomes that a run may have by the million. The others are found by the index `run_records_rare`, in which only they
are: its condition has to be in the query word by word."""

_RARE = f"outcome NOT IN ({', '.join(repr(name) for name in _COMMON)})"


def list_records(run_id: int, *, outcome: str | None, before: int | None, limit: int) -> list[RunRecord]:
    """What a run did, newest first, one more than `limit` when there are more."""
    rare = [(_RARE, ())] if outcome is not None and outcome not in _COMMON else []
    return RunRecord.newest({"run_id": run_id, "outcome": outcome}, before, limit, *rare)


def cancel_wanted(run_id: int) -> bool:
    """Whether somebody asked to cancel a run, or one of its ranges failed."""
    found = sql.rows(
        "SELECT cancel_requested OR EXISTS (SELECT 1 FROM run_ranges WHERE run_id = sync_runs.id AND status = 'failed')"
        " FROM sync_runs WHERE id = ?",
        run_id,
    )
    return bool(found and found[0][0])


def of_coupling(coupling_id: int, *, before: int | None, limit: int) -> list[dict[str, Any]]:
    """What runs did to a coupled pair, newest first, one more than `limit` when there are more."""
    query = (
        RunRecord.select(
            RunRecord,
            SyncRun.kind,
            SyncRun.trigger,
            SyncRun.dry_run,
            SyncRun.started_at,
            SyncRun.requested_by,
            SyncError.code.alias("error_code"),
        )
        .join(SyncRun, on=(SyncRun.id == RunRecord.run_id))
        .join(SyncError, pw.JOIN.LEFT_OUTER, on=(SyncError.id == RunRecord.error_id))
        .where(RunRecord.coupling_id == coupling_id)
    )
    if before is not None:
        query = query.where(RunRecord.id < before)
    found: Any = query.order_by(RunRecord.id.desc()).limit(limit + 1).dicts()
    return [dict(row) for row in found]


def last_finished(mapping_id: int) -> SyncRun | None:
    """The newest run of a mapping that has ended."""
    query = SyncRun.select().where((SyncRun.mapping_id == mapping_id) & SyncRun.status.in_(FINISHED))
    found: SyncRun | None = query.order_by(SyncRun.id.desc()).first()
    return found

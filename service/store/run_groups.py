"""Runs that were asked for together, and which of them begin only after others."""

from __future__ import annotations

from collections.abc import Collection

from service.core.records import Stamp
from service.store import sql
from service.store.models import SyncRun


def join(group_id: int, run_ids: Collection[int]) -> None:
    """Make these runs members of a group; one that is in another already stays there."""
    sql.execute(
        f"UPDATE sync_runs SET group_id = ? WHERE group_id IS NULL AND {sql.among('id')}", group_id, sql.values(run_ids)
    )


def come_after(run_id: int, others: Collection[int]) -> None:
    """A run begins only when these have ended."""
    sql.execute_many(
        "INSERT INTO run_predecessors (run_id, after_id) VALUES (?, ?)", [(run_id, other) for other in sorted(others)]
    )


def members(group_id: int) -> list[SyncRun]:
    """The runs of a group, in the order in which they were queued."""
    return list(SyncRun.select().where(SyncRun.group_id == group_id).order_by(SyncRun.id))


def hold(group_id: int) -> None:
    """Let nobody else end a run of this group until the transaction is over, so that one of them is the last."""
    sql.execute("UPDATE sync_runs SET version = version WHERE id = ?", group_id)


def has_open(group_id: int) -> bool:
    """Whether a run of the group has not ended."""
    found = sql.rows("SELECT 1 FROM sync_runs WHERE group_id = ? AND status IN ('queued', 'running') LIMIT 1", group_id)
    return bool(found)


def last_ended(mapping_ids: Collection[int], kind: str) -> dict[int, Stamp]:
    """When each mapping was last gone through by a run of this kind, dry runs left out."""
    found = sql.rows(
        "SELECT mapping_id, max(finished_at) FROM sync_runs WHERE kind = ? AND dry_run = ? AND status IN ('succeeded',"
        f" 'completedWithErrors') AND {sql.among('mapping_id')} GROUP BY mapping_id",
        kind,
        False,
        sql.values(mapping_ids),
    )
    return dict(found)

"""What connects runs with the jobs of the queue that carry them to workers. Its tables are procrastinate's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.core.records import Stamp
from service.store import sql
from service.store.database import database
from service.store.runs import OPEN


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that no job carries."""

    run_id: int
    mapping_id: int
    priority: int
    begun: bool
    is_long: bool


def driver_connection() -> Any:
    """The connection of this thread as the driver has it, so that jobs are part of our transactions."""
    return database.connection()


def installed() -> bool:
    """Whether the open database has the tables of the queue."""
    return sql.rows("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")[0][0] is True


def without_job(now: Stamp) -> list[Waiting]:
    """The runs that may begin, or go on, and that no job carries; nobody else is given them until the transaction is
    over."""
    found = sql.rows(
        "SELECT id, mapping_id, priority, status, is_long FROM sync_runs AS run WHERE job_id IS NULL AND ("
        "(status = 'queued' AND NOT EXISTS (SELECT 1 FROM run_predecessors JOIN sync_runs AS before"
        " ON before.id = run_predecessors.after_id WHERE run_predecessors.run_id = run.id"
        " AND before.status IN ('queued', 'running'))) OR (status = 'running' AND lease_until < ?))"
        " ORDER BY priority, id FOR UPDATE OF run SKIP LOCKED",
        now,
    )
    return [Waiting(id, mapping, priority, status != "queued", long) for id, mapping, priority, status, long in found]


def free_ranges(now: Stamp) -> int:
    """How many ranges of runs wait for a worker."""
    query = (
        "SELECT count(*) FROM run_ranges AS part JOIN sync_runs AS run ON run.id = part.run_id"
        " WHERE part.status = 'open' AND part.lease_until < ? AND run.status = 'running' AND NOT run.cancel_requested"
    )
    return int(sql.rows(query, now)[0][0])


def number_of(task: str) -> int:
    """How many jobs of a kind are waiting, or carried out."""
    query = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = ? AND status IN ('todo', 'doing')"
    return int(sql.rows(query, task)[0][0])


def note_jobs(jobs: Mapping[int, int]) -> None:
    """Note which job carries each run."""
    sql.execute_many("UPDATE sync_runs SET job_id = ? WHERE id = ?", [(job, run) for run, job in jobs.items()])


def forget_lost_jobs() -> int:
    """Forget the jobs of open runs that are not there any more, or have ended; returns how many that were."""
    return sql.execute(
        f"UPDATE sync_runs SET job_id = NULL WHERE job_id IS NOT NULL AND {sql.among('status')} AND NOT EXISTS"
        " (SELECT 1 FROM procrastinate_jobs AS job WHERE job.id = job_id AND job.status IN ('todo', 'doing'))",
        sql.values(OPEN),
    )


def run_statements(text: str) -> None:
    """Carry out statements of the queue's schema, as many as there are, in the caller's transaction."""
    # Through the driver: what looks like a parameter there is none.
    driver_connection().execute(text)

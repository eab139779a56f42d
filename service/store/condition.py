"""How the state itself is: what was due and did not happen, and what its database needs."""

from __future__ import annotations

from service.core.records import Stamp
from service.store import sql
from service.store.database import database, is_postgresql, sqlite_file
from service.store.secrets import SEALED


def overdue(before: Stamp) -> list[tuple[str, Stamp]]:
    """The enabled mappings that were due before then and were not started, with when they were, the oldest first."""
    found = sql.rows(
        "SELECT name, next_due FROM mappings WHERE enabled = ? AND next_due < ? ORDER BY next_due", True, before
    )
    return [(name, due) for name, due in found]


def waiting(before: Stamp) -> tuple[int, Stamp | None]:
    """How many runs were queued before then that could begin, and since when the first waits."""
    number, since = sql.rows(
        "SELECT count(*), min(created_at) FROM sync_runs AS run WHERE status = 'queued' AND created_at < ?"
        " AND NOT EXISTS (SELECT 1 FROM sync_runs AS other WHERE other.mapping_id = run.mapping_id"
        " AND other.status = 'running') AND NOT EXISTS (SELECT 1 FROM run_predecessors JOIN sync_runs AS before"
        " ON before.id = run_predecessors.after_id WHERE run_predecessors.run_id = run.id"
        " AND before.status IN ('queued', 'running'))",
        before,
    )[0]
    return number, since


def abandoned(before: Stamp) -> list[int]:
    """The runs whose lease ended before then, and that nobody has gone on with."""
    found = sql.rows("SELECT id FROM sync_runs WHERE status = 'running' AND lease_until < ? ORDER BY id", before)
    return [id for (id,) in found]


def any_due() -> bool:
    """Whether there is anything that a worker would do."""
    due = "SELECT 1 FROM mappings WHERE enabled = ? AND next_due IS NOT NULL LIMIT 1"
    return bool(
        sql.rows(due, True) or sql.rows("SELECT 1 FROM sync_runs WHERE status IN ('queued', 'running') LIMIT 1")
    )


def sealed() -> list[tuple[str, int, str]]:
    """One encrypted text of each table: the newest, with the table and its id. Keys are exchanged for all at once."""
    found = []
    for table, column in SEALED:
        row = sql.rows(f"SELECT id, {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY id DESC LIMIT 1")
        found += [(table, id, text) for id, text in row]
    return found


def write_ahead_bytes() -> int:
    """How large the write-ahead log beside an SQLite file is; 0 for PostgreSQL, which looks after its own."""
    if is_postgresql():
        return 0
    log = sqlite_file().with_name(sqlite_file().name + "-wal")
    return log.stat().st_size if log.exists() else 0


def oldest_transaction() -> float:
    """For how many seconds the oldest transaction on this PostgreSQL database is open; 0 for SQLite."""
    if not is_postgresql():
        return 0.0
    found = database.execute_sql(
        "SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    ).fetchone()
    return float(found[0])

"""The ranges that the reading of a run is cut into. Each has a lease of its own, so that several workers take them;
`store.runs` keeps such a lease alive, writes its pages down and gives it back, as it does for that of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from service.core.records import Stamp
from service.store import sql
from service.store.runs import Lease, LeaseLost

_COLUMNS = "id, run_id, after_bound, upto_bound, status, counts, progress, checkpoint, code, params"


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a reading: from after one bound up to another, None: the beginning or the end. `code`, `params`: why it
    failed."""

    id: int
    run_id: int
    after: str | None
    upto: str | None
    status: str
    counts: dict[str, Any]
    progress: dict[str, Any]
    checkpoint: dict[str, Any]
    code: str | None
    params: dict[str, Any] | None


def save(run_id: int, bounds: Sequence[str], counts: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
    """Cut the reading of a run: each range begins with these counters and this progress."""
    sql.execute_many(
        "INSERT INTO run_ranges (run_id, number, after_bound, upto_bound, status, counts, progress, checkpoint,"
        " lease_until, attempt) VALUES (?, ?, ?, ?, 'open', ?, ?, '{}', 0, 0)",
        [
            (run_id, number, after, upto, sql.dump(counts), sql.dump(progress))
            for number, (after, upto) in enumerate(zip([None, *bounds], [*bounds, None], strict=True))
        ],
    )


def claim(owner: str, now: Stamp, lease_until: Stamp, run_id: int | None = None) -> Lease | None:
    """Take the next range that nobody works on, of a run that is to go on; of this run, or of any. None when there is
    none."""
    whose, ids = ("", ()) if run_id is None else (" AND run.id = ?", (run_id,))
    while found := sql.rows(
        "SELECT part.id, part.run_id, part.attempt FROM run_ranges AS part JOIN sync_runs AS run"
        f" ON run.id = part.run_id WHERE run.status = 'running' AND NOT run.cancel_requested{whose}"
        " AND part.status = 'open' AND part.lease_until < ? AND NOT EXISTS (SELECT 1 FROM run_ranges AS other"
        " WHERE other.run_id = run.id AND other.status = 'failed') ORDER BY run.priority, run.id, part.number LIMIT 1",
        *ids,
        now,
    ):
        id, run, attempt = found[0]
        if sql.execute(
            "UPDATE run_ranges SET owner = ?, attempt = attempt + 1, lease_until = ? WHERE id = ? AND attempt = ?"
            " AND status = 'open' AND lease_until < ?",
            owner,
            lease_until,
            id,
            attempt,
            now,
        ):
            return Lease(run, owner, attempt + 1, lease_until, id)
    return None


def get(range_id: int) -> Range | None:
    """One range."""
    found = sql.rows(f"SELECT {_COLUMNS} FROM run_ranges WHERE id = ?", range_id)
    return _range(found[0]) if found else None


def of_run(run_id: int) -> list[Range]:
    """All ranges of a run, in order."""
    return [
        _range(row) for row in sql.rows(f"SELECT {_COLUMNS} FROM run_ranges WHERE run_id = ? ORDER BY number", run_id)
    ]


def finish(lease: Lease) -> None:
    """All of a range is done. Raises LeaseLost."""
    _end(lease, "done", None, None)


def fail(lease: Lease, code: str, params: Mapping[str, Any]) -> None:
    """A range, and so its run, cannot go on. Raises LeaseLost."""
    _end(lease, "failed", code, params)


def _end(lease: Lease, status: str, code: str | None, params: Mapping[str, Any] | None) -> None:
    held = sql.execute(
        "UPDATE run_ranges SET status = ?, code = ?, params = ?, works_on = NULL, owner = NULL, lease_until = 0"
        " WHERE id = ? AND owner = ? AND attempt = ? AND status = 'open'",
        status,
        code,
        sql.dump(params),
        lease.range_id,
        lease.owner,
        lease.attempt,
    )
    if not held:
        raise LeaseLost


def remove(run_id: int, now: Stamp) -> bool:
    """Remove the ranges that nobody works on; returns whether none is left. Whoever wants to take one of them waits
    until the caller's transaction is over."""
    sql.execute("DELETE FROM run_ranges WHERE run_id = ? AND (owner IS NULL OR lease_until < ?)", run_id, now)
    return not sql.rows("SELECT 1 FROM run_ranges WHERE run_id = ? LIMIT 1", run_id)


def failed(run_id: int) -> bool:
    """Whether a range of a run failed."""
    return bool(sql.rows("SELECT 1 FROM run_ranges WHERE run_id = ? AND status = 'failed' LIMIT 1", run_id))


def progress_of(run_id: int) -> list[dict[str, Any]]:
    """The progress of each range of a run."""
    return [orjson.loads(text) for (text,) in sql.rows("SELECT progress FROM run_ranges WHERE run_id = ?", run_id)]


def tell_others(lease: Lease, works_on: Mapping[str, str]) -> None:
    """Let the workers of the other ranges know what the page at hand is about (anything, and the key of a record),
    until it is written down. To be called outside of a transaction. Raises LeaseLost."""
    held = sql.execute(
        "UPDATE run_ranges SET works_on = ? WHERE id = ? AND owner = ? AND attempt = ? AND status = 'open'",
        sql.dump(works_on),
        lease.range_id,
        lease.owner,
        lease.attempt,
    )
    if not held:
        raise LeaseLost


def told_by_others(lease: Lease) -> dict[str, str]:
    """What the pages of the other ranges of a run are about."""
    found = sql.rows(
        "SELECT works_on FROM run_ranges WHERE run_id = ? AND id <> ? AND works_on IS NOT NULL",
        lease.run_id,
        lease.range_id,
    )
    return {name: key for (text,) in found for name, key in orjson.loads(text).items()}


def _range(row: tuple[Any, ...]) -> Range:
    id, run_id, after, upto, status, counts, progress, checkpoint, code, params = row
    done, far, here = (orjson.loads(text) for text in (counts, progress, checkpoint))
    return Range(
        id, run_id, after, upto, status, done, far, here, code, None if params is None else orjson.loads(params)
    )

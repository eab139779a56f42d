"""Changes and deletions that are about to be sent, so that a crash between sending and writing down does not leave a
gap in the history: what is overwritten is nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from service.core.records import Scalar, Side
from service.store import sql
from service.store.runs import Done, Lease


@dataclass(frozen=True, slots=True)
class Pending:
    """A write to an existing record. `before` and `written`: the values that it replaces, and those that it sends, by
    field name in canonical form; `before` None: a deletion. `done`: what the run has to say of it where it arrived."""

    side: Side
    key: str
    before: Mapping[str, Scalar] | None
    written: Mapping[str, Scalar]
    done: Done


def save(mapping_id: int, lease: Lease, items: Sequence[Pending]) -> None:
    """Note writes before they are sent."""
    sql.execute_many(
        "INSERT INTO pending_changes (run_id, range_id, mapping_id, side, key, before, written, told)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                lease.run_id,
                lease.range_id,
                mapping_id,
                item.side,
                item.key,
                sql.dump(item.before),
                sql.dump(item.written),
                sql.dump(asdict(item.done)),
            )
            for item in items
        ],
    )


def open_ones(mapping_id: int, range_id: int | None) -> list[tuple[int, Pending]]:
    """Writes whose outcome was not written down, with the runs that sent them: those of a range, or those of no range
    that is still worked on. Never more than a page of them from each worker that died."""
    found = sql.rows(
        "SELECT run_id, side, key, before, written, told FROM pending_changes"
        f" WHERE mapping_id = ? AND {sql.same('range_id')} ORDER BY id",
        mapping_id,
        range_id,
    )
    return [(row[0], _pending(*row[1:])) for row in found]


def remove(mapping_id: int, side: Side, keys: Collection[str]) -> None:
    """Writes that were refused."""
    sql.execute(
        f"DELETE FROM pending_changes WHERE mapping_id = ? AND side = ? AND {sql.among('key')}",
        mapping_id,
        side,
        sql.values(keys),
    )


def clear(mapping_id: int, range_id: int | None) -> None:
    """What was sent is written down. A mapping has one running run at most, and that, or each of its ranges, has one
    page under way."""
    sql.execute(f"DELETE FROM pending_changes WHERE mapping_id = ? AND {sql.same('range_id')}", mapping_id, range_id)


def _pending(side: str, key: str, before: str | None, written: str, told: str) -> Pending:
    done: dict[str, Any] = orjson.loads(told)
    replaced = None if before is None else orjson.loads(before)
    return Pending(Side(side), key, replaced, orjson.loads(written), Done(**done))

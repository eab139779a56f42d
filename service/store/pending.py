"""Changes and deletions that are about to be sent, so that a crash between sending and writing down does not leave a
gap in the history: what is overwritten is nowhere else.

What is sent together is one row, [key, before, written, told] for each record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
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


_told = attrgetter(*(field.name for field in fields(Done)))


def save(mapping_id: int, lease: Lease, side: Side, items: Sequence[Pending]) -> None:
    """Note writes to records of `side` before they are sent."""
    sql.execute(
        "INSERT INTO pending_changes (run_id, range_id, mapping_id, side, changes) VALUES (?, ?, ?, ?, ?)",
        lease.run_id,
        lease.range_id,
        mapping_id,
        side,
        sql.dump([[item.key, item.before, item.written, _told(item.done)] for item in items]),
    )


def open_ones(mapping_id: int, range_id: int | None) -> list[tuple[int, Pending]]:
    """Writes whose outcome was not written down, with the runs that sent them: those of a range, or those of no range
    that is still worked on. Never more than a page of them from each worker that died."""
    found = sql.rows(
        "SELECT run_id, side, changes FROM pending_changes"
        f" WHERE mapping_id = ? AND {sql.same('range_id')} ORDER BY id",
        mapping_id,
        range_id,
    )
    return [(run_id, _pending(side, *one)) for run_id, side, changes in found for one in orjson.loads(changes)]


def remove(mapping_id: int, side: Side, keys: Collection[str], range_id: int | None) -> None:
    """Writes that were refused; what the page of another range has noted is its own business."""
    refused = set(keys)
    query = f"SELECT id, changes FROM pending_changes WHERE mapping_id = ? AND side = ? AND {sql.same('range_id')}"
    found = sql.rows(query, mapping_id, side, range_id)
    for id, changes in found:
        left = [one for one in orjson.loads(changes) if one[0] not in refused]
        sql.execute("UPDATE pending_changes SET changes = ? WHERE id = ?", sql.dump(left), id)


def clear(mapping_id: int, range_id: int | None) -> None:
    """What was sent is written down. A mapping has one running run at most, and that, or each of its ranges, has one
    page under way."""
    sql.execute(f"DELETE FROM pending_changes WHERE mapping_id = ? AND {sql.same('range_id')}", mapping_id, range_id)


def _pending(
    side: str, key: str, before: Mapping[str, Scalar] | None, written: Mapping[str, Scalar], told: list[Any]
) -> Pending:
    return Pending(Side(side), key, before, written, Done(*told))

"""Inserts that are about to be sent, so that a crash between sending and writing down cannot duplicate them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import orjson

from service.core.records import Scalar, Side, Stamp
from service.store import sql
from service.store.runs import Lease


@dataclass(frozen=True, slots=True)
class Intent:
    """An insert into the side opposite to the source. `values`: what is written, by field name, in canonical form."""

    source_key: str
    chosen_key: str | None
    values: Mapping[str, Scalar]


def save(mapping_id: int, lease: Lease, side: Side, now: Stamp, intents: Sequence[Intent]) -> None:
    """Note inserts into `side` before they are sent."""
    sql.execute_many(
        "INSERT INTO intents (run_id, range_id, mapping_id, side, source_key, chosen_key, written, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                lease.run_id,
                lease.range_id,
                mapping_id,
                side,
                item.source_key,
                item.chosen_key,
                sql.dump(dict(item.values)),
                now,
            )
            for item in intents
        ],
    )


def open_ones(mapping_id: int, side: Side, range_id: int | None) -> list[Intent]:
    """Inserts into `side` whose outcome nobody knows: those of a range, or those of no range that is still worked on.
    Never more than a page of them from each worker that died."""
    found = sql.rows(
        "SELECT source_key, chosen_key, written FROM intents"
        f" WHERE mapping_id = ? AND side = ? AND {sql.same('range_id')} ORDER BY id",
        mapping_id,
        side,
        range_id,
    )
    return [Intent(source, chosen, orjson.loads(written)) for source, chosen, written in found]


def remove(mapping_id: int, side: Side, source_keys: Collection[str]) -> None:
    """Inserts whose outcome is known."""
    if source_keys:
        sql.execute(
            f"DELETE FROM intents WHERE mapping_id = ? AND side = ? AND {sql.among('source_key')}",
            mapping_id,
            side,
            sql.values(source_keys),
        )

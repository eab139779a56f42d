"""Inserts that are about to be sent, so that a crash between sending and writing down cannot duplicate them.

A page of them is one row: it is written, read and removed as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import orjson

from service.core.records import Scalar, Side, Stamp
from service.store import sql
from service.store.runs import Lease


class Intent(NamedTuple):
    """An insert into the side opposite to the source. `values`: what is written, by field name, in canonical form."""

    source_key: str
    chosen_key: str | None
    values: Mapping[str, Scalar]


def save(mapping_id: int, lease: Lease, side: Side, now: Stamp, intents: Sequence[Intent]) -> None:
    """Note a page of inserts into `side` before they are sent. The database refuses a second one of a range while one
    is open."""
    sql.execute(
        "INSERT INTO intents (run_id, range_id, mapping_id, side, inserts, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        lease.run_id,
        lease.range_id,
        mapping_id,
        side,
        sql.dump(_document(intents)),
        now,
    )


def open_ones(mapping_id: int, range_id: int | None) -> dict[Side, list[Intent]]:
    """Inserts whose outcome nobody knows, by the side that they went into: those of a range, or those of no range that
    is still worked on. Never more than a page of them for a side from each worker that died."""
    found = sql.rows(
        f"SELECT side, inserts FROM intents WHERE mapping_id = ? AND {sql.same('range_id')} ORDER BY side DESC, id",
        mapping_id,
        range_id,
    )
    noted: dict[Side, list[Intent]] = {}
    for side, inserts in found:
        noted.setdefault(Side(side), []).extend(_intents(orjson.loads(inserts)))
    return noted


def remove(mapping_id: int, side: Side, range_id: int | None) -> None:
    """The outcome of these inserts into `side` is known."""
    sql.execute(
        f"DELETE FROM intents WHERE mapping_id = ? AND side = ? AND {sql.same('range_id')}", mapping_id, side, range_id
    )


def _document(intents: Sequence[Intent]) -> list[Any]:
    """The names of the fields once for all inserts in a row that write the same."""
    return [
        [names, [[item.source_key, item.chosen_key, *item.values.values()] for item in some]]
        for names, some in groupby(intents, lambda item: list(item.values))
    ]


def _intents(document: list[Any]) -> Iterator[Intent]:
    for names, inserts in document:
        for source_key, chosen_key, *values in inserts:
            yield Intent(source_key, chosen_key, dict(zip(names, values, strict=True)))

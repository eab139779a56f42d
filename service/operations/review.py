"""What to do first with every mapping, before anything is written: the review of a full synchronization.

For each mapping two counts and a few look-ups are made; nothing is read that grows with the tables, but for what an
application needs to count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.core.failures import SideFailed
from service.core.records import Direction, Side, Stamp
from service.engine.task import PAGE_SIZE
from service.operations.context import Context
from service.operations.mapping_binding import Bound, bound
from service.operations.mapping_order import order
from service.store import mappings, run_groups
from service.store.models import FieldMapping
from service.store.models import Mapping as MappingRow

FUTURE = 2 * 86_400_000_000
"""Microseconds that a stamp may lie ahead of its application's clock and still be counted."""


class Recommendation(StrEnum):
    """What to do first."""

    MATCH_FIRST = "matchFirst"
    FULL_SYNCHRONIZATION = "fullSynchronization"
    NOTHING_TO_DO = "nothingToDo"
    LOOK_INTO_IT = "lookIntoIt"


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do with one mapping, and why: `reason` and `params` make a sentence. `records`: how many are inside the
    filter of each side, None where the application does not count. `uncoupled`: how many of them are in no coupling,
    as far as the two counts tell. `needs`: mappings that come before."""

    mapping_id: int
    name: str
    recommendation: Recommendation
    reason: str
    params: Mapping[str, Any]
    coupled: int
    records: Mapping[str, int | None]
    uncoupled: Mapping[str, int | None]
    match_keys: bool
    last_full_run_at: Stamp | None
    needs: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the advice goes by."""

    row: MappingRow
    coupled: int
    filled: Mapping[Side, bool]
    uncoupled: Mapping[Side, int | None]
    match_keys: bool
    read_before: bool


def review(context: Context) -> list[Advice]:
    """Every enabled mapping, in the order in which they run."""
    arranged = order()
    rows = {row.id: row for row in mappings.all_enabled()}
    ids = [id for id in arranged.mappings if id in rows]
    lines, standings, last = mappings.lines(ids), mappings.standings(ids), run_groups.last_ended(ids, "full")
    return [
        _advice(context, rows[id], lines[id], standings[id], last.get(id), sorted(arranged.needs[id])) for id in ids
    ]


def _advice(
    context: Context,
    row: MappingRow,
    lines: Sequence[FieldMapping],
    standing: mappings.Standing,
    last: Stamp | None,
    needs: Sequence[int],
) -> Advice:
    keys = any(line.match_key is not None and line.enabled for line in lines)
    counted: dict[Side, int | None] = dict.fromkeys(Side)
    uncoupled = dict(counted)
    params: Mapping[str, Any]
    try:
        with bound(context, row) as parts:
            counted = {side: _count(parts, side) for side in Side}
            filled = {side: _filled(parts, side, counted[side]) for side in Side}
        uncoupled = {
            side: None if number is None else max(0, number - standing.coupled) for side, number in counted.items()
        }
        read = all(side in standing.watermarks for side in Side if _reads(row, side)) and not row.full_read_due
        found = _recommend(_Standing(row, standing.coupled, filled, uncoupled, keys, read))
        params = {"coupled": standing.coupled, **{side.value: counted[side] for side in Side}}
    except SideFailed as error:
        found, params = (Recommendation.LOOK_INTO_IT, error.failure.code), error.failure.params
    return Advice(
        mapping_id=row.id,
        name=row.name,
        recommendation=found[0],
        reason=found[1],
        params=params,
        coupled=standing.coupled,
        records={side.value: counted[side] for side in Side},
        uncoupled={side.value: uncoupled[side] for side in Side},
        match_keys=keys,
        last_full_run_at=last,
        needs=needs,
    )


def _reads(row: MappingRow, side: Side) -> bool:
    return Direction(row.direction).allows(Direction.out_of(side))


def _count(parts: Bound, side: Side) -> int | None:
    """How many records there are; where counting is dear, only of a table that one page holds."""
    connector, selection = parts.connectors[side], parts.mapping.side(side).selection
    number = connector.count(selection, 0, connector.clock(selection).now + FUTURE)
    if number is not None:
        return number
    page = connector.read(selection, None, None, PAGE_SIZE)
    return len(page.records) if page.cursor is None else None


def _filled(parts: Bound, side: Side, counted: int | None) -> bool:
    """Whether there is any record; a count may leave out those without a stamp."""
    return bool(counted) or bool(parts.connectors[side].read(parts.mapping.side(side).selection, None, None, 1).records)


def _recommend(standing: _Standing) -> tuple[Recommendation, str]:
    only_coupled = standing.row.synch_only_coupled_records
    sources = [side for side in Side if _reads(standing.row, side)]
    if not standing.coupled and not any(standing.filled.values()):
        return Recommendation.NOTHING_TO_DO, "both_sides_empty"
    if not standing.coupled and all(standing.filled.values()):
        reason = "both_sides_filled" if standing.match_keys else "both_sides_filled_no_match_keys"
        return Recommendation.MATCH_FIRST, reason
    left = all(standing.uncoupled[side] != 0 and standing.filled[side] for side in Side)
    if only_coupled and left and standing.match_keys:
        return Recommendation.MATCH_FIRST, "uncoupled_on_both_sides"
    if not only_coupled and any(standing.uncoupled[side] for side in sources):
        return Recommendation.FULL_SYNCHRONIZATION, "uncoupled_records"
    if not standing.coupled:
        empty = only_coupled or not any(standing.filled[side] for side in sources)
        nothing = (Recommendation.NOTHING_TO_DO, "only_coupled_records")
        return nothing if empty else (Recommendation.FULL_SYNCHRONIZATION, "one_side_empty")
    if not standing.read_before:
        return Recommendation.FULL_SYNCHRONIZATION, "never_read"
    return Recommendation.NOTHING_TO_DO, "read_and_coupled"

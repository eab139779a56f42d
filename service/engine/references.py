"""Looking up, for the records of a page, the couplings of the records that they refer to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from service.core.flow import Flow, Line
from service.core.records import Record, Scalar, Side
from service.store import couplings


def look_up(
    flows: Mapping[Side, Flow], records: Mapping[Side, Collection[Record | None]], typed: Collection[Scalar] = ()
) -> Mapping[Side, Flow]:
    """The flows with the couplings of everything that these records refer to: one query for each mapping and side.

    `typed`: values that a person has written in the place of local ones.
    """
    wanted: dict[tuple[int, Side], set[str]] = {}
    for side, flow in flows.items():
        for line in flow.lines:
            for value in _values(line, records.get(side, ())) | (set(typed) if side is Side.LOCAL else set()):
                place = line.pointer.place(value) if line.pointer is not None else None
                if place is not None:
                    wanted.setdefault(place[:2], set()).add(place[2])
    if not wanted:
        return flows
    found = {
        (mapping_id, side, key): partner
        for (mapping_id, side), keys in wanted.items()
        for key, partner in couplings.partners(mapping_id, side, keys).items()
    }
    return {side: replace(flow, lookup=found) for side, flow in flows.items()}


def _values(line: Line, records: Collection[Record | None]) -> set[Scalar]:
    if line.pointer is None or line.source is None:
        return set()
    return {record.values[line.source] for record in records if record is not None}

"""What a mapping's references must fulfil: they lead to a mapping between the same connections, and form no ring that
could never be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from service.core.errors import Problem
from service.core.ordering import Need, Ring, arrange
from service.core.records import Field, Side
from service.operations.mapping_drafts import LineDraft, MappingDraft
from service.operations.mapping_line_rules import WAYS
from service.operations.mapping_order import is_turned
from service.operations.mapping_rules import Surroundings
from service.operations.mapping_side_rules import Bound

NEW = 0
"""Stands for the id of a mapping that has none yet."""


def problems(
    draft: MappingDraft, name: str, own_id: int | None, bound: Mapping[Side, Bound | None], around: Surroundings
) -> list[Problem]:
    """What is wrong with the references of a mapping, and with what it depends on."""
    found = [
        problem
        for index, line in enumerate(draft.field_mappings)
        if line.reference is not None
        for problem in _line_problems(draft, line, line.reference, name, f"/fieldMappings/{index}", around)
    ]
    return found or list(_ring_problems(draft, name, own_id, bound, around))


def _line_problems(
    draft: MappingDraft, line: LineDraft, reference: str, own_name: str, pointer: str, around: Surroundings
) -> Iterator[Problem]:
    if line.local_field is None or line.integration_field is None:
        yield Problem(f"{pointer}/reference", "reference_needs_both_fields")
    if any(line.transforms.values()):
        yield Problem(f"{pointer}/transforms", "reference_with_transforms")
    if reference == own_name:
        return
    other = around.mapping(reference)
    if other is None:
        yield Problem(f"{pointer}/reference/mapping", "reference_unknown", {"name": reference})
    elif is_turned(draft.local.connection_id, draft.integration.connection_id, other) is None:
        yield Problem(f"{pointer}/reference/mapping", "reference_elsewhere", {"name": reference})


def _ring_problems(
    draft: MappingDraft, name: str, own_id: int | None, bound: Mapping[Side, Bound | None], around: Surroundings
) -> Iterator[Problem]:
    own, names = own_id or NEW, around.names()
    ids = {found: id for id, found in names.items()} | {name: own}
    known = [need for need in around.needs() if need.owner != own] + needs_of(
        draft, own, ids, [is_optional(draft, line, bound) for line in draft.field_mappings]
    )
    try:
        arrange([*names, own], known)
    except Ring as ring:
        path = " → ".join({**names, own: name}[id] for id in ring.mappings)
        yield Problem(_place(draft, ring, own, ids), "reference_ring", {"ring": path})


def needs_of(draft: MappingDraft, own: int, ids: Mapping[str, int], optional: Sequence[bool]) -> list[Need]:
    """What a mapping that is about to be saved needs of others; `optional` as `is_optional` says it of each line."""
    said = [Need(own, other) for other in draft.depends_on]
    return said + [
        Need(own, ids[line.reference], _LATEST + index, optional[index])
        for index, line in enumerate(draft.field_mappings)
        if line.enabled and line.reference is not None
    ]


_LATEST = 2**62
"""Field mappings that are about to be saved were added after all others."""


def _place(draft: MappingDraft, ring: Ring, own: int, ids: Mapping[str, int]) -> str:
    """Where the mapping names the next one of the ring."""
    after = dict(zip(ring.mappings, ring.mappings[1:], strict=False)).get(own)
    if after in draft.depends_on:
        return "/dependsOn"
    lines = enumerate(draft.field_mappings)
    place = next((index for index, line in lines if line.reference is not None and ids[line.reference] == after), None)
    return "/dependsOn" if place is None else f"/fieldMappings/{place}/reference"


def is_optional(draft: MappingDraft, line: LineDraft, bound: Mapping[Side, Bound | None]) -> bool:
    """Whether a new record can do without the reference for a while, on every side that the reference is written to."""
    return line.match_key is None and not any(
        field is not None and field.required for field in _written(draft, line, bound)
    )


def _written(draft: MappingDraft, line: LineDraft, bound: Mapping[Side, Bound | None]) -> Iterator[Field | None]:
    for way in WAYS:
        side = way.source.other
        place = bound.get(side)
        if place is not None and draft.direction.allows(way) and line.direction.allows(way):
            yield place.field(line.field(side))

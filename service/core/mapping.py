"""A mapping as the engine uses it: two tables, the fields between them, and the rules. See semantics.md, section 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.core.keys import names_of
from service.core.records import Condition, Direction, Field, Scalar, Selection, Side, SideTable
from service.core.references import Reference
from service.core.templates import Template
from service.core.transforms import Step, steps_back, steps_of


class ConflictDetection(StrEnum):
    """When two edits are a conflict: on one record, or on one field of it."""

    RECORD = "record"
    FIELD = "field"


class UpdateResolution(StrEnum):
    """What happens to an update conflict without a person."""

    NONE = "none"
    SEND_UPDATE_TO_INTEGRATION = "sendUpdateToIntegration"
    GET_UPDATE_FROM_INTEGRATION = "getUpdateFromIntegration"
    NEWEST_WINS = "newestWins"


class DeletionResolution(StrEnum):
    """What happens, without a person, to a coupling whose one record was deleted."""

    NONE = "none"
    RESTORE_RECORDS = "restoreRecords"
    REMOVE_COUPLING = "removeCoupling"
    DELETE_PARTNER = "deletePartner"


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """One line of a mapping. `id` changes whenever the line's meaning does: bases are remembered by it.

    A side's field is None where the line writes a constant to the other. `transforms`: per direction, as the mapping
    writes them; a direction that is left out takes the way back of the other.
    """

    id: int
    local_field: str | None
    integration_field: str | None
    direction: Direction
    constant: Scalar = None
    transforms: Mapping[Direction, Sequence[Any]] | None = None
    not_null: bool = False
    match_key: int | None = None
    reference: Reference | None = None
    normalize: tuple[str, ...] = ()

    def field(self, side: Side) -> str | None:
        """The name of this line's field on a side."""
        return self.local_field if side is Side.LOCAL else self.integration_field

    def steps(self, way: Direction) -> tuple[Step, ...]:
        """What is done to a value in a one-way direction."""
        return flowing_steps(self.transforms or {}, way)


def flowing_steps(transforms: Mapping[Any, Sequence[Any]], way: Direction) -> tuple[Step, ...]:
    """The steps in a one-way direction: those written for it, else what undoes those of the other one."""
    if way in transforms:
        return steps_of(transforms[way])
    return steps_back(steps_of(transforms.get(Direction.out_of(way.source.other), ())))


@dataclass(frozen=True, slots=True)
class MappedSide:
    """One side of a mapping, bound to what its connection says of the table.

    `fields` maps names to descriptions; `selection.fields` are the names that this mapping reads, in order.
    `alternate_keys`: the fields of each key besides the one that records are known by, that the application keeps to.
    """

    connection_id: int
    selection: Selection
    caption: str
    fields: Mapping[str, Field]
    generates_keys: bool
    alternate_keys: tuple[tuple[str, ...], ...] = ()

    def index(self, field: str) -> int:
        """Where a field's value stands in `Record.values`."""
        return self.selection.fields.index(field)

    def is_key(self, field: str) -> bool:
        """Whether a field is the key, or one of its parts is in it: what of a record never changes."""
        written = {one.name for one in self.fields[field].parts} or {field}
        return not written.isdisjoint(names_of(self.fields, self.selection.key))


@dataclass(frozen=True, slots=True)
class SyncMapping:
    """Everything a run has to know of a mapping. Both sides are treated alike: `side(s)` instead of two names."""

    id: int
    name: str
    direction: Direction
    local: MappedSide
    integration: MappedSide
    field_mappings: tuple[FieldMapping, ...]
    synch_only_coupled_records: bool = True
    conflict_detection: ConflictDetection = ConflictDetection.RECORD
    update_resolution: UpdateResolution = UpdateResolution.NONE
    deletion_resolution: DeletionResolution = DeletionResolution.NONE
    templates: tuple[Template, ...] = ()

    def side(self, side: Side) -> MappedSide:
        return self.local if side is Side.LOCAL else self.integration

    @property
    def bidirectional(self) -> bool:
        return self.direction is Direction.BIDIRECTIONAL

    def flows(self, source: Side) -> Iterator[FieldMapping]:
        """The lines whose values flow out of `source` in this mapping, constants included."""
        way = Direction.out_of(source)
        if not self.direction.allows(way):
            return
        for line in self.field_mappings:
            if line.direction.allows(way) and line.field(source.other) is not None:
                yield line

    def match_priorities(self) -> list[tuple[FieldMapping, ...]]:
        """The match keys, grouped by priority, first priority first; lines of one group must all agree."""
        by_priority: dict[int, list[FieldMapping]] = {}
        for line in self.field_mappings:
            if line.match_key is not None:
                by_priority.setdefault(line.match_key, []).append(line)
        return [tuple(by_priority[priority]) for priority in sorted(by_priority)]


__all__ = [
    "Condition",
    "ConflictDetection",
    "DeletionResolution",
    "FieldMapping",
    "MappedSide",
    "SideTable",
    "SyncMapping",
    "UpdateResolution",
]

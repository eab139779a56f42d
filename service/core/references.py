"""References: fields that hold the key of another mapping's record, and what can be said of one that leads nowhere yet.

A reference is translated through the couplings of the mapping that it refers to. Whoever decides is handed those
couplings as a `Lookup`; nothing here asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from service.core.compare import coerce
from service.core.failures import Failure
from service.core.records import Field, FieldType, Scalar, Side

NOT_COUPLED = "reference_not_coupled"

Lookup: TypeAlias = Mapping[tuple[int, Side, str], str]
"""The key of the partner by mapping, side and key of a coupled record. A record that is not in it is not coupled."""

_KEY = Field("", FieldType.STRING)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a field mapping refers to. `turned`: the other mapping has our local side as its integration side.

    `clear`: an uncoupled record is written as nothing. `deferrable`: the field can be written after its record was
    made, and the mappings refer to each other in a ring, so that it must be.
    """

    mapping_id: int
    mapping: str
    turned: bool = False
    clear: bool = False
    deferrable: bool = False

    def out_of(self, source: Side, field: str) -> Pointer:
        """The reference as it is read in `field` of `source`."""
        side = source.other if self.turned else source
        return Pointer(self.mapping_id, self.mapping, side, field, self.clear, self.deferrable)


@dataclass(frozen=True, slots=True)
class Pointer:
    """A reference in one direction: `field` of the source holds the key of a record of `side` of the mapping."""

    mapping_id: int
    mapping: str
    side: Side
    field: str
    clear: bool
    deferrable: bool

    def place(self, value: Scalar) -> tuple[int, Side, str] | None:
        """Where a lookup has the record that a field's value refers to; None for a field that is empty."""
        if value is None or value == "":
            return None
        return self.mapping_id, self.side, str(coerce(value, None, _KEY))

    def failure(self, key: str) -> Failure:
        """Why a record cannot be written; the same cause for every record of this field."""
        params = {"field": self.field, "mapping": self.mapping, "key": key}
        return Failure(NOT_COUPLED, params, (self.field, self.mapping))


@dataclass(frozen=True, slots=True)
class Missing:
    """A record of `side` refers, in the field mapping `line`, to a record that is not coupled: the one with `key` on
    the side `pointer.side` of the mapping `pointer.mapping_id`."""

    side: Side
    line: str
    pointer: Pointer
    key: str

    @property
    def failure(self) -> Failure:
        return self.pointer.failure(self.key)

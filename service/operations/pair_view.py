"""Both records of a pair as they are now, side by side: of one that is coupled, or of one that somebody may couple."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.core.conflicts import FieldState, FieldView, compare_fields
from service.core.flow import Coupled
from service.core.records import Record, Side, Stamp
from service.engine.references import look_up
from service.operations.mapping_binding import Bound


@dataclass(frozen=True, slots=True)
class SideView:
    """One record of a pair. `at`: its stamp now, None where it has none or does not exist. `url` opens it in its
    own application, None where nobody said how."""

    key: str
    caption: str
    exists: bool
    at: Stamp | None
    url: str | None


@dataclass(frozen=True, slots=True)
class PairView:
    """Two records, and every field mapping between them."""

    sides: Mapping[Side, SideView]
    fields: Sequence[FieldView]
    ways: Sequence[Side]
    """The sides out of which values flow."""

    @property
    def differ(self) -> bool:
        """Whether a field that flows is not the same on both sides."""
        return any(field.state is not FieldState.EQUAL for field in self.fields)


def side_by_side(
    parts: Bound, coupled: Coupled | None, keys: Mapping[Side, str], records: Mapping[Side, Record | None]
) -> PairView:
    """The pair, from records that were just read."""
    flows = look_up(parts.flows, {side: [records[side]] for side in Side})
    return PairView(
        {side: _side(parts, side, keys[side], records[side]) for side in Side},
        compare_fields(parts.mapping, flows, coupled, records),
        [side for side in Side if parts.flows[side].lines],
    )


def _side(parts: Bound, side: Side, key: str, record: Record | None) -> SideView:
    mapped = parts.mapping.side(side)
    url = parts.connectors[side].link(mapped.selection.table, key) if record is not None else None
    return SideView(key, mapped.caption, record is not None, record.modified_on if record else None, url)

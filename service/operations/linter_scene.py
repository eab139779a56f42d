"""What the linter looks at, and what it has to say: a mapping as somebody wrote it, its two tables, and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.core import composites
from service.core.mapping import flowing_steps
from service.core.records import Direction, Field, Side, Table
from service.core.ways import Way
from service.operations.mapping_drafts import LineDraft, MappingDraft, SideDraft

SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to be said about a mapping: where (a JSON pointer), which (a code of `wording`), and with what.

    `about`: the fields of the field mapping that it is about.
    """

    severity: str
    pointer: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """A draft and its two tables."""

    draft: MappingDraft
    tables: Mapping[Side, Table]

    def fields(self, own: SideDraft) -> Mapping[str, Field]:
        """The fields of a side of any mapping, where it is one of the two tables."""
        places = {(self.draft.side(side).connection_id, self.draft.side(side).table): side for side in Side}
        side = places.get((own.connection_id, own.table))
        return {} if side is None else self.tables[side].fields

    def way(self, line: LineDraft, way: Direction) -> Way | None:
        """A line in one direction, None where it does not flow or has no two fields."""
        source, target = line.field(way.source), line.field(way.source.other)
        flows = line.enabled and self.draft.direction.allows(way) and line.direction.allows(way)
        if source is None or target is None or not flows or line.reference is not None:
            return None
        here, there = self.tables[way.source], self.tables[way.source.other]
        origin, goal = composites.found(here.fields, source), composites.found(there.fields, target)
        if origin is None or goal is None:
            return None
        back = Direction.out_of(way.source.other)
        returns = self.draft.direction.allows(back) and line.direction.allows(back)
        undone = flowing_steps(line.transforms, back) if returns else None
        return Way(origin, goal, flowing_steps(line.transforms, way), undone)

"""What the templates of a mapping must fulfil: they fill fields that can be written, for records that they can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.core.compare import Unconvertible, coerce
from service.core.errors import Problem
from service.core.records import Scalar, Side
from service.operations.mapping_drafts import MappingDraft
from service.operations.mapping_side_rules import Bound, condition_problems, no_field


def template_problems(draft: MappingDraft, bound: Mapping[Side, Bound | None]) -> Iterator[Problem]:
    """A template fills fields of the destination that can be written, for source records that it can tell."""
    for index, template in enumerate(draft.templates):
        pointer, way = f"/templates/{index}", template.direction
        source, destination = bound[way.source], bound[way.source.other]
        if not draft.direction.allows(way):
            yield Problem(f"{pointer}/direction", "template_never_used", {"direction": way.value})
        for place, condition in enumerate(template.filter):
            if source is not None:
                yield from condition_problems(condition, source.table, f"{pointer}/filter/{place}")
        for name, value in template.values.items():
            if destination is not None:
                yield from _filled_problems(destination, name, value, f"{pointer}/values/{name}")


def _filled_problems(destination: Bound, name: str, value: Scalar, pointer: str) -> Iterator[Problem]:
    field = destination.field(name)
    if field is None:
        yield no_field(pointer, destination.table, name)
    elif name == destination.modified_on:
        yield Problem(pointer, "field_is_modified_on", {"field": name, "table": destination.table.name})
    elif field.read_only:
        yield Problem(pointer, "field_read_only", {"field": name})
    else:
        try:
            coerce(value, None, field)
        except Unconvertible as error:
            yield Problem(pointer, error.failure.code, error.failure.params)

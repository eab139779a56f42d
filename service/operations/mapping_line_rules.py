"""What the field mappings of a mapping must fulfil: each for itself, and all that flows in one direction together."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from service.core import composites, normalization
from service.core.compare import Unconvertible, coerce, convertible
from service.core.errors import Problem
from service.core.mapping import flowing_steps
from service.core.records import Direction, Field, FieldType, Side, Table
from service.core.transforms import chain, unfitting, wrong
from service.operations.mapping_drafts import LineDraft, MappingDraft
from service.operations.mapping_side_rules import Bound, no_field

WAYS = (Direction.TO_INTEGRATION, Direction.FROM_INTEGRATION)


def line_problems(draft: MappingDraft, bound: Mapping[Side, Bound | None]) -> Iterator[Problem]:
    for index, line in enumerate(draft.field_mappings):
        pointer = f"/fieldMappings/{index}"
        yield from _form_problems(line, pointer)
        if line.enabled:
            yield from _existence_problems(line, bound, pointer)


def _form_problems(line: LineDraft, pointer: str) -> Iterator[Problem]:
    sides = sum(line.field(side) is not None for side in Side)
    if sides == 0:
        yield Problem(pointer, "field_mapping_empty")
    if sides == 1 and line.constant is None:
        yield Problem(f"{pointer}/constant", "constant_missing")
    if sides == 2 and line.constant is not None:
        yield Problem(f"{pointer}/constant", "constant_with_both_fields")
    if sides < 2 and line.match_key is not None:
        yield Problem(f"{pointer}/matchKey", "match_key_needs_both_fields")
    if line.normalize and line.match_key is None:
        yield Problem(f"{pointer}/normalize", "normalization_without_match_key")
    for index, mistake, about in normalization.wrong(line.normalize):
        yield Problem(f"{pointer}/normalize/{index}", mistake, about)
    for way, steps in line.transforms.items():
        for place, code, params in wrong(steps):
            yield Problem(f"{pointer}/transforms/{way}{place}", code, params)


def _existence_problems(line: LineDraft, bound: Mapping[Side, Bound | None], pointer: str) -> Iterator[Problem]:
    for side in Side:
        name, own = line.field(side), bound[side]
        if name is None or own is None:
            continue
        field, parts = own.field(name), composites.parts_of(own.table.fields, name)
        if field is not None:
            if field.parts and line.reference is not None:
                yield Problem(f"{pointer}/reference", "reference_of_several_fields", {"field": name})
            continue
        missing = [part for part in parts or (name,) if part not in own.table.fields]
        for part in missing:
            yield no_field(f"{pointer}/{side}Field", own.table, part)
        if not missing:
            yield Problem(f"{pointer}/{side}Field", "part_named_twice", {"field": name})


# What flows


def flow_problems(draft: MappingDraft, bound: Mapping[Side, Bound | None]) -> Iterator[Problem]:
    flows = [(way, list(_flowing(draft, way))) for way in WAYS if draft.direction.allows(way)]
    if not any(lines for _, lines in flows):
        yield Problem("/fieldMappings", "nothing_flows")
    for way, lines in flows:
        source, destination = bound[way.source], bound[way.source.other]
        written: set[str] = set()
        for index, line in lines:
            name = line.field(way.source.other)
            if name is None:
                continue
            pointer = f"/fieldMappings/{index}"
            names = (name,) if destination is None else composites.plain(destination.table.fields, [name])
            for one in written.intersection(names):
                yield Problem(f"{pointer}/{way.source.other}Field", "field_written_twice", {"field": one})
            written.update(names)
            yield from _write_problems(line, way, source, destination, pointer)
        if destination is not None and not draft.synch_only_coupled_records:
            filled = {name for one in draft.templates if one.direction is way and not one.filter for name in one.values}
            for name in _unwritten(destination.table, {destination.key, destination.modified_on}, written | filled):
                params = {"table": destination.table.name, "field": name}
                yield Problem(f"/{way.source.other}/table", "required_field_not_mapped", params)


def _flowing(draft: MappingDraft, way: Direction) -> Iterator[tuple[int, LineDraft]]:
    """The enabled lines, with their places, that write something in this direction."""
    for index, line in enumerate(draft.field_mappings):
        if line.enabled and line.direction.allows(way) and line.field(way.source.other) is not None:
            yield index, line


def _write_problems(
    line: LineDraft, way: Direction, source: Bound | None, destination: Bound | None, pointer: str
) -> Iterator[Problem]:
    field = destination.field(line.field(way.source.other)) if destination else None
    if destination is None or field is None:
        return
    place = f"{pointer}/{way.source.other}Field"
    for one in field.parts or (field,):
        if one.name == destination.modified_on:
            yield Problem(place, "field_is_modified_on", {"field": one.name, "table": destination.table.name})
        elif one.read_only:
            yield Problem(place, "field_read_only", {"field": one.name})
        elif field.parts and one.name == destination.key:
            yield Problem(place, "key_is_part", {"field": one.name, "table": destination.table.name})
    if line.constant is not None:
        yield from _constant_problems(line, field, pointer)
    origin = source.field(line.field(way.source)) if source else None
    if origin is not None and line.reference is None:
        yield from _way_problems(line, way, origin, field, pointer)


def _way_problems(line: LineDraft, way: Direction, origin: Field, field: Field, pointer: str) -> Iterator[Problem]:
    """What keeps values of one field from becoming values of the other, once their form is right."""
    if any(True for steps in line.transforms.values() for _ in wrong(steps)):
        return
    steps = flowing_steps(line.transforms, way)
    found = list(unfitting(steps, origin, field))
    for place, code, params in found:
        yield Problem(f"{pointer}/transforms/{way}{place if way in line.transforms else ''}", code, params)
    type = None if found else chain(steps, origin, field).type
    mistake = None if type is None else _unconvertible(type, origin, field)
    if type is not None and mistake is not None:
        types = {"source_type": type.value, "destination_type": field.type.value}
        params = {"source": origin.name, "destination": field.name, **types}
        yield Problem(f"{pointer}/{way.source.other}Field", mistake, params)


def _unconvertible(type: FieldType, origin: Field, field: Field) -> str | None:
    """Why values of a type, made of those of `origin`, do not become values of `field`; None where they do."""
    if type is not FieldType.LIST:
        several = "parts_not_split" if field.parts else "types_not_convertible"
        return None if convertible(type, field.type) else several
    if not field.parts:
        return "parts_not_joined"
    if not origin.parts:
        return None
    same = len(origin.parts) == len(field.parts)
    fitting = same and all(
        convertible(one.type, other.type) for one, other in zip(origin.parts, field.parts, strict=True)
    )
    return None if fitting else "parts_do_not_fit"


def _constant_problems(line: LineDraft, field: Field, pointer: str) -> Iterator[Problem]:
    try:
        coerce(line.constant[0] if line.constant else None, None, field)
    except Unconvertible as error:
        yield Problem(f"{pointer}/constant", error.failure.code, error.failure.params)


def _unwritten(table: Table, elsewhere: Container[object], written: Container[str]) -> list[str]:
    """The fields that a new record needs a value for, and that nothing is written to."""
    return [
        field.name
        for field in table.fields.values()
        if field.required and not field.read_only and field.name not in elsewhere and field.name not in written
    ]


def missing_fields(draft: MappingDraft, way: Direction, table: Table) -> list[str]:
    """What keeps the mapping from creating records of `table`: fields that need a value and get none."""
    own = draft.side(way.source.other)
    names = (line.field(way.source.other) or "" for _, line in _flowing(draft, way))
    filled = {name for one in draft.templates if one.direction is way and not one.filter for name in one.values}
    elsewhere = {own.key or table.key, own.modified_on or table.modified_on}
    return _unwritten(table, elsewhere, {*composites.plain(table.fields, names), *filled})

"""What a mapping must fulfil to work: everything that is wrong with one, all at once, as JSON pointers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass

from service.connectors.base import Connector
from service.core import normalization
from service.core.compare import Unconvertible, coerce, convertible
from service.core.errors import Problem
from service.core.failures import SideFailed
from service.core.mapping import flowing_steps
from service.core.ordering import Need
from service.core.records import (
    FILTER_OPERATORS,
    Condition,
    Direction,
    Field,
    FieldType,
    Scalar,
    Side,
    SideTable,
    Table,
)
from service.core.transforms import chain, unfitting, wrong
from service.operations import mapping_order, schedules
from service.operations.connections import open_connector
from service.operations.context import Context
from service.operations.mapping_drafts import LineDraft, MappingDraft, SideDraft
from service.store import connections as connection_rows
from service.store import mappings as mapping_rows
from service.store.models import Connection
from service.store.models import Mapping as MappingRow

WAYS = (Direction.TO_INTEGRATION, Direction.FROM_INTEGRATION)


@dataclass(frozen=True, slots=True)
class Bound:
    """A side whose table is known: what its connection says, and where key and stamp are."""

    table: Table
    key: str | None
    modified_on: str | SideTable | None

    def field(self, name: str | None) -> Field | None:
        return None if name is None else self.table.fields.get(name)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else there is, or is about to be: connections by id, mappings by name, and what each mapping needs."""

    connection: Callable[[int], Connection | None] = connection_rows.get
    mapping: Callable[[str], MappingRow | None] = mapping_rows.by_name
    names: Callable[[], Mapping[int, str]] = mapping_rows.names
    dependencies: Callable[[], Mapping[int, list[int]]] = mapping_rows.dependencies
    needs: Callable[[], list[Need]] = mapping_order.needs


STORED = Surroundings()
"""What there is now."""


def standing_problems(draft: MappingDraft, own_id: int | None, around: Surroundings = STORED) -> list[Problem]:
    """What can be told without asking a business application."""
    return [*_dependency_problems(draft, own_id, around), *schedules.problems(draft.schedule)]


def live_problems(
    context: Context, draft: MappingDraft, around: Surroundings = STORED
) -> tuple[list[Problem], dict[Side, Bound | None]]:
    """What is wrong with the tables, the fields and what flows between them, as the connections tell it now; and the
    two sides, None where they are not known."""
    problems: list[Problem] = []
    bound: dict[Side, Bound | None] = {}
    with ExitStack() as opened:
        for side in Side:
            bound[side], found = _bind(context, draft.side(side), f"/{side}", opened, around)
            problems += found
    if _same_place(draft):
        problems.append(Problem("/integration/table", "same_table_twice"))
    problems += _line_problems(draft, bound)
    problems += _flow_problems(draft, bound)
    problems += _template_problems(draft, bound)
    return problems, bound


def _dependency_problems(draft: MappingDraft, own_id: int | None, around: Surroundings) -> Iterator[Problem]:
    known = around.dependencies()
    for index, id in enumerate(draft.depends_on):
        pointer = f"/dependsOn/{index}"
        if id not in known:
            yield Problem(pointer, "depends_on_unknown", {"id": id})
        elif own_id is not None and own_id in _reachable(id, known):
            yield Problem(pointer, "depends_on_itself")


def _reachable(start: int, edges: Mapping[int, list[int]]) -> set[int]:
    """Everything that `start` depends on, itself included."""
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        id = waiting.pop()
        if id not in seen:
            seen.add(id)
            waiting += edges.get(id, [])
    return seen


def _same_place(draft: MappingDraft) -> bool:
    local, integration = draft.local, draft.integration
    return (local.connection_id, local.table) == (integration.connection_id, integration.table)


# One side


def _bind(
    context: Context, side: SideDraft, pointer: str, opened: ExitStack, around: Surroundings
) -> tuple[Bound | None, list[Problem]]:
    row = around.connection(side.connection_id)
    if row is None:
        return None, [Problem(f"{pointer}/connectionId", "connection_unknown", {"id": side.connection_id})]
    try:
        connector = opened.enter_context(closing(open_connector(context, row)))
        table = connector.describe(side.table)
        bound = Bound(table, side.key or table.key, side.modified_on or table.modified_on)
        return bound, [*_side_problems(connector, side, bound, pointer)]
    except SideFailed as error:
        place = "table" if error.failure.code == "table_not_found" else "connectionId"
        return None, [Problem(f"{pointer}/{place}", error.failure.code, error.failure.params)]


def _side_problems(connector: Connector, side: SideDraft, bound: Bound, pointer: str) -> Iterator[Problem]:
    if bound.key is None:
        yield Problem(f"{pointer}/key", "key_undeterminable", {"table": side.table})
    elif bound.field(bound.key) is None:
        yield _no_field(f"{pointer}/key", bound.table, bound.key)
    yield from _stamp_problems(connector, bound, f"{pointer}/modifiedOn")
    for index, condition in enumerate(side.filter):
        yield from _condition_problems(condition, bound.table, f"{pointer}/filter/{index}")


def _stamp_problems(connector: Connector, bound: Bound, pointer: str) -> Iterator[Problem]:
    match bound.modified_on:
        case None:
            yield Problem(pointer, "modified_on_undeterminable", {"table": bound.table.name})
        case SideTable() as stamp:
            yield from _side_table_problems(connector, stamp, pointer)
        case name if bound.field(name) is None:
            yield _no_field(pointer, bound.table, name)


def _side_table_problems(connector: Connector, stamp: SideTable, pointer: str) -> Iterator[Problem]:
    try:
        table = connector.describe(stamp.table)
    except SideFailed as error:
        yield Problem(f"{pointer}/table", error.failure.code, error.failure.params)
        return
    for place, name in (("keyField", stamp.key_field), ("field", stamp.field)):
        if name not in table.fields:
            yield _no_field(f"{pointer}/{place}", table, name)


def _condition_problems(condition: Condition, table: Table, pointer: str) -> Iterator[Problem]:
    field = table.fields.get(condition.field)
    if field is None:
        yield _no_field(f"{pointer}/field", table, condition.field)
    if condition.op not in FILTER_OPERATORS:
        params = {"op": condition.op, "operators": FILTER_OPERATORS}
        yield Problem(f"{pointer}/op", "filter_operator_unknown", params)
    elif field is not None and not _fits(condition, field):
        yield Problem(f"{pointer}/value", "filter_value_wrong", {"op": condition.op, "field": condition.field})


def _fits(condition: Condition, field: Field) -> bool:
    value = condition.value
    match condition.op:
        case "isNull":
            return value is None or isinstance(value, bool)
        case "in":
            return isinstance(value, list) and bool(value) and all(_comparable(item, field) for item in value)
        case "startsWith" | "contains":
            return isinstance(value, str) and field.type is FieldType.STRING
        case _:
            return not isinstance(value, list) and _comparable(value, field)


def _comparable(value: object, field: Field) -> bool:
    """Whether a filter's value can be compared with a field; how long the field is does not matter for that."""
    if value is None or not isinstance(value, str | int | float | bool):
        return False
    try:
        coerce(value, None, Field(field.name, field.type))
    except Unconvertible:
        return False
    return True


def _no_field(pointer: str, table: Table, field: str) -> Problem:
    return Problem(pointer, "field_not_found", {"table": table.name, "field": field})


# The field mappings, each for itself


def _line_problems(draft: MappingDraft, bound: Mapping[Side, Bound | None]) -> Iterator[Problem]:
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
        if name is not None and own is not None and own.field(name) is None:
            yield _no_field(f"{pointer}/{side}Field", own.table, name)


# What flows


def _flow_problems(draft: MappingDraft, bound: Mapping[Side, Bound | None]) -> Iterator[Problem]:
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
            if name in written:
                yield Problem(f"{pointer}/{way.source.other}Field", "field_written_twice", {"field": name})
            written.add(name)
            yield from _write_problems(line, way, source, destination, pointer)
        if destination is not None and not draft.synch_only_coupled_records:
            filled = {name for one in draft.templates if one.direction is way and not one.filter for name in one.values}
            yield from _missing_problems(destination, written | filled, f"/{way.source.other}/table")


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
    if field.name == destination.modified_on:
        yield Problem(place, "field_is_modified_on", {"field": field.name, "table": destination.table.name})
    elif field.read_only:
        yield Problem(place, "field_read_only", {"field": field.name})
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
    found = list(unfitting(steps, origin))
    for place, code, params in found:
        yield Problem(f"{pointer}/transforms/{way}{place if way in line.transforms else ''}", code, params)
    type = None if found else chain(steps, origin).type
    if type is not None and not convertible(type, field.type):
        types = {"source_type": type.value, "destination_type": field.type.value}
        params = {"source": origin.name, "destination": field.name, **types}
        yield Problem(f"{pointer}/{way.source.other}Field", "types_not_convertible", params)


def _template_problems(draft: MappingDraft, bound: Mapping[Side, Bound | None]) -> Iterator[Problem]:
    """A template fills fields of the destination that can be written, for source records that it can tell."""
    for index, template in enumerate(draft.templates):
        pointer, way = f"/templates/{index}", template.direction
        source, destination = bound[way.source], bound[way.source.other]
        if not draft.direction.allows(way):
            yield Problem(f"{pointer}/direction", "template_never_used", {"direction": way.value})
        for place, condition in enumerate(template.filter):
            if source is not None:
                yield from _condition_problems(condition, source.table, f"{pointer}/filter/{place}")
        for name, value in template.values.items():
            if destination is not None:
                yield from _filled_problems(destination, name, value, f"{pointer}/values/{name}")


def _filled_problems(destination: Bound, name: str, value: Scalar, pointer: str) -> Iterator[Problem]:
    field = destination.field(name)
    if field is None:
        yield _no_field(pointer, destination.table, name)
    elif name == destination.modified_on:
        yield Problem(pointer, "field_is_modified_on", {"field": name, "table": destination.table.name})
    elif field.read_only:
        yield Problem(pointer, "field_read_only", {"field": name})
    else:
        try:
            coerce(value, None, field)
        except Unconvertible as error:
            yield Problem(pointer, error.failure.code, error.failure.params)


def _constant_problems(line: LineDraft, field: Field, pointer: str) -> Iterator[Problem]:
    try:
        coerce(line.constant[0] if line.constant else None, None, field)
    except Unconvertible as error:
        yield Problem(f"{pointer}/constant", error.failure.code, error.failure.params)


def _missing_problems(destination: Bound, written: set[str], pointer: str) -> Iterator[Problem]:
    for field in destination.table.fields.values():
        set_elsewhere = field.read_only or field.name in (destination.key, destination.modified_on)
        if field.required and not set_elsewhere and field.name not in written:
            params = {"table": destination.table.name, "field": field.name}
            yield Problem(pointer, "required_field_not_mapped", params)

"""Binding a stored mapping to its two connections, as they are now: what the engine works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from tenacity import RetryCallState

from service.connectors.base import Connector
from service.connectors.composing import composing
from service.core import composites
from service.core.compare import Unconvertible
from service.core.failures import Failure, SideFailed
from service.core.flow import Flow, flows
from service.core.mapping import (
    ConflictDetection,
    DeletionResolution,
    FieldMapping,
    MappedSide,
    SyncMapping,
    UpdateResolution,
)
from service.core.records import Condition, Direction, KeyStatus, Selection, Side, SideTable, Table
from service.core.references import Reference
from service.core.templates import Template, template_of
from service.core.transforms import unfitting
from service.engine.patience import attempts, reason
from service.engine.task import Stop, Stopped
from service.operations import connections
from service.operations.context import Context
from service.operations.mapping_order import is_turned, order
from service.store import connections as connection_rows
from service.store import mappings as mapping_rows
from service.store.models import Connection
from service.store.models import FieldMapping as FieldMappingRow
from service.store.models import Mapping as MappingRow

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bound:
    """A mapping with its prepared flows and an open connector for each side."""

    mapping: SyncMapping
    flows: Mapping[Side, Flow]
    connectors: Mapping[Side, Connector]


@contextmanager
def bound(context: Context, row: MappingRow) -> Iterator[Bound]:
    """Bind a mapping, and give its connectors back afterwards.

    Raises SideFailed: a side cannot be reached, or lacks a table or a field that the mapping names.
    """
    lines = [line for line in mapping_rows.lines([row.id])[row.id] if line.enabled]
    known = connection_rows.among({row.local_connection_id, row.integration_connection_id})
    with ExitStack() as opened:
        connectors = {side: opened.enter_context(_borrowed(context, row, side, known)) for side in Side}
        templates = tuple(map(template_of, row.templates))
        sides = {side: _side(row, lines, templates, side, connectors[side]) for side in Side}
        mapping = SyncMapping(
            id=row.id,
            name=row.name,
            direction=Direction(row.direction),
            local=sides[Side.LOCAL],
            integration=sides[Side.INTEGRATION],
            field_mappings=tuple(_lines(row, lines)),
            synch_only_coupled_records=row.synch_only_coupled_records,
            conflict_detection=ConflictDetection(row.conflict_detection),
            update_resolution=UpdateResolution(row.update_conflict_resolution),
            deletion_resolution=DeletionResolution(row.deletion_conflict_resolution),
            templates=templates,
        )
        flowing = opened.enter_context(context.flows.borrowed(row.version, mapping, _flows))
        yield Bound(mapping, flowing, {side: composing(connectors[side], mapping.side(side)) for side in Side})


@contextmanager
def patiently_bound(
    context: Context, row: MappingRow, stopping: Callable[[], Stop | None], sleep: Callable[[float], None]
) -> Iterator[Bound]:
    """Bind a mapping for a run: while a side fails in passing, it is asked again, as it is with a page. Raises
    SideFailed, and Stopped where the run should not go on."""

    def again(state: RetryCallState) -> None:
        log.info("binding_retried", mapping=row.name, attempt=state.attempt_number, error=reason(state))
        if (why := stopping()) is not None:
            raise Stopped(why)

    with ExitStack() as opened:
        for tried in attempts(again, sleep):
            with tried:
                parts = opened.enter_context(bound(context, row))
        yield parts


def _flows(mapping: SyncMapping) -> Mapping[Side, Flow]:
    _assert_bindable(mapping)
    try:
        return flows(mapping)
    except Unconvertible as refusal:
        name = str(refusal.failure.params["field"])
        types = {field.name: field.type.value for side in map(mapping.side, Side) for field in side.fields.values()}
        raise SideFailed(Failure("mapping_invalid", {"field": name, "type": types.get(name)}, (name,))) from refusal


def _assert_bindable(mapping: SyncMapping) -> None:
    """A field may have become one of another type since the mapping was saved."""
    for source in Side:
        for line in mapping.flows(source):
            name = line.field(source)
            if name is None:
                continue
            origin = mapping.side(source).fields[name]
            goal = mapping.side(source.other).fields[line.field(source.other) or ""]
            steps = line.steps(Direction.out_of(source))
            if any(True for _ in unfitting(steps, origin, goal)):
                raise SideFailed(Failure("mapping_invalid", {"field": name, "type": origin.type.value}, (name,)))


def _borrowed(
    context: Context, row: MappingRow, side: Side, known: Mapping[int, Connection]
) -> AbstractContextManager[Connector]:
    connection = known.get(getattr(row, f"{side}_connection_id"))
    if connection is None:
        raise SideFailed(Failure("connection_failed", {"detail": "the connection was deleted"}))
    return connections.borrowed_connector(context, connection)


def _side(
    row: MappingRow, lines: list[FieldMappingRow], templates: tuple[Template, ...], side: Side, connector: Connector
) -> MappedSide:
    name = getattr(row, f"{side}_table")
    table = connector.describe(name)
    key = getattr(row, f"{side}_key") or table.key
    stamp = _stamp(getattr(row, f"{side}_modified_on")) or table.modified_on
    if key is None or stamp is None:
        what = "key" if key is None else "modifiedOn"
        raise SideFailed(Failure("field_not_found", {"table": name, "field": what}, (name, what)))
    mapped = [field for line in lines if (field := getattr(line, f"{side}_field")) is not None]
    fields = tuple(dict.fromkeys([*mapped, *_named(templates, side)]))
    missing = [field for field in (*composites.plain(table.fields, fields), key) if field not in table.fields]
    if missing:
        params = {"table": name, "field": ", ".join(missing)}
        raise SideFailed(Failure("field_not_found", params, (name, *missing)))
    selection = Selection(name, key, stamp, fields, _filter(getattr(row, f"{side}_filter")))
    caption = getattr(row, f"{side}_caption") or table.caption
    known = composites.with_composites(table.fields, fields)
    active = tuple(one.fields for one in table.alternate_keys if one.status is KeyStatus.ACTIVE)
    return MappedSide(getattr(row, f"{side}_connection_id"), selection, caption, known, _generates(table, key), active)


def _named(templates: tuple[Template, ...], side: Side) -> Iterator[str]:
    """The fields of a side that templates ask for or fill in."""
    for template in templates:
        if template.direction.source is side:
            yield from (line.field for line in template.filter)
        else:
            yield from template.values


def _generates(table: Table, key: str) -> bool:
    return table.generates_keys and table.key == key


def _stamp(stored: Any) -> str | SideTable | None:
    if isinstance(stored, dict):
        return SideTable(stored["table"], stored["keyField"], stored["field"])
    return stored or None


def _filter(stored: list[dict[str, Any]]) -> tuple[Condition, ...]:
    return tuple(Condition(line["field"], line["op"], line.get("value")) for line in stored)


def _lines(row: MappingRow, lines: list[FieldMappingRow]) -> Iterator[FieldMapping]:
    if any(line.reference_id is not None for line in lines):
        others, deferred = mapping_rows.by_ids({line.reference_id for line in lines}), order().deferred
        for line in lines:
            yield _line(line, _reference(row, line, others[line.reference_id], deferred) if line.reference_id else None)
    else:
        yield from (_line(line, None) for line in lines)


def _reference(row: MappingRow, line: FieldMappingRow, other: MappingRow, deferred: frozenset[int]) -> Reference:
    return Reference(
        mapping_id=other.id,
        mapping=other.name,
        turned=bool(is_turned(row.local_connection_id, row.integration_connection_id, other)),
        clear=line.clear_on_failed_lookup,
        deferrable=line.id in deferred,
    )


def _line(row: FieldMappingRow, reference: Reference | None) -> FieldMapping:
    return FieldMapping(
        id=row.id,
        local_field=row.local_field,
        integration_field=row.integration_field,
        direction=Direction(row.direction),
        constant=row.constant[0] if row.constant else None,
        transforms={Direction(way): steps for way, steps in row.transforms.items()},
        not_null=row.not_null,
        match_key=row.match_key,
        reference=reference,
        normalize=tuple(row.normalize),
    )

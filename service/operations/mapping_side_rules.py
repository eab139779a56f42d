"""What a side of a mapping must fulfil: its table, key and stamp are there, and its filter fits the fields."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

from service.connectors.base import Connector
from service.core import composites
from service.core.compare import Unconvertible, coerce
from service.core.errors import Problem
from service.core.failures import SideFailed
from service.core.keys import names_of
from service.core.records import FILTER_OPERATORS, Condition, Field, FieldType, SideTable, Table
from service.operations.connections import open_connector
from service.operations.context import Context
from service.operations.mapping_drafts import SideDraft
from service.store.models import Connection


@dataclass(frozen=True, slots=True)
class Bound:
    """A side whose table is known: what its connection says, and where key and stamp are."""

    table: Table
    key: str | None
    modified_on: str | SideTable | None

    def field(self, name: str | None) -> Field | None:
        """A field, or several taken together; None where the table lacks it or one of its parts."""
        return None if name is None else composites.found(self.table.fields, name)


def bind(
    context: Context, side: SideDraft, pointer: str, opened: ExitStack, row: Connection | None
) -> tuple[Bound | None, list[Problem]]:
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
    elif bound.key not in bound.table.fields:
        yield no_field(f"{pointer}/key", bound.table, bound.key)
    elif bound.table.fields[bound.key].type is FieldType.BINARY:
        # Keys travel as texts: a record would be read, never found again by its key, and taken for a deleted one.
        yield Problem(f"{pointer}/key", "key_is_binary", {"table": side.table, "field": bound.key})
    yield from _stamp_problems(connector, bound, f"{pointer}/modifiedOn")
    for index, condition in enumerate(side.filter):
        yield from condition_problems(condition, bound.table, f"{pointer}/filter/{index}")


def _stamp_problems(connector: Connector, bound: Bound, pointer: str) -> Iterator[Problem]:
    match bound.modified_on:
        case None:
            yield Problem(pointer, "modified_on_undeterminable", {"table": bound.table.name})
        case SideTable() as stamp:
            yield from _side_table_problems(connector, stamp, bound, pointer)
        case name if name not in bound.table.fields:
            yield no_field(pointer, bound.table, name)


def _side_table_problems(connector: Connector, stamp: SideTable, bound: Bound, pointer: str) -> Iterator[Problem]:
    try:
        table = connector.describe(stamp.table)
    except SideFailed as error:
        yield Problem(f"{pointer}/table", error.failure.code, error.failure.params)
        return
    for place, name in (("keyField", stamp.key_field), ("field", stamp.field)):
        if name not in table.fields:
            yield no_field(f"{pointer}/{place}", table, name)
    count, wanted = len(names_of(table.fields, stamp.key_field)), len(names_of(bound.table.fields, bound.key or ""))
    if stamp.key_field in table.fields and bound.key in bound.table.fields and count != wanted:
        params = {"field": stamp.key_field, "table": stamp.table, "count": count, "key": bound.key, "wanted": wanted}
        yield Problem(f"{pointer}/keyField", "side_key_differs", params)


def condition_problems(condition: Condition, table: Table, pointer: str) -> Iterator[Problem]:
    field = table.fields.get(condition.field)
    if field is None:
        yield no_field(f"{pointer}/field", table, condition.field)
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


def no_field(pointer: str, table: Table, field: str) -> Problem:
    return Problem(pointer, "field_not_found", {"table": table.name, "field": field})

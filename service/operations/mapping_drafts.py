"""A mapping as somebody writes it down: from a request, from its rows, and into its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.core.records import Condition, Direction, Scalar, Side, SideTable
from service.core.templates import Template, template_of
from service.store.models import FieldMapping
from service.store.models import Mapping as MappingRow

Document = dict[str, Any]
"""A mapping in the words of the API, names in snake case; what GET shows and PUT takes."""

SIDE_COLUMNS = ("connection_id", "table", "key", "modified_on", "caption", "filter")
_COLUMNS_OF_SIDES = {side.value: {name: f"{side}_{name}" for name in SIDE_COLUMNS} for side in Side}
PLAIN_COLUMNS = (
    "name",
    "direction",
    "synch_only_coupled_records",
    "conflict_detection",
    "update_conflict_resolution",
    "deletion_conflict_resolution",
    "max_delete_percent",
    "max_delete_count",
    "depends_on",
    "templates",
    "schedule",
    "enabled",
)
LINE_COLUMNS = (
    "local_field",
    "integration_field",
    "direction",
    "transforms",
    "clear_on_failed_lookup",
    "not_null",
    "match_key",
    "normalize",
    "enabled",
)


@dataclass(frozen=True, slots=True)
class SideDraft:
    """One side of a mapping; None where the connection is to tell."""

    connection_id: int
    table: str
    key: str | None
    modified_on: str | SideTable | None
    filter: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class LineDraft:
    """One field mapping. `constant` is in a list of one, None where there is none. `reference`: the name of the mapping
    whose records the fields refer to."""

    local_field: str | None
    integration_field: str | None
    direction: Direction
    constant: tuple[Scalar] | None
    transforms: Mapping[str, Sequence[Any]]
    match_key: int | None
    enabled: bool
    reference: str | None = None
    normalize: tuple[str, ...] = ()

    def field(self, side: Side) -> str | None:
        return self.local_field if side is Side.LOCAL else self.integration_field


@dataclass(frozen=True, slots=True)
class MappingDraft:
    """What the rules look at."""

    direction: Direction
    local: SideDraft
    integration: SideDraft
    field_mappings: tuple[LineDraft, ...]
    synch_only_coupled_records: bool
    depends_on: tuple[int, ...]
    templates: tuple[Template, ...]
    schedule: Mapping[str, Any] | None

    def side(self, side: Side) -> SideDraft:
        return self.local if side is Side.LOCAL else self.integration


def document_of(row: MappingRow, lines: Iterable[FieldMapping], names: Mapping[int, str]) -> Document:
    """A stored mapping in the words of the API. `names`: those of the mappings it may refer to, by id."""
    columns = ({name: getattr(line, name) for name in STORED_LINE_COLUMNS} for line in lines)
    return head_of(row) | {"field_mappings": [line_document(line, names) for line in columns]}


def head_of(row: MappingRow) -> Document:
    """All of a stored mapping but its field mappings."""
    held = row.__data__
    document: Document = {name: held[name] for name in PLAIN_COLUMNS}
    for side, columns in _COLUMNS_OF_SIDES.items():
        document[side] = {name: held[column] for name, column in columns.items()}
    return document


STORED_LINE_COLUMNS = (*LINE_COLUMNS, "constant", "reference_id")
"""The columns of a field mapping's row that its document is made of."""


def line_document(columns: dict[str, Any], names: Mapping[int, str]) -> Document:
    """A stored field mapping in the words of the API: what STORED_LINE_COLUMNS are made into, in place."""
    reference, constant = columns.pop("reference_id"), columns.pop("constant")
    columns["reference"] = None if reference is None else {"mapping": names[reference]}
    if constant is not None:
        columns["constant"] = constant[0]
    return columns


def merged(document: Document, changes: Mapping[str, Any]) -> Document:
    """A document with some of it replaced; the two sides are merged one level deep."""
    result = {**document, **changes}
    for side in Side:
        result[side.value] = {**document[side], **changes.get(side, {})}
    return result


def draft_of(document: Document) -> MappingDraft:
    """A document as the rules look at it."""
    return MappingDraft(
        direction=Direction(document["direction"]),
        local=_side_draft(document["local"]),
        integration=_side_draft(document["integration"]),
        field_mappings=tuple(_line_draft(line) for line in document["field_mappings"]),
        synch_only_coupled_records=document["synch_only_coupled_records"],
        depends_on=tuple(document["depends_on"]),
        templates=tuple(map(template_of, document["templates"])),
        schedule=document["schedule"],
    )


def draft_of_row(row: MappingRow, lines: Sequence[FieldMapping], names: Mapping[int, str]) -> MappingDraft:
    """A stored mapping as the rules look at it."""
    return draft_of(document_of(row, lines, names))


def _side_draft(side: Mapping[str, Any]) -> SideDraft:
    stamp = side["modified_on"]
    if isinstance(stamp, Mapping):
        stamp = SideTable(stamp["table"], stamp["keyField"], stamp["field"])
    lines = tuple(Condition(line["field"], line["op"], line.get("value")) for line in side["filter"])
    return SideDraft(side["connection_id"], side["table"], side["key"], stamp, lines)


def _line_draft(line: Mapping[str, Any]) -> LineDraft:
    return LineDraft(
        local_field=line["local_field"],
        integration_field=line["integration_field"],
        direction=Direction(line["direction"]),
        constant=(line["constant"],) if "constant" in line else None,
        transforms=line["transforms"],
        match_key=line["match_key"],
        enabled=line["enabled"],
        reference=(line.get("reference") or {}).get("mapping"),
        normalize=tuple(line["normalize"]),
    )


def columns_of(document: Document) -> dict[str, Any]:
    """The columns of a mapping's own row."""
    columns = {name: document[name] for name in PLAIN_COLUMNS}
    for side in Side:
        columns |= {f"{side}_{name}": document[side][name] for name in SIDE_COLUMNS}
    return columns


def line_columns(line: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, Any]:
    """The columns of a field mapping's row, without its place. `ids`: of the mappings it may refer to, by name."""
    reference = line.get("reference")
    return {name: line[name] for name in LINE_COLUMNS} | {
        "constant": [line["constant"]] if "constant" in line else None,
        "reference_id": None if reference is None else ids[reference["mapping"]],
    }


def meaning(columns: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes a field mapping the one it is: while this stays the same, so does its row."""
    transforms = columns["transforms"]
    if not any(transforms.values()):
        transforms = {}
    return (
        columns["local_field"],
        columns["integration_field"],
        str(columns["direction"]),
        repr(columns["constant"]),
        repr(sorted(transforms.items())),
        columns["clear_on_failed_lookup"],
        columns["not_null"],
        columns["reference_id"],
    )

"""What a mapping looks like in requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.api.fields import PLAIN, Body, Choice, Flag, Id, Int, Items, Part, Shape, Text
from service.api.mapping_lines import FieldMappingShape, Transforms
from service.api.mapping_sides import MappedSide, MappedSideChanges
from service.api.mapping_templates import TemplateShape
from service.core.mapping import ConflictDetection, DeletionResolution, UpdateResolution
from service.core.records import Direction, Side
from service.operations.mapping_drafts import Document
from service.operations.mappings import DEFAULTS

EXAMPLE = {
    "name": "customers and accounts",
    "direction": "bidirectional",
    "local": {"connectionId": 1, "table": "customer", "key": "id", "modifiedOn": "modified_at", "caption": "Customer"},
    "integration": {"connectionId": 2, "table": "account", "caption": "Account"},
    "fieldMappings": [
        {"localField": "number", "integrationField": "accountnumber", "matchKey": 1},
        {"localField": "name", "integrationField": "name", "transforms": {"toIntegration": ["trim"]}},
        {"integrationField": "customertypecode", "constant": 3, "direction": "toIntegration"},
    ],
    "synchOnlyCoupledRecords": False,
    "schedule": {"everyMinutes": 30},
}


class ScheduleShape(Body):
    """`everyMinutes` and maybe `slowestMinutes`, or `cron` and maybe `timeZone`."""

    every_minutes = Int(min=1, max=525_600)
    slowest_minutes = Int(
        min=1,
        max=525_600,
        metadata={"description": "While runs find nothing the pause doubles, up to this; left out: it stays."},
    )
    cron = Text(min=1, max=200, metadata={"example": "0 6 * * 1-5"})
    time_zone = Text(min=1, max=100, metadata={"example": "Europe/Oslo"})


def _rules(*, partial: bool) -> dict[str, Any]:
    """The fields that creating and changing have in common; a default only where something is created."""

    def default(name: str) -> dict[str, Any]:
        return {} if partial else {"load_default": DEFAULTS[name]}

    return {
        "name": Text(min=1, max=200, pattern=PLAIN, required=not partial),
        "direction": Choice(Direction, **default("direction")),
        "field_mappings": Items(Part(FieldMappingShape), min=1, max=500, required=not partial),
        "synch_only_coupled_records": Flag(**default("synch_only_coupled_records")),
        "conflict_detection": Choice(ConflictDetection, **default("conflict_detection")),
        "update_conflict_resolution": Choice(UpdateResolution, **default("update_conflict_resolution")),
        "deletion_conflict_resolution": Choice(DeletionResolution, **default("deletion_conflict_resolution")),
        "max_delete_percent": Int(min=0, max=100, allow_none=True, **default("max_delete_percent")),
        "max_delete_count": Int(min=0, allow_none=True, **default("max_delete_count")),
        "depends_on": Items(Id(), max=100, **default("depends_on")),
        "templates": Items(Part(TemplateShape), max=100, **default("templates")),
        "schedule": Part(ScheduleShape, allow_none=True, **default("schedule")),
        "enabled": Flag(**default("enabled")),
    }


class _NewSides(Body):
    local = Part(MappedSide, required=True)
    integration = Part(MappedSide, required=True)


class _ChangedSides(Body):
    local = Part(MappedSideChanges)
    integration = Part(MappedSideChanges)


NewMapping: type[Shape] = type(
    "NewMapping", (_NewSides,), {"__doc__": "A mapping to be made.", **_rules(partial=False)}
)
MappingChanges: type[Shape] = type(
    "MappingChanges", (_ChangedSides,), {"__doc__": "What is to change of a mapping.", **_rules(partial=True)}
)


class SidesToReset(Body):
    """Which side is to be read from the beginning; both when it is left out."""

    side = Choice(Side, allow_none=True, load_default=None)


def stored(body: Mapping[str, Any]) -> Document:
    """A request's mapping as it is stored: documents inside it keep the names that callers gave."""
    document = dict(body)
    if document.get("schedule") is not None:
        document["schedule"] = ScheduleShape().dump(document["schedule"])
    if "field_mappings" in document:
        lines = document["field_mappings"]
        document["field_mappings"] = [{**line, "transforms": Transforms().dump(line["transforms"])} for line in lines]
    return document

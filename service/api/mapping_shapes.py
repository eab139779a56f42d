"""What a mapping looks like in requests and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from service.api.fields import (
    PLAIN,
    Answer,
    Body,
    Choice,
    Flag,
    Id,
    Int,
    Items,
    Json,
    Listed,
    Moment,
    Part,
    Said,
    Scalar,
    Settings,
    Shape,
    Text,
    refuse,
)
from service.api.runs import RunAnswer
from service.core.mapping import ConflictDetection, DeletionResolution, UpdateResolution
from service.core.normalization import STEPS
from service.core.records import FILTER_OPERATORS, Direction, Side
from service.core.transforms import TRANSFORMS
from service.operations.linter import SEVERITIES
from service.operations.mapping_drafts import Document
from service.operations.mappings import DEFAULTS
from service.operations.review import Recommendation

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


def _name(**options: Any) -> Text:
    """The name of a table or a field."""
    return Text(min=1, max=500, **options)


class SideTableShape(Body):
    """A stamp that is kept in another table: `field` of the row of `table` whose `keyField` is the record's key."""

    table = _name(required=True)
    key_field = _name(required=True)
    field = _name(required=True)


class ModifiedOn(fields.Field[Any]):
    """A field's name, or the side table where the stamp is."""

    _SCHEMA = {
        "oneOf": [
            {"type": "string", "minLength": 1, "maxLength": 500, "pattern": r"^[^\x00]*$"},
            {
                "type": "object",
                "properties": {
                    name: {"type": "string", "minLength": 1, "maxLength": 500, "pattern": r"^[^\x00]*$"}
                    for name in ("table", "keyField", "field")
                },
                "required": ["table", "keyField", "field"],
                "additionalProperties": False,
            },
            {"type": "null"},
        ]
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_none=True, metadata=self._SCHEMA, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, dict):
            return _name().deserialize(value)
        table = SideTableShape().load(value)
        return {"table": table["table"], "keyField": table["key_field"], "field": table["field"]}


class FilterValue(Json):
    """One value, or a list of them for the operator `in`."""

    _SCALAR = {"type": ["string", "number", "boolean", "null"], "pattern": r"^[^\x00]*$"}

    def __init__(self, **options: Any) -> None:
        listed = {"type": "array", "maxItems": 1000, "items": self._SCALAR}
        super().__init__(metadata={"oneOf": [self._SCALAR, listed]}, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, list):
            return Scalar().deserialize(value)
        return Items(Scalar()).deserialize(value)


class FilterLine(Body):
    """One condition; a record passes when all of them hold."""

    field = _name(required=True)
    # Which operators and transformations there are is told together with all other problems of a mapping.
    op = Text(min=1, max=50, required=True, metadata={"enum": list(FILTER_OPERATORS)})
    value = FilterValue(load_default=None)


def _side(*, partial: bool) -> dict[str, Any]:
    """The fields of a side. marshmallow's own `partial` would reach into the filter's lines too."""
    none: dict[str, Any] = {} if partial else {"load_default": None}
    lines: dict[str, Any] = {} if partial else {"load_default": list}
    return {
        "connection_id": Id(required=not partial),
        "table": _name(required=not partial),
        "key": _name(allow_none=True, **none),
        "modified_on": ModifiedOn(**none),
        "caption": Text(min=1, max=200, pattern=PLAIN, allow_none=True, **none),
        "filter": Items(Part(FilterLine), max=50, **lines),
    }


MappedSide: type[Shape] = type(
    "MappedSide",
    (Body,),
    {"__doc__": "One side of a mapping. What the connection can tell may be left out.", **_side(partial=False)},
)
MappedSideChanges: type[Shape] = type(
    "MappedSideChanges", (Body,), {"__doc__": "What is to change of a side.", **_side(partial=True)}
)


class Transformation(Json):
    """A transformation: its name, or an object of its name and its parameters."""

    _PLAIN = sorted(
        name
        for name, transform in TRANSFORMS.items()
        if all(parameter.optional for parameter in transform.parameters.values())
    )

    # Its parameters are not spelled out here: they are told together with all other problems of a mapping, and a
    # document of every combination would be longer than that of the rest of the API.
    _SCHEMA = {
        "description": "A name, or an object of one name and its parameters; see the page on field mappings.",
        "oneOf": [
            {"type": "string", "enum": _PLAIN},
            {"type": "object", "minProperties": 1, "maxProperties": 1, "propertyNames": {"enum": sorted(TRANSFORMS)}},
        ],
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(metadata=self._SCHEMA, **options)

    def _deserialize(self, value: Any, *rest: Any, **options: Any) -> Any:
        # What is wrong inside is told together with all other problems of a mapping.
        if isinstance(value, str):
            return Text(min=1, max=50).deserialize(value)
        return super()._deserialize(value, *rest, **options)


class Transforms(Body):
    """Transformations, in their order, for each way; a way that is left out undoes those of the other one."""

    to_integration = Items(Transformation(allow_none=False), max=20)
    from_integration = Items(Transformation(allow_none=False), max=20)


class ReferenceShape(Body):
    """The fields hold keys of another mapping's records, or of this one's, and are translated by its couplings."""

    mapping = Text(min=1, max=200, pattern=PLAIN, required=True, metadata={"description": "The mapping's name."})


_NORMALIZE = "What does not count when matching: " + ", ".join([*STEPS, "phone", "phone:NO"])


class FieldMappingShape(Body):
    """Two fields that hold the same, or a constant for one."""

    local_field = _name(allow_none=True, load_default=None)
    integration_field = _name(allow_none=True, load_default=None)
    direction = Choice(Direction, load_default=Direction.BIDIRECTIONAL.value)
    constant = Scalar()
    transforms = Part(Transforms, load_default=dict)
    reference = Part(ReferenceShape, allow_none=True, load_default=None)
    clear_on_failed_lookup = Flag(load_default=False)
    not_null = Flag(load_default=False)
    match_key = Int(min=1, max=100, allow_none=True, load_default=None)
    normalize = Items(Text(min=1, max=20), max=10, load_default=list, metadata={"description": _NORMALIZE})
    enabled = Flag(load_default=True)


class TemplateValues(Settings):
    """Values by the fields of the destination."""

    def __init__(self, **options: Any) -> None:
        inner = {"type": ["string", "number", "boolean"]}
        described = {"minProperties": 1, "maxProperties": 500, "additionalProperties": inner}
        super().__init__(metadata=described, **options)

    def _deserialize(self, value: Any, *rest: Any, **options: Any) -> dict[str, Any]:
        values = super()._deserialize(value, *rest, **options)
        if not 1 <= len(values) <= 500:
            refuse("list_length", min=1, max=500)
        if any(one is None or isinstance(one, list | dict) for one in values.values()):
            refuse("not_a_scalar")
        return values


class TemplateShape(Body):
    """Default values for records that are created; the first template whose filter the source record passes."""

    direction = Choice((Direction.TO_INTEGRATION, Direction.FROM_INTEGRATION), required=True)
    priority = Int(min=1, max=1000, load_default=1)
    filter = Items(Part(FilterLine), max=50, load_default=list)
    values = TemplateValues(required=True)


class TemplateAnswer(Answer):
    """Default values for records that are created."""

    direction = Choice((Direction.TO_INTEGRATION, Direction.FROM_INTEGRATION))
    priority = Int()
    filter = Listed(Part(FilterLine))
    values = Settings()


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


class SideAnswer(Answer):
    """One side of a mapping."""

    connection_id = Id()
    table = Said()
    key = Said(allow_none=True)
    modified_on = ModifiedOn()
    caption = Said(allow_none=True)
    filter = Listed(Part(FilterLine))


class LineAnswer(Answer):
    """A field mapping."""

    local_field = Said(allow_none=True)
    integration_field = Said(allow_none=True)
    direction = Choice(Direction)
    constant = Scalar(metadata={"optional": True})
    transforms = Json(allow_none=False, metadata={"type": "object"})
    reference = Part(ReferenceShape, allow_none=True)
    clear_on_failed_lookup = Flag()
    not_null = Flag()
    match_key = Int(allow_none=True)
    normalize = Listed(Said(), metadata={"description": _NORMALIZE})
    enabled = Flag()


class WatermarksAnswer(Answer):
    """How far each side has been read."""

    local = Moment(allow_none=True)
    integration = Moment(allow_none=True)


class BySideAnswer(Answer):
    """A number for each side."""

    local = Int(min=0)
    integration = Int(min=0)


class InSyncAnswer(Answer):
    """What the last run of kind `reconcile` found: of `coupled` pairs, `inSync` were as they should be at `asOf`."""

    as_of = Moment(metadata={"description": "When that run began to read."})
    run_id = Id()
    coupled = Int(min=0)
    in_sync = Int(min=0)
    slipped = Part(BySideAnswer, metadata={"description": "Records that no run of changes would have come to."})
    drifted = Int(min=0, metadata={"description": "Pairs with a field that was changed where nothing flows back."})
    out_of_filter = Int(min=0, metadata={"description": "Pairs with a record outside the mapping's filter."})
    uncoupled = Part(BySideAnswer, metadata={"description": "Records inside the filter that are in no coupling."})


class StandingAnswer(Answer):
    """What has become of a mapping so far."""

    last_run = Part(RunAnswer, allow_none=True)
    next_run_at = Moment(allow_none=True)
    open_errors = Int(min=0)
    open_skipped = Int(min=0)
    oldest_skipped_at = Moment(allow_none=True, metadata={"description": "Since when somebody has been waited for."})
    waiting = Int(min=0, metadata={"description": "Records that refer to others that are not coupled yet."})
    oldest_waiting_at = Moment(allow_none=True, metadata={"description": "Since when the oldest of them has waited."})
    coupled = Int(min=0)
    in_sync = Part(InSyncAnswer, allow_none=True)
    restored_at = Moment(
        allow_none=True,
        metadata={"description": "The service's state was restored then; the next run looks at everything, with care."},
    )


class MappingAnswer(Answer):
    """A mapping, and its standing."""

    id = Id()
    name = Said()
    direction = Choice(Direction)
    local = Part(SideAnswer)
    integration = Part(SideAnswer)
    field_mappings = Listed(Part(LineAnswer))
    synch_only_coupled_records = Flag()
    conflict_detection = Choice(ConflictDetection)
    update_conflict_resolution = Choice(UpdateResolution)
    deletion_conflict_resolution = Choice(DeletionResolution)
    max_delete_percent = Int(allow_none=True)
    max_delete_count = Int(allow_none=True)
    depends_on = Listed(Id())
    templates = Listed(Part(TemplateAnswer))
    schedule = Json(metadata={"type": "object"})
    enabled = Flag()
    watermarks = Part(WatermarksAnswer)
    status = Part(StandingAnswer)
    created_at = Moment()
    updated_at = Moment()


class SideFigures(Answer):
    """A figure of each side; null where the application does not count."""

    local = Int(allow_none=True)
    integration = Int(allow_none=True)


class AdviceAnswer(Answer):
    """What to do first with a mapping, and why."""

    mapping_id = Id()
    name = Said()
    recommendation = Choice(Recommendation)
    reason = Said(metadata={"description": "A stable code."})
    message = Said()
    advice = Said()
    coupled = Int(min=0)
    records = Part(SideFigures, metadata={"description": "How many records are inside the filter."})
    uncoupled = Part(SideFigures, metadata={"description": "How many of them are in no coupling, by these figures."})
    match_keys = Flag()
    last_full_run_at = Moment(allow_none=True)
    needs = Listed(Id(), metadata={"description": "Mappings that come before this one."})


class ReviewAnswer(Answer):
    """The mappings in the order in which they run."""

    items = Listed(Part(AdviceAnswer))


class FindingAnswer(Answer):
    """One thing to be said about a mapping."""

    severity = Choice(SEVERITIES)
    code = Said()
    pointer = Said(metadata={"description": "Where in the mapping, as a JSON pointer."})
    message = Said()
    advice = Said()
    params = Json(allow_none=False, metadata={"type": "object"})


class FindingsAnswer(Answer):
    """Everything there is to say about a mapping, errors first."""

    findings = Listed(Part(FindingAnswer))


def stored(body: Mapping[str, Any]) -> Document:
    """A request's mapping as it is stored: documents inside it keep the names that callers gave."""
    document = dict(body)
    if document.get("schedule") is not None:
        document["schedule"] = ScheduleShape().dump(document["schedule"])
    if "field_mappings" in document:
        lines = document["field_mappings"]
        document["field_mappings"] = [{**line, "transforms": Transforms().dump(line["transforms"])} for line in lines]
    return document

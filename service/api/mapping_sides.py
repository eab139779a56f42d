"""What a side of a mapping looks like in requests and answers: a table, its key and stamp, and a filter."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from service.api.fields import PLAIN, Answer, Body, Id, Items, Json, Listed, Part, Said, Scalar, Shape, Text
from service.core.records import FILTER_OPERATORS


def name(**options: Any) -> Text:
    """The name of a table or a field."""
    return Text(min=1, max=500, **options)


class SideTableShape(Body):
    """A stamp that is kept in another table: `field` of the row of `table` whose `keyField` is the record's key."""

    table = name(required=True)
    key_field = name(required=True)
    field = name(required=True)


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
            return name().deserialize(value)
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

    field = name(required=True)
    # Which operators and transformations there are is told together with all other problems of a mapping.
    op = Text(min=1, max=50, required=True, metadata={"enum": list(FILTER_OPERATORS)})
    value = FilterValue(load_default=None)


def _side(*, partial: bool) -> dict[str, Any]:
    """The fields of a side. marshmallow's own `partial` would reach into the filter's lines too."""
    none: dict[str, Any] = {} if partial else {"load_default": None}
    lines: dict[str, Any] = {} if partial else {"load_default": list}
    return {
        "connection_id": Id(required=not partial),
        "table": name(required=not partial),
        "key": name(allow_none=True, **none),
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


class SideAnswer(Answer):
    """One side of a mapping."""

    connection_id = Id()
    table = Said()
    key = Said(allow_none=True)
    modified_on = ModifiedOn()
    caption = Said(allow_none=True)
    filter = Listed(Part(FilterLine))

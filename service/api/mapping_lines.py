"""What a field mapping looks like in requests and answers: two fields, and what is done to a value on the way."""

from __future__ import annotations

from typing import Any

from service.api.fields import PLAIN, Answer, Body, Choice, Flag, Int, Items, Json, Listed, Part, Said, Scalar, Text
from service.api.mapping_sides import name
from service.core.normalization import STEPS
from service.core.records import Direction
from service.core.transforms import TRANSFORMS


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


_FIELDS = "A field, or several as one: their names with ` + ` between them."


class FieldMappingShape(Body):
    """Two fields that hold the same, or a constant for one."""

    local_field = name(allow_none=True, load_default=None, metadata={"description": _FIELDS})
    integration_field = name(allow_none=True, load_default=None, metadata={"description": _FIELDS})
    direction = Choice(Direction, load_default=Direction.BIDIRECTIONAL.value)
    constant = Scalar()
    transforms = Part(Transforms, load_default=dict)
    reference = Part(ReferenceShape, allow_none=True, load_default=None)
    clear_on_failed_lookup = Flag(load_default=False)
    not_null = Flag(load_default=False)
    match_key = Int(min=1, max=100, allow_none=True, load_default=None)
    normalize = Items(Text(min=1, max=20), max=10, load_default=list, metadata={"description": _NORMALIZE})
    enabled = Flag(load_default=True)


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

"""What a template of a mapping looks like in requests and answers: default values for records that are created."""

from __future__ import annotations

from typing import Any

from service.api.fields import Answer, Body, Choice, Int, Items, Listed, Part, Settings, refuse
from service.api.mapping_sides import FilterLine
from service.core.records import Direction


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

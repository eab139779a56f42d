"""Transformations that replace whole values: a table of values, and a value for no value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from service.core.compare import Unconvertible, coerce
from service.core.failures import Failure
from service.core.records import Field, FieldType, Scalar
from service.core.transforms.base import Function, Given, Params, Step, Transform, Wrong, always, choice, scalar, table

_TEXT = Field("value", FieldType.STRING)


def as_text(value: Scalar) -> str:
    """A value as the keys of a table write it: `true`, `5`, `12.5`; trailing blanks do not count."""
    return str(coerce(value, None, _TEXT)).rstrip(" ")


def _map(given: Given, params: Params) -> Function:
    known: Mapping[str, Scalar] = {key.rstrip(" "): value for key, value in params["map"].items()}
    unmapped, name = params["unmapped"], given.field.name
    fallback: Scalar = params["default"]

    def mapped(value: Scalar) -> Scalar:
        key = "" if value is None else as_text(value)
        if key in known:
            return known[key]
        if key == "" or unmapped == "keep":
            return value
        if unmapped == "default":
            return fallback
        raise Unconvertible(Failure("value_not_mapped", {"field": name, "value": key}, (name, key)))

    return mapped


def _unmapping(params: Params) -> Step | None:
    """The table read from right to left, where it is one to one."""
    turned = {as_text(value): key for key, value in params["map"].items()}
    if len(turned) < len(params["map"]) or params["unmapped"] == "default":
        return None
    return Step("valueMap", {**params, "map": turned})


def _wrong_map(params: Params) -> Wrong:
    repeated = [key for key, count in Counter(key.rstrip(" ") for key in params["map"]).items() if count > 1]
    if repeated:
        yield "map", "map_key_twice", {"key": repeated[0]}
    if params["unmapped"] == "default" and params["default"] is None:
        yield "default", "transform_parameter_missing", {"name": "valueMap", "parameter": "default"}


def _default(_given: Given, params: Params) -> Function:
    value_for_none: Any = params["value"]
    return lambda value: value_for_none if value is None or value == "" else value


VALUE_TRANSFORMS = {
    "valueMap": Transform(
        _map,
        {"map": table(), "unmapped": choice("error", "keep", "default", default="error"), "default": scalar(None)},
        gives=always(None),
        back=_unmapping,
        wrong=_wrong_map,
    ),
    "default": Transform(_default, {"value": scalar()}, gives=always(None)),
}

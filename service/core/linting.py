"""What a field mapping makes of values, tried out before it meets records. Pure; `samples` has the values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from service.core.compare import Unconvertible, coerce, equal
from service.core.failures import Failure
from service.core.records import Field, FieldType, Scalar
from service.core.samples import hints, samples, separated
from service.core.transforms.values import as_text
from service.core.ways import Way

Finding: TypeAlias = tuple[str, Mapping[str, Any]]
"""A code of `wording` and the parameters of its sentence."""

_REJECTED = {
    "out_of_range": "lint_out_of_range",
    "not_null": "lint_empty_value",
    "not_a": "lint_not_convertible",
    "not_an_option": "lint_not_an_option",
    "parts_change": "lint_parts_change",
}


def refused(way: Way) -> Iterator[Finding]:
    """What the target could not hold of what the source can: one finding for each kind of refusal."""
    write, found = way.bound(), set()
    for value in [*_separated(way), *samples(way.source), *_keys(way)]:
        try:
            write(value)
        except Unconvertible as refusal:
            code = _code(way, refusal.failure)
            if code is not None and code not in found:
                found.add(code)
                goal = refusal.failure.params.get("field") if way.target.parts else None
                names = {"source": way.source.name, "destination": goal or way.target.name}
                yield code, {**refusal.failure.params, **names, "value": _told(value), "field": way.target.name}


def _keys(way: Way) -> list[Scalar]:
    """The values that a map at the beginning is for: each must lead to something that fits."""
    first = way.steps[0] if way.steps else None
    if first is None or first.name != "valueMap":
        return []
    keys: list[Scalar] = []
    for key in first.params["map"]:
        try:
            keys.append(coerce(key, FieldType.STRING, Field(way.source.name, way.source.type)))
        except Unconvertible:
            continue
    return keys


def _separated(way: Way) -> list[Scalar]:
    """Values of a composite field, or for one, that hold what its parts are told apart by."""
    fields = (way.source, way.target) if way.back is not None else ()
    return _fitting(way.source, separated(way.source, way.steps)) if any(one.parts for one in fields) else []


def _code(way: Way, failure: Failure) -> str | None:
    if failure.code == "value_too_long":
        return "lint_too_long"
    rule = str(failure.params.get("rule"))
    if failure.code != "value_rejected" or rule not in _REJECTED:
        return None
    # What a reading step is for is not known here; only a map says which values it takes.
    if rule in ("not_a", "not_an_option") and way.steps and way.steps[0].name != "valueMap":
        return None
    return _REJECTED[rule]


def lost(there: Way, back: Way) -> Finding | None:
    """The smallest value that is another one after it went there and came back; None where every sample returns."""
    outward, inward = there.bound(), back.bound()

    def returned(value: Scalar) -> tuple[Scalar, Scalar] | None:
        """What it became there and here, if that is another value; None also for what is refused."""
        try:
            middle = outward(value)
            end = inward(middle)
        except Unconvertible:
            return None
        return None if _same(end, value) else (middle, end)

    tried: Sequence[Scalar] = [*samples(there.source), *_fitting(there.source, hints(there.steps + back.steps))]
    first = next((value for value in tried if returned(value) is not None), None)
    if first is None:
        return None
    smallest = first if there.source.parts else _smaller(first, lambda value: returned(value) is not None)
    middle, end = returned(smallest) or (None, None)
    told = {"value": _told(smallest), "there": _told(middle), "back": _told(end)}
    return "lint_not_round_trip", {"source": there.source.name, "destination": there.target.name, **told}


def uncovered(way: Way) -> Finding | None:
    """The values of a field with few of them that a map says nothing of."""
    first = way.steps[0] if way.steps else None
    if first is None or first.name != "valueMap" or first.params["unmapped"] != "error":
        return None
    known = {key.rstrip(" ") for key in first.params["map"]}
    missing = [value for value in _few(way.source) if value not in known]
    if not missing:
        return None
    return "lint_map_incomplete", {"source": way.source.name, "values": missing}


def unknown_options(way: Way) -> Finding | None:
    """What a map says of values that its field, which has options, never holds."""
    first = way.steps[0] if way.steps else None
    if first is None or first.name != "valueMap" or not way.source.options:
        return None
    known = {key.casefold() for key in _few(way.source)} | {""}
    unknown = [key for key in first.params["map"] if key.rstrip(" ").casefold() not in known]
    if not unknown:
        return None
    return "lint_map_unknown_option", {"source": way.source.name, "values": unknown, "options": _few(way.source)}


def _few(field: Field) -> tuple[str, ...]:
    if field.options:
        return tuple(as_text(one.value) for one in field.options)
    return ("true", "false") if field.type is FieldType.BOOLEAN else ()


def _fitting(field: Field, texts: Sequence[Scalar]) -> list[Scalar]:
    found: list[Scalar] = []
    for text in texts:
        try:
            value = coerce(text, None if field.parts else FieldType.STRING, field)
        except Unconvertible:
            continue
        found.append(value)
    return found


def _smaller(value: Scalar, still: Callable[[Scalar], bool]) -> Scalar:
    """A text without the characters that do not matter to it; other values are tried simplest first anyway."""
    place = 0
    while isinstance(value, str) and place < len(value):
        shorter = value[:place] + value[place + 1 :]
        if shorter and still(shorter):
            value = shorter
        else:
            place += 1
    return value


def _same(one: Scalar, other: Scalar) -> bool:
    return equal(one, other) or (one in (None, "") and other in (None, ""))


def _told(value: Scalar) -> str:
    """A value as a sentence quotes it."""
    return "nothing" if value is None else f"“{value}”" if isinstance(value, str) else str(value).lower()

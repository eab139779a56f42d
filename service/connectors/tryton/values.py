"""Values between Tryton's JSON and canonical form: what JSON cannot say is an object with `__class__`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any

import orjson

from service.core.compare import Unconvertible, canonical, coerce
from service.core.failures import Failure
from service.core.records import Field, FieldType, Scalar, Stamp, moment_of, stamp_of

_DATE = ("year", "month", "day")
_TIME = ("hour", "minute", "second", "microsecond")


def decoded(value: Any) -> Any:
    """A value as Python has it."""
    if not isinstance(value, dict) or "__class__" not in value:
        return value
    match value["__class__"]:
        case "datetime":
            return datetime(*(value.get(part, 0) for part in (*_DATE, *_TIME)))  # noqa: DTZ001  (they are in UTC)
        case "date":
            return date(*(value[part] for part in _DATE))
        case "time":
            return time(*(value.get(part, 0) for part in _TIME))
        case "Decimal":
            return value["decimal"]
        case "timedelta":
            return value["seconds"]
        case "bytes":
            return value["base64"]
        case _:
            return value


def read(value: Any, field: Field) -> Scalar:
    """The canonical form of what a call answered; a text of it where it has none."""
    plain = decoded(value)
    if plain is None or (field.type is FieldType.BINARY and isinstance(plain, str)):
        return plain
    try:
        return canonical(plain, field.type)
    except ValueError:
        return str(plain)


def stamp_from(value: Any) -> Stamp | None:
    plain = decoded(value)
    return stamp_of(plain) if isinstance(plain, datetime) else None


def moment(stamp: Stamp) -> dict[str, Any]:
    """A moment as a call takes it."""
    return _encoded_moment(moment_of(stamp))


def _encoded_moment(found: datetime) -> dict[str, Any]:
    return {"__class__": "datetime", **{part: getattr(found, part) for part in (*_DATE, *_TIME)}}


def _encoded_date(text: str) -> dict[str, Any]:
    found = date.fromisoformat(text)
    return {"__class__": "date", **{part: getattr(found, part) for part in _DATE}}


def _encoded_time(text: str) -> dict[str, Any]:
    found = time.fromisoformat(text)
    return {"__class__": "time", **{part: getattr(found, part) for part in _TIME}}


_WRITTEN: Mapping[FieldType, Callable[[Any], Any]] = {
    FieldType.DECIMAL: lambda value: {"__class__": "Decimal", "decimal": str(value)},
    FieldType.DATE: _encoded_date,
    FieldType.DATETIME: lambda value: _encoded_moment(datetime.fromisoformat(value)),
    FieldType.TIME: _encoded_time,
    FieldType.BINARY: lambda value: {"__class__": "bytes", "base64": value},
    FieldType.JSON: orjson.loads,
}


def written(value: Scalar, field: Field) -> Any:
    """A canonical value as a call takes it. ValueError for one that is none of the type, or cannot be sent."""
    if value is None:
        return None
    plain = _WRITTEN.get(field.type, lambda one: one)(value)
    orjson.dumps(plain)  # A TypeError of orjson is a ValueError as well: half a surrogate pair, over 64 bits.
    return plain


def fitting(value: Scalar, field: Field) -> Any | Failure:
    """A value to be written, or why the field cannot hold it: the server would say so in a sentence of its own."""
    if value is None and field.required:
        return Failure("value_rejected", {"field": field.name, "rule": "not_null"}, (field.name, "not_null"))
    try:
        coerced = None if value is None else coerce(value, field.type, field)
        return written(coerced, field)
    except Unconvertible as misfit:
        return misfit.failure
    except (ValueError, TypeError, OverflowError):
        return Failure("value_rejected", {"field": field.name, "rule": "not_a"}, (field.name, "not_a"))

"""The canonical form of values, what a destination's field makes of a value, and when two values are equal.

| type | canonical form |
|---|---|
| string, uuid | str (a uuid in lower case with hyphens) |
| integer | int |
| decimal | str of digits without exponent and without trailing zeros: "12.5" |
| float | float |
| boolean | bool |
| date, time | str, ISO 8601; time with as many digits of a second as it needs |
| datetime | str, ISO 8601 in UTC with six digits of a second and "Z" |
| binary | str, base64 |
| json | str, compact with sorted keys |
| list | str, a compact JSON array of the parts in their canonical form, None for an empty one |

An absent value is None for every type.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from service.core.composites import joined, parted
from service.core.failures import Failure
from service.core.records import Field, FieldType, Scalar

_MAX_DIGITS = 400
"""More digits than any application stores; guards against the memory that '1e999999999' would take."""


class Unconvertible(Exception):
    """A value that a field cannot hold; `failure` says why, without the destination's name."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


def canonical(value: Any, type: FieldType) -> Scalar:
    """The canonical form of a native value (whatever a driver returned) of a field of this type.

    Raises ValueError when the value is none of that type: an SQLite column may hold anything.
    """
    if value is None:
        return None
    try:
        return _CANONICAL[type](value)
    except (TypeError, ArithmeticError, AttributeError, binascii.Error) as error:
        raise ValueError(f"not a {type}") from error


def equal(one: Scalar, other: Scalar) -> bool:
    """Whether two canonical values of one field are the same; trailing blanks of a text do not count."""
    if one is other or one == other:
        return (one is True or one is False) == (other is True or other is False)
    if type(one) is str and type(other) is str:
        return one.rstrip(" ") == other.rstrip(" ")
    return False


def same_but_form(sent: Scalar, held: Scalar) -> bool:
    """Whether `held` is what an application may make of `sent` by itself: other letter case, blanks taken off, nothing
    for an empty text, a number rounded to fewer places."""
    if equal(sent, held) or {sent, held} <= {None, ""}:
        return True
    if isinstance(sent, str) and isinstance(held, str) and sent.strip().casefold() == held.strip().casefold():
        return True
    try:
        number, rounded = Decimal(str(sent)), Decimal(str(held))
        return abs(number - rounded) < Decimal(1).scaleb(int(rounded.as_tuple().exponent))
    except (InvalidOperation, ValueError):
        return False


def coerce(value: Scalar, source: FieldType | None, destination: Field) -> Scalar:
    """What `destination` is to hold for a canonical value of type `source` (None: a constant, of its own type).

    Numbers are rounded half to even to the destination's scale, times cut to its precision, an absent text becomes
    empty where the field cannot be null. Raises Unconvertible (`value_rejected`, `value_too_long`).
    """
    if value is None and destination.type is not FieldType.LIST:
        return _absent(destination)
    try:
        native = value if source is destination.type else _CONVERT[destination.type](value)
        fitted = _FIT.get(destination.type, _as_is)(native, destination)
    except (ValueError, TypeError, ArithmeticError, binascii.Error) as error:
        raise Unconvertible(_rejected(destination, "not_a", expected=destination.type.value)) from error
    if destination.options and not is_option(fitted, destination):
        raise Unconvertible(not_an_option(fitted, destination))
    return fitted


def is_option(value: Scalar, field: Field) -> bool:
    """Whether a field with options may hold a canonical value. Letter case is left to the application to judge: to some
    it matters, and others write down their own spelling."""
    if any(equal(one.value, value) for one in field.options):
        return True
    if not isinstance(value, str):
        return False
    folded = value.rstrip(" ").casefold()
    return any(isinstance(one.value, str) and one.value.casefold() == folded for one in field.options)


def not_an_option(value: Scalar, field: Field) -> Failure:
    """Why a value was not written: it is none of the field's options."""
    options = [str(one.value) for one in field.options]
    return _rejected(field, "not_an_option", value=str(value), options=options)


def shown(value: Scalar, type: FieldType | None) -> Scalar:
    """A canonical value as people and callers read it: a decimal is a number where a JSON number holds it exactly."""
    if type is not FieldType.DECIMAL or not isinstance(value, str):
        return value
    number = Decimal(value)
    if number == number.to_integral_value():
        return int(number)
    return float(value) if Decimal(repr(float(value))) == number else value


def convertible(source: FieldType, destination: FieldType) -> bool:
    """Whether values of one type can, in general, be written to a field of the other."""
    return source is destination or source in _SOURCES[destination]


def _absent(destination: Field) -> Scalar:
    if destination.nullable:
        return None
    if destination.type is FieldType.STRING:
        return ""
    raise Unconvertible(_rejected(destination, "not_null"))


def _rejected(field: Field, rule: str, **params: Any) -> Failure:
    return Failure("value_rejected", {"field": field.name, "rule": rule, **params}, (field.name, rule))


def decimal_text(number: Decimal) -> str:
    """The canonical text of a number. Raises ValueError for NaN, infinities and absurd exponents."""
    if not number.is_finite() or abs(number.adjusted()) > _MAX_DIGITS:
        raise ValueError("not a finite number")
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def parse_datetime(text: str) -> datetime:
    """A moment from ISO 8601 text, a blank instead of `T` allowed, without an offset taken as UTC."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is UTC:
        return moment  # As most applications say it, and stamps are read by the thousand.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def datetime_text(moment: datetime) -> str:
    """The canonical text of a moment; a naive one is taken as UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _to_string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return decimal_text(Decimal(repr(value)))
    if isinstance(value, bytes):
        return value.decode()
    return str(value)


def _to_integer(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    number = Decimal(value.strip() if isinstance(value, str) else repr(value) if isinstance(value, float) else value)
    if not number.is_finite() or number.adjusted() > _MAX_DIGITS or number != number.to_integral_value():
        raise ValueError("not a whole number")
    return int(number)


def _to_decimal(value: Any) -> str:
    if isinstance(value, bool):
        raise TypeError("a boolean is no number")
    if isinstance(value, float):
        return decimal_text(Decimal(repr(value)))
    if isinstance(value, str):
        return decimal_text(Decimal(value.strip()))
    return decimal_text(Decimal(value))


def _to_float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("a boolean is no number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


_BOOLEANS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "on"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "off", ""), False),
}


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return _BOOLEANS[value.strip().lower()]
        except KeyError:
            raise ValueError("neither true nor false") from None
    if value in (0, 1):
        return bool(value)
    raise ValueError("neither true nor false")


def _to_date(value: Any) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = value.strip()
    return (date.fromisoformat(text) if len(text) <= 10 else parse_datetime(text).date()).isoformat()


def _to_datetime(value: Any) -> str:
    if isinstance(value, datetime):
        return datetime_text(value)
    if isinstance(value, date):
        return datetime_text(datetime(value.year, value.month, value.day, tzinfo=UTC))
    return datetime_text(parse_datetime(value))


def _to_time(value: Any) -> str:
    return (value if isinstance(value, time) else time.fromisoformat(value.strip())).isoformat()


def _to_uuid(value: Any) -> str:
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(value.strip()))


def _to_binary(value: Any) -> str:
    if isinstance(value, str):
        base64.b64decode(value, validate=True)
        return value
    return base64.b64encode(bytes(value)).decode()


def _to_json(value: Any) -> str:
    document = json.loads(value) if isinstance(value, str | bytes) else value
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _as_list(value: Any) -> Scalar:
    return joined(value) if isinstance(value, list | tuple) else value


_CONVERT: Mapping[FieldType, Callable[[Any], Scalar]] = {
    FieldType.STRING: _to_string,
    FieldType.INTEGER: _to_integer,
    FieldType.DECIMAL: _to_decimal,
    FieldType.FLOAT: _to_float,
    FieldType.BOOLEAN: _to_boolean,
    FieldType.DATE: _to_date,
    FieldType.DATETIME: _to_datetime,
    FieldType.TIME: _to_time,
    FieldType.UUID: _to_uuid,
    FieldType.BINARY: _to_binary,
    FieldType.JSON: _to_json,
    FieldType.LIST: _as_list,
}

_CANONICAL = _CONVERT

_NUMBERS = {FieldType.INTEGER, FieldType.DECIMAL, FieldType.FLOAT, FieldType.STRING}
_SOURCES: Mapping[FieldType, set[FieldType]] = {
    FieldType.STRING: set(FieldType),
    FieldType.INTEGER: _NUMBERS | {FieldType.BOOLEAN},
    FieldType.DECIMAL: _NUMBERS,
    FieldType.FLOAT: _NUMBERS,
    FieldType.BOOLEAN: {FieldType.INTEGER, FieldType.STRING},
    FieldType.DATE: {FieldType.DATETIME, FieldType.STRING},
    FieldType.DATETIME: {FieldType.DATE, FieldType.STRING},
    FieldType.TIME: {FieldType.STRING},
    FieldType.UUID: {FieldType.STRING},
    FieldType.BINARY: {FieldType.STRING},
    FieldType.JSON: {FieldType.STRING},
    FieldType.LIST: set(),
}


def _as_is(value: Scalar, _field: Field) -> Scalar:
    return value


def _fit_string(value: Any, field: Field) -> Scalar:
    """A text that fits when its trailing blanks are left out is cut; one that does not is refused, never cut."""
    if field.length is None or len(value) <= field.length:
        return str(value)
    kept = str(value).rstrip(" ")
    if len(kept) > field.length:
        params = {"field": field.name, "length": len(kept), "maximum": field.length}
        raise Unconvertible(Failure("value_too_long", params, (field.name,)))
    return kept


def _fit_decimal(value: Any, field: Field) -> Scalar:
    number = Decimal(value)
    if field.scale is not None:
        try:
            number = number.quantize(Decimal(1).scaleb(-field.scale), rounding=ROUND_HALF_EVEN)
        except InvalidOperation:
            raise Unconvertible(_rejected(field, "out_of_range")) from None
    digits = None if field.precision is None else field.precision - (field.scale or 0)
    if digits is not None and number and number.adjusted() >= digits:
        raise Unconvertible(_rejected(field, "out_of_range", digits=digits))
    return decimal_text(number)


def _fit_integer(value: Any, field: Field) -> Scalar:
    bits = field.precision or 64
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise Unconvertible(_rejected(field, "out_of_range"))
    return int(value)


def _fit_datetime(value: Any, field: Field) -> Scalar:
    if field.scale is None or field.scale >= 6:
        return str(value)
    head, fraction = value[:20], value[20:26]
    return f"{head}{fraction[: field.scale].ljust(6, '0')}Z"


def _fit_list(value: Any, field: Field) -> Scalar:
    """Each part fits its own field; one that does not is refused by its name."""
    parts = zip(parted(value, len(field.parts)), field.parts, strict=True)
    return joined([coerce(part, None, own) for part, own in parts])


_FIT: Mapping[FieldType, Callable[[Any, Field], Scalar]] = {
    FieldType.STRING: _fit_string,
    FieldType.DECIMAL: _fit_decimal,
    FieldType.INTEGER: _fit_integer,
    FieldType.DATETIME: _fit_datetime,
    FieldType.LIST: _fit_list,
}

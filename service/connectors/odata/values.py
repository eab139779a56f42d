"""Values between OData's JSON and canonical form, and as literals in a URL. Edm types are the keys of every table."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from service.core.compare import canonical, datetime_text, parse_datetime
from service.core.records import FieldType, Scalar, Stamp, moment_of, stamp_of

EDM: Mapping[str, FieldType] = {
    "Edm.String": FieldType.STRING,
    "Edm.Boolean": FieldType.BOOLEAN,
    "Edm.Byte": FieldType.INTEGER,
    "Edm.SByte": FieldType.INTEGER,
    "Edm.Int16": FieldType.INTEGER,
    "Edm.Int32": FieldType.INTEGER,
    "Edm.Int64": FieldType.INTEGER,
    "Edm.Decimal": FieldType.DECIMAL,
    "Edm.Double": FieldType.FLOAT,
    "Edm.Single": FieldType.FLOAT,
    "Edm.Date": FieldType.DATE,
    "Edm.DateTimeOffset": FieldType.DATETIME,
    "Edm.TimeOfDay": FieldType.TIME,
    "Edm.Guid": FieldType.UUID,
    "Edm.Binary": FieldType.BINARY,
    "Edm.Duration": FieldType.STRING,
}
"""What a property becomes; every other type (complex, collection, geography) is JSON that can only be read."""

RANGES: Mapping[str, tuple[int, int]] = {
    "Edm.Byte": (0, 255),
    "Edm.SByte": (-128, 127),
    "Edm.Int16": (-(2**15), 2**15 - 1),
    "Edm.Int32": (-(2**31), 2**31 - 1),
    "Edm.Int64": (-(2**63), 2**63 - 1),
}

STAMPS = ("Edm.DateTimeOffset", "Edm.Date")


def reader(edm: str) -> Callable[[Any], Scalar]:
    """How a value that is not null becomes canonical. What is not of its type becomes a text of what is there."""
    if edm in ("Edm.String", "Edm.Boolean", "Edm.Date", "Edm.Duration"):
        return _READERS.get(edm, as_it_is)
    found = _READERS.get(edm)
    if found is None:
        kind = EDM.get(edm, FieldType.JSON)

        def found(value: Any) -> Scalar:
            return _canonical_or_text(value, kind)

    return found


def stamp_in(value: Any) -> Stamp | None:
    """The stamp in a value of JSON; none where there is none, or no moment in it."""
    if not isinstance(value, str):
        return None
    try:
        return stamp_of(parse_datetime(value))
    except ValueError:
        return None


def literal(value: Scalar, edm: str, precision: int | None = None) -> str:
    """A canonical value as a URL has it. Raises ValueError for one that no record can have in such a property."""
    if value is None:
        return "null"
    if edm == "Edm.String":
        return _quoted(str(value))
    if edm in RANGES:
        return str(_whole(value, edm))
    if edm not in EDM:
        return f"{edm}{_quoted(str(value))}"  # An enumeration: its name and the member's.
    plain = canonical(value, EDM[edm])
    if edm == "Edm.Boolean":
        return "true" if plain else "false"
    if edm == "Edm.DateTimeOffset":
        return moment_text(str(plain), precision)
    if edm == "Edm.Binary":
        return f"binary'{_url_safe(str(plain))}'"
    if edm == "Edm.Duration":
        return f"duration{_quoted(str(plain))}"
    return str(plain)


def payload(value: Scalar, edm: str, precision: int | None = None) -> Any:
    """A canonical value as a body has it. Raises ValueError for one that such a property cannot have."""
    if value is None:
        return None
    if edm in RANGES:
        return _whole(value, edm)
    if edm == "Edm.Decimal":
        return orjson.Fragment(str(canonical(value, FieldType.DECIMAL)).encode())  # With all its digits.
    if edm == "Edm.DateTimeOffset":
        return moment_text(str(canonical(value, FieldType.DATETIME)), precision)
    if edm == "Edm.Binary":
        return _url_safe(str(value))
    return value


def moment_text(text: str, precision: int | None) -> str:
    """A canonical moment with no more digits of a second than it needs, or than the property has."""
    digits = text[20:26] if precision is None else text[20:26][:precision]
    kept = digits.rstrip("0")
    return f"{text[:19]}.{kept}Z" if kept else f"{text[:19]}Z"


def stamp_literal(stamp: Stamp, edm: str, precision: int | None) -> str:
    """A stamp as a literal of its property; what is finer than the property is cut off."""
    text = datetime_text(moment_of(stamp))
    return text[:10] if edm == "Edm.Date" else moment_text(text, precision)


def key_segment(key: str, edm: str) -> str:
    """A record's address inside its entity set: "('N%201')". Raises ValueError for a text that cannot be such a key."""
    if edm == "Edm.Guid" and _GUID.fullmatch(key):
        return f"({key})"  # As it is in canonical form, which most keys have.
    return f"({quote(literal(key, edm), safe=_SAFE)})"


_GUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


_SAFE = "-._~!$'()*,:@"


def _quoted(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text with a zero byte")
    text.encode()  # UnicodeEncodeError is a ValueError: half a surrogate pair cannot be sent.
    return "'" + text.replace("'", "''") + "'"


def _whole(value: Scalar, edm: str) -> int:
    if isinstance(value, str) and not (value.isascii() and value.removeprefix("-").isdigit()):
        raise ValueError("not a whole number")
    number = canonical(value, FieldType.INTEGER)
    low, high = RANGES[edm]
    if not isinstance(number, int) or not low <= number <= high:
        raise OutOfRange("out of range")
    return number


class OutOfRange(ValueError):
    """A number that its property cannot hold."""


def _url_safe(text: str) -> str:
    return base64.urlsafe_b64encode(base64.b64decode(text, validate=True)).decode()


def as_it_is(value: Any) -> Scalar:
    """A text, or true or false; the text of anything else."""
    return value if isinstance(value, (str, bool)) else str(value)


def _canonical_or_text(value: Any, kind: FieldType) -> Scalar:
    try:
        return canonical(value, kind)
    except ValueError:
        return str(value)


def _read_moment(value: Any) -> Scalar:
    if isinstance(value, str) and 20 <= len(value) <= 27 and value[-1] == "Z" and value[10] == "T":
        return f"{value[:19]}.{value[20:-1]:0<6}Z"
    return _canonical_or_text(value, FieldType.DATETIME)


def _read_guid(value: Any) -> Scalar:
    return value.lower() if isinstance(value, str) else str(value)


def _read_integer(value: Any) -> Scalar:
    return value if type(value) is int else _canonical_or_text(value, FieldType.INTEGER)


def _read_binary(value: Any) -> Scalar:
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (ValueError, TypeError):
        return str(value)
    return base64.b64encode(raw).decode()


_READERS: Mapping[str, Callable[[Any], Scalar]] = {
    "Edm.Guid": _read_guid,
    "Edm.DateTimeOffset": _read_moment,
    "Edm.Binary": _read_binary,
    **dict.fromkeys(RANGES, _read_integer),
}

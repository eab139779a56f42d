"""Values between a driver and canonical form, a whole column at a time: most columns need one look and no work.

A converter takes a column of values as the driver gave them and returns the column in canonical form. A value that is
not of its field's type (SQLite lets anything into a column) becomes a text of what is there; it never raises.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import lru_cache
from math import isfinite
from typing import Any, TypeAlias

from service.connectors.sql.stamps import moment, stamp_of_number, stamp_of_text
from service.core.compare import canonical, datetime_text
from service.core.records import FieldType, Scalar

Converter: TypeAlias = Callable[[Sequence[Any]], Sequence[Scalar]]
Writer: TypeAlias = Callable[[Any], Any]

_NONE = type(None)


def read_as(type: FieldType) -> Converter:
    """The converter for columns that may hold anything, by `compare.canonical`."""

    def convert(column: Sequence[Any]) -> Sequence[Scalar]:
        return [None if value is None else canonical_or_text(value, type) for value in column]

    return convert


def canonical_or_text(value: Any, type: FieldType) -> Scalar:
    """The canonical form, or where the value has none for this type, a text of it."""
    try:
        return canonical(value, type)
    except ValueError:
        return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def read_unless(kinds: set[Any], type: FieldType) -> Converter:
    """The converter for columns whose values are in canonical form already when they are of these Python types."""
    expected, otherwise = kinds | {_NONE}, read_as(type)

    def convert(column: Sequence[Any]) -> Sequence[Scalar]:
        return column if expected.issuperset(map(_type, column)) else otherwise(column)

    return convert


_type = type


def read_floats(column: Sequence[Any]) -> Sequence[Scalar]:
    """NaN and infinities are no numbers that JSON knows: they become texts."""
    return [value if value is None or isfinite(value) else str(value) for value in column]


def read_booleans(column: Sequence[Any]) -> Sequence[Scalar]:
    """0 and 1, as SQLite keeps them."""
    if {0, 1, None}.issuperset(column):
        return [None if value is None else bool(value) for value in column]
    return read_as(FieldType.BOOLEAN)(column)


def read_decimals(column: Sequence[Any]) -> Sequence[Scalar]:
    """Numbers, or texts of them without an exponent, without trailing zeros. Equal ones have one form."""
    return _each(column, decimal_of)


_REMEMBERED = 4_096
"""So many values of a kind are remembered with what they become: prices and dates come again in page after page."""

_PLAIN = re.compile(r"(0|-?[1-9][0-9]*)(?:\.0*|(\.[0-9]*[1-9])0*)?")
"""A number without an exponent: its whole part, and its fraction without trailing zeros if there is one."""


@lru_cache(_REMEMBERED, typed=True)
def decimal_of(value: Any) -> Scalar:
    found = _PLAIN.fullmatch(value if type(value) is str else repr(value))
    if found is None:
        return canonical_or_text(value, FieldType.DECIMAL)
    whole, fraction = found.groups()
    return f"{whole}{fraction}" if fraction else str(whole)


def read_dates(column: Sequence[Any]) -> Sequence[Scalar]:
    if not _TEXTS.issuperset(map(_type, column)):
        return [None if value is None else date_of(value) for value in column]
    return _each(column, date_of)


_TEXTS = {str, _NONE}


def _each(column: Sequence[Any], convert: Callable[[Any], Scalar]) -> Sequence[Scalar]:
    """Every value converted, each only once: prices and dates are often the same."""
    known: dict[Any, Scalar] = {value: convert(value) for value in set(column) if value is not None}
    known[None] = None
    return [known[value] for value in column]


@lru_cache(_REMEMBERED, typed=True)
def date_of(value: Any) -> Scalar:
    if isinstance(value, str) and len(value) == 10:
        try:
            date.fromisoformat(value)
        except ValueError:
            return value
        return value
    return canonical_or_text(value, FieldType.DATE)


def read_moments(column: Sequence[Any]) -> Sequence[Scalar]:
    return [None if value is None else moment_of_any(value) for value in column]


def moment_of_any(value: Any) -> Scalar:
    """The canonical text of a moment: from an ISO text of any shape, or from an epoch."""
    if isinstance(value, str):
        text = value.removesuffix("+00").removesuffix("Z")
        if 19 <= len(text) <= 26 and text[4] == "-" and (len(text) == 19 or _is_fraction(text[19:])):
            try:
                datetime.fromisoformat(text[:19])
            except ValueError:
                return value
            return f"{text[:10]}T{text[11:19]}.{text[20:]:0<6}Z"
    elif isinstance(value, int | float) and (stamp := stamp_of_number(value)) is not None:
        return datetime_text(moment(stamp))
    return canonical_or_text(value, FieldType.DATETIME)


def _is_fraction(text: str) -> bool:
    return text[0] == "." and text[1:].isdecimal()


def read_hexadecimal(column: Sequence[Any]) -> Sequence[Scalar]:
    r"""Bytes as PostgreSQL writes them: '\x00ff'."""
    return [None if value is None else base64.b64encode(bytes.fromhex(value[2:])).decode() for value in column]


def read_padded(column: Sequence[Any]) -> Sequence[Scalar]:
    """Texts of a fixed width, whose trailing blanks mean nothing."""
    return [None if value is None else value.rstrip(" ") for value in column]


def write_binary(value: Any) -> Any:
    """Bytes from canonical base64. Raises ValueError."""
    return base64.b64decode(value, validate=True)


def write_like(sample: Any) -> Writer:
    """Moments in the shape that the column has already: `sample` is a value of it, None where it has none.

    Without a sample as SQLite's own CURRENT_TIMESTAMP, and with a fraction where there is one.
    """
    if isinstance(sample, int | float):
        return _write_epoch(sample)
    text = sample if isinstance(sample, str) and len(sample) >= 19 else "2026-01-01 00:00:00"
    separator, tail = text[10], text[19:]
    fraction = len(tail) - len(tail.lstrip(".0123456789"))
    offset = tail[fraction:] and ("Z" if tail[fraction:] == "Z" else "+00:00")

    def write(value: Any) -> Any:
        digits = value[20:26].rstrip("0").ljust(max(fraction - 1, 0), "0")
        return f"{value[:10]}{separator}{value[11:19]}{'.' if digits else ''}{digits}{offset}"

    return write


def _write_epoch(sample: float) -> Writer:
    unit = next((unit for limit, unit in ((1e11, 1_000_000), (1e14, 1_000)) if abs(sample) < limit), 1)
    exact = isinstance(sample, int)

    def write(value: Any) -> Any:
        stamp = stamp_of_text(value)
        return value if stamp is None else stamp // unit if exact else stamp / unit

    return write

"""What MariaDB's types are to us: our field, how values are read, and which values a column can be asked for."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from service.connectors.sql import values
from service.connectors.sql.database import Column
from service.connectors.sql.session import Row
from service.connectors.sql.values import Converter
from service.core.records import Field, FieldType, Scalar

_TYPES: Mapping[str, FieldType] = {
    "tinyint": FieldType.INTEGER,
    "smallint": FieldType.INTEGER,
    "mediumint": FieldType.INTEGER,
    "int": FieldType.INTEGER,
    "bigint": FieldType.INTEGER,
    "year": FieldType.INTEGER,
    "bit": FieldType.INTEGER,
    "decimal": FieldType.DECIMAL,
    "float": FieldType.FLOAT,
    "double": FieldType.FLOAT,
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
    "timestamp": FieldType.DATETIME,
    "time": FieldType.TIME,
    "uuid": FieldType.UUID,
    "binary": FieldType.BINARY,
    "varbinary": FieldType.BINARY,
    "tinyblob": FieldType.BINARY,
    "blob": FieldType.BINARY,
    "mediumblob": FieldType.BINARY,
    "longblob": FieldType.BINARY,
}
"""Everything else is a text: enumerations, sets, addresses, as MariaDB writes them."""

_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64, "year": 16}
_BOOLEANS = ("tinyint(1)", "bit(1)")
_TEXT_LIMIT = 2**24 - 1
"""A text as long as that, or longer, has no limit that anybody would meet."""


def field_of(row: Row, *, is_json: bool, fixed: bool) -> Field:
    """The field that a row of the catalogue stands for; `fixed`: nothing in the table can be written."""
    name, native, declared, length, precision, scale, digits, nullable, default, extra = row[:10]
    type = FieldType.JSON if is_json else FieldType.BOOLEAN if declared in _BOOLEANS else _TYPES.get(native)
    made = default not in (None, "NULL") or "auto_increment" in extra or "GENERATED" in extra
    exact = type is FieldType.DECIMAL
    timed = type in (FieldType.DATETIME, FieldType.TIME)
    return Field(
        name,
        type or FieldType.STRING,
        length=int(length) if length is not None and type is None and int(length) < _TEXT_LIMIT else None,
        precision=_bits(native, declared) if type is FieldType.INTEGER else int(precision) if exact else None,
        scale=int(digits or 0) if timed else int(scale) if exact else None,
        required=nullable == "NO" and not made,
        nullable=nullable == "YES",
        read_only=fixed or "GENERATED" in extra,
    )


def _bits(native: str, declared: str) -> int | None:
    """The bits of a signed number that holds whatever the column does."""
    bits = _INTEGER_BITS.get(native)
    return bits and bits + ("unsigned" in declared or native == "year")


def _no_zero(convert: Converter) -> Converter:
    """A converter to which the zero date is no value, as it is to the applications that store it."""

    def converted(column: Sequence[Any]) -> Sequence[Scalar]:
        return convert([None if _is_zero(value) else value for value in column])

    return converted


def _is_zero(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("0000-00-00")


READERS: Mapping[FieldType, Converter] = {
    FieldType.BOOLEAN: values.read_booleans,
    FieldType.DECIMAL: values.read_decimals,
    FieldType.DATE: _no_zero(values.read_dates),
    FieldType.DATETIME: _no_zero(values.read_moments),
    FieldType.TIME: values.read_as(FieldType.TIME),
    FieldType.BINARY: values.read_as(FieldType.BINARY),
    FieldType.JSON: values.read_as(FieldType.JSON),
}


def native_moment(value: str) -> str:
    """A moment as MariaDB reads it: without a zone, which is that of the session, UTC."""
    return f"{value[:10]} {value[11:26]}"


_PARSERS: Mapping[FieldType, Callable[[Any], Any]] = {
    FieldType.UUID: uuid.UUID,
    FieldType.DECIMAL: lambda value: Decimal(value).adjusted() < 80 or 1 / 0,
    FieldType.DATE: date.fromisoformat,
    FieldType.DATETIME: datetime.fromisoformat,
}


def fits(value: Any, column: Column) -> bool:
    """Whether a record can have the value, and MariaDB compares it as one of the column's type: it would take "abc"
    for a zero where a number is asked for."""
    if isinstance(value, str) and not _encodes(value):
        return False
    kind = column.field.type
    if kind in (FieldType.INTEGER, FieldType.FLOAT, FieldType.BOOLEAN):
        return isinstance(value, int | float) and abs(value) < 10**60
    try:
        _PARSERS.get(kind, bool)(value)
    except (ValueError, TypeError, ArithmeticError, InvalidOperation):
        return False
    return True


_WHOLE = re.compile(r"0|-?[1-9]\d{0,19}")


def native_key(key: str, column: Column) -> Any:
    """A key as the driver's value, None where no record can have it."""
    match column.field.type:
        case FieldType.INTEGER | FieldType.BOOLEAN:
            return int(key) if _WHOLE.fullmatch(key) else None
        case FieldType.DECIMAL:
            return Decimal(key) if re.fullmatch(r"-?\d{1,65}(\.\d{1,38})?", key) else None
        case FieldType.UUID:
            return key if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", key) else None
        case FieldType.BINARY:
            return _decoded(key)
        case _:
            return key if _encodes(key) else None


def _decoded(key: str) -> bytes | None:
    try:
        return bytes(values.write_binary(key))
    except ValueError:
        return None


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

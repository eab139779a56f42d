"""What PostgreSQL's types are to us: our field, how values are read, and which texts are values of a type at all."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from service.connectors.sql import values
from service.connectors.sql.database import Column
from service.connectors.sql.session import Row
from service.connectors.sql.values import Converter
from service.core.records import Field, FieldType

_TYPES: Mapping[str, FieldType] = {
    "boolean": FieldType.BOOLEAN,
    "smallint": FieldType.INTEGER,
    "integer": FieldType.INTEGER,
    "bigint": FieldType.INTEGER,
    "real": FieldType.FLOAT,
    "double precision": FieldType.FLOAT,
    "numeric": FieldType.DECIMAL,
    "timestamp with time zone": FieldType.DATETIME,
    "timestamp without time zone": FieldType.DATETIME,
    "date": FieldType.DATE,
    "time without time zone": FieldType.TIME,
    "uuid": FieldType.UUID,
    "bytea": FieldType.BINARY,
    "json": FieldType.JSON,
    "jsonb": FieldType.JSON,
}
"""Everything else is a text: enumerations, addresses, ranges, arrays, as PostgreSQL writes them."""

INTEGER_BITS = {"smallint": 16, "integer": 32, "bigint": 64}
AS_THEY_ARE = {
    *INTEGER_BITS, "boolean", "real", "double precision", "text", "character varying", "bpchar", "name", "citext"
}  # fmt: skip
"""Types whose values psycopg gives as they are; all others are read as texts."""

COMPARED_AS_THEY_ARE = {
    *AS_THEY_ARE, "numeric", "uuid", "bytea", "date", "timestamp with time zone", "timestamp without time zone",
    "time without time zone",
}  # fmt: skip
"""Types with an equality and an order, for which no text that passed `fits` is an error; others compare as texts."""

READERS: Mapping[str, Converter] = {
    "bpchar": values.read_padded,
    "real": values.read_floats,
    "double precision": values.read_floats,
    "numeric": values.read_decimals,
    "timestamp with time zone": values.read_moments,
    "timestamp without time zone": values.read_moments,
    "bytea": values.read_hexadecimal,
    "json": values.read_as(FieldType.JSON),
    "jsonb": values.read_as(FieldType.JSON),
    "time without time zone": values.read_as(FieldType.TIME),
}


def field_of(row: Row) -> Field:
    """The field that a row of the catalogue stands for."""
    name, native, length, precision, scale, digits, mandatory, made, read_only = row[:9]
    type = _TYPES.get(native, FieldType.STRING)
    exact = type is FieldType.DECIMAL and precision is not None
    return Field(
        name,
        type,
        length=length,
        precision=INTEGER_BITS.get(native, precision if exact else None),
        scale=digits if type in (FieldType.DATETIME, FieldType.TIME) else scale if exact else None,
        required=mandatory and not made,
        nullable=not mandatory,
        read_only=read_only,
    )


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "uuid": uuid.UUID,
    "numeric": lambda value: Decimal(value).adjusted() < 100_000 or 1 / 0,
    "date": date.fromisoformat,
    "timestamp with time zone": datetime.fromisoformat,
    "timestamp without time zone": datetime.fromisoformat,
    "time without time zone": time.fromisoformat,
    "real": lambda value: abs(value) < 3.4e38 or math.sqrt(-1),
    "bytea": bytes,
}


_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""How PostgreSQL itself writes one."""


def fits(value: Any, column: Column) -> bool:
    """Whether PostgreSQL can read the value as one of the column's type: one that it cannot would fail the whole
    statement, and no record can have it."""
    if column.native == "uuid" and type(value) is str and _UUID.fullmatch(value):
        return True
    if isinstance(value, str) and ("\0" in value or not _encodes(value)):
        return False
    if column.native in INTEGER_BITS:
        limit = 2 ** (INTEGER_BITS[column.native] - 1)
        return isinstance(value, int) and -limit <= value < limit
    try:
        _PARSERS.get(column.native, bool)(value)
    except (ValueError, TypeError, ArithmeticError):
        return False
    return True


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

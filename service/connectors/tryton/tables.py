"""What a model is to us: its fields, as `fields_get` tells them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from service.core.records import Field, FieldType, Option, Table

_TYPES: Mapping[str, FieldType] = {
    "char": FieldType.STRING,
    "text": FieldType.STRING,
    "fulltext": FieldType.STRING,
    "selection": FieldType.STRING,
    "reference": FieldType.STRING,
    "integer": FieldType.INTEGER,
    "biginteger": FieldType.INTEGER,
    "many2one": FieldType.INTEGER,
    "one2one": FieldType.INTEGER,
    "numeric": FieldType.DECIMAL,
    "float": FieldType.FLOAT,
    "timedelta": FieldType.FLOAT,
    "boolean": FieldType.BOOLEAN,
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
    "timestamp": FieldType.DATETIME,
    "time": FieldType.TIME,
    "binary": FieldType.BINARY,
    "dict": FieldType.JSON,
    "multiselection": FieldType.JSON,
}
"""Lists of other records (one2many, many2many) are no fields of a record."""

_INTEGER_BITS = {"integer": 32, "biginteger": 64, "many2one": 32, "one2one": 32}
_OWN = ("id", "create_uid", "create_date", "write_uid", "write_date", "rec_name", "xml_id")
STAMP = "write_date"


def table_of(model: str, told: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any], caption: str) -> Table:
    """The table of a model. `defaults`: what the server fills in for a new record. A selection is the list of its
    values and labels; one that depends on the record is the name of a method."""
    fields = {
        name: _field(name, said, has_default=defaults.get(name) is not None)
        for name, said in sorted(told.items())
        if said.get("type") in _TYPES
    }
    stamp = STAMP if STAMP in fields else None
    return Table(model, fields, "id", stamp, caption, generates_keys=True)


def _field(name: str, said: Mapping[str, Any], *, has_default: bool) -> Field:
    kind = said["type"]
    type = _TYPES[kind]
    digits = _digits(said.get("digits")) if type is FieldType.DECIMAL else None
    # A number that a sequence gives can be edited or not, by what else the record says.
    given = has_default or "editable" in str(said.get("states", ""))
    required = bool(said.get("required")) and name not in _OWN
    timed = type in (FieldType.DATETIME, FieldType.TIME)
    return Field(
        name,
        type,
        length=_number(said.get("size")) if kind == "char" else None,
        precision=digits[0] if digits else _INTEGER_BITS.get(kind),
        scale=digits[1] if digits else (6 if "%f" in str(said.get("format", "")) else 0) if timed else None,
        required=required and not given,
        nullable=not required,
        read_only=bool(said.get("readonly")) or name in _OWN or kind == "timedelta",
        options=_options(said.get("selection")) if kind == "selection" else (),
    )


def _options(listed: Any) -> tuple[Option, ...]:
    """The values of a selection with their labels. No value is none of them."""
    if not isinstance(listed, list):
        return ()
    return tuple(Option(value, str(label)) for value, label in listed if isinstance(value, str) and value)


def _number(said: Any) -> int | None:
    """A number that may be written as a text; None for one that depends on other fields."""
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except ValueError:
            return None
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def _digits(said: Any) -> tuple[int, int] | None:
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except ValueError:
            return None
    if isinstance(said, list) and len(said) == 2 and all(isinstance(one, int) for one in said):
        return said[0], said[1]
    return None

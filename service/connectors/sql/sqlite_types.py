"""What SQLite's declared types mean: names that say something, and below them its own rules of affinity."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from service.connectors.sql.session import Row
from service.core.records import Field, FieldType

_NAMED_TYPES: Mapping[str, FieldType] = {
    "BOOL": FieldType.BOOLEAN,
    "BOOLEAN": FieldType.BOOLEAN,
    "DATE": FieldType.DATE,
    "DATETIME": FieldType.DATETIME,
    "DATETIME2": FieldType.DATETIME,
    "DATETIMEOFFSET": FieldType.DATETIME,
    "TIMESTAMP": FieldType.DATETIME,
    "TIMESTAMPTZ": FieldType.DATETIME,
    "TIMESTAMP WITH TIME ZONE": FieldType.DATETIME,
    "TIMESTAMP WITHOUT TIME ZONE": FieldType.DATETIME,
    "TIME": FieldType.TIME,
    "UUID": FieldType.UUID,
    "GUID": FieldType.UUID,
    "UNIQUEIDENTIFIER": FieldType.UUID,
    "JSON": FieldType.JSON,
    "JSONB": FieldType.JSON,
    "": FieldType.STRING,
}
"""Declared types that say more than their affinity does."""

_AFFINITY_TYPES: Mapping[str, FieldType] = {
    "INTEGER": FieldType.INTEGER,
    "TEXT": FieldType.STRING,
    "BLOB": FieldType.BINARY,
    "REAL": FieldType.FLOAT,
    "NUMERIC": FieldType.DECIMAL,
}


def affinity_of(declared: str) -> str:
    """The affinity that SQLite gives a column of this declared type, by its own five rules in their order."""
    name = declared.upper()
    if "INT" in name:
        return "INTEGER"
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in name or not name:
        return "BLOB"
    if any(part in name for part in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"


def type_of(declared: str) -> tuple[FieldType, int | None, int | None]:
    """The type of a declared type, and the numbers in its brackets: ("VARCHAR(30)" is STRING, 30, None)."""
    found = re.fullmatch(r"\s*([^(]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)\s*(.*))?", declared.upper())
    if found is None:
        return _AFFINITY_TYPES[affinity_of(declared)], None, None
    name = f"{found[1]} {found[4] or ''}".strip()
    type = _NAMED_TYPES.get(name) or _AFFINITY_TYPES[affinity_of(name)]
    return type, int(found[2]) if found[2] else None, int(found[3]) if found[3] else None


def rowid_alias(rows: Sequence[Row], text: str) -> str | None:
    """The column that is another name of the row's number, whose default is the next one. `rows` are those of
    pragma_table_xinfo, `text` the table's CREATE statement."""
    primary = [row for row in rows if row[4]]
    without_rowid = re.search(r"\)[^)]*\bWITHOUT\s+ROWID\b[^)]*$", text, re.IGNORECASE)
    if len(primary) == 1 and primary[0][1].upper() == "INTEGER" and not without_rowid:
        return str(primary[0][0])
    return None


def field_of(row: Row, rowid: str | None, *, read_only: bool) -> Field:
    """The field that a row of pragma_table_xinfo stands for."""
    name, declared, not_null, default, primary, hidden = row
    type, first, second = type_of(declared)
    mandatory = bool(not_null or primary)
    numeric = type is FieldType.DECIMAL
    return Field(
        name,
        type,
        length=first if type in (FieldType.STRING, FieldType.BINARY) else None,
        precision=first if numeric else None,
        scale=(second if second is not None else 0) if numeric and first is not None else None,
        required=mandatory and default is None and not hidden and name != rowid,
        nullable=not mandatory,
        read_only=read_only or bool(hidden),
    )

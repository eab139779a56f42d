"""The shapes that travel between connectors, the engine and the store: sides, fields, tables and records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
"""A value in canonical form: what JSON can say. `compare.canonical` lists the form of every field type."""

Stamp: TypeAlias = int
"""A modified-on stamp: microseconds since 1970-01-01T00:00:00Z. Only ever compared with stamps of the same side."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Side(StrEnum):
    """One of the two tables of a mapping."""

    other: Side

    LOCAL = "local"
    INTEGRATION = "integration"


# Asked for each record several times: what is looked up costs a third of what is computed.
Side.LOCAL.other, Side.INTEGRATION.other = Side.INTEGRATION, Side.LOCAL


class Direction(StrEnum):
    """Which way values may flow."""

    BIDIRECTIONAL = "bidirectional"
    TO_INTEGRATION = "toIntegration"
    FROM_INTEGRATION = "fromIntegration"

    @classmethod
    def out_of(cls, source: Side) -> Direction:
        """The one-way direction whose source is `source`."""
        return cls.TO_INTEGRATION if source is Side.LOCAL else cls.FROM_INTEGRATION

    @property
    def source(self) -> Side:
        """The side a one-way direction reads from; a bidirectional one has two and raises ValueError."""
        if self is Direction.BIDIRECTIONAL:
            raise ValueError("a bidirectional mapping has two sources")
        return Side.LOCAL if self is Direction.TO_INTEGRATION else Side.INTEGRATION

    def allows(self, one_way: Direction) -> bool:
        """Whether a flow in the one-way direction `one_way` is part of this direction."""
        return self in (Direction.BIDIRECTIONAL, one_way)


class FieldType(StrEnum):
    """What a field holds; `compare.canonical` says how each travels."""

    STRING = "string"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    UUID = "uuid"
    BINARY = "binary"
    JSON = "json"
    LIST = "list"
    """Several fields of one table taken together; no table has a single field of this type."""


@dataclass(frozen=True, slots=True)
class Option:
    """One of the values that a field with options may hold, in canonical form. `label` is what people read instead of
    it; `labels`: (language, label) where the application tells it in several languages."""

    value: Scalar
    label: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a table as its application declares it.

    `length` is in characters, `precision` and `scale` in decimal digits (for datetime and time, `scale` is the
    digits of a second); None where the application sets no limit. `required`: a new record needs a value for it
    and the application has no default. `nullable`: it can be empty. `read_only`: the application sets it.
    `options`: the only values that it may hold; none where it may hold any of its type, or nobody tells. `parts`: the
    fields that a composite is made of (see `composites`).
    """

    name: str
    type: FieldType
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    required: bool = False
    nullable: bool = True
    read_only: bool = False
    options: tuple[Option, ...] = ()
    parts: tuple[Field, ...] = ()


class KeyStatus(StrEnum):
    """Whether an application keeps to an alternate key by now."""

    ACTIVE = "active"
    BUILDING = "building"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AlternateKey:
    """Fields whose values together tell each record of a table from all others, besides its key. One that is not active
    is not relied on: there may be records that it does not tell apart."""

    name: str
    fields: tuple[str, ...]
    status: KeyStatus = KeyStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Table:
    """A table as a connection describes it. `key` and `modified_on` are None where the application cannot tell.

    `generates_keys`: the application makes the key of a new record when none is given. `tells_changes`: it tells by
    itself what was changed and deleted since a moment. `alternate_keys`: those that the application tells of.
    """

    name: str
    fields: Mapping[str, Field]
    key: str | None
    modified_on: str | None
    caption: str
    generates_keys: bool = False
    tells_changes: bool = False
    alternate_keys: tuple[AlternateKey, ...] = ()


@dataclass(frozen=True, slots=True)
class SideTable:
    """A modified-on stamp that lives in another table: `field` of the row of `table` whose `key_field` is the key."""

    table: str
    key_field: str
    field: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of a filter; a record passes when all lines hold. `op` is one of `FILTER_OPERATORS`."""

    field: str
    op: str
    value: Any = None


FILTER_OPERATORS = ("eq", "ne", "lt", "le", "gt", "ge", "in", "isNull", "startsWith", "contains")


@dataclass(frozen=True, slots=True)
class Selection:
    """What a run asks of one side: which table, which fields in which order, which records.

    `key` is the name of the key field, `modified_on` the name of the stamp's field (or where it lives).
    """

    table: str
    key: str
    modified_on: str | SideTable
    fields: tuple[str, ...]
    filter: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read.

    `values` are in canonical form, in the order of `Selection.fields`. `version` is the application's own token for
    this state of the record, None where it has none. `raw` belongs to the connector alone: what it needs to make a
    write conditional on this state.
    """

    key: str
    modified_on: Stamp | None
    values: tuple[Scalar, ...]
    version: str | None = None
    raw: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """Some records in the source's own order, and the cursor that continues after them (None: this was the last).

    `behind`: how far before the stamp of the last record those of later pages may lie, where the source's order is not
    quite that of time; None: anywhere. Of no account on the last page.
    """

    records: Sequence[Record]
    cursor: str | None
    behind: Stamp | None = 0


_MICROSECOND = timedelta(microseconds=1)


def stamp_of(moment: datetime) -> Stamp:
    """The stamp of a moment; a naive one is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // _MICROSECOND


def moment_of(stamp: Stamp) -> datetime:
    """The moment of a stamp, in UTC."""
    return EPOCH + timedelta(microseconds=stamp)


def state_of(record: Record | None) -> str | None:
    """A short text that is the same only for the same state of a record; None for one that is gone."""
    if record is None:
        return None
    text = json.dumps([record.modified_on, record.version, record.values], ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

"""The store behind kind `memory`: tables, rows, a clock, and how an application treats what is written to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from service.core.compare import Unconvertible, canonical, coerce, datetime_text
from service.core.failures import Failure, SideFailed
from service.core.records import Field, FieldType, Scalar, SideTable, Stamp, Table, moment_of

Values: TypeAlias = dict[str, Scalar]

START: Stamp = 1_767_225_600_000_000
"""Where a new store's clock stands: 2026-01-01T00:00:00Z."""


@dataclass(slots=True)
class Row:
    """A stored record; `version` is another after every write, also when a key is used again."""

    values: Values
    stamp: Stamp | None
    version: int = 0


@dataclass
class MemoryTable:
    """A table and how its application behaves.

    `resolution`: microseconds to which stamps are cut. `versions`: whether reads return a version. `unique`: fields
    whose values may occur once. `trims`: trailing blanks of texts are dropped; `upper_cases`: fields put in capitals.
    `restamps`: a write is stamped again after it was answered (a trigger). `on_write`: whatever else the application
    makes of a record. `refuse`: a reason not to store a record. `stamps_in`: the side table that gets the stamps.
    `told`: how many changes a part of its feed has; None: it has no feed. `log`: the keys that were written or deleted,
    in order; `forgotten`: how many entries of it no token reaches any more.
    """

    table: Table
    resolution: int = 1
    versions: bool = False
    unique: tuple[str, ...] = ()
    trims: bool = False
    upper_cases: tuple[str, ...] = ()
    restamps: bool = False
    on_write: Callable[[Values], Values] | None = None
    refuse: Callable[[Values], Failure | None] | None = None
    stamps_in: SideTable | None = None
    told: int | None = None
    log: list[str] = field(default_factory=list)
    forgotten: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    last_key: int = 0

    @property
    def key(self) -> str:
        if self.table.key is None:
            raise ValueError(f"the table {self.table.name} has no key")
        return self.table.key


class MemoryStore:
    """The tables of one application, its clock and its open transactions.

    The clock stands still except that every write moves it on by `step` microseconds; `now` may be set. `before` is
    called with the operation's name and the table's before each operation: it may raise SideFailed, or change rows to
    play the other user. `calls` counts operations by name.
    """

    def __init__(self, *, now: Stamp = START, step: int = 1) -> None:
        self.lock = threading.RLock()
        self.now = now
        self.version = 0
        self.step = step
        self.tables: dict[str, MemoryTable] = {}
        self.before: Callable[[str, str], None] | None = None
        self.calls: dict[str, int] = {}
        self._open: list[Stamp] = []

    def create_table(
        self,
        name: str,
        fields: Sequence[Field],
        *,
        key: str = "id",
        modified_on: str | None = "modified_on",
        generates_keys: bool = False,
        caption: str | None = None,
        **behaviour: Any,
    ) -> MemoryTable:
        """Make a table; the key's and the stamp's fields are added where they are not declared. `behaviour` as in
        `MemoryTable`."""
        declared = {one.name: one for one in fields}
        declared.setdefault(key, Field(key, FieldType.STRING, required=not generates_keys, nullable=False))
        if modified_on is not None:
            declared.setdefault(modified_on, Field(modified_on, FieldType.DATETIME, read_only=True))
        told = behaviour.get("told") is not None
        table = Table(name, declared, key, modified_on, caption or name, generates_keys, told)
        with self.lock:
            self.tables[name] = MemoryTable(table, **behaviour)
            return self.tables[name]

    def put(self, table: str, **values: Scalar) -> str:
        """Create or change a record as the application's own users do; returns its key. Fields not named keep their
        values. ValueError when the table refuses it."""
        with self.lock:
            target = self.tables[table]
            key = values.get(target.key)
            text = None if key is None else str(key)
            stored = self.store_record(target, text, values, new=text not in target.rows)
            if isinstance(stored, str):
                return stored
            raise ValueError(f"{stored.code} {dict(stored.params)}")

    def remove(self, table: str, key: str) -> None:
        """Delete a record as the application's own users do. KeyError when there is none."""
        with self.lock:
            self.delete_record(self.tables[table], key)

    def values(self, table: str, key: str) -> Values:
        """A copy of a stored record. KeyError when there is none."""
        with self.lock:
            return dict(self.tables[table].rows[key].values)

    def unstamp(self, table: str, key: str) -> None:
        """Take a record's stamp away, as for one that was written before the application kept stamps."""
        with self.lock:
            target = self.tables[table]
            self.stamp(target, key, target.rows[key], None)

    @contextmanager
    def transaction(self) -> Iterator[Callable[..., None]]:
        """A transaction that commits late: records put with the function it gives get their stamps now and become
        visible when the block ends. The horizon stays at its start for so long."""
        with self.lock:
            started = self.now
            self._open.append(started)
        waiting: list[tuple[Stamp, str, Values]] = []

        def put(table: str, **values: Scalar) -> None:
            with self.lock:
                self.now += self.step
                waiting.append((self.now, table, values))

        try:
            yield put
            with self.lock:
                for stamp, table, values in waiting:
                    key = self.put(table, **values)
                    target = self.tables[table]
                    self.stamp(target, key, target.rows[key], stamp - stamp % target.resolution)
        finally:
            with self.lock:
                self._open.remove(started)

    def horizon(self) -> Stamp:
        return min([self.now, *self._open])

    def enter(self, operation: str, table: str) -> MemoryTable:
        """The table for an operation of a connector, counted and announced. SideFailed(`table_not_found`)."""
        self.calls[operation] = self.calls.get(operation, 0) + 1
        if self.before is not None:
            self.before(operation, table)
        if table not in self.tables:
            raise SideFailed(Failure("table_not_found", {"table": table}, (table,)))
        return self.tables[table]

    def store_record(
        self, target: MemoryTable, key: str | None, values: Mapping[str, Scalar], *, new: bool
    ) -> str | Failure:
        """Write a record through the application's rules; its key, or why not."""
        old = {} if new or key is None else target.rows[key].values
        merged = self._behave(target, {**dict.fromkeys(target.table.fields), **old, **values})
        checked = _checked(target, merged, key if not new else None)
        if isinstance(checked, Failure):
            return checked
        key = key if key is not None else self._next_key(target)
        if key is None:
            return rejected(target.key, "not_null")
        row = target.rows.setdefault(key, Row({}, None))
        row.values = {**checked, target.key: canonical(key, target.table.fields[target.key].type)}
        self.version += 1
        row.version = self.version
        self.now += self.step
        self.stamp(target, key, row, self.now - self.now % target.resolution)
        return key

    def _behave(self, target: MemoryTable, values: Values) -> Values:
        if target.trims:
            values = {name: one.rstrip(" ") if isinstance(one, str) else one for name, one in values.items()}
        for name in target.upper_cases:
            one = values[name]
            values[name] = one.upper() if isinstance(one, str) else one
        return values if target.on_write is None else target.on_write(values)

    def _next_key(self, target: MemoryTable) -> str | None:
        if not target.table.generates_keys:
            return None
        target.last_key += 1
        while str(target.last_key) in target.rows:
            target.last_key += 1
        return str(target.last_key)

    def stamp(self, target: MemoryTable, key: str, row: Row, stamp: Stamp | None) -> None:
        row.stamp = stamp
        target.log.append(key)
        text = None if stamp is None else datetime_text(moment_of(stamp))
        if target.table.modified_on is not None:
            row.values[target.table.modified_on] = text
        if target.stamps_in is not None:
            side = self.tables[target.stamps_in.table]
            kept = side.rows.setdefault(key, Row({}, stamp))
            kept.values |= {target.stamps_in.key_field: key, target.stamps_in.field: text}

    def delete_record(self, target: MemoryTable, key: str) -> None:
        del target.rows[key]
        target.log.append(key)
        if target.stamps_in is not None:
            self.tables[target.stamps_in.table].rows.pop(key, None)


STORES: dict[str, MemoryStore] = {}
"""The stores of this process by the name that `settings.store` says. `open_store` makes those that are missing."""

_STORES_LOCK = threading.Lock()


def open_store(name: str) -> MemoryStore:
    """The store with this name, made when there is none yet."""
    with _STORES_LOCK:
        return STORES.setdefault(name, MemoryStore())


def rejected(name: str, rule: str) -> Failure:
    """The failure of a record whose field breaks a rule."""
    return Failure("value_rejected", {"field": name, "rule": rule}, (name, rule))


def _checked(target: MemoryTable, values: Values, key: str | None) -> Values | Failure:
    """The values as the declared fields hold them, or the first reason not to store them."""
    fitted: Values = {}
    for name, value in values.items():
        declared = target.table.fields.get(name)
        if declared is None:
            return Failure("field_not_found", {"table": target.table.name, "field": name}, (target.table.name, name))
        missing = value is None and (declared.required or not declared.nullable)
        if missing and name != target.key:
            return rejected(name, "not_null")
        try:
            fitted[name] = None if value is None else coerce(value, declared.type, declared)
        except Unconvertible as misfit:
            return misfit.failure
    for name in target.unique:
        others = (row.values[name] for other, row in target.rows.items() if other != key)
        if fitted[name] is not None and fitted[name] in others:
            return rejected(name, "unique")
    refused = None if target.refuse is None else target.refuse(dict(fitted))
    return refused or fitted

"""The connector of kind `memory`: what base.py promises, over a store of this process."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from heapq import nsmallest
from typing import Any, ClassVar, TypeAlias
from urllib.parse import quote

from service.connectors.base import (
    Changes,
    Check,
    Clock,
    Connector,
    Deletion,
    Insert,
    Result,
    SettingsRefused,
    TableName,
    Update,
)
from service.connectors.filters import passes, without_blanks
from service.connectors.memory.store import MemoryTable, open_store, rejected
from service.core.compare import parse_datetime
from service.core.failures import Failure, SideFailed
from service.core.records import Page, Record, Scalar, Selection, Stamp, Table, stamp_of

_NOT_HERE = ("credentials", "user_is_administrator", "password_change", "exchange_rates", "rate_limits")
"""What a store of this process has nothing of."""


class MemoryConnector(Connector):
    """One connection to a store of this process. See base.py for what each method promises."""

    kind: ClassVar[str] = "memory"
    has_feeds: ClassVar[bool] = True
    SETTINGS: ClassVar[Mapping[str, str]] = {
        "store": "Name of the store within the process; connections with the same name share it.",
        "linkTemplate": "Where a person opens a record: a URL with {table} and {key}.",
    }

    def __init__(self, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> None:  # noqa: ARG002
        problems: list[tuple[str, str, Mapping[str, Any]]] = [
            (name, "unknown_setting", {"name": name}) for name in settings if name not in self.SETTINGS
        ]
        if not isinstance(settings.get("store"), str) or not settings["store"]:
            problems.append(("store", "setting_required", {"name": "store"}))
        if problems:
            raise SettingsRefused(problems)
        self._store = open_store(settings["store"])
        self._link = settings.get("linkTemplate")

    def close(self) -> None:
        """Nothing to give back: the store belongs to the process."""

    def tables(self) -> Sequence[TableName]:
        with self._store.lock:
            return [TableName(name, self._store.tables[name].table.caption) for name in sorted(self._store.tables)]

    def describe(self, table: str) -> Table:
        with self._store.lock:
            return self._store.enter("describe", table).table

    def check(self, tables: Collection[Selection]) -> Sequence[Check]:
        try:
            with self._store.lock:
                for selection in tables:
                    self._store.enter("check", selection.table)
        except SideFailed as failed:
            return [Check("reachable", "fail", "administrator", failed.failure.params)]
        return [
            Check("reachable", "pass", "none"),
            *(Check(code, "unknown", "none", {"why": "in_process"}) for code in _NOT_HERE),
            Check("conditional_updates", "pass", "none"),
        ]

    def link(self, table: str, key: str) -> str | None:
        filled = {"{table}": quote(table, safe=""), "{key}": quote(key, safe="")}
        return None if self._link is None else re.sub(r"\{table\}|\{key\}", lambda found: filled[found[0]], self._link)

    def clock(self, selection: Selection) -> Clock:
        with self._store.lock:
            self._store.enter("clock", selection.table)
            return Clock(self._store.now, self._store.horizon())

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        with self._store.lock:
            target = self._enter("read", selection)
            after = _position(cursor)
            rows = (
                (position, key)
                for key, row in target.rows.items()
                if (position := _order(self._stamp_of(selection, target, key), key)) > after
                and (since is None or position[0] == 0 or position[1] >= since)
                and passes(row.values, selection.filter)
            )
            found = nsmallest(limit + 1, rows)
            records = [self._record(selection, target, key) for _, key in found[:limit]]
            last = found[limit - 1][0] if len(found) > limit else None
            return Page(records, None if last is None else f"{last[0]}:{last[1]}:{last[2]}")

    def count(self, selection: Selection, since: Stamp, until: Stamp) -> int:
        with self._store.lock:
            target = self._enter("count", selection)
            stamps = (
                self._stamp_of(selection, target, key)
                for key, row in target.rows.items()
                if passes(row.values, selection.filter)
            )
            return sum(1 for stamp in stamps if stamp is not None and since <= stamp <= until)

    def fetch(self, selection: Selection, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
        with self._store.lock:
            target = self._enter("fetch", selection)
            return {
                key: self._record(selection, target, key)
                for key in keys
                if key in target.rows and (not filtered or passes(target.rows[key].values, selection.filter))
            }

    def find(
        self, selection: Selection, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
    ) -> Sequence[Record]:
        with self._store.lock:
            target = self._enter("find", selection)
            sought = {tuple(without_blanks(value) for value in values) for values in wanted}
            return [
                self._record(selection, target, key)
                for key, row in sorted(target.rows.items())
                if tuple(without_blanks(row.values[name]) for name in fields) in sought
                and passes(row.values, selection.filter)
            ]

    def cut(self, selection: Selection, size: int) -> Sequence[str]:
        with self._store.lock:
            return sorted(self._enter("cut", selection).rows)[size - 1 :: size]

    def read_range(self, selection: Selection, after: str | None, upto: str | None, limit: int) -> Page:
        with self._store.lock:
            target = self._enter("read_range", selection)
            inside = (
                key
                for key, row in target.rows.items()
                if (after is None or key > after)
                and (upto is None or key <= upto)
                and passes(row.values, selection.filter)
            )
            found = nsmallest(limit + 1, inside)
            records = [self._record(selection, target, key) for key in found[:limit]]
            return Page(records, found[limit - 1] if len(found) > limit else None)

    def changes(self, selection: Selection, token: str | None) -> Changes | None:
        with self._store.lock:
            target = self._enter("changes", selection)
            if target.told is None or (token is not None and int(token) < target.forgotten):
                return None
            start = len(target.log) if token is None else int(token)
            end = min(start + target.told, len(target.log))
            keys = dict.fromkeys(target.rows if token is None else target.log[start:end])
            changed = [(key, self._stamp_of(selection, target, key)) for key in keys if key in target.rows]
            deleted = [key for key in keys if key not in target.rows]
            return Changes(changed, deleted, str(end), end < len(target.log))

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        with self._store.lock:
            target = self._enter("insert", selection)
            self.permit()
            return [self._insert(selection, target, item) for item in items]

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        with self._store.lock:
            target = self._enter("update", selection)
            self.permit()
            return [self._update(selection, target, item) for item in items]

    def delete(self, selection: Selection, items: Sequence[Deletion]) -> Sequence[Failure | None]:
        with self._store.lock:
            target = self._enter("delete", selection)
            self.permit()
            results: list[Failure | None] = []
            for item in items:
                row = target.rows.get(item.record.key)
                moved = row is not None and item.guarded and item.record.raw not in (None, row.version)
                results.append(Failure("record_moved", {"key": item.record.key}) if moved else None)
                if row is not None and not moved:
                    self._store.delete_record(target, item.record.key)
            return results

    def _enter(self, operation: str, selection: Selection) -> MemoryTable:
        """The table, after a look whether it has all that the selection names. SideFailed(`field_not_found`)."""
        target = self._store.enter(operation, selection.table)
        names = [*selection.fields, selection.key, *(line.field for line in selection.filter)]
        if isinstance(selection.modified_on, str):
            names.append(selection.modified_on)
        for name in names:
            if name not in target.table.fields:
                params = {"table": selection.table, "field": name}
                raise SideFailed(Failure("field_not_found", params, (selection.table, name)))
        return target

    def _insert(self, selection: Selection, target: MemoryTable, item: Insert) -> Result:
        chosen = item.key if item.key is not None else item.values.get(target.key)
        key = None if chosen is None else str(chosen)
        if key is not None and key in target.rows:
            return rejected(target.key, "unique")
        stored = self._store.store_record(target, key, item.values, new=True)
        return stored if isinstance(stored, Failure) else self._answer(selection, target, stored)

    def _update(self, selection: Selection, target: MemoryTable, item: Update) -> Result:
        key = item.record.key
        row = target.rows.get(key)
        if row is None:
            return Failure("partner_deleted", {"table": selection.table, "key": key}, (selection.table,))
        if item.guarded and item.record.raw not in (None, row.version):
            return Failure("record_moved", {"key": key})
        if str(item.values.get(target.key, key)) != key:
            return rejected(target.key, "read_only")
        stored = self._store.store_record(target, key, item.values, new=False)
        return stored if isinstance(stored, Failure) else self._answer(selection, target, stored)

    def _answer(self, selection: Selection, target: MemoryTable, key: str) -> Record:
        """The record after a write: as a trigger leaves it, where there is one."""
        if target.restamps:
            self._store.now += self._store.step
            self._store.stamp(target, key, target.rows[key], self._store.now - self._store.now % target.resolution)
        return self._record(selection, target, key)

    def _record(self, selection: Selection, target: MemoryTable, key: str) -> Record:
        row = target.rows[key]
        return Record(
            key,
            self._stamp_of(selection, target, key),
            tuple([row.values[name] for name in selection.fields]),
            str(row.version) if target.versions else None,
            row.version,
        )

    def _stamp_of(self, selection: Selection, target: MemoryTable, key: str) -> Stamp | None:
        if isinstance(selection.modified_on, str):
            if selection.modified_on == target.table.modified_on:
                return target.rows[key].stamp
            return _stamp_from(target.rows[key].values[selection.modified_on])
        side = self._store.tables[selection.modified_on.table]
        row = side.rows.get(key)
        return None if row is None else _stamp_from(row.values[selection.modified_on.field])


def _stamp_from(value: Scalar) -> Stamp | None:
    return stamp_of(parse_datetime(value)) if isinstance(value, str) else None


_Position: TypeAlias = tuple[int, int, str]
"""Where a record stands in a reading: 0 without and 1 with a stamp, the stamp, the key."""


def _order(stamp: Stamp | None, key: str) -> _Position:
    return (0, 0, key) if stamp is None else (1, stamp, key)


def _position(cursor: str | None) -> _Position:
    if cursor is None:
        return (0, 0, "")
    phase, stamp, key = cursor.split(":", 2)
    return (int(phase), int(stamp), key)

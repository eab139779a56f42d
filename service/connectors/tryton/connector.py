"""The connector of kind `tryton`: what base.py promises, over the methods of a server's models."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, ClassVar, TypeAlias, TypeVar
from urllib.parse import quote

from service.connectors.base import Check, Clock, Connector, Deletion, Insert, Result, TableName, Update
from service.connectors.filters import passes
from service.connectors.http import Reach
from service.connectors.tryton import checks, domain, values
from service.connectors.tryton.rpc import Refused, Rpc
from service.connectors.tryton.settings import SETTINGS, read_settings
from service.connectors.tryton.tables import table_of
from service.connectors.tryton.write import Write
from service.core.failures import Failure, SideFailed
from service.core.records import Field, Page, Record, Scalar, Selection, SideTable, Stamp, Table

Item = TypeVar("Item")

_Seen: TypeAlias = tuple[Record, bool]

_CHUNK = 500
"""How many keys or combinations one call asks for."""

_MODEL = re.compile(r"[a-z][\w.]*", re.ASCII)
_KEY = re.compile(r"[1-9]\d{0,9}")
_LARGEST_KEY = 2**31 - 1


class TrytonConnector(Connector):
    """One connection to a Tryton server. See base.py for what each method promises."""

    kind: ClassVar[str] = "tryton"
    SETTINGS: ClassVar[Mapping[str, str]] = SETTINGS
    accepts_keys: ClassVar[bool] = False

    def __init__(self, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> None:
        self._settings = read_settings(settings, credentials)
        self.overlap = self._settings.overlap
        self._opened: Rpc | None = None
        self._tables: dict[str, Table] = {}

    def close(self) -> None:
        self._tables.clear()
        if self._opened is not None:
            self._opened.close()

    def tables(self) -> Sequence[TableName]:
        with self._working("ir.model"):
            rows = self._rpc.call("ir.model", "search_read", [], 0, None, None, ["name", "string"])
        names = {row["name"]: row["string"] for row in rows if not row["name"].startswith(("ir.", "res."))}
        return [TableName(name, names[name] or name) for name in sorted(names)]

    def describe(self, table: str) -> Table:
        self._tables[table] = self._told(table)
        return self._tables[table]

    def check(self, tables: Collection[Selection]) -> Sequence[Check]:
        return checks.check(self._rpc, self.clock, tables)

    def link(self, table: str, key: str) -> str | None:
        template = self._settings.link_template
        if template is None:
            place = quote(f"{table}/{key}", safe="/.")
            return f"{self._settings.url}/#{self._settings.database}/model/{place}"
        return template.replace("{table}", quote(table, safe="")).replace("{key}", quote(key, safe=""))

    def clock(self, selection: Selection) -> Clock:
        """The server says its time in whole seconds; within that second ours is as good as any."""
        with self._working(selection.table):
            self._rpc.call("res.user", "get_preferences", True)
        own = time.time_ns() // 1_000
        if self._rpc.date is None:
            return Clock(own, own)
        second = round(self._rpc.date * 1_000_000)
        now = min(max(own, second), second + 999_999)
        return Clock(now, now)

    @property
    def _rpc(self) -> Rpc:
        """The calls; made when first needed, for which networks may be reached is said after the connector is made."""
        if self._opened is None:
            self._opened = Rpc(self._settings, Reach(tuple(self.networks)))
        return self._opened

    # Reading

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        """Records that were written since they were created are ordered by one field, the others by another: each
        page is read from both, and put together."""
        stamp = self._stamp(selection)
        position = json.loads(cursor) if cursor else [0, 0, 0]
        found: list[_Seen] = []
        if position[0] == 0:
            after = position[2] or None
            found += self._search(selection, domain.unstamped(stamp, after), [["id", "ASC"]], limit + 1)
        if len(found) <= limit:
            after_stamp = (position[1], position[2]) if position[0] == 1 else None
            missing = limit + 1 - len(found)
            both = [
                seen
                for name in domain.stamp_fields(stamp)
                for seen in self._search(
                    selection,
                    domain.stamped(name, since, after_stamp),
                    [[name, "ASC"], ["id", "ASC"]],
                    missing,
                )
            ]
            found += sorted(both, key=lambda seen: _place(seen[0]))[:missing]
        more = len(found) > limit
        records = [record for record, inside in found[:limit] if inside]
        return Page(records, json.dumps(_place(found[limit - 1][0])) if more else None)

    def count(self, selection: Selection, since: Stamp, until: Stamp) -> int | None:
        if any(line.op in domain.LOOSE for line in selection.filter):
            return None
        stamp, table = self._stamp(selection), self._table(selection)
        parts = [domain.stamped(name, since, None, until) for name in domain.stamp_fields(stamp)]
        limits = domain.of_filter(selection.filter, table)
        with self._working(selection.table):
            return int(self._rpc.call(selection.table, "search_count", [*limits, ["OR", *parts]]))

    def fetch(self, selection: Selection, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
        ids = [int(key) for key in keys if _KEY.fullmatch(key) and int(key) <= _LARGEST_KEY]
        found: dict[str, Record] = {}
        for chunk in _chunks(ids):
            rows = self._search(selection, [["id", "in", chunk]], None, None, filtered=filtered)
            found |= {record.key: record for record, inside in rows if inside}
        return found

    def find(
        self, selection: Selection, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
    ) -> Sequence[Record]:
        declared = [self._table(selection).fields[name] for name in fields]
        found: dict[str, Record] = {}
        for chunk in _chunks(wanted):
            condition = domain.finding(declared, chunk)
            if condition is not None:
                rows = self._search(selection, [condition], None, None)
                found |= {record.key: record for record, inside in rows if inside}
        return list(found.values())

    # Writing

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        with self._working(selection.table, "INSERT"):
            return self._write(selection).insert(items)

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        with self._working(selection.table, "UPDATE"):
            return self._write(selection).update(items)

    def delete(self, selection: Selection, items: Sequence[Deletion]) -> Sequence[Failure | None]:
        with self._working(selection.table, "DELETE"):
            return self._write(selection).delete(items)

    def _write(self, selection: Selection) -> Write:
        def present(keys: Collection[str]) -> dict[str, Record]:
            return self.fetch(selection, keys, filtered=False)

        return Write(self._rpc, self._table(selection), present, lambda: self._assert_may(selection.table), self.permit)

    def _assert_may(self, table: str) -> None:
        """SideFailed(`permission_denied`) where the user may not write to the table at all."""
        rights = checks.rights(self._rpc, [table]).get(table, {})
        missing = [name for name in ("create", "write", "delete") if rights.get(name) in (0, False)]
        if missing:
            params = {"table": table, "privilege": ", ".join(missing), "detail": ""}
            raise SideFailed(Failure("permission_denied", params, (table,)))

    def _search(
        self,
        selection: Selection,
        condition: Sequence[Any],
        order: Sequence[Any] | None,
        limit: int | None,
        *,
        filtered: bool = True,
    ) -> list[_Seen]:
        """Records, each with whether it is inside the filter after all."""
        table = self._table(selection)
        stamps = domain.stamp_fields(self._stamp(selection))
        loose = [line for line in selection.filter if filtered and line.op in domain.LOOSE]
        wanted = ["id", "_timestamp", *stamps, *selection.fields, *(line.field for line in loose)]
        limits = domain.of_filter(selection.filter, table) if filtered else []
        with self._working(selection.table):
            rows = self._rpc.call(
                selection.table, "search_read", [*limits, *condition], 0, limit, order, list(dict.fromkeys(wanted))
            )
        fields = [table.fields[name] for name in selection.fields]
        return [(_record(row, fields, stamps), not loose or passes(row, loose)) for row in rows]

    def _table(self, selection: Selection) -> Table:
        """The table, after a look whether it has all that the selection names. SideFailed(`field_not_found`)."""
        table = self._tables.get(selection.table) or self.describe(selection.table)
        for name in (*selection.fields, *(line.field for line in selection.filter), self._stamp(selection)):
            if name not in table.fields:
                params = {"table": selection.table, "field": name}
                raise SideFailed(Failure("field_not_found", params, (selection.table, name)))
        return table

    def _stamp(self, selection: Selection) -> str:
        if isinstance(selection.modified_on, SideTable):
            params = {"field": selection.modified_on.field, "type": "sideTable"}
            raise SideFailed(Failure("mapping_invalid", params, (selection.modified_on.field,)))
        return selection.modified_on

    def _told(self, table: str) -> Table:
        missing = SideFailed(Failure("table_not_found", {"table": table}, (table,)))
        if not _MODEL.fullmatch(table):
            raise missing
        try:
            told = self._with_selections(table, self._rpc.call(table, "fields_get", None))
            required = [name for name, said in told.items() if said.get("required")]
            defaults = self._rpc.call(table, "default_get", required, False)
        except Refused as refused:
            if refused.name == repr(table):
                raise missing from None
            raise SideFailed(Failure("internal_error", {"detail": refused.detail or refused.name})) from None
        return table_of(table, told, defaults, table)

    def _with_selections(self, table: str, told: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Fields whose selections are lists, also where the server makes them by a method; but not where that method
        looks at the record."""
        for said in told.values():
            method = said.get("selection")
            if said.get("type") == "selection" and isinstance(method, str) and not said.get("selection_change_with"):
                with suppress(Refused):
                    said["selection"] = self._rpc.call(table, method)
        return told

    @contextmanager
    def _working(self, table: str, privilege: str = "SELECT") -> Iterator[None]:
        """A refusal that is no record's own concerns the application."""
        try:
            yield
        except Refused as refused:
            self._tables.pop(table, None)
            raise SideFailed(self._side_failure(refused, table, privilege)) from None

    def _side_failure(self, refused: Refused, table: str, privilege: str) -> Failure:
        if refused.name == repr(table):
            return Failure("table_not_found", {"table": table}, (table,))
        if refused.name in ("UserError", "Forbidden"):
            params = {"table": table, "privilege": privilege, "detail": refused.detail}
            return Failure("permission_denied", params, (table, privilege))
        return Failure("internal_error", {"detail": refused.detail or refused.name}, (refused.name,))


def _record(row: Mapping[str, Any], fields: Sequence[Field], stamps: Sequence[str]) -> Record:
    """A row as a record; it keeps the stamp that the server compares with when it is written."""
    moments = [stamp for name in reversed(stamps) if (stamp := values.stamp_from(row.get(name))) is not None]
    read = tuple(values.read(row[field.name], field) for field in fields)
    return Record(str(row["id"]), moments[0] if moments else None, read, raw=row.get("_timestamp"))


def _place(record: Record) -> list[int]:
    stamped = record.modified_on is not None
    return [int(stamped), record.modified_on or 0, int(record.key)]


def _chunks(items: Collection[Item]) -> Iterator[list[Item]]:
    left = iter(items)
    while chunk := list(islice(left, _CHUNK)):
        yield chunk

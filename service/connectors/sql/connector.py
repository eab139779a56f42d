"""The connector of kind `sql`: what base.py promises, over SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from service.connectors.base import Check, Clock, Connector, Deletion, Insert, Result, TableName, Update
from service.connectors.sql import checks, ranges, read
from service.connectors.sql.database import Database, Described
from service.connectors.sql.failures import Refused
from service.connectors.sql.mariadb import MariaDatabase
from service.connectors.sql.plan import Plan
from service.connectors.sql.postgresql import PostgresDatabase
from service.connectors.sql.settings import SETTINGS, Settings, fill_link, read_settings
from service.connectors.sql.sqlite import SqliteDatabase
from service.connectors.sql.write import Write
from service.core.failures import Failure, SideFailed
from service.core.records import Page, Record, Scalar, Selection, Stamp, Table

DATABASES: Mapping[str, Callable[[Settings], Database]] = {
    "sqlite": SqliteDatabase,
    "postgresql": PostgresDatabase,
    "mariadb": MariaDatabase,
}

_PLANS = 400
"""How many selections are kept ready, those that were asked for last: a mapping has two. Preparing one takes as long as
a run that finds nothing, and 150 kB for twenty fields."""


class SqlConnector(Connector):
    """One connection to a database. See base.py for what each method promises."""

    kind: ClassVar[str] = "sql"
    SETTINGS: ClassVar[Mapping[str, str]] = SETTINGS

    def __init__(self, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> None:
        self._settings = read_settings(settings, credentials)
        self.overlap = self._settings.overlap
        self._database = DATABASES[self._settings.dialect](self._settings)
        self._plans: dict[str, tuple[Plan, Write]] = {}
        self._described: dict[str, Described] = {}
        self._marks: dict[str, Any] = {}
        self._rested = False

    def rest(self) -> bool:
        self._rested = True
        self._database.rest()
        return True

    def close(self) -> None:
        self._forget()
        self._database.session.close()

    def tables(self) -> Sequence[TableName]:
        with self._working():
            return self._database.tables()

    def describe(self, table: str) -> Table:
        with self._working():
            mark = self._database.mark(table)
            known = self._described.get(table) if mark is not None and self._marks.get(table) == mark else None
            found = known or self._database.describe(table)
            self._look_again(found)
            self._marks[table] = mark
            return found.table

    def check(self, tables: Collection[Selection]) -> Sequence[Check]:
        return checks.check(self._database, self._plan, tables)

    def link(self, table: str, key: str) -> str | None:
        template = self._settings.link_template
        return None if not template else fill_link(template, table, key)

    def clock(self, selection: Selection) -> Clock:
        with self._working():
            return self._plan(selection).search.clock(self._database.clock())

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        with self._working():
            session, plan = self._database.session, self._plan(selection)
            if since is None:
                return read.read_all(session, plan, cursor, limit)
            return read.read_page(session, plan, since, cursor, limit)

    def count(self, selection: Selection, since: Stamp, until: Stamp) -> int | None:
        with self._working():
            return read.count(self._database.session, self._plan(selection), since, until)

    def fetch(self, selection: Selection, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
        with self._working():
            return read.fetch(self._database.session, self._plan(selection), keys, filtered=filtered)

    def find(
        self, selection: Selection, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
    ) -> Sequence[Record]:
        with self._working():
            return read.find(self._database.session, self._plan(selection), fields, wanted)

    def cut(self, selection: Selection, size: int) -> Sequence[str]:
        with self._working():
            return ranges.cut(self._database.session, self._plan(selection), size)

    def read_range(self, selection: Selection, after: str | None, upto: str | None, limit: int) -> Page:
        with self._working():
            return ranges.read_range(self._database.session, self._plan(selection), after, upto, limit)

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        with self._working():
            return self._write(selection).insert(items)

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        with self._working():
            return self._write(selection).update(items)

    def delete(self, selection: Selection, items: Sequence[Deletion]) -> Sequence[Failure | None]:
        with self._working():
            return self._write(selection).delete(items)

    def _look_again(self, found: Described) -> None:
        """Whoever asks for a table has reason to think that something is new: what was prepared holds only where the
        table is as it was, and what was learnt of its values not even there."""
        known = self._described.get(found.table.name)
        if known is not found and known != found:
            self._plans.clear()
        self._described[found.table.name] = found
        for name, (plan, write) in list(self._plans.items()):
            if plan.side is not None:
                del self._plans[name]
            else:
                write.forget()

    def _forget(self) -> None:
        self._plans.clear()
        self._described.clear()
        self._marks.clear()

    def _plan(self, selection: Selection) -> Plan:
        return self._prepared(selection)[0]

    def _write(self, selection: Selection) -> Write:
        return self._prepared(selection)[1]

    def _prepared(self, selection: Selection) -> tuple[Plan, Write]:
        """The plan for a selection and its writing, made once; kept by its text, because a filter may hold lists."""
        name = repr(selection)
        found = self._plans.pop(name, None)
        if found is None:
            if len(self._plans) >= _PLANS:
                del self._plans[next(iter(self._plans))]
            described = self._described.get(selection.table)
            plan = Plan(self._database, self._settings.schema, selection, described)
            found = plan, Write(self._database.session, plan, self.permit)
        self._plans[name] = found
        return found

    @contextmanager
    def _working(self) -> Iterator[None]:
        """A refusal that is no record's own concerns the application; after it, the tables are looked at anew."""
        if self._rested:
            self._rested = False
            self._database.session.revive()
        try:
            yield
        except SideFailed:
            self._forget()
            raise
        except Refused as refused:
            raise SideFailed(refused.failure) from None

"""The connector of kind `odata`, and what kinds that speak it share: what base.py promises, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from service.connectors.base import Changes, Check, Clock, Connector, Deletion, Insert, Result, TableName, Update
from service.connectors.http import Reach
from service.connectors.odata import changes, checks, read, write
from service.connectors.odata.dialect import Dialect, filled
from service.connectors.odata.failures import Refused
from service.connectors.odata.plan import Plan
from service.connectors.odata.service import Service
from service.connectors.odata.settings import SETTINGS, read_settings
from service.connectors.odata.tables import table_names
from service.core.failures import Failure, SideFailed
from service.core.records import Page, Record, Scalar, Selection, Stamp, Table

_PLANS = 100
"""How many selections are kept ready."""

_SETUP_MOVED = ("table_not_found", "field_not_found")


class ODataConnector(Connector):
    """One connection to an OData service. See base.py for what each method promises. Requests go one after another: a
    page is few requests, and several workers are what uses a service's patience."""

    kind: ClassVar[str] = "odata"
    has_feeds: ClassVar[bool] = True
    SETTINGS: ClassVar[Mapping[str, str]] = {**SETTINGS, **Dialect.SETTINGS}
    DIALECT: ClassVar[Callable[[], Dialect]] = Dialect

    def __init__(self, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> None:
        self._dialect = type(self).DIALECT()
        self._settings = read_settings(settings, credentials, self._dialect)
        self.overlap = self._settings.overlap
        self._opened: Service | None = None
        self._plans: dict[str, Plan] = {}

    def close(self) -> None:
        self._plans.clear()
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def tables(self) -> Sequence[TableName]:
        with self._working():
            return table_names(self._service.schema(anew=True))

    def describe(self, table: str) -> Table:
        with self._working():
            return self._service.table(table).table

    def check(self, tables: Collection[Selection]) -> Sequence[Check]:
        return checks.check(self._service, self._plan, tables)

    def link(self, table: str, key: str) -> str | None:
        if self._settings.link_template:
            return filled(self._settings.link_template, table, key)
        return self._dialect.link(self._settings.url, table, key, self._settings.company)

    def clock(self, selection: Selection) -> Clock:  # noqa: ARG002
        with self._working():
            return checks.look_at_clock(self._service)[0]

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        with self._working():
            return read.read_page(self._plan(selection), since, cursor, limit)

    def count(self, selection: Selection, since: Stamp, until: Stamp) -> int | None:
        with self._working():
            return read.count(self._plan(selection), since, until)

    def fetch(self, selection: Selection, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
        with self._working():
            return read.fetch(self._plan(selection), keys, filtered=filtered)

    def find(
        self, selection: Selection, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
    ) -> Sequence[Record]:
        with self._working():
            return read.find(self._plan(selection), fields, wanted)

    def changes(self, selection: Selection, token: str | None) -> Changes | None:
        with self._working():
            return changes.changes(self._plan(selection), token)

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        with self._working():
            return write.insert(self._plan(selection), items)

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        with self._working():
            return write.update(self._plan(selection), items)

    def delete(self, selection: Selection, items: Sequence[Deletion]) -> Sequence[Failure | None]:
        with self._working():
            return write.delete(self._plan(selection), items)

    @property
    def _service(self) -> Service:
        if self._opened is None:
            self._opened = Service(self._settings, self._dialect, Reach(tuple(self.networks)), self.permit)
        return self._opened

    def _plan(self, selection: Selection) -> Plan:
        """The plan for a selection, made once; kept by its text, because a filter may hold lists."""
        name = repr(selection)
        if name not in self._plans:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            self._plans[name] = Plan(self._service, selection)
        return self._plans[name]

    @contextmanager
    def _working(self) -> Iterator[None]:
        """A refusal that is no record's own concerns the application. What is known of tables is asked anew after one
        that says that they changed."""
        try:
            yield
        except (SideFailed, Refused) as failed:
            self._plans.clear()
            if failed.failure.code in _SETUP_MOVED and self._opened is not None:
                self._opened.shared.forget("schema")
            if isinstance(failed, Refused):
                raise SideFailed(failed.failure) from None
            raise

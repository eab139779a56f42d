"""Kind `dataverse`: the Web API of Microsoft Dataverse, and of the applications on it such as Dynamics 365 Sales."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

from service.connectors.base import Changes, Check, Deletion, Insert, Result, Update
from service.connectors.odata.alternates import from_definitions
from service.connectors.odata.connector import ODataConnector
from service.connectors.odata.dialect import NEW_KEYS, Ask, Dialect, Gather
from service.connectors.odata.entra import ENTRA_SETTINGS, EntraDialect
from service.connectors.odata.option_tables import OptionTable, is_option_table
from service.connectors.odata.options import option_sets
from service.connectors.odata.settings import SETTINGS
from service.connectors.odata.tables import EntitySet
from service.core.failures import Failure
from service.core.records import AlternateKey, KeyStatus, Option, Page, Record, Scalar, Selection, Stamp, Table

_API = "/api/data/v9.2/"
_CURRENCIES, _CURRENCY = "transactioncurrencies", "transactioncurrencyid"
_ADMINISTRATORS = ("system administrator",)
_ADMINISTRATOR = "627090ff-40a3-4053-8790-584edc5be201"
"""The template of the role System Administrator, whose name is in the language of the environment."""

_CHOICES: Mapping[str, str] = {
    "Picklist": "OptionSet($select=Options),GlobalOptionSet($select=Options)",
    "State": "OptionSet($select=Options)",
    "Status": "OptionSet($select=Options)",
}
"""The kinds of attributes that have options, and where their options are."""

_LOOKUP_TYPES = "Microsoft.Dynamics.CRM.lookuplogicalname"


class DataverseDialect(EntraDialect):
    """What Dataverse does in its own way. Its ETag is the row's version; a PATCH without If-Match would create."""

    SETTINGS: ClassVar[Mapping[str, str]] = {
        **ENTRA_SETTINGS,
        "newKeys": NEW_KEYS,
        "bulk": "Whether CreateMultiple and UpdateMultiple are used where a table knows them: auto or off.",
    }
    multiple = True
    upserts = True
    headers: Mapping[str, str] = {"If-None-Match": "null", "MSCRM.SuppressDuplicateDetection": "false"}
    row_headers: Mapping[str, str] = {"Prefer": f'odata.include-annotations="{_LOOKUP_TYPES}"'}
    metadata = "$metadata?annotations=true"
    batch = "multipart"
    overlap: Stamp = 60_000_000  # A transaction with plug-ins may take two minutes, and most take seconds.
    generated_guids = True
    versions = True
    always_stamped = True
    lookups = True
    largest_count = 5_000
    reasons: Mapping[str, str] = {"exchange_rates": "no_currency_mapped"}

    def root(self, url: str) -> str:
        """The service below an environment's address, when only that is given."""
        return super().root(url if urlsplit(url).path not in ("", "/") else url.rstrip("/") + _API)

    def adapted(self, table: EntitySet, sets: Collection[str]) -> EntitySet:  # noqa: ARG002
        """An owner is a user or a team; it is set by the address of a user, and one that is a team is nobody here."""
        owner = table.properties.get("ownerid")
        if owner is None or owner.bind is None:
            return table
        properties = {**table.properties, "ownerid": replace(owner, bind="systemusers", target="systemuser")}
        return replace(table, properties=properties)

    def refusal(self, table: str, values: Mapping[str, Scalar], *, new: bool) -> Failure | None:
        """A currency needs an exchange rate, and an administrator to enter one."""
        if table != _CURRENCIES or (values.get("exchangerate") if new else values.get("exchangerate", True)):
            return None
        currency = str(values.get("isocurrencycode") or "")
        return Failure("exchange_rate_missing", {"currency": currency} if currency else {}, (currency,))

    def options(self, table: EntitySet, ask: Ask) -> Mapping[str, tuple[Option, ...]]:
        """The option sets of a table's choices: one request for each kind, where it has whole numbers at all."""
        if not any(one.edm == "Edm.Int32" for one in table.properties.values()):
            return {}
        attributes = f"EntityDefinitions(LogicalName='{table.type_name}')/Attributes/Microsoft.Dynamics.CRM."
        return {
            name: options
            for kind, sets in _CHOICES.items()
            for name, options in option_sets(
                ask(f"{attributes}{kind}AttributeMetadata?$select=LogicalName&$expand={sets}")
            )
        }

    def alternate_keys(self, table: EntitySet, ask: Ask) -> tuple[AlternateKey, ...] | None:
        """The metadata has them whether or not their indexes are made; this has the state of each."""
        wanted = "Keys?$select=LogicalName,KeyAttributes,EntityKeyIndexStatus"
        return from_definitions(table, ask(f"EntityDefinitions(LogicalName='{table.type_name}')/{wanted}"))

    def link(self, service_url: str, table: str, key: str, company: str | None) -> str | None:  # noqa: ARG002
        parts = urlsplit(service_url)
        return f"{parts.scheme}://{parts.netloc}/main.aspx?pagetype=entityrecord&etn={_logical_name(table)}&id={key}"

    def checks(self, ask: Ask, gather: Gather, tables: Sequence[Selection]) -> Sequence[Check]:  # noqa: ARG002
        return list(_checks(ask, tables))

    def table_checks(self, table: EntitySet) -> Sequence[Check]:
        """Whether every alternate key is one by now; nothing of a table without any."""
        keys = table.table.alternate_keys
        late = [f"{key.name} ({', '.join(key.fields)})" for key in keys if key.status is not KeyStatus.ACTIVE]
        params = {"table": table.name, "keys": late}
        return [Check("alternate_keys", "warn" if late else "pass", "administrator", params)] if keys else []


def _logical_name(table: str) -> str:
    """A table's logical name for that of its entity set, as Dataverse makes the one from the other."""
    if table.endswith("ies"):
        return table[:-3] + "y"
    return table[:-2] if table.endswith(("ses", "xes", "ches", "shes")) else table.removesuffix("s")


def _checks(ask: Ask, tables: Sequence[Selection]) -> Iterator[Check]:
    """Who the user is, and what the user's roles are; `unknown` where the user may not even see those."""
    user = str(ask("WhoAmI").get("UserId", ""))
    found = ask(f"systemusers({user})/systemuserroles_association?$select=name,_roletemplateid_value")
    roles = _names(found)
    rows = [row for row in found.get("value", []) if isinstance(row, dict)]
    templates = {str(row.get("_roletemplateid_value")).lower() for row in rows}
    administrator = _ADMINISTRATOR in templates or any(name.lower() in _ADMINISTRATORS for name in roles)
    yield Check("user_is_administrator", "warn" if administrator else "pass", "administrator", {"roles": roles})
    yield from _rights(ask, user, tables)
    if any(selection.table == _CURRENCIES or _CURRENCY in selection.fields for selection in tables):
        yield from _rates(ask)


def _rights(ask: Ask, user: str, tables: Sequence[Selection]) -> Iterator[Check]:
    """Whether the user's roles together let each table be written; nothing where they are not told by name."""
    found = ask(f"systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()").get("RolePrivileges") or []
    names = {str(one["PrivilegeName"]).lower() for one in found if isinstance(one, dict) and one.get("PrivilegeName")}
    for selection in tables if names else ():
        wanted = [f"prv{verb}{_logical_name(selection.table)}" for verb in ("Create", "Write", "Delete")]
        missing = [name for name in wanted if name.lower() not in names]
        params = {"table": selection.table, "privileges": missing}
        yield Check("write_access", "warn" if missing else "pass", "administrator", params)


def _names(page: Mapping[str, Any]) -> list[str]:
    return [str(row.get("name", "")) for row in page.get("value", []) if isinstance(row, dict)]


def _rates(ask: Ask) -> Iterator[Check]:
    """Every currency has an exchange rate; Dataverse keeps it with the currency."""
    page = ask("transactioncurrencies?$select=isocurrencycode,exchangerate")
    rows = [row for row in page.get("value", []) if isinstance(row, dict)]
    missing = sorted(str(row.get("isocurrencycode")) for row in rows if not float(row.get("exchangerate") or 0))
    yield Check("exchange_rates", "fail" if missing else "pass", "administrator", {"currencies": missing})


class DataverseConnector(ODataConnector):
    """One connection to a Dataverse environment. A choice of a table is a table too: see option_tables.py."""

    kind: ClassVar[str] = "dataverse"
    SETTINGS: ClassVar[Mapping[str, str]] = {**SETTINGS, **DataverseDialect.SETTINGS}
    DIALECT: ClassVar[type[Dialect]] = DataverseDialect

    def describe(self, table: str) -> Table:
        if not is_option_table(table):
            return super().describe(table)
        with self._working():
            return self._options(table).describe()

    def check(self, tables: Collection[Selection]) -> Sequence[Check]:
        return super().check([one for one in tables if not is_option_table(one.table)])

    def link(self, table: str, key: str) -> str | None:
        return None if is_option_table(table) else super().link(table, key)

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        if not is_option_table(selection.table):
            return super().read(selection, since, cursor, limit)
        with self._working():
            return self._options(selection.table).read(selection, cursor, limit)

    def count(self, selection: Selection, since: Stamp, until: Stamp) -> int | None:
        return 0 if is_option_table(selection.table) else super().count(selection, since, until)

    def fetch(self, selection: Selection, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
        if not is_option_table(selection.table):
            return super().fetch(selection, keys, filtered=filtered)
        with self._working():
            return self._options(selection.table).fetch(selection, keys, filtered=filtered)

    def find(
        self, selection: Selection, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
    ) -> Sequence[Record]:
        if not is_option_table(selection.table):
            return super().find(selection, fields, wanted)
        with self._working():
            return self._options(selection.table).find(selection, fields, wanted)

    def changes(self, selection: Selection, token: str | None) -> Changes | None:
        return None if is_option_table(selection.table) else super().changes(selection, token)

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        if not is_option_table(selection.table):
            return super().insert(selection, items)
        with self._working():
            return self._options(selection.table).insert(selection, items)

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        if not is_option_table(selection.table):
            return super().update(selection, items)
        with self._working():
            return self._options(selection.table).update(selection, items)

    def delete(self, selection: Selection, items: Sequence[Deletion]) -> Sequence[Failure | None]:
        if not is_option_table(selection.table):
            return super().delete(selection, items)
        with self._working():
            return self._options(selection.table).delete(selection, items)

    def _options(self, table: str) -> OptionTable:
        return OptionTable(self._service, table)

"""Kind `dataverse`: the Web API of Microsoft Dataverse, and of the applications on it such as Dynamics 365 Sales."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from service.connectors.base import Check
from service.connectors.odata.connector import ODataConnector
from service.connectors.odata.dialect import Ask, Dialect
from service.connectors.odata.entra import ENTRA_SETTINGS, EntraDialect
from service.connectors.odata.options import option_sets
from service.connectors.odata.settings import SETTINGS
from service.connectors.odata.tables import EntitySet
from service.core.records import Option, Selection, Stamp

_API = "/api/data/v9.2/"
_ADMINISTRATORS = ("system administrator",)

_CHOICES: Mapping[str, str] = {
    "Picklist": "OptionSet($select=Options),GlobalOptionSet($select=Options)",
    "State": "OptionSet($select=Options)",
    "Status": "OptionSet($select=Options)",
}
"""The kinds of attributes that have options, and where their options are."""

_LOOKUP_TYPES = "Microsoft.Dynamics.CRM.lookuplogicalname"


class DataverseDialect(EntraDialect):
    """What Dataverse does in its own way. Its ETag is the row's version; a PATCH without If-Match would create."""

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

    def root(self, url: str) -> str:
        """The service below an environment's address, when only that is given."""
        return super().root(url if urlsplit(url).path not in ("", "/") else url.rstrip("/") + _API)

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

    def link(self, service_url: str, table: str, key: str) -> str | None:
        parts = urlsplit(service_url)
        return f"{parts.scheme}://{parts.netloc}/main.aspx?pagetype=entityrecord&etn={_logical_name(table)}&id={key}"

    def checks(self, ask: Ask, tables: Sequence[Selection]) -> Sequence[Check]:
        return list(_checks(ask, tables))


def _logical_name(table: str) -> str:
    """A table's logical name for that of its entity set, as Dataverse makes the one from the other."""
    if table.endswith("ies"):
        return table[:-3] + "y"
    return table[:-2] if table.endswith(("ses", "xes", "ches", "shes")) else table.removesuffix("s")


def _checks(ask: Ask, tables: Sequence[Selection]) -> Iterator[Check]:
    """Who the user is, and what the user's roles are; `unknown` where the user may not even see those."""
    user = str(ask("WhoAmI").get("UserId", ""))
    roles = _names(ask(f"systemusers({user})/systemuserroles_association?$select=name"))
    administrator = any(name.lower() in _ADMINISTRATORS for name in roles)
    yield Check("user_is_administrator", "warn" if administrator else "pass", "administrator", {"roles": roles})
    yield from _rights(ask, user, tables)
    if any(selection.table == "transactioncurrencies" for selection in tables):
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
    """One connection to a Dataverse environment."""

    kind: ClassVar[str] = "dataverse"
    SETTINGS: ClassVar[Mapping[str, str]] = {**SETTINGS, **ENTRA_SETTINGS}
    DIALECT: ClassVar[type[Dialect]] = DataverseDialect

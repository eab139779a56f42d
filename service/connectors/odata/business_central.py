"""Kind `businessCentral`: the API of Microsoft Dynamics 365 Business Central, for one company."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from service.connectors.base import Check
from service.connectors.odata.connector import ODataConnector
from service.connectors.odata.contacts import CUSTOMER, CustomersOfContacts, unmade, with_customer
from service.connectors.odata.dialect import Ask, Dialect, Gather, Rows
from service.connectors.odata.entra import ENTRA_SETTINGS, EntraDialect
from service.connectors.odata.settings import SETTINGS
from service.connectors.odata.tables import EntitySet, Property
from service.core.failures import Failure, SideFailed
from service.core.records import Field, FieldType, Scalar, Selection, Stamp

_CLOUD = "api.businesscentral.dynamics.com"
_SCOPE = f"https://{_CLOUD}/.default"
_READ_ONLY = ("id", "lastModifiedDateTime")

RATE = "exchangeRate"
_RATE_DIGITS = 10

_CARDS: Mapping[str, int] = {
    "customers": 21,
    "vendors": 26,
    "items": 30,
    "contacts": 5050,
    "opportunities": 5124,
    "salespeoplePurchasers": 5116,
    "paymentTerms": 4,
    "currencies": 5,
    "shipmentMethods": 11,
}
"""The pages that show one record, or a list that is filtered for it, by entity set."""

_BY_CODE = ("salespeoplePurchasers", "paymentTerms", "currencies", "shipmentMethods")
"""Tables whose records have a code instead of a number."""


class BusinessCentralDialect(EntraDialect):
    """What Business Central does in its own way. Its `or` joins comparisons of one field only, it makes every key
    itself, and a stale ETag is a 409."""

    SETTINGS: ClassVar[Mapping[str, str]] = {**ENTRA_SETTINGS, "company": "The company: its name, or its id."}
    row_headers: Mapping[str, str] = {}
    delta_links = "off"  # Version 24 has them no more; before that, some entities answered them with errors.
    batch = "json"
    overlap: Stamp = 60_000_000  # Posting is one transaction, and its records show when it ends.
    generated_guids = True
    versions = True
    always_stamped = True
    joins_fields = False
    blank_guids = True
    reasons: Mapping[str, str] = {"exchange_rates": "no_currency_mapped"}

    def required(self, settings: Mapping[str, Any]) -> Sequence[str]:
        return (*super().required(settings), "company")

    def scope(self, url: str) -> str:  # noqa: ARG002
        return _SCOPE

    def __init__(self) -> None:
        self._customers = CustomersOfContacts()

    def adapted(self, table: EntitySet, sets: Collection[str]) -> EntitySet:
        """The key and the stamp are the service's, though its metadata does not say so."""
        properties = {
            name: replace(one, field=replace(one.field, read_only=True, required=False)) if name in _READ_ONLY else one
            for name, one in table.properties.items()
        }
        if table.name == "currencies" and "code" in properties:
            rate = Field(RATE, FieldType.DECIMAL, precision=23, scale=_RATE_DIGITS, read_only=True)
            properties[RATE] = Property(rate, RATE, "Edm.Decimal", made_of=("code",))
        fields = {name: one.field for name, one in properties.items()}
        adapted = replace(table, properties=properties, table=replace(table.table, fields=fields))
        return with_customer(adapted, sets)

    def completed(self, rows: Rows, made: Collection[Property], gather: Gather) -> Rows:
        """Currencies with their exchange rates, which are records of their own; contacts with their customers."""
        if any(one.source == CUSTOMER for one in made):
            return self._customers.completed(rows, gather)
        rates = exchange_rates(gather)
        return [{**row, RATE: rates.get(str(row["code"]))} for row in rows]

    def writes_begin(self) -> None:
        self._customers.writes_begin()

    def unmade(self, one: Property, value: Scalar, gather: Gather) -> tuple[str, Scalar] | None:
        return unmade(self._customers, value, gather) if one.source == CUSTOMER else None

    def company_path(self, company: str, ask: Ask) -> str:
        """Where a company's records are. SideFailed(`table_not_found`) where there is no such company."""
        try:
            return f"companies({uuid.UUID(company)})/"
        except ValueError:
            pass
        rows = [row for row in ask("companies").get("value", []) if isinstance(row, dict)]
        found = [row for row in rows if company in (row.get("name"), row.get("displayName"))]
        if len(found) != 1:
            params = {"table": f"companies('{company}')"}
            raise SideFailed(Failure("table_not_found", params, ("companies", company)))
        return f"companies({found[0].get('id')})/"

    def link(self, service_url: str, table: str, key: str, company: str | None) -> str | None:
        """The record's page in the cloud's web client; an installation of one's own has its address elsewhere. A
        company is opened by its name: where the connection names its id, it is that which the user opened last."""
        parts = urlsplit(service_url)
        if parts.netloc != _CLOUD or table not in _CARDS:
            return None
        place = "/".join(parts.path.split("/")[2:4])  # /v2.0/{tenant}/{environment}/api/v2.0/
        field = "SystemId" if _is_guid(key) else "Code" if table in _BY_CODE else "No."
        wanted = quote(f"'{field}' IS '{key}'", safe="")
        within = "" if company is None or _is_guid(company) else f"company={quote(company, safe='')}&"
        return f"https://businesscentral.dynamics.com/{place}?{within}page={_CARDS[table]}&filter={wanted}"

    def checks(self, ask: Ask, gather: Gather, tables: Sequence[Selection]) -> Sequence[Check]:
        return list(_checks(ask, gather, tables))


def _is_guid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def exchange_rates(gather: Gather) -> dict[str, str]:
    """How many units of each currency one unit of the local currency is today, by code; those that have a rate."""
    wanted = "$select=currencyCode,startingDate,exchangeRateAmount,relationalExchangeRateAmount,relationalCurrencyCode"
    today = datetime.now(UTC).date().isoformat()
    rows = gather(f"currencyExchangeRates?{wanted}&$filter=startingDate%20le%20{today}&$orderby=startingDate")
    latest = {str(row["currencyCode"]): row for row in rows}
    found: dict[str, Decimal | None] = {}
    for code in latest:
        found[code] = _rate(code, latest, ())
    return {code: f"{rate:.{_RATE_DIGITS}f}" for code, rate in found.items() if rate}


def _rate(code: str, latest: Mapping[str, Mapping[str, Any]], by: tuple[str, ...]) -> Decimal | None:
    """The rate of a currency, by way of another one where it is told so; None where that leads nowhere."""
    row = latest.get(code)
    if row is None or code in by:
        return None
    amount, relational = (Decimal(str(row.get(name) or 0)) for name in _AMOUNTS)
    other = str(row.get("relationalCurrencyCode") or "")
    through = _rate(other, latest, (*by, code)) if other else Decimal(1)
    return amount / relational * through if amount and relational and through else None


_AMOUNTS = ("exchangeRateAmount", "relationalExchangeRateAmount")


def _checks(ask: Ask, gather: Gather, tables: Sequence[Selection]) -> Iterator[Check]:
    """Which companies the user sees, and whether every currency has a rate; what else the user may do is told by the
    tables."""
    companies = [str(row.get("name")) for row in ask("companies").get("value", []) if isinstance(row, dict)]
    yield Check("company", "pass" if companies else "fail", "administrator", {"companies": companies})
    if any(one.table == "currencies" or {"currencyId", "currencyCode"} & set(one.fields) for one in tables):
        codes = {str(row["code"]) for row in gather("currencies?$select=code")}
        missing = sorted(codes - exchange_rates(gather).keys())
        yield Check("exchange_rates", "fail" if missing else "pass", "administrator", {"currencies": missing})


class BusinessCentralConnector(ODataConnector):
    """One connection to a company in Business Central."""

    kind: ClassVar[str] = "businessCentral"
    SETTINGS: ClassVar[Mapping[str, str]] = {**SETTINGS, **BusinessCentralDialect.SETTINGS}
    DIALECT: ClassVar[type[Dialect]] = BusinessCentralDialect
    accepts_keys: ClassVar[bool] = False

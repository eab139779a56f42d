"""The application of the kit as mock-sap: three tables of its ERP, none of which has every type of field."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from service.connectors.kit import Application, Traits
from service.connectors.odata import ODataConnector
from service.core.records import Field, FieldType, Scalar, Stamp, moment_of
from tests.odata.servers import MockSap, mock_sap

TEXT, DECIMAL, BOOLEAN, MOMENT = FieldType.STRING, FieldType.DECIMAL, FieldType.BOOLEAN, FieldType.DATETIME


@dataclass(frozen=True)
class Erp:
    """A running mock-sap, and the file that it keeps its records in."""

    sap: MockSap
    file: Path

    def settings(self, service: str) -> dict[str, str]:
        return {
            "url": self.sap.service(service),
            "auth": "clientCredentials",
            "tokenUrl": f"{self.sap.root}/sap/bc/sec/oauth2/token",
        }


CREDENTIALS = {"clientId": "ID", "clientSecret": "SECRET"}


@contextmanager
def erp_server() -> Iterator[Erp]:
    """Run a mock-sap for as long as the block lasts."""
    with TemporaryDirectory(prefix="accord-sap-") as folder:
        file = Path(folder) / "erp.db"
        options = ("--db", str(file), "--oauth", "ID:SECRET", "--require-if-match", "--no-request-log")
        with mock_sap(*options, at_once=True) as sap:
            yield Erp(sap, file)


class SapApplication(Application):
    """A table of the ERP. What its own users do is written into its file, past the service."""

    def __init__(self, erp: Erp, service: str, traits: Traits) -> None:
        self.erp, self.service, self.traits = erp, service, traits
        self.table = f"A_{traits.customer}"
        self.write([(f'DELETE FROM "{self.table}"', [])])

    def connector(self) -> ODataConnector:
        return ODataConnector(self.erp.settings(self.service), CREDENTIALS)

    def write(self, statements: Iterable[tuple[str, list[Scalar]]]) -> None:
        with closing(sqlite3.connect(self.erp.file, timeout=30)) as database, database:
            for statement, values in statements:
                database.execute(statement, values)

    def put(self, who: str, /, *, stamp: Stamp | None = None, **values: Scalar) -> None:
        self.put_many([(who, stamp, values)])

    def put_many(self, rows: Iterable[tuple[str, Stamp | None, dict[str, Scalar]]]) -> None:
        self.write(self._put(who, stamp, values) for who, stamp, values in rows)

    def _put(self, who: str, stamp: Stamp | None, values: Mapping[str, Scalar]) -> tuple[str, list[Scalar]]:
        key, fields = self.traits.key, self.traits.fields
        given = {key: who, **{fields[word].name: _native(value) for word, value in values.items()}}
        given[self.traits.modified_on] = now() if stamp is None else _text(stamp)
        names, marks = ", ".join(f'"{name}"' for name in given), ", ".join("?" * len(given))
        changes = ", ".join(f'"{name}" = excluded."{name}"' for name in given)
        statement = (
            f'INSERT INTO "{self.table}" ({names}) VALUES ({marks}) ON CONFLICT ("{key}") DO UPDATE SET {changes}'
        )
        return statement, list(given.values())

    def remove(self, name: str) -> None:
        self.write([(f'DELETE FROM "{self.table}" WHERE "{self.traits.key}" = ?', [name])])

    def unstamp(self, name: str) -> None:
        statement = f'UPDATE "{self.table}" SET "{self.traits.modified_on}" = NULL WHERE "{self.traits.key}" = ?'
        self.write([(statement, [name])])


def _native(value: Scalar) -> Scalar:
    if isinstance(value, str) and value[10:11] == "T" and value.endswith("Z"):
        return value[:26].removesuffix(".000000")
    return value


def _text(stamp: Stamp) -> str:
    """As the ERP writes it: in UTC, and without saying so."""
    return moment_of(stamp).replace(tzinfo=None).isoformat()


def now() -> str:
    return _text(time.time_ns() // 1_000)


PARTNERS = Traits(
    customer="BusinessPartner",
    numbered=None,
    key="BusinessPartner",
    modified_on="LastChangeDate",
    same_stamp_noticed=False,
    plenty=600,
    fields={
        "number": Field("Customer", TEXT, length=10),
        "name": Field("BusinessPartnerFullName", TEXT, length=81),
        "city": Field("SearchTerm1", TEXT, length=20),
        "blocked": Field("BusinessPartnerIsBlocked", BOOLEAN),
    },
    initial={"number": "", "city": "", "blocked": False},
    refused=("CreationDate",),
    unique=False,
)
"""Partners: texts, and whether a partner is blocked."""

PRODUCTS = Traits(
    customer="Product",
    numbered=None,
    key="Product",
    modified_on="LastChangeDate",
    same_stamp_noticed=False,
    plenty=600,
    fields={
        "number": Field("ProductType", TEXT, length=4),
        "name": Field("ProductOldID", TEXT, length=18),
        "city": Field("ProductGroup", TEXT, length=9),
        "credit": Field("GrossWeight", DECIMAL, precision=13, scale=3),
        "blocked": Field("IsMarkedForDeletion", BOOLEAN),
    },
    initial={"number": "", "city": "", "credit": "0", "blocked": False},
    refused=("CreationDate",),
    unique=False,
)
"""Products: amounts, which the service writes as JSON numbers."""

ORDERS = Traits(
    customer="SalesOrder",
    numbered=None,
    key="SalesOrder",
    modified_on="LastChangeDate",
    same_stamp_noticed=False,
    plenty=600,
    fields={
        "number": Field("SoldToParty", TEXT, length=10),
        "name": Field("PurchaseOrderByCustomer", TEXT, length=35),
        "city": Field("ReferenceSDDocument", TEXT, length=10),
        "seen": Field("PricingDate", MOMENT),
    },
    initial={"number": "", "city": ""},
    refused=("TotalNetAmount", "CreationDate"),
    unique=False,
)
"""Orders: moments."""

"""Business Central and Dataverse with Sales as their APIs describe them, as far as the mapping set asks."""

from __future__ import annotations

import uuid
from typing import Any

from service.api.mapping_sets import sets
from service.core.records import Side
from service.operations import connections, mapping_sets, run_groups
from service.operations.planning import Change
from service.store import mappings as mapping_rows
from service.store.models import SyncRun
from service.worker import run_until_idle
from tests.odata.servers import COMPANY, Counterpart, choice, members, stamp, text
from tests.world import new_context

UNIT_GROUP, UNIT = str(uuid.UUID(int=71)), str(uuid.UUID(int=72))
PARAMETERS = {"unitGroup": UNIT_GROUP, "unit": UNIT}
BLANK = "00000000-0000-0000-0000-000000000000"

GUID = {"type": "Guid", "nullable": False}
MONEY = {"type": "Decimal", "precision": 18, "scale": 2}
BLOCKED = members("_x0020_", "Ship", "Invoice", "All", default="_x0020_")
STATE = choice({0: "Active", 1: "Inactive"}, "State", default=0)


def link(**more: Any) -> dict[str, Any]:
    return {"type": "Guid", "default": BLANK, **more}


def central(type: str, unique: tuple[str, ...] = (), /, **fields: Any) -> dict[str, Any]:
    """An entity set of Business Central."""
    own = {"id": {**GUID, "computed": True}, **fields, "lastModifiedDateTime": stamp(3)}
    return {"type": type, "key": "id", "stamp": "lastModifiedDateTime", "unique": list(unique), "fields": own}


def partner(series: str) -> dict[str, Any]:
    """What customers, vendors and contacts have in common."""
    return {
        "number": text(20, series=series),
        "displayName": text(100),
        "addressLine1": text(100),
        "addressLine2": text(50),
        "city": text(30),
        "state": text(30),
        "country": text(10),
        "postalCode": text(20),
        "phoneNumber": text(30),
        "email": text(80),
        "website": text(80),
    }


CENTRAL = {
    "customers": central(
        "customer",
        ("number",),
        **partner("C"),
        salespersonCode=text(20),
        creditLimit=MONEY,
        currencyId=link(),
        paymentTermsId=link(),
        shipmentMethodId=link(),
        blocked=BLOCKED,
    ),
    "vendors": central(
        "vendor", ("number",), **partner("V"), currencyId=link(), paymentTermsId=link(), blocked=BLOCKED
    ),
    "contacts": central(
        "contact",
        ("number",),
        **partner("CT"),
        type=members("Company", "Person", default="Company"),
        companyNumber=text(20),
        jobTitle=text(30),
        mobilePhoneNumber=text(30),
    ),
    "contactsInformation": central("contactInformation", contactNumber=text(20), relatedId=link()),
    "currencies": central("currency", ("code",), code=text(10), displayName=text(30), symbol=text(10)),
    "currencyExchangeRates": central(
        "currencyExchangeRate",
        currencyCode=text(10),
        startingDate={"type": "Date"},
        exchangeRateAmount=MONEY,
        relationalCurrencyCode=text(10),
        relationalExchangeRateAmount=MONEY,
    ),
    "paymentTerms": central("paymentTerm", ("code",), code=text(10), displayName=text(100)),
    "shipmentMethods": central("shipmentMethod", ("code",), code=text(10), displayName=text(100)),
    "salespeoplePurchasers": central(
        "salespersonPurchaser", ("code",), code=text(20), displayName=text(50), email=text(80), phoneNumber=text(30)
    ),
    "items": central(
        "item",
        ("number",),
        number=text(20, series="I"),
        displayName=text(100),
        unitPrice=MONEY,
        unitCost=MONEY,
        blocked={"type": "Boolean", "default": False, "nullable": False},
    ),
    "opportunities": central(
        "opportunity",
        ("number",),
        number=text(20, series="OP"),
        description=text(100),
        contactNumber=text(20),
        salespersonCode=text(20),
        estimatedValue={**MONEY, "computed": True},
        estimatedClosingDate={"type": "Date", "computed": True},
    ),
}


def dataverse(
    type: str,
    key: str,
    unique: tuple[str, ...] = (),
    lookups: dict[str, tuple[str, str]] | None = None,
    /,
    **fields: Any,
) -> dict[str, Any]:
    """An entity set of Dataverse. `lookups`: the property and the target by navigation property."""
    sources = {source: {"type": "Guid", "computed": True} for source, _ in (lookups or {}).values()}
    own = {key: GUID, **fields, **sources, "modifiedon": stamp(0)}
    described: dict[str, Any] = {"type": type, "key": key, "stamp": "modifiedon", "unique": list(unique)}
    return {**described, "fields": own, "lookups": lookups or {}}


ADDRESS = {
    "address1_line1": text(250),
    "address1_line2": text(250),
    "address1_postalcode": text(20),
    "address1_city": text(80),
    "address1_country": text(80),
    "address1_stateorprovince": text(50),
    "telephone1": text(50),
    "emailaddress1": text(100),
    "websiteurl": text(200),
}
OWNER = {"ownerid": ("_ownerid_value", "owners")}
DATAVERSE = {
    "accounts": dataverse(
        "account",
        "accountid",
        ("accountnumber",),
        {"transactioncurrencyid": ("_transactioncurrencyid_value", "transactioncurrencies"), **OWNER},
        accountnumber=text(20),
        name=text(160),
        **ADDRESS,
        creditlimit=MONEY,
        customertypecode=choice({3: "Customer", 11: "Vendor"}),
        paymenttermscode=choice({1: "Net 30", 2: "2% 10, Net 30"}),
        address1_freighttermscode=choice({1: "FOB", 2: "No Charge"}),
        statecode=STATE,
    ),
    "contacts": dataverse(
        "contact",
        "contactid",
        (),
        {"parentcustomerid_account": ("_parentcustomerid_value", "accounts")},
        firstname=text(50),
        lastname=text(50),
        fullname=text(160, joined=["firstname", "lastname"], computed=True),
        jobtitle=text(100),
        mobilephone=text(50),
        **ADDRESS,
        statecode=STATE,
    ),
    "transactioncurrencies": dataverse(
        "transactioncurrency",
        "transactioncurrencyid",
        ("isocurrencycode",),
        isocurrencycode=text(5),
        currencyname=text(100),
        currencysymbol=text(13),
        currencyprecision={"type": "Int32"},
        exchangerate={"type": "Decimal", "precision": 23, "scale": 10},
    ),
    "owners": dataverse("principal", "ownerid"),
    "systemusers": dataverse(
        "systemuser",
        "systemuserid",
        fullname=text(200, computed=True),
        internalemailaddress=text(100),
        mobilephone=text(64),
        isdisabled={"type": "Boolean", "default": False},
        islicensed={"type": "Boolean", "default": True},
    ),
    "products": dataverse(
        "product",
        "productid",
        ("productnumber",),
        {
            "defaultuomscheduleid": ("_defaultuomscheduleid_value", "uomschedules"),
            "defaultuomid": ("_defaultuomid_value", "uoms"),
        },
        productnumber=text(100),
        name=text(100),
        price=MONEY,
        standardcost=MONEY,
        quantitydecimal={"type": "Int32"},
        statecode=choice({0: "Active", 1: "Retired", 2: "Draft", 3: "Under Revision"}, "State", default=2),
    ),
    "uomschedules": dataverse("uomschedule", "uomscheduleid", name=text(200)),
    "uoms": dataverse("uom", "uomid", name=text(100)),
    "opportunities": dataverse(
        "opportunity",
        "opportunityid",
        (),
        {"parentcontactid": ("_parentcontactid_value", "contacts"), **OWNER},
        name=text(300),
        estimatedvalue=MONEY,
        estimatedclosedate={"type": "Date"},
        statecode=STATE,
    ),
}


class Sales:
    """A company in Business Central, an environment of Dataverse, and the set between them."""

    def __init__(self, central: Counterpart, dataverse: Counterpart) -> None:
        self.context = new_context()
        self.services = {Side.LOCAL: central, Side.INTEGRATION: dataverse}
        self.connection_ids: dict[Side, int] = {}
        for side, service in self.services.items():
            service.control("clear")
            more = {"company": COMPANY} if service.shape == "businessCentral" else {}
            self.connection_ids[side] = connections.create(
                self.context,
                name={"businessCentral": "erp", "dataverse": "crm"}[service.shape],
                kind=service.shape,
                settings={"url": service.url, **more},
                credentials=None,
                enabled=True,
                actor="test",
            ).id

    def apply(self, *, dry_run: bool = False, **given: Any) -> list[Change]:
        choice = mapping_sets.Choice(self.connection_ids, **{"parameters": PARAMETERS, **given})
        found = sets()["business-central-dataverse"]
        return mapping_sets.apply(self.context, found, choice, "test", dry_run=dry_run)

    def add(self, side: str, table: str, **values: Any) -> str:
        """Somebody makes a record in an application; its key."""
        key = str(uuid.uuid4())
        self.edit(side, table, key, **values)
        return key

    def edit(self, side: str, table: str, key: str, **values: Any) -> None:
        self.services[Side(side)].control("put", table=table, rows=[[key, None, values]])

    def company(self, customer: str) -> str:
        """The number that a customer of Business Central has as a contact."""
        return str(self.services[Side.LOCAL].control("company", customer=customer))

    def rows(self, side: str, table: str, by: str) -> dict[Any, dict[str, Any]]:
        return {row[by]: row for row in self.services[Side(side)].control("all", table=table)}

    def run_all(self, kind: str = "modified") -> dict[str, SyncRun]:
        """Runs of all mappings in their order, and those that follow; the last one of each mapping by its name."""
        started = run_groups.start(self.context, run_groups.GroupRequest(kind=kind), "test")
        run_until_idle(self.context)
        names = mapping_rows.names()
        group = SyncRun.select().where(SyncRun.group_id == started[0].group_id).order_by(SyncRun.id)
        return {names[run.mapping_id]: run for run in group}

    def everything(self) -> list[Any]:
        """Every record of both applications, with its stamp."""
        return [
            service.control("all", table=table)
            for side, service in self.services.items()
            for table in (CENTRAL if side is Side.LOCAL else DATAVERSE)
        ]

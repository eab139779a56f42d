"""The set for Business Central with Dataverse: it fits both as they are described, and synchronizes them both ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.core.errors import Invalid
from service.core.records import Side
from service.operations import linter, mappings
from service.store import mappings as mapping_rows
from service.store.database import connection, migrate, open_database
from tests.odata.sales import BLANK, CENTRAL, DATAVERSE, PARAMETERS, UNIT, UNIT_GROUP, Sales
from tests.odata.servers import Counterpart, counterpart
from tests.world import errors

NAMES = [
    "salespeople",
    "currencies",
    "payment-terms",
    "shipment-methods",
    "customers",
    "vendors",
    "contacts",
    "items",
    "opportunities",
]
WRITES = ("inserted", "modified", "deleted", "coupled", "failed")


@pytest.fixture(scope="module")
def services() -> Iterator[tuple[Counterpart, Counterpart]]:
    with (
        counterpart("businessCentral", CENTRAL, stampDigits=3) as central,
        counterpart("dataverse", DATAVERSE, stampDigits=0) as dataverse,
    ):
        yield central, dataverse


@pytest.fixture
def sales(services: tuple[Counterpart, Counterpart], tmp_path: Path) -> Iterator[Sales]:
    state = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    migrate()
    with connection():
        yield Sales(*services)
    state.close()


def test_a_dry_run_writes_nothing_and_the_second_time_nothing_is_left(sales: Sales) -> None:
    assert [(one.action, one.name) for one in sales.apply(dry_run=True)] == [("create", name) for name in NAMES]
    assert mapping_rows.names() == {}
    assert [one.action for one in sales.apply()] == ["create"] * len(NAMES)
    assert sorted(mapping_rows.names().values()) == sorted(NAMES)
    assert {one.action for one in sales.apply()} == {"unchanged"}


def test_what_people_have_changed_is_kept_and_told(sales: Sales) -> None:
    sales.apply()
    id = mappings.id_of("customers")
    mappings.change(sales.context, id, {"update_conflict_resolution": "newestWins"}, None, "somebody")
    changes = {one.name: one for one in sales.apply()}
    assert changes["customers"].action == "kept"
    [difference] = changes["customers"].differences
    told = (difference.path, difference.before, difference.after)
    assert told == (("update_conflict_resolution",), "newestWins", "none")
    assert mappings.get(id)["update_conflict_resolution"] == "newestWins"
    changes = {one.name: one for one in sales.apply(overwrite=True)}
    assert changes["customers"].action == "change"
    assert {one.action for one in changes.values()} == {"change", "unchanged"}
    assert mappings.get(id)["update_conflict_resolution"] == "none"


def test_mappings_have_the_names_that_are_given(sales: Sales) -> None:
    changes = sales.apply(names={"currencies": "our currencies"}, mappings=["customers"])
    needed = ["salespeople", "our currencies", "payment-terms", "shipment-methods", "customers"]
    assert [(one.action, one.name) for one in changes] == [("create", name) for name in needed]
    lines = mappings.get(mappings.id_of("customers"))["field_mappings"]
    referred = {line["reference"]["mapping"] for line in lines if line["reference"]}
    assert referred == {"our currencies", "payment-terms", "shipment-methods", "salespeople"}


def test_every_problem_is_told_at_once(sales: Sales) -> None:
    with pytest.raises(Invalid) as refused:
        sales.apply(parameters={"unit": UNIT, "colour": "red"}, names={"nix": "x"}, mappings=["nothing"])
    assert {(one.pointer, one.code) for one in refused.value.problems} == {
        ("/mappings/0", "set_has_no_mapping"),
        ("/names/nix", "set_has_no_mapping"),
        ("/parameters/colour", "set_has_no_parameter"),
    }
    with pytest.raises(Invalid) as refused:
        sales.apply(parameters={"unit": UNIT})
    assert {(one.pointer, tuple(one.params["names"])) for one in refused.value.problems} == {
        ("/parameters/unitGroup", ("items",)),
    }
    with pytest.raises(Invalid) as refused:
        sales.apply(parameters={**PARAMETERS, "contactCustomerField": "customer"})
    assert [(one.pointer, one.code) for one in refused.value.problems] == [
        ("/mappings/contacts/fieldMappings/4/localField", "field_not_found")
    ]
    assert mapping_rows.names() == {}


def test_the_linter_finds_what_is_longer_in_dataverse_and_nothing_else(sales: Sales) -> None:
    """A text that Business Central cannot hold is refused for its record, and never cut unseen."""
    sales.apply()
    found = {}
    for name in NAMES:
        document = mappings.get(mappings.id_of(name))
        told = [(one.severity, one.pointer, one.code, dict(one.params)) for one in linter.lint(sales.context, document)]
        found[name] = [one for one in told if one[0] != "info" and one[2] != "lint_too_long"]
    assert found == {name: [] for name in NAMES}


def test_records_travel_both_ways(sales: Sales) -> None:
    """Currencies, terms, a salesperson, customers and vendors, contacts with their customer, items, opportunities."""
    sales.apply()
    for name in ("customers", "vendors", "contacts", "items", "opportunities"):
        id = mappings.id_of(name)
        mappings.change(sales.context, id, {"synch_only_coupled_records": False}, None, "somebody")
    euro = sales.add("local", "currencies", code="EUR", displayName="Euro", symbol="€")
    rate = {"currencyCode": "EUR", "relationalCurrencyCode": "", "exchangeRateAmount": "100"}
    sales.add("local", "currencyExchangeRates", startingDate="2020-01-01", relationalExchangeRateAmount="125", **rate)
    net30 = sales.add("local", "paymentTerms", code="NET 30", displayName="Net 30 days")
    net60 = sales.add("local", "paymentTerms", code="NET 60", displayName="Net 60 days")
    cif = sales.add("local", "shipmentMethods", code="CIF", displayName="Cost, insurance, freight")
    sales.add("local", "salespeoplePurchasers", code="JR", displayName="J. Roberts", email="JR@example.com")
    user = sales.add("integration", "systemusers", fullname="John Roberts", internalemailaddress="jr@example.com")
    sales.add("integration", "systemusers", fullname="Gone", internalemailaddress="gone@example.com", isdisabled=True)
    ann = sales.add(
        "local",
        "customers",
        number="10000",
        displayName="Ærlig Ås & Co",
        city="Oslo",
        currencyId=euro,
        paymentTermsId=net60,
        shipmentMethodId=cif,
        salespersonCode="JR",
        creditLimit="1500",
    )
    sales.add("local", "customers", number="20000", displayName="Blocked", blocked="All")
    sales.add("local", "customers", number="30000", displayName="Plain & Ltd")  # Refers to nothing: GUIDs of zeros.
    sales.add("local", "vendors", number="V1", displayName="Wood & Sons", paymentTermsId=net30)
    bob = sales.add("integration", "accounts", name="Bob's", customertypecode=3, paymenttermscode=1)
    sales.add("integration", "accounts", name="Inactive", customertypecode=3, statecode=1)
    sales.add(
        "local",
        "contacts",
        number="CT1",
        type="Person",
        displayName="Anna Maria Berg",
        email="anna@example.com",
        companyNumber=sales.company(ann),
    )
    carl = sales.add(
        "integration", "contacts", firstname="Carl", lastname="Bo", emailaddress1="c@example.com",
        _parentcustomerid_value=bob,
    )  # fmt: skip
    sales.edit("integration", "uomschedules", UNIT_GROUP, name="Default")
    sales.edit("integration", "uoms", UNIT, name="Piece")
    sales.add("local", "items", number="1000", displayName="Bicycle", unitPrice="4000", unitCost="350.594")
    sales.add("local", "opportunities", description="Fifty bicycles", contactNumber="CT1", salespersonCode="JR")

    ended = sales.run_all("match")
    assert (
        ended["salespeople"].counts["fromIntegration"]["coupled"]
        + ended["salespeople"].counts["toIntegration"]["coupled"]
        == 1
    )
    ended = sales.run_all()
    assert {name: run.status for name, run in ended.items()} == dict.fromkeys(NAMES, "succeeded"), [
        (error.code, error.params) for error in errors(status="open")
    ]
    # One-way tables, options, and the salesperson that a user is.
    [currency] = sales.rows("integration", "transactioncurrencies", "isocurrencycode").values()
    assert (currency["currencyname"], currency["currencyprecision"]) == ("Euro", 2)
    assert float(currency["exchangerate"]) == 0.8
    options = sales.services[Side.INTEGRATION].control("options", table="accounts", field="paymenttermscode")
    assert list(options.values()) == ["NET 30", "2% 10, Net 30", "NET 60"]
    assert sales.rows("local", "salespeoplePurchasers", "code")["JR"]["displayName"] == "John Roberts"
    # Customers and vendors, with what they refer to.
    accounts = sales.rows("integration", "accounts", "name")
    assert accounts.keys() == {"Ærlig Ås & Co", "Bob's", "Wood & Sons", "Inactive", "Plain & Ltd"}
    first = accounts["Ærlig Ås & Co"]
    assert (first["accountnumber"], first["customertypecode"], first["_ownerid_value"]) == ("10000", 3, user)
    assert first["_transactioncurrencyid_value"] == currency["transactioncurrencyid"]
    assert options[str(first["paymenttermscode"])] == "NET 60"
    assert accounts["Wood & Sons"]["customertypecode"] == 11
    customers = sales.rows("local", "customers", "displayName")
    assert customers.keys() == {"Ærlig Ås & Co", "Blocked", "Bob's", "Plain & Ltd"}
    assert (customers["Bob's"]["paymentTermsId"], customers["Bob's"]["currencyId"]) == (net30, BLANK)
    # Contacts with their customer.
    contacts = sales.rows("integration", "contacts", "fullname")
    anna = contacts["Anna Maria Berg"]
    assert (anna["firstname"], anna["lastname"]) == ("Anna Maria", "Berg")
    assert anna["_parentcustomerid_value"] == first["accountid"]
    persons = sales.rows("local", "contacts", "displayName")
    assert (persons["Carl Bo"]["type"], persons["Carl Bo"]["companyNumber"]) == (
        "Person",
        sales.company(customers["Bob's"]["id"]),
    )
    assert carl == contacts["Carl Bo"]["contactid"]
    product = sales.rows("integration", "products", "productnumber")["1000"]
    assert (product["name"], float(product["price"]), product["_defaultuomid_value"]) == ("Bicycle", 4000, UNIT)
    opportunity = sales.rows("integration", "opportunities", "name")["Fifty bicycles"]
    assert (opportunity["_parentcontactid_value"], opportunity["_ownerid_value"]) == (anna["contactid"], user)

    # A second run has nothing to do, and neither has one that reads everything.
    for kind in ("modified", "full"):
        before = sales.everything()
        ended = sales.run_all(kind)
        assert sum(counts[one] for run in ended.values() for counts in run.counts.values() for one in WRITES) == 0
        assert sales.everything() == before

    # Edits on both sides, of fields and of references.
    sales.edit("local", "customers", ann, city="Bergen", currencyId=BLANK)
    sales.edit(
        "integration",
        "accounts",
        bob,
        name="Bob & Sons",
        _transactioncurrencyid_value=currency["transactioncurrencyid"],
    )
    sales.edit("integration", "accounts", bob, paymenttermscode=None)
    sales.edit("integration", "contacts", carl, jobtitle="Buyer", _parentcustomerid_value=first["accountid"])
    ended = sales.run_all()
    assert {run.status for run in ended.values()} == {"succeeded"}
    accounts, customers = sales.rows("integration", "accounts", "name"), sales.rows("local", "customers", "displayName")
    assert (accounts["Ærlig Ås & Co"]["address1_city"], accounts["Ærlig Ås & Co"]["_transactioncurrencyid_value"]) == (
        "Bergen",
        None,
    )
    assert (customers["Bob & Sons"]["currencyId"], customers["Bob & Sons"]["paymentTermsId"]) == (euro, BLANK)
    person = sales.rows("local", "contacts", "displayName")["Carl Bo"]
    assert (person["jobTitle"], person["companyNumber"]) == ("Buyer", sales.company(ann))


def test_a_currency_without_an_exchange_rate(sales: Sales) -> None:
    sales.apply(mappings=["currencies"])
    sales.add("local", "currencies", code="SEK", displayName="Krona", symbol="kr")
    run = sales.run_all()["currencies"]
    assert (run.status, run.code) == ("failed", "exchange_rate_missing")
    [error] = errors(run_id=run.id)
    assert (error.code, error.responsibility, error.params) == (
        "exchange_rate_missing",
        "administrator",
        {"currency": "SEK"},
    )
    assert sales.rows("integration", "transactioncurrencies", "isocurrencycode") == {}
    rate = {"currencyCode": "SEK", "relationalCurrencyCode": "", "exchangeRateAmount": "100"}
    sales.add("local", "currencyExchangeRates", startingDate="2020-01-01", relationalExchangeRateAmount="95", **rate)
    run = sales.run_all()["currencies"]
    assert run.status == "succeeded"
    [currency] = sales.rows("integration", "transactioncurrencies", "isocurrencycode").values()
    assert round(float(currency["exchangerate"]), 6) == 1.052632

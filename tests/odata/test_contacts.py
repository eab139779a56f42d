"""Contacts of Business Central and their customers, which the API tells from the customers' end alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from service.connectors.base import Insert, Update
from service.connectors.kit import failure_of, record_of
from service.connectors.odata import BusinessCentralConnector
from service.core.failures import SideFailed
from service.core.records import Condition, FieldType, Selection
from tests.odata.sales import CENTRAL
from tests.odata.servers import COMPANY, Counterpart, counterpart

FIELDS = ("displayName", "customerId")
CONTACTS = Selection("contacts", "id", "lastModifiedDateTime", FIELDS)
NOBODY = str(uuid.UUID(int=9))


@pytest.fixture(scope="module")
def central() -> Iterator[Counterpart]:
    with counterpart("businessCentral", CENTRAL, stampDigits=3) as running:
        yield running


@pytest.fixture
def connector(central: Counterpart) -> Iterator[BusinessCentralConnector]:
    central.control("clear")
    made = BusinessCentralConnector({"url": central.url, "company": COMPANY}, {})
    yield made
    made.close()


def customer(central: Counterpart, number: str) -> str:
    key = str(uuid.uuid4())
    central.control("put", table="customers", rows=[[key, None, {"number": number}]])
    return key


def contact(central: Counterpart, number: str, company: str) -> str:
    key = str(uuid.uuid4())
    values = {"number": number, "displayName": number, "type": "Person", "companyNumber": company}
    central.control("put", table="contacts", rows=[[key, None, values]])
    return key


def targets(central: Counterpart) -> list[str]:
    return [target.rpartition("/")[2].partition("?")[0] for _, target, _ in central.requests()]


def test_the_customers_of_a_page_are_read_at_once(central: Counterpart, connector: BusinessCentralConnector) -> None:
    field = connector.describe("contacts").fields["customerId"]
    assert (field.type, field.read_only, field.required) == (FieldType.UUID, False, False)
    companies = {(key := customer(central, str(n))): central.control("company", customer=key) for n in range(3)}
    people = {contact(central, f"P{n}", company): key for n, (key, company) in enumerate(companies.items())}
    lonely, other = contact(central, "P8", ""), contact(central, "P9", "no customer")
    central.requests()
    found = connector.fetch(CONTACTS, [*people, lonely, other], filtered=False)
    assert {key: record.values[1] for key, record in found.items()} == {**people, lonely: None, other: None}
    assert targets(central) == ["contacts", "customers"]
    page = connector.read(CONTACTS, None, None, 100)
    assert {one.key: one.values[1] for one in page.records if one.key in people} == people
    assert targets(central) == ["contacts"]  # A page of the next half minute is told by the same.
    plain = Selection("contacts", "id", "lastModifiedDateTime", ("displayName",))
    assert len(connector.read(plain, None, None, 100).records) == 8
    assert targets(central) == ["contacts"]


def test_a_contact_is_written_into_the_company_of_its_customer(
    central: Counterpart, connector: BusinessCentralConnector
) -> None:
    connector.read(CONTACTS, None, None, 100)
    first, second = customer(central, "1"), customer(central, "2")  # Neither is known by now.
    central.requests()
    items = [Insert({"displayName": "a", "customerId": first}), Insert({"displayName": "b", "customerId": second})]
    made = [record_of(one) for one in connector.insert(CONTACTS, items)]
    assert [one.values for one in made] == [("a", first), ("b", second)]
    assert targets(central).count("customers") == 1
    rows = {row["id"]: row for row in central.control("all", table="contacts")}
    assert rows[made[0].key]["companyNumber"] == central.control("company", customer=first)
    items = [Insert({"displayName": str(n), "customerId": str(uuid.UUID(int=n))}) for n in range(5)]
    refused = [failure_of(one) for one in connector.insert(CONTACTS, items)]
    told = ("value_rejected", {"field": "customerId", "rule": "foreign_key"})
    assert {(one.code, *map(str, sorted(one.params.items()))) for one in refused} == {
        (told[0], *map(str, sorted(told[1].items())))
    }
    assert targets(central).count("customers") == 1
    moved, cleared = (
        record_of(one)
        for one in connector.update(
            CONTACTS,
            [
                Update(made[0], {"customerId": second}, guarded=True),
                Update(made[1], {"customerId": None}, guarded=True),
            ],
        )
    )
    assert (moved.values[1], cleared.values[1]) == (second, None)
    assert [failure_of(one).code for one in connector.update(CONTACTS, [Update(moved, {"customerId": NOBODY}, False)])]


def test_contacts_are_found_by_their_customer(central: Counterpart, connector: BusinessCentralConnector) -> None:
    key = customer(central, "1")
    person = contact(central, "P1", central.control("company", customer=key))
    found = connector.find(CONTACTS, ("customerId",), [(key,), (NOBODY,)])
    assert person in {record.key for record in found}
    assert {record.values[1] for record in found} == {key}
    assert connector.find(CONTACTS, ("customerId",), [(NOBODY,)]) == []


def test_what_the_service_cannot_filter_by_is_refused(connector: BusinessCentralConnector) -> None:
    wrong = Selection("contacts", "id", "lastModifiedDateTime", FIELDS, (Condition("customerId", "eq", NOBODY),))
    with pytest.raises(SideFailed) as refused:
        connector.read(wrong, None, None, 10)
    assert refused.value.failure.code == "mapping_invalid"


@pytest.mark.parametrize("lacks", ["contactsInformation", "customers"])
def test_an_api_that_cannot_tell_has_no_such_field(lacks: str) -> None:
    without = {name: table for name, table in CENTRAL.items() if name != lacks}
    with counterpart("businessCentral", without, stampDigits=3) as service:
        connector = BusinessCentralConnector({"url": service.url, "company": COMPANY}, {})
        assert "customerId" not in connector.describe("contacts").fields
        connector.close()

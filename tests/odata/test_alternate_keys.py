"""Alternate keys: told with how far they are, gone by in lookups and for new records, and not relied on before."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.connectors.base import Insert, Update
from service.connectors.kit import failure_of, record_of
from service.connectors.odata import DataverseConnector, ODataConnector
from service.core.records import AlternateKey, Condition, FieldType, KeyStatus, Record, Selection
from service.store.database import connection, migrate, open_database
from tests.odata.sales import dataverse
from tests.odata.servers import Counterpart, counterpart, faults_before, text
from tests.odata.world import FIELDS, USERS, ODataWorld, tables
from tests.world import errors

ACCOUNTS = {
    **dataverse("account", "accountid", (), None, accountnumber=text(20), name=text(50), region=text(10), tax=text(20)),
    "alternates": [
        {"name": "by_number", "fields": ["accountnumber"]},
        {"name": "by_place", "fields": ["region", "name"]},
        {"name": "by_tax", "fields": ["tax"], "status": "InProgress"},
        {"name": "by_fault", "fields": ["name"], "status": "Failed"},
    ],
}
CONTACTS = {
    **dataverse("contact", "contactid", (), {"parent": ("_parent_value", "accounts")}, name=text(50)),
    "alternates": [{"name": "by_parent", "fields": ["_parent_value", "name"]}],
}
LOOKUP = "parent/accountnumber"
PEOPLE = Selection("contacts", "contactid", "modifiedon", ("name", LOOKUP))


@pytest.fixture(scope="module")
def crm() -> Iterator[Counterpart]:
    with counterpart("dataverse", {"accounts": ACCOUNTS, "contacts": CONTACTS}, stampDigits=0) as running:
        yield running


@pytest.fixture
def connector(crm: Counterpart) -> Iterator[DataverseConnector]:
    crm.control("clear")
    made = DataverseConnector({"url": crm.url}, {})
    yield made
    made.close()


def account(crm: Counterpart, number: str, **values: Any) -> str:
    key = str(uuid.uuid4())
    crm.control("put", table="accounts", rows=[[key, None, {"accountnumber": number, **values}]])
    return key


def contact(crm: Counterpart, name: str, parent: str | None) -> str:
    key = str(uuid.uuid4())
    crm.control("put", table="contacts", rows=[[key, None, {"name": name, "_parent_value": parent}]])
    return key


def asked(crm: Counterpart) -> list[str]:
    return [f"{method} {target.lstrip('/').partition('?')[0]}" for method, target, _ in crm.requests()]


def test_keys_are_told_with_how_far_they_are(connector: DataverseConnector) -> None:
    assert connector.describe("accounts").alternate_keys == (
        AlternateKey("by_number", ("accountnumber",)),
        AlternateKey("by_place", ("region", "name")),
        AlternateKey("by_tax", ("tax",), KeyStatus.BUILDING),
        AlternateKey("by_fault", ("name",), KeyStatus.FAILED),
    )
    described = connector.describe("contacts")
    assert described.alternate_keys == (AlternateKey("by_parent", ("parent", "name")),)
    assert {name for name in described.fields if "/" in name} == {LOOKUP}  # No key of several fields, none on its way.
    field = described.fields[LOOKUP]
    assert (field.type, field.length, field.required, field.read_only) == (FieldType.STRING, 20, False, False)


def test_the_setup_check_names_keys_that_are_not_used(connector: DataverseConnector) -> None:
    tables = [Selection("accounts", "accountid", "modifiedon", ("name",)), PEOPLE]
    found = {one.params["table"]: one for one in connector.check(tables) if one.code == "alternate_keys"}
    assert (found["accounts"].status, found["contacts"].status) == ("warn", "pass")
    assert found["accounts"].params["keys"] == ["by_tax (tax)", "by_fault (name)"]


def test_records_are_read_and_found_through_a_lookup(crm: Counterpart, connector: DataverseConnector) -> None:
    numbers = [f"N{n}" for n in range(3)]
    people = {contact(crm, number, account(crm, number)): number for number in numbers}
    alone = contact(crm, "alone", None)
    connector.describe("contacts")
    crm.requests()
    page = connector.read(PEOPLE, None, None, 100)
    assert {one.key: one.values[1] for one in page.records} == {**people, alone: None}
    assert asked(crm) == ["GET contacts"]
    found = connector.find(PEOPLE, (LOOKUP,), [(number,) for number in numbers[:2]])
    assert {record.values for record in found} == {("N0", "N0"), ("N1", "N1")}
    assert len(asked(crm)) == 1
    within = replace(PEOPLE, filter=(Condition(LOOKUP, "in", ["N1", "N2"]),))
    assert {one.values[1] for one in connector.read(within, None, None, 100).records} == {"N1", "N2"}


def test_a_lookup_is_written_by_the_number_of_what_it_leads_to(crm: Counterpart, connector: DataverseConnector) -> None:
    first, second = account(crm, "N'1"), account(crm, "Å 2")
    values: list[str | None] = ["N'1", "Å 2", None, "nobody", "a/b"]
    results = connector.insert(PEOPLE, [Insert({"name": str(n), LOOKUP: one}) for n, one in enumerate(values)])
    assert [record_of(one).values[1] for one in results[:3]] == values[:3]
    missing, unfit = (failure_of(one) for one in results[3:])
    assert (missing.code, missing.params["rule"]) == ("value_rejected", "foreign_key")
    assert (unfit.code, unfit.params) == ("value_rejected", {"field": LOOKUP, "rule": "not_in_address"})
    made: list[Record] = [record_of(one) for one in results[:3]]
    moved, cleared = (
        record_of(one)
        for one in connector.update(
            PEOPLE, [Update(made[0], {LOOKUP: "Å 2"}, guarded=True), Update(made[1], {LOOKUP: None}, guarded=False)]
        )
    )
    assert (moved.values[1], cleared.values[1]) == ("Å 2", None)
    rows = {row["name"]: row["_parent_value"] for row in crm.control("all", table="contacts")}
    assert rows == {"0": second, "1": None, "2": None}
    assert first != second
    [refused] = connector.update(PEOPLE, [Update(moved, {LOOKUP: "nobody"}, guarded=True)])
    assert failure_of(refused).params["rule"] == "foreign_key"


def test_a_record_that_is_known_by_its_number_is_created_by_it(crm: Counterpart) -> None:
    connector = DataverseConnector({"url": crm.url, "batch": "none", "bulk": "off"}, {})
    crm.control("clear")
    crm.control("put", table="accounts", rows=[[str(uuid.uuid4()), None, {"accountnumber": "T1", "name": "theirs"}]])
    known = Selection("accounts", "accountnumber", "modifiedon", ("accountnumber", "name", "tax"))
    crm.requests()
    items = [Insert({"accountnumber": number, "name": "ours", "tax": number}) for number in ("N1", "T1", "a+b")]
    made, refused, odd = connector.insert(known, items)
    assert (record_of(made).key, record_of(odd).key) == ("N1", "a+b")
    failure = failure_of(refused)
    assert (failure.params["field"], failure.params["rule"]) == ("accountnumber", "unique")
    sent = [line for line in asked(crm) if not line.startswith("GET")]
    assert sent == ["PATCH accounts(accountnumber='N1')", "PATCH accounts(accountnumber='T1')", "POST accounts"]
    names = {row["accountnumber"]: row["name"] for row in crm.control("all", table="accounts")}
    assert names == {"N1": "ours", "T1": "theirs", "a+b": "ours"}
    connector.close()


# Services of the standard


@pytest.fixture(scope="module")
def service() -> Iterator[Counterpart]:
    """A service that makes the keys, annotates an alternate one, and upserts."""
    table = {
        "type": "Customer",
        "key": "id",
        "stamp": "modified_at",
        "upsertable": True,
        "unique": ["number"],
        "alternates": [{"name": "by_number", "fields": ["number"]}],
        "fields": {
            "id": {"type": "Int32", "nullable": False, "computed": True},
            "number": text(20),
            "name": text(50),
            "modified_at": {"type": "DateTimeOffset", "precision": 6, "computed": True},
        },
    }
    with counterpart("odata", {"customers": table}) as running:
        yield running


@pytest.mark.parametrize("silent", [False, True])
def test_an_annotated_key_makes_an_insert_certain_where_the_service_makes_the_keys(
    service: Counterpart, silent: bool
) -> None:
    service.control("clear")
    service.control("set", silent=silent)
    connector = ODataConnector({"url": service.url, "batch": "none"}, {})
    customers = Selection("customers", "id", "modified_at", ("number", "name"))
    assert connector.describe("customers").alternate_keys == (AlternateKey("number", ("number",)),)
    service.requests()
    items = [Insert({"number": f"N{n}", "name": "n"}) for n in range(3)]
    made = [record_of(one) for one in connector.insert(customers, [*items, Insert({"name": "without"})])]
    assert [one.values[0] for one in made] == ["N0", "N1", "N2", None]
    sent = [line for line in asked(service) if not line.startswith("GET")]
    assert sent == [*(f"PATCH customers(number='N{n}')" for n in range(3)), "POST customers"]
    refused = [failure_of(one) for one in connector.insert(customers, items)]
    assert {(one.code, one.params["field"], one.params["rule"]) for one in refused} == {
        ("value_rejected", "number", "unique")
    }
    assert len(service.control("all", table="customers")) == 4
    connector.close()


# Lost answers


@pytest.mark.parametrize("status", ["Active", "Pending"])
def test_a_lost_insert_is_found_by_an_alternate_key_that_the_application_keeps_to(tmp_path: Path, status: str) -> None:
    """The application makes the keys and writes names in capitals; the mapping has no match keys."""
    described = tables("dataverse")
    number, name, *_ = FIELDS["dataverse"]
    described["accounts"]["fields"][name]["capitals"] = True
    described["accounts"]["alternates"] = [{"name": "by_number", "fields": [number], "status": status}]
    state = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    migrate()
    with (
        connection(),
        counterpart("dataverse", described, users=USERS, stampDigits=0) as crm,
        faults_before(crm) as faults,
    ):
        world = ODataWorld(tmp_path, crm, port=faults.port, newKeys="service", bulk="off")
        world.add_remote(**{number: "L1", name: "THEIRS"})
        lines = [
            {"local_field": "number", "integration_field": number},
            {"local_field": "name", "integration_field": name},
        ]
        side = {"table": "accounts", "modified_on": "modifiedon"}
        world.map(lines, integration=side, direction="toIntegration")
        for n in range(3):
            world.add("local", number=f"L{n}", name=f"ours {n}")
        faults.plan({"fault": "drop", "path": "$batch"})
        world.run()
        remote = {row[number]: row for row in world.service.control("all", table="accounts")}
        assert {key: row[name] for key, row in remote.items()} == {"L0": "OURS 0", "L1": "THEIRS", "L2": "OURS 2"}
        partners = {row["number"]: world.partner("local", str(row["id"])) for row in world.all("local")}
        found = {number: remote[number]["accountid"] for number in ("L0", "L2")} if status == "Active" else {}
        assert {number: key for number, key in partners.items() if key is not None} == found
        assert {one.params["rule"] for one in errors()} == {"unique"}
    state.close()


def test_a_mapping_refers_by_a_number_without_a_coupling(tmp_path: Path, crm: Counterpart) -> None:
    """People of an ERP have the number of their company in a field; in the CRM that is a lookup to an account."""
    state = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    migrate()
    with connection():
        world = ODataWorld(tmp_path, crm)
        first, second = account(crm, "N1"), account(crm, "N2")
        lines: list[dict[str, Any]] = [
            {"local_field": "name", "integration_field": "name", "match_key": 1},
            {"local_field": "city", "integration_field": LOOKUP},
        ]
        world.map(lines, integration={"table": "contacts", "modified_on": "modifiedon"})
        ann, bob = world.add("local", number="1", name="Ann", city="N1"), world.add("local", number="2", name="Bob")
        contact(crm, "Carl", second)
        run = world.run()
        assert run.status == "succeeded", [(one.code, one.params) for one in errors()]
        rows = {row["name"]: row for row in crm.control("all", table="contacts")}
        assert {name: row["_parent_value"] for name, row in rows.items()} == {"Ann": first, "Bob": None, "Carl": second}
        assert {row["name"]: row["city"] for row in world.all("local")} == {"Ann": "N1", "Bob": None, "Carl": "N2"}
        crm.control("put", table="contacts", rows=[[rows["Ann"]["contactid"], None, {"_parent_value": second}]])
        world.edit("local", bob, city="N1")
        assert world.run().status == "succeeded"
        assert (world.get("local", ann) or {})["city"] == "N2"
        rows = {row["name"]: row for row in crm.control("all", table="contacts")}
        assert rows["Bob"]["_parent_value"] == first
        before = world.stamps()
        assert world.run().status == "succeeded"
        assert world.stamps() == before
    state.close()

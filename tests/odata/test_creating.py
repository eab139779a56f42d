"""New records under keys of our choice: made once however often they are sent, and never over somebody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.connectors.base import Insert, Update
from service.connectors.kit import Traits, failure_of, read_all, record_of
from service.connectors.odata import DataverseConnector, ODataConnector
from service.core.records import FieldType, Selection
from tests.odata.sales import dataverse
from tests.odata.servers import Counterpart, Faults, contract_tables, counterpart, faults_before, stamp, text
from tests.odata.world import FIELDS, USERS, ODataWorld, tables

OURS = "00000000-0000-4000-8000-00000000abcd"
HANDS = {name: {"type": "Guid", "computed": True} for name in ("_createdby_value", "_modifiedby_value")}
WAYS: dict[str, dict[str, str]] = {"single": {"batch": "none", "bulk": "off"}, "$batch": {"bulk": "off"}, "bulk": {}}
"""How inserts may be sent to Dataverse: one by one, in batches, by `CreateMultiple`."""

CUSTOMERS = Traits(key="customerid", modified_on="modifiedon", key_type=FieldType.UUID).customers


@pytest.fixture(scope="module")
def crm() -> Iterator[Counterpart]:
    described = contract_tables("customerid", {"type": "Guid", "nullable": False}, "modifiedon", 3)
    described["customer"]["fields"] |= HANDS
    described |= {
        "contacts": dataverse("contact", "contactid", (), {"parent": ("_parent_value", "customer")}, name=text(50))
    }
    described["contacts"]["fields"]["modifiedon"] = stamp(3)
    with counterpart("dataverse", described, stampDigits=3) as running:
        yield running


@pytest.fixture(scope="module")
def service() -> Iterator[Counterpart]:
    """A service that says of one of its tables that it upserts, and of the other nothing."""
    key = {"type": "String", "length": 36, "nullable": False}
    described = contract_tables("id", key, "modified_at", 6)
    described["customer"]["upsertable"] = True
    described["plain"] = {**described["customer"], "type": "Plain"}
    del described["plain"]["upsertable"]
    described["parts"] = {
        **described["plain"],
        "type": "Parts",
        "key": ["area", "line"],
        "upsertable": True,
        "fields": {"area": key, "line": {"type": "Int32", "nullable": False}, "name": text(50), "modified_at": {}},
    }
    described["parts"]["fields"]["modified_at"] = described["customer"]["fields"]["modified_at"]
    described["parts"]["unique"] = []
    with counterpart("odata", described) as running:
        yield running


def writes(running: Counterpart) -> list[str]:
    """Method and target of what was sent to write."""
    return [f"{method} {target.lstrip('/')}" for method, target, _ in running.requests() if method != "GET"]


def test_a_single_record_is_created_at_its_address(crm: Counterpart) -> None:
    crm.control("clear")
    connector = DataverseConnector({"url": crm.url, **WAYS["single"]}, {})
    crm.requests()
    [made] = connector.insert(CUSTOMERS, [Insert({"name": "Ann"}, key=OURS)])
    assert (record_of(made).key, record_of(made).values[1]) == (OURS, "Ann")
    assert writes(crm) == [f"PATCH customer({OURS})"]
    connector.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_record_of_somebody_else_is_not_written_over(crm: Counterpart, way: str) -> None:
    crm.control("clear")
    crm.control("put", table="customer", rows=[[OURS, None, {"name": "theirs", "city": "Bergen"}]])
    connector = DataverseConnector({"url": crm.url, **WAYS[way]}, {})
    before = crm.control("all", table="customer")
    items = [Insert({"name": "ours"}, key=OURS), Insert({"name": "another"}, key=OURS.replace("abcd", "abce"))]
    refused, made = connector.insert(CUSTOMERS, items)
    assert record_of(made).values[1] == "another"
    failure = failure_of(refused)
    assert (failure.code, failure.params["field"], failure.params["rule"]) == ("value_rejected", "customerid", "unique")
    assert [row for row in crm.control("all", table="customer") if row["name"] != "another"] == before
    again = [failure_of(one).code for one in connector.insert(CUSTOMERS, items)]
    assert again == ["value_rejected"] * 2
    assert len(crm.control("all", table="customer")) == 2
    connector.close()


def test_the_words_of_a_refusal_may_be_in_any_language(crm: Counterpart) -> None:
    crm.control("clear")
    crm.control("put", table="customer", rows=[[OURS, None, {"name": "theirs"}]])
    crm.control("set", said="En post finnes allerede.")
    connector = DataverseConnector({"url": crm.url}, {})
    try:
        [refused] = connector.insert(CUSTOMERS, [Insert({"name": "ours"}, key=OURS)])
        assert failure_of(refused).params == {"field": "customerid", "rule": "unique"}
    finally:
        crm.control("set", said=None)
        connector.close()


def test_a_taken_number_is_told_as_such(crm: Counterpart) -> None:
    crm.control("clear")
    connector = DataverseConnector({"url": crm.url}, {})
    connector.insert(CUSTOMERS, [Insert({"name": "a", "number": "N1"}, key=OURS)])
    [refused] = connector.insert(CUSTOMERS, [Insert({"name": "b", "number": "N1"}, key=OURS.replace("abcd", "abce"))])
    assert failure_of(refused).params["field"] == "number"
    connector.close()


def test_a_reference_that_leads_nowhere_is_the_fault_of_the_record(crm: Counterpart) -> None:
    """Dataverse says 404 to it, as to a table or a record that is not there."""
    crm.control("clear")
    connector = DataverseConnector({"url": crm.url}, {})
    contacts = Selection("contacts", "contactid", "modifiedon", ("name", "parent"))
    [made, refused] = connector.insert(contacts, [Insert({"name": "a"}), Insert({"name": "b", "parent": OURS})])
    assert (failure_of(refused).code, failure_of(refused).params["rule"]) == ("value_rejected", "foreign_key")
    [refused] = connector.update(contacts, [Update(record_of(made), {"parent": OURS}, guarded=True)])
    assert (failure_of(refused).code, failure_of(refused).params["rule"]) == ("value_rejected", "foreign_key")
    crm.control("remove", table="contacts", key=record_of(made).key)
    [refused] = connector.update(contacts, [Update(record_of(made), {"name": "c"}, guarded=True)])
    assert failure_of(refused).code == "partner_deleted"
    connector.close()


# Services of the standard


def selection(table: str, *fields: str, key: str = "id") -> Selection:
    return Selection(table, key, "modified_at", fields or ("name", "city"))


def test_a_table_that_says_so_is_upserted_into(service: Counterpart) -> None:
    service.control("clear")
    connector = ODataConnector({"url": service.url, "batch": "none"}, {})
    service.requests()
    connector.insert(selection("customer"), [Insert({"name": "a"}, key="k 1"), Insert({"id": "k'2", "name": "b"})])
    connector.insert(selection("plain"), [Insert({"name": "a"}, key="k1")])
    parts = selection("parts", "area", "line", "name", key="area,line")
    [made] = connector.insert(parts, [Insert({"area": "a,b", "line": 7, "name": "c"})])
    assert record_of(made).key == "a%2Cb,7"
    assert writes(service) == [
        "PATCH customer('k 1')",
        "PATCH customer('k''2')",
        "POST plain",
        "PATCH parts(area='a,b',line=7)",
    ]
    [refused] = connector.insert(parts, [Insert({"area": "a,b", "line": 7, "name": "d"})])
    assert (failure_of(refused).params["field"], failure_of(refused).params["rule"]) == ("area, line", "unique")
    assert [record.values[2] for record in read_all(connector, parts)] == ["c"]
    connector.close()


def test_a_person_may_say_how_keys_are_given(service: Counterpart) -> None:
    service.control("clear")
    sent: dict[str, list[str]] = {}
    for way in ("auto", "upsert", "post", "service"):
        connector = ODataConnector({"url": service.url, "batch": "none", "newKeys": way, "scope": way}, {})
        if way == "service":
            described = connector.describe("customer")
            assert described.generates_keys
            assert described.fields["id"].read_only
            connector.close()
            continue
        service.requests()
        for table in ("customer", "plain"):
            [made] = connector.insert(selection(table), [Insert({"name": "n"}, key=way)])
            assert record_of(made).key == way
        sent[way] = [line.partition(" ")[0] for line in writes(service)]
        connector.close()
    # "plain" does not know such a PATCH: it is told with a 404, and asked by POST from then on.
    assert sent == {"auto": ["PATCH", "POST"], "upsert": ["PATCH", "PATCH", "POST"], "post": ["POST", "POST"]}
    connector = ODataConnector({"url": service.url, "batch": "none", "newKeys": "upsert"}, {})
    connector.insert(selection("plain"), [Insert({"name": "n"}, key="once more")])
    assert writes(service)[-1] == "POST plain"
    connector.close()


# Lost answers


@pytest.fixture(scope="module")
def accounts() -> Iterator[Counterpart]:
    described = tables("dataverse")
    described["accounts"]["fields"] |= HANDS
    with counterpart("dataverse", described, users=USERS, stampDigits=0) as running:
        yield running


@pytest.fixture(scope="module")
def faults(accounts: Counterpart) -> Iterator[Faults]:
    with faults_before(accounts) as proxy:
        yield proxy


_LOST: dict[str, dict[str, Any]] = {
    "single": {"method": "PATCH", "path": "accounts("},
    "$batch": {"path": "$batch"},
    "bulk": {"path": "CreateMultiple"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("state")
def test_an_insert_whose_answer_was_lost_is_ours(
    accounts: Counterpart, faults: Faults, tmp_path: Path, way: str
) -> None:
    """In a mapping without match keys: only the key tells whose the records are."""
    world = ODataWorld(tmp_path, accounts, port=faults.port, **WAYS[way])
    number, name, *_ = FIELDS["dataverse"]
    lines = [{"local_field": "number", "integration_field": number}, {"local_field": "name", "integration_field": name}]
    world.map(lines, integration={"table": "accounts", "modified_on": "modifiedon"})
    for n in range(4):
        world.add("local", number=f"L{n}", name="all of one name")
    accounts.requests()
    faults.plan({"fault": "drop", **_LOST[way]})
    run = world.run()
    faults.plan()
    assert (run.status, run.counts["toIntegration"]["inserted"]) == ("succeeded", 3 if way == "single" else 0)
    creations = [line for line in writes(accounts) if _LOST[way]["path"] in line]
    assert len(creations) == (4 if way == "single" else 1)
    remote = world.remote()
    assert sorted(remote) == [f"L{n}" for n in range(4)]
    assert {world.partner("local", str(row["id"])) for row in world.all("local")} == {
        row["accountid"] for row in remote.values()
    }

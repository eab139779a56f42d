"""Services that odatapy serves keep the contract through our connectors, in each shape and with each kind of batch."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from service.connectors.base import Connector, Deletion, Insert, Update
from service.connectors.kit import CUSTOMERS, SECOND, T0, ConnectorContract, Traits, failure_of, read_all, record_of
from service.connectors.odata import BusinessCentralConnector, DataverseConnector, ODataConnector
from service.core.failures import Failure
from service.core.records import FieldType, Scalar, Selection, Stamp
from tests.odata.servers import COMPANY, Counterpart, contract_tables, counterpart

_GUID = {"type": "Guid", "nullable": False}
LOST = "customer?$deltatoken=lost"
GRADES = {"grade": ("_x0020_", "Gold", "Silver")}
_SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


class ODataApplication:
    """The kit's application over a counterpart. Where keys are GUIDs, names become GUIDs in the order they are made."""

    def __init__(
        self, service: Counterpart, kind: type[ODataConnector], settings: dict[str, Any], *, guids: bool
    ) -> None:
        self.service, self.kind, self.settings, self.guids = service, kind, settings, guids
        self.made: dict[str, str] = {}

    def connector(self, **more: Any) -> Connector:
        return self.kind({"url": self.service.url, **self.settings, **more}, {})

    def key(self, name: str) -> str:
        if not self.guids:
            return name
        return self.made.setdefault(name, f"{len(self.made):08x}-{str(uuid.uuid5(_SPACE, name))[9:]}")

    def put(self, who: str, /, *, stamp: Stamp | None = None, **values: Scalar) -> None:
        self.service.control("put", table="customer", rows=[[self.key(who), stamp, values]])

    def put_many(self, rows: Iterable[tuple[str, Stamp, dict[str, Scalar]]]) -> None:
        listed = [[self.key(name), stamp, values] for name, stamp, values in rows]
        self.service.control("put", table="customer", rows=listed)

    def remove(self, name: str) -> None:
        self.service.control("remove", table="customer", key=self.key(name))

    def unstamp(self, name: str) -> None:
        self.service.control("unstamp", table="customer", key=self.key(name))


def application(service: Counterpart, kind: type[ODataConnector], *, guids: bool, **settings: Any) -> ODataApplication:
    service.control("clear")
    return ODataApplication(service, kind, settings, guids=guids)


@pytest.fixture(scope="module")
def plain() -> Iterator[Counterpart]:
    key = {"type": "String", "length": 36, "nullable": False}
    with counterpart("odata", contract_tables("id", key, "modified_at", 6)) as running:
        yield running


@pytest.fixture(scope="module")
def paged() -> Iterator[Counterpart]:
    key = {"type": "String", "length": 36, "nullable": False}
    tables = contract_tables("id", key, "modified_at", 6)
    tables["customer"]["upsertable"] = True
    with counterpart("odata", tables, pageSize=40) as running:
        yield running


@pytest.fixture(scope="module")
def dataverse() -> Iterator[Counterpart]:
    tables = contract_tables("customerid", _GUID, "modifiedon", 3)
    hands = {name: {"type": "Guid", "computed": True} for name in ("_createdby_value", "_modifiedby_value")}
    tables["customer"]["fields"] |= hands
    with counterpart("dataverse", tables, stampDigits=3) as running:
        yield running


@pytest.fixture(scope="module")
def central() -> Iterator[Counterpart]:
    tables = contract_tables("id", _GUID, "lastModifiedDateTime", 3)
    with counterpart("businessCentral", tables, stampDigits=3) as running:
        yield running


class TestOData(ConnectorContract):
    """Any service: GUIDs are nothing special, stamps may be missing, and the kind of batch is found out (JSON)."""

    traits = Traits(plenty=600, tells_changes=True, lost_token=LOST, options=GRADES)

    @pytest.fixture
    def app(self, plain: Counterpart) -> ODataApplication:
        return application(plain, ODataConnector, guids=False)


class TestODataInPages(TestOData):
    """A service that sends forty records at a time, whatever is asked for, and takes upserts."""

    traits = Traits(plenty=120, tells_changes=True, lost_token=LOST, options=GRADES)

    @pytest.fixture
    def app(self, paged: Counterpart) -> ODataApplication:
        return application(paged, ODataConnector, guids=False)


class TwoPartApplication(ODataApplication):
    """The kit's application over a service whose keys are an area and a number; their order is not that of texts."""

    def parts(self, name: str) -> tuple[str, int]:
        made = len(self.made)
        area, number = self.made.setdefault(name, f"{made // 3:04}'(,{(0, 9, 10)[made % 3]}").rsplit(",", 1)
        return area, int(number)

    def key(self, name: str) -> str:
        self.parts(name)
        return self.made[name]

    def put(self, who: str, /, *, stamp: Stamp | None = None, **values: Scalar) -> None:
        self.service.control("put", table="customer", rows=[[self.parts(who), stamp, values]])

    def put_many(self, rows: Iterable[tuple[str, Stamp, dict[str, Scalar]]]) -> None:
        listed = [[self.parts(name), stamp, values] for name, stamp, values in rows]
        self.service.control("put", table="customer", rows=listed)

    def remove(self, name: str) -> None:
        self.service.control("remove", table="customer", key=self.parts(name))

    def unstamp(self, name: str) -> None:
        self.service.control("unstamp", table="customer", key=self.parts(name))


@pytest.fixture(scope="module")
def two_parts() -> Iterator[Counterpart]:
    tables = contract_tables("id", {"type": "String", "length": 36, "nullable": False}, "modified_at", 6)
    parts = {"area": {"type": "String", "length": 20, "nullable": False}, "line": {"type": "Int32", "nullable": False}}
    for table in tables.values():
        del table["fields"]["id"]
        table |= {"key": ["area", "line"], "fields": {**parts, **table["fields"]}}
    with counterpart("odata", tables) as running:
        yield running


class TestKeysOfTwoParts(ConnectorContract):
    """A service whose keys have two parts, a text and a number."""

    traits = Traits(
        key="area,line",
        chosen_keys=False,
        plenty=120,
        tells_changes=True,
        lost_token=LOST,
        options=GRADES,
    )

    @pytest.fixture
    def app(self, two_parts: Counterpart) -> ODataApplication:
        two_parts.control("clear")
        return TwoPartApplication(two_parts, ODataConnector, {}, guids=False)


class TestDataverse(ConnectorContract):
    traits = Traits(
        key="customerid",
        options={**GRADES, "terms": (1, 2, 4)},
        modified_on="modifiedon",
        key_type=FieldType.UUID,
        chosen_keys=False,
        resolution=SECOND // 1_000,
        unstamped=False,
        tells_changes=True,
        lost_token=LOST,
        plenty=600,
    )

    @pytest.fixture
    def app(self, dataverse: Counterpart) -> ODataApplication:
        return application(dataverse, DataverseConnector, guids=True)


class TestBusinessCentral(ConnectorContract):
    traits = Traits(
        options=GRADES,
        modified_on="lastModifiedDateTime",
        key_type=FieldType.UUID,
        chosen_keys=False,
        resolution=SECOND // 1_000,
        unstamped=False,
        plenty=600,
    )

    @pytest.fixture
    def app(self, central: Counterpart) -> ODataApplication:
        return application(central, BusinessCentralConnector, guids=True, company=COMPANY)


@pytest.mark.parametrize("known", [["json", "multipart"], ["multipart"], []])
def test_the_kind_of_batch_that_a_service_takes_is_found_out(plain: Counterpart, known: list[str]) -> None:
    app = application(plain, ODataConnector, guids=False, batchSize=20, scope="".join(known))
    plain.control("set", batches=known)
    connector = app.connector()
    connector._service.shared.forget("batch")  # type: ignore[attr-defined]
    try:
        plain.requests()
        items = [Insert({"name": f"n{n}", "number": f"N{n % 45}"}, key=f"k{n:02}") for n in range(50)]
        results = connector.insert(CUSTOMERS, items)
        assert [isinstance(result, Failure) for result in results] == [n >= 45 for n in range(50)]
        asked = [(method, target) for method, target, _ in plain.requests() if method == "POST"]
        batches = [target for _, target in asked if target == "/$batch"]
        assert len(batches) == {2: 3, 1: 1 + 3, 0: 2}[len(known)]
        assert len(asked) == (3 if known == ["json", "multipart"] else 4 if known else 52)
        found = connector.fetch(CUSTOMERS, [f"k{n:02}" for n in range(50)], filtered=False)
        assert len(found) == 45
    finally:
        connector._service.shared.forget("batch")  # type: ignore[attr-defined]
        plain.control("set", batches=["json", "multipart"])
        connector.close()


def test_a_batch_that_is_too_large_is_halved(plain: Counterpart) -> None:
    app = application(plain, ODataConnector, guids=False)
    plain.control("set", largest=8_000)
    connector = app.connector()
    try:
        items = [Insert({"name": "n", "city": "x" * 1_000}, key=f"k{n:02}") for n in range(30)]
        results = connector.insert(CUSTOMERS, [*items, Insert({"name": "n", "city": "x" * 9_000}, key="big")])
        assert [isinstance(result, Failure) for result in results] == [False] * 30 + [True]
        assert failure_of(results[30]).params["rule"] == "too_large"
    finally:
        plain.control("set", largest=None)
        connector.close()


def test_dataverse_takes_a_guid_of_our_choice(dataverse: Counterpart) -> None:
    connector = application(dataverse, DataverseConnector, guids=True).connector()
    selection = TestDataverse.traits.customers
    [result] = connector.insert(selection, [Insert({"name": "n"}, key="00000000-0000-4000-8000-00000000abcd")])
    assert record_of(result).key == "00000000-0000-4000-8000-00000000abcd"
    connector.close()


@pytest.fixture
def bulk(dataverse: Counterpart) -> Iterator[ODataApplication]:
    yield application(dataverse, DataverseConnector, guids=True)
    dataverse.control("set", meddles=False, largest=None)


def bulk_calls(service: Counterpart) -> list[str]:
    """What was asked of the service in order to write, in order."""
    return [target.rpartition("/")[2].rpartition(".")[2] for method, target, _ in service.requests() if method != "GET"]


def test_many_records_are_made_and_written_by_one_call(bulk: ODataApplication) -> None:
    connector, selection = bulk.connector(), TestDataverse.traits.customers
    keys = [f"{n:08x}-0000-4000-8000-00000000abcd" for n in range(300)]
    bulk.service.requests()
    made = connector.insert(selection, [Insert({"name": f"n{n}"}, key=key) for n, key in enumerate(keys)])
    assert [record_of(one).key for one in made] == keys
    assert [record_of(one).values[1] for one in made] == [f"n{n}" for n in range(300)]
    assert bulk_calls(bulk.service) == ["CreateMultiple", "$batch"]  # The second reads what was made.
    done = connector.update(selection, [Update(record_of(one), {"city": "Oslo"}, guarded=False) for one in made])
    assert {record_of(one).values[2] for one in done} == {"Oslo"}
    assert bulk_calls(bulk.service) == ["UpdateMultiple", "$batch"]
    connector.update(selection, [Update(record_of(one), {"city": "Bergen"}, guarded=True) for one in done])
    assert set(bulk_calls(bulk.service)) == {"$batch"}  # Neither message takes If-Match.
    connector.close()


def test_what_a_bulk_call_refuses_is_written_one_by_one(bulk: ODataApplication) -> None:
    connector, selection = bulk.connector(), TestDataverse.traits.customers
    items = [Insert({"name": f"n{n}", "number": f"N{n % 45}"}) for n in range(50)]
    bulk.service.requests()
    results = connector.insert(selection, items)
    assert [isinstance(one, Failure) for one in results] == [n >= 45 for n in range(50)]
    assert failure_of(results[49]).params["field"] == "number"
    assert bulk_calls(bulk.service)[:2] == ["CreateMultiple", "$batch"]
    records = [record_of(one) for one in results[:3]]
    bulk.service.control("remove", table="customer", key=records[1].key)
    updates = [Update(one, {"visits": 1}, guarded=False) for one in records]
    assert [isinstance(one, Failure) for one in connector.update(selection, updates)] == [False, True, False]
    connector.close()


def test_a_bulk_call_that_is_too_large_is_halved(bulk: ODataApplication) -> None:
    connector, selection = bulk.connector(), TestDataverse.traits.customers
    bulk.service.control("set", largest=8_000)
    results = connector.insert(selection, [Insert({"name": "n", "city": "x" * 1_000}) for _ in range(20)])
    assert len({record_of(one).key for one in results}) == 20
    connector.close()


def test_an_edit_right_after_a_bulk_call_is_not_taken_for_ours(bulk: ODataApplication) -> None:
    connector, selection = bulk.connector(), TestDataverse.traits.customers
    bulk.service.control("set", meddles=True)
    results = connector.insert(selection, [Insert({"name": f"n{n}"}) for n in range(3)])
    assert [isinstance(one, Failure) for one in results] == [False, False, True]
    assert failure_of(results[2]).code == "record_moved"
    connector.close()


def test_bulk_calls_can_be_switched_off_and_are_not_made_for_tables_that_do_not_know_them(
    bulk: ODataApplication,
) -> None:
    selection = TestDataverse.traits.customers
    without = bulk.connector(bulk="off")
    bulk.service.requests()
    without.insert(selection, [Insert({"name": f"n{n}"}) for n in range(3)])
    assert bulk_calls(bulk.service) == ["$batch"]
    without.close()
    tables = contract_tables("customerid", _GUID, "modifiedon", 3)
    hands = {name: {"type": "Guid", "computed": True} for name in ("_createdby_value", "_modifiedby_value")}
    tables["customer"] |= {"multiple": False, "fields": tables["customer"]["fields"] | hands}
    with counterpart("dataverse", tables, stampDigits=3) as service:
        connector = DataverseConnector({"url": service.url}, {})
        for expected in (["CreateMultiple", "$batch"], ["$batch"]):
            service.requests()
            results = connector.insert(selection, [Insert({"name": f"n{n}"}) for n in range(3)])
            assert [record_of(one).values[1] for one in results] == ["n0", "n1", "n2"]
            assert bulk_calls(service) == expected
        connector.close()


def test_a_key_of_two_parts_may_have_any_characters(two_parts: Counterpart) -> None:
    """Not in batches: odatapy does not decode what is in the addresses of their parts."""
    two_parts.control("clear")
    areas = ["a b", "a,b", "it's", "50%", "a=b,c='d'", "a&b", "a/b", "ø", "%2C", "(a", "=", "x'',line=3"]
    rows = [[[area, number], T0, {"name": "n"}] for number, area in enumerate(areas)]
    two_parts.control("put", table="customer", rows=rows)
    connector = ODataConnector({"url": two_parts.url, "batch": "none"}, {})
    selection = Selection("customer", "area,line", "modified_at", ("name", "area", "line"))
    records = read_all(connector, selection, None, 5)
    assert {record.values[1] for record in records} == set(areas)
    assert set(connector.fetch(selection, [record.key for record in records], filtered=False)) == {
        record.key for record in records
    }
    done = connector.update(selection, [Update(one, {"name": str(one.values[1])}, guarded=True) for one in records])
    assert [record_of(one).values[0] for one in done] == [one.values[1] for one in records]
    [refused] = connector.update(selection, [Update(record_of(done[0]), {"line": 77}, guarded=True)])
    assert failure_of(refused).params["rule"] == "key_cannot_change"
    [made] = connector.insert(selection, [Insert({"area": "mine, all", "line": 7, "name": "n"})])
    assert record_of(made).key == "mine%2C all,7"
    assert connector.delete(selection, [Deletion(record_of(made), guarded=True)]) == [None]
    assert connector.fetch(selection, ["mine%2C all,7", "mine", "mine,7,8", ",", "a b,x"], filtered=False) == {}
    connector.close()

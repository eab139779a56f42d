"""Services that odatapy serves keep the contract through our connectors, in each shape and with each kind of batch."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from service.connectors.base import Connector, Insert
from service.connectors.kit import CUSTOMERS, SECOND, ConnectorContract, Traits, failure_of, record_of
from service.connectors.odata import BusinessCentralConnector, DataverseConnector, ODataConnector
from service.core.failures import Failure
from service.core.records import FieldType, Scalar, Stamp
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
    with counterpart("odata", contract_tables("id", key, "modified_at", 6), pageSize=40) as running:
        yield running


@pytest.fixture(scope="module")
def dataverse() -> Iterator[Counterpart]:
    tables = contract_tables("customerid", _GUID, "modifiedon", 3)
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
    """A service that sends forty records at a time, whatever is asked for."""

    traits = Traits(plenty=120, tells_changes=True, lost_token=LOST, options=GRADES)

    @pytest.fixture
    def app(self, paged: Counterpart) -> ODataApplication:
        return application(paged, ODataConnector, guids=False)


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

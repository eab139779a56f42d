"""The memory connector keeps the contract, and behaves as the applications it stands for."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from service.connectors.base import Connector, Insert, SettingsRefused, Update
from service.connectors.kit import CUSTOMERS, T0, ConnectorContract, Traits, keys_of, read_all, record_of
from service.connectors.memory import STORES, MemoryConnector, open_store
from service.core.failures import Failure, SideFailed
from service.core.records import Field, FieldType, Selection, SideTable
from tests.connectors.memory_application import MemoryApplication


@pytest.fixture
def app(request: pytest.FixtureRequest) -> Iterable[MemoryApplication]:
    name = request.node.nodeid
    yield MemoryApplication(open_store(name), name)
    del STORES[name]


@pytest.fixture
def connector(app: MemoryApplication) -> Connector:
    return app.connector()


class TestMemory(ConnectorContract):
    traits = Traits(cuts=True, options={"grade": ("gold", "silver")})


class TestMemoryThatTellsChanges(ConnectorContract):
    """A store that tells its changes by itself, three at a time."""

    traits = Traits(tells_changes=True, cuts=True, plenty=50)

    @pytest.fixture
    def app(self, request: pytest.FixtureRequest) -> Iterable[MemoryApplication]:
        name = request.node.nodeid
        yield MemoryApplication(open_store(name), name, told=3)
        del STORES[name]


def test_settings_are_checked() -> None:
    with pytest.raises(SettingsRefused) as refused:
        MemoryConnector({"shop": "x"}, {})
    assert [(name, code) for name, code, _ in refused.value.problems] == [
        ("shop", "unknown_setting"),
        ("store", "setting_required"),
    ]


def test_links_are_made_from_the_template(app: MemoryApplication) -> None:
    settings = {"store": app.name, "linkTemplate": "https://erp.example/{table}/{key}"}
    assert MemoryConnector(settings, {}).link("customer", "7") == "https://erp.example/customer/7"
    assert app.connector().link("customer", "7") is None


def test_a_late_transaction_holds_the_horizon_and_appears_with_old_stamps(app: MemoryApplication) -> None:
    connector = app.connector()
    started = app.store.now
    with app.store.transaction() as put:
        put("customer", id="late", name="n")
        app.store.put("customer", id="early", name="n")
        assert connector.clock(CUSTOMERS).horizon == started
        assert connector.clock(CUSTOMERS).now > started
        assert keys_of(read_all(connector, CUSTOMERS)) == ["early"]
    assert keys_of(read_all(connector, CUSTOMERS)) == ["late", "early"]
    assert connector.clock(CUSTOMERS).horizon == app.store.now


def test_an_application_that_makes_its_own_of_what_is_written(app: MemoryApplication) -> None:
    table = app.store.tables["customer"]
    table.trims, table.upper_cases, table.restamps, table.resolution = True, ("city",), True, 1_000_000
    app.store.step = 300_000
    connector = app.connector()
    [result] = connector.insert(CUSTOMERS, [Insert({"name": "Ann  ", "city": "Oslo", "credit": "1.005"}, key="a")])
    record = record_of(result)
    assert record.values[1:4] == ("Ann", "OSLO", "1")
    assert record.modified_on is not None
    assert record.modified_on % 1_000_000 == 0
    assert record == connector.fetch(CUSTOMERS, ["a"], filtered=False)["a"]


def test_versions_move_with_every_write_also_of_a_key_used_again(app: MemoryApplication) -> None:
    app.store.tables["customer"].versions = True
    connector = app.connector()
    seen = set()
    for _ in range(3):
        app.put("a", stamp=T0, name="n")
        seen.add(connector.fetch(CUSTOMERS, ["a"], filtered=False)["a"].version)
        app.remove("a")
    assert len(seen) == 3


def test_stamps_in_a_side_table(app: MemoryApplication) -> None:
    side = SideTable("stamps", "record", "at")
    app.store.create_table("stamps", [Field("at", FieldType.DATETIME)], key="record", modified_on=None)
    app.store.create_table("item", [Field("name", FieldType.STRING)], modified_on=None, stamps_in=side)
    selection = Selection("item", "id", side, ("name",))
    app.store.put("item", id="b", name="first")
    app.store.put("item", id="a", name="second")
    connector = app.connector()
    records = read_all(connector, selection)
    assert keys_of(records) == ["b", "a"]
    assert keys_of(read_all(connector, selection, records[1].modified_on)) == ["a"]
    app.store.unstamp("item", "a")
    assert keys_of(read_all(connector, selection)) == ["a", "b"]


def test_failures_can_be_played(app: MemoryApplication) -> None:
    connector = app.connector()

    def refuse(operation: str, table: str) -> None:
        raise SideFailed(Failure("connection_failed"))

    app.store.before = refuse
    with pytest.raises(SideFailed):
        connector.read(CUSTOMERS, None, None, 1)
    assert {check.code: check.status for check in connector.check([CUSTOMERS])}["reachable"] == "fail"
    app.store.before = None
    app.store.tables["customer"].refuse = lambda values: Failure("value_rejected") if values["visits"] == 13 else None
    results = connector.insert(CUSTOMERS, [Insert({"name": "n", "visits": n}, key=str(n)) for n in (12, 13)])
    assert isinstance(results[1], Failure)
    assert record_of(results[0]).key == "12"


def test_threads_share_a_store(app: MemoryApplication) -> None:
    app.put("a", stamp=T0, name="n", visits=0)

    def add() -> None:
        connector = app.connector()
        done = 0
        while done < 50:
            record = connector.fetch(CUSTOMERS, ["a"], filtered=False)["a"]
            visits = record.values[7]
            assert isinstance(visits, int)
            [result] = connector.update(CUSTOMERS, [Update(record, {"visits": visits + 1}, guarded=True)])
            done += not isinstance(result, Failure)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert app.store.values("customer", "a")["visits"] == 200

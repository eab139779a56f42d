"""A connector that takes fields together keeps the contract, and asks its application for nothing but single fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from service.connectors.base import Connector, Insert, Update
from service.connectors.composing import Composing
from service.connectors.kit import CUSTOMERS, ConnectorContract, Traits, failure_of, read_all, record_of
from service.connectors.memory import STORES, open_store
from service.core.composites import found
from service.core.records import Record
from tests.connectors.memory_application import MemoryApplication

WHOLE = "name + city"
TOGETHER = replace(CUSTOMERS, fields=("id", WHOLE, "city"))


class ComposingApplication(MemoryApplication):
    """The same application, behind a connector that takes two of its fields together."""

    def connector(self, **settings: object) -> Connector:
        inner = super().connector(**settings)
        composite = found(inner.describe("customer").fields, WHOLE)
        assert composite is not None
        return Composing(inner, {WHOLE: composite})


@pytest.fixture
def app(request: pytest.FixtureRequest) -> Iterable[ComposingApplication]:
    name = request.node.nodeid
    yield ComposingApplication(open_store(name), name)
    del STORES[name]


@pytest.fixture
def connector(app: ComposingApplication) -> Connector:
    return app.connector()


class TestComposing(ConnectorContract):
    traits = Traits(cuts=True)


def values(record: object) -> tuple[object, ...]:
    assert isinstance(record, Record), record
    return record.values


def test_parts_are_read_as_one_value_beside_single_fields(app: ComposingApplication, connector: Connector) -> None:
    app.put("a", name="Ann ", city="Berg")
    app.put("b", name="Bo", city=None)
    (ann, bo) = read_all(connector, TOGETHER)
    assert ann.values == ("a", '["Ann","Berg"]', "Berg")
    assert bo.values == ("b", '["Bo",null]', None)
    assert connector.fetch(TOGETHER, ["a"], filtered=False)["a"].values == ann.values


def test_parts_are_written_apart(app: ComposingApplication, connector: Connector) -> None:
    made = connector.insert(TOGETHER, [Insert({WHOLE: '["Ann",null]'}, "a")])[0]
    assert values(made)[1] == '["Ann",null]'
    assert isinstance(made, Record)
    changed = connector.update(TOGETHER, [Update(made, {WHOLE: '["Ann","Berg"]'}, guarded=True)])[0]
    assert values(changed)[1] == '["Ann","Berg"]'
    emptied = connector.update(TOGETHER, [Update(record_of(changed), {WHOLE: '["Ann",null]'}, guarded=True)])[0]
    assert values(emptied)[1:] == ('["Ann",null]', None)


def test_a_part_that_stays_is_not_written_over(app: ComposingApplication, connector: Connector) -> None:
    """Without a guard the other part is as somebody has made it meanwhile."""
    app.put("a", name="Ann", city="Berg")
    record = connector.fetch(TOGETHER, ["a"], filtered=False)["a"]
    app.put("a", name="Anna", city="Berg")
    connector.update(TOGETHER, [Update(record, {WHOLE: '["Ann","Lund"]'}, guarded=False)])
    assert values(connector.fetch(TOGETHER, ["a"], filtered=False)["a"])[1] == '["Anna","Lund"]'


def test_a_guard_holds_for_all_parts(app: ComposingApplication, connector: Connector) -> None:
    app.put("a", name="Ann", city="Berg")
    record = connector.fetch(TOGETHER, ["a"], filtered=False)["a"]
    app.put("a", name="Anna", city="Berg")
    refused = connector.update(TOGETHER, [Update(record, {WHOLE: '["Ann","Lund"]'}, guarded=True)])[0]
    assert failure_of(refused).code == "record_moved"


def test_records_are_found_by_the_parts_that_are_there(app: ComposingApplication, connector: Connector) -> None:
    for key, name, city in (("a", "Ann", "Berg"), ("b", "Bo", None), ("c", "Ann", "Lund"), ("d", "Di", "Berg")):
        app.put(key, name=name, city=city)
    wanted = {('["Ann","Berg"]',), ('["Bo",null]',), ('[null,"Lund"]',)}
    assert sorted(hit.key for hit in connector.find(TOGETHER, [WHOLE], wanted)) == ["a", "b", "c"]
    assert [hit.key for hit in connector.find(TOGETHER, [WHOLE, "city"], {('["Ann","Berg"]', "Berg")})] == ["a"]

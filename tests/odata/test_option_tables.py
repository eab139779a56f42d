"""A choice of Dataverse as a table: read in pages, found, filtered, changed under guard, refused where it must be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from service.connectors.base import Deletion, Insert, Update
from service.connectors.kit import failure_of, read_all, record_of
from service.connectors.odata import DataverseConnector
from service.core.failures import SideFailed
from service.core.records import Condition, FieldType, Selection
from tests.odata.sales import DATAVERSE
from tests.odata.servers import Counterpart, counterpart

TERMS = Selection("accounts.paymenttermscode", "value", "modifiedon", ("value", "label"))


@pytest.fixture
def service() -> Iterator[Counterpart]:
    with counterpart("dataverse", DATAVERSE, stampDigits=0) as running:
        yield running


@pytest.fixture
def connector(service: Counterpart) -> Iterator[DataverseConnector]:
    made = DataverseConnector({"url": service.url}, {})
    yield made
    made.close()


def options(service: Counterpart) -> dict[str, str]:
    found: dict[str, str] = service.control("options", table="accounts", field="paymenttermscode")
    return found


def test_it_is_described_and_read_in_pages(connector: DataverseConnector) -> None:
    table = connector.describe(TERMS.table)
    assert (table.key, table.modified_on, table.generates_keys) == ("value", "modifiedon", True)
    assert {name: one.type for name, one in table.fields.items()} == {
        "value": FieldType.INTEGER,
        "label": FieldType.STRING,
        "modifiedon": FieldType.DATETIME,
    }
    records = read_all(connector, TERMS, limit=1)
    assert [(one.key, one.values, one.modified_on) for one in records] == [
        ("1", (1, "Net 30"), None),
        ("2", (2, "2% 10, Net 30"), None),
    ]
    some = replace(TERMS, filter=(Condition("label", "contains", "%"),))
    assert [one.key for one in read_all(connector, some)] == ["2"]
    assert connector.fetch(some, ["1", "2"], filtered=True).keys() == {"2"}
    assert connector.fetch(some, ["1", "2", "9"], filtered=False).keys() == {"1", "2"}
    assert [one.key for one in connector.find(TERMS, ["label"], [("Net 30 ",), ("nothing",)])] == ["1"]
    assert connector.changes(TERMS, None) is None


@pytest.mark.parametrize("name", ["accounts.name", "accounts.nothing", "nothing.paymenttermscode"])
def test_only_choices_are_such_tables(connector: DataverseConnector, name: str) -> None:
    with pytest.raises(SideFailed) as refused:
        connector.describe(name)
    assert refused.value.failure.code == "table_not_found"


def test_options_are_made_changed_and_deleted_in_one_batch_each(
    connector: DataverseConnector, service: Counterpart
) -> None:
    service.requests()
    labels = [{"label": "Net 60"}, {"label": ""}, {"label": "x" * 201}, {"label": "Net 90"}]
    results = connector.insert(TERMS, [Insert(values) for values in labels])
    made = [record_of(results[0]), record_of(results[3])]
    assert [one.values[1] for one in made] == ["Net 60", "Net 90"]
    assert failure_of(results[1]).params["rule"] == "not_null"
    assert failure_of(results[2]).code == "value_too_long"
    batches = [target for method, target, _ in service.requests() if method == "POST"]
    assert batches == ["/$batch", "/$batch"]  # The options, and their publication.
    [changed] = connector.update(TERMS, [Update(made[0], {"label": "Net 61"}, guarded=True)])
    assert record_of(changed).values[1] == "Net 61"
    assert connector.delete(TERMS, [Deletion(made[1], guarded=True)]) == [None]
    assert list(options(service).values()) == ["Net 30", "2% 10, Net 30", "Net 61"]
    # The options of the field are those of now, for the next value that is checked.
    field = connector.describe("accounts").fields["paymenttermscode"]
    assert [one.label for one in field.options] == ["Net 30", "2% 10, Net 30", "Net 61"]


def test_an_option_that_was_renamed_or_is_gone_is_not_written_over(
    connector: DataverseConnector, service: Counterpart
) -> None:
    first, second = read_all(connector, TERMS)
    connector.update(TERMS, [Update(first, {"label": "Somebody's"}, guarded=False)])
    connector.delete(TERMS, [Deletion(second, guarded=False)])
    results = connector.update(TERMS, [Update(one, {"label": "Ours"}, guarded=True) for one in (first, second)])
    assert [failure_of(one).code for one in results] == ["record_moved", "partner_deleted"]
    assert [one if one is None else one.code for one in connector.delete(TERMS, [Deletion(first, guarded=True)])] == [
        "record_moved"
    ]
    assert list(options(service).values()) == ["Somebody's"]


def test_whoever_may_not_customize_is_told_once(connector: DataverseConnector, service: Counterpart) -> None:
    said = "The user is missing prvWriteOptionSet privilege."
    service.control("set", refuse={"where": "POST .*batch", "status": 403, "code": "0x80040220", "message": said})
    with pytest.raises(SideFailed) as refused:
        connector.insert(TERMS, [Insert({"label": "Net 60"}), Insert({"label": "Net 90"})])
    assert refused.value.failure.code == "permission_denied"


def test_nothing_is_written_without_leave(connector: DataverseConnector, service: Counterpart) -> None:
    class Overtaken(Exception):
        pass

    def refuse() -> None:
        raise Overtaken

    connector.fence(refuse)
    with pytest.raises(Overtaken):
        connector.insert(TERMS, [Insert({"label": "Net 60"})])
    assert list(options(service).values()) == ["Net 30", "2% 10, Net 30"]

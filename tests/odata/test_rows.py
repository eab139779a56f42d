"""Rows of an answer become the same records, whether their values are taken together or one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from service.connectors.odata import ODataConnector
from service.connectors.odata.plan import Plan
from service.core.records import Selection
from tests.odata.servers import Counterpart, contract_tables, counterpart


@pytest.fixture(scope="module")
def service() -> Iterator[Counterpart]:
    with counterpart("odata", contract_tables("id", {"type": "String", "length": 36}, "modified_at", 6)) as running:
        yield running


@pytest.fixture
def plan(service: Counterpart) -> Iterator[Plan]:
    connector = ODataConnector({"url": service.url, "auth": "none"}, {})
    fields = tuple(connector.describe("customer").fields)
    yield connector._plan(Selection("customer", "id", "modified_at", fields, ()))
    connector.close()


def rows(plan: Plan) -> list[dict[str, Any]]:
    """Rows whose values are of all kinds that a service may say them in."""
    found = []
    for number, value in enumerate(("a", None, 7, 1.5, True, "2026-01-01T00:00:00Z", "Z")):
        row = {one.source: value for one in plan.properties} | {"id": f"k{number}", "@odata.etag": f'W/"{number}"'}
        found.append({**row, "modified_at": "2026-01-01T00:00:00Z"})
    return found


def test_together_and_one_by_one(plan: Plan) -> None:
    whole = rows(plan)
    alone = [plan.records([row], filtered=False)[0] for row in whole]
    assert plan.records(whole, filtered=False) == alone
    assert len({record.values for record in alone}) == len(whole)


def test_a_row_that_lacks_what_is_empty(plan: Plan) -> None:
    """Some services leave out what is null."""
    empty = [{**row, **{one.source: None for one in plan.properties if one.source != "id"}} for row in rows(plan)]
    lacking = [{name: value for name, value in row.items() if value is not None} for row in empty]
    assert plan.records([*rows(plan), *lacking], filtered=False) == plan.records([*rows(plan), *empty], filtered=False)


def test_a_tag_by_either_name(plan: Plan) -> None:
    [row] = rows(plan)[:1]
    other = {**{name: value for name, value in row.items() if name != "@odata.etag"}, "@etag": row["@odata.etag"]}
    assert plan.records([row], filtered=False) == plan.records([other], filtered=False)

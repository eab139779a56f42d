"""mock-sap keeps the contract."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from service.connectors.base import Insert
from service.connectors.http import Answer
from service.connectors.kit import T0, ConnectorContract, read_all, record_of
from tests.odata.sap import ORDERS, PARTNERS, PRODUCTS, Erp, SapApplication


class SapContract(ConnectorContract):
    """A table that its users choose the keys of; its ETags are stamps."""

    service = ""

    @pytest.fixture
    def app(self, erp: Erp) -> SapApplication:
        return SapApplication(erp, self.service, self.traits)


class TestBusinessPartners(SapContract):
    service = "api_businesspartner"
    traits = PARTNERS


class TestProducts(SapContract):
    service = "api_product"
    traits = PRODUCTS


class TestSalesOrders(SapContract):
    service = "api_salesorder"
    traits = ORDERS


def test_a_partner_without_a_number_is_given_one(erp: Erp) -> None:
    """The ERP numbers partners that come without a key, though its description does not tell."""
    with closing(SapApplication(erp, TestBusinessPartners.service, PARTNERS).connector()) as connector:
        names = [f"name {n}" for n in range(30)]
        results = connector.insert(PARTNERS.customers, [Insert({"BusinessPartnerFullName": name}) for name in names])
        records = [record_of(result) for result in results]
        assert [record.values[1] for record in records] == names
        assert len({record.key for record in records}) == 30
        assert connector.fetch(PARTNERS.customers, [one.key for one in records], filtered=False) == {
            one.key: one for one in records
        }


def test_three_thousand_products_take_one_request_a_page_and_one_for_1000_partners(erp: Erp) -> None:
    app = SapApplication(erp, TestProducts.service, PRODUCTS)
    app.put_many((f"P{n:05}", T0 + n, {"name": f"n{n}", "credit": "1.5"}) for n in range(3_000))
    with closing(app.connector()) as connector:
        connector.fetch(PRODUCTS.customers, ["P00000"], filtered=False)  # What is asked only once is asked now.
        asked: list[str] = []
        send = connector._service.client.send

        def counted(method: str, target: str = "", **more: Any) -> Answer:
            asked.append(method)
            return send(method, target, **more)

        connector._service.client.send = counted  # type: ignore[method-assign]
        records = read_all(connector, PRODUCTS.customers, T0)
        assert (len({record.key for record in records}), asked) == (3_000, ["GET"] * (3 + 1))
        asked.clear()
        for place in range(0, 3_000, 1_000):
            keys = [record.key for record in records[place : place + 1_000]]
            assert len(connector.fetch(PRODUCTS.customers, keys, filtered=False)) == 1_000
        assert asked == ["POST"] * 3
    app.write([(f'DELETE FROM "{app.table}"', [])])

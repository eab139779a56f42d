"""mock-sap keeps the contract."""

from __future__ import annotations

from contextlib import closing

import pytest

from service.connectors.base import Insert
from service.connectors.kit import ConnectorContract, record_of
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

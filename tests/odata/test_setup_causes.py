"""What is wrong with a setup has one code: the one that a run ends with, and the one that the setup check names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service import wording
from service.core.records import Side
from service.operations import checks
from tests.odata.sales import CENTRAL, DATAVERSE, Sales
from tests.odata.servers import Counterpart, counterpart
from tests.odata.world import USERS, ODataWorld, tables
from tests.world import errors

pytestmark = pytest.mark.usefixtures("state")

BOSS: dict[str, Any] = {"password": "secret", "administrator": True, "roleName": "Systemadministrator"}


@pytest.fixture(scope="module")
def service() -> Iterator[Counterpart]:
    with counterpart("dataverse", tables("dataverse"), users={**USERS, "boss": BOSS}) as running:
        yield running


@pytest.fixture
def world(service: Counterpart, tmp_path: Path) -> Iterator[ODataWorld]:
    made = ODataWorld(tmp_path, service)
    made.map_service()
    made.add("local", number="1", name="n", city="Oslo")
    yield made
    service.control("set", refuse=None)


CAUSES: list[tuple[str, str, dict[str, Any]]] = [
    ("credentials_rejected", "credentials", {"where": ".", "status": 401, "message": "Who are you?"}),
    ("password_change_required", "password_change", {"where": ".", "status": 401, "message": "Password has expired."}),
    (
        "permission_denied",
        "read_access",
        {"where": "accounts", "status": 403, "code": "0x80040220", "message": "The user is missing prvReadAccount."},
    ),
]


@pytest.mark.parametrize(("code", "check", "refuse"), CAUSES, ids=[row[0] for row in CAUSES])
def test_a_run_and_the_check_name_the_same_cause(
    world: ODataWorld, code: str, check: str, refuse: dict[str, Any]
) -> None:
    world.service.control("set", refuse=refuse)
    run = world.run()
    assert (run.status, run.code) == ("failed", code)
    [error] = errors(run_id=run.id)
    assert (error.code, error.category, error.responsibility) == (code, "setup", "administrator")
    status, found = checks.check(world.context, world.connection_ids[Side.INTEGRATION])
    assert status == "fail"
    assert code in {checks.error_code(one) for one in found if one.code == check}


def test_limits_are_one_cause_too(world: ODataWorld) -> None:
    world.service.control("set", refuse={"where": ".", "status": 429, "message": "Slow down."})
    _, found = checks.check(world.context, world.connection_ids[Side.INTEGRATION])
    assert {checks.error_code(one) for one in found if one.code == "reachable"} == {"rate_limited"}
    assert {one.params["why"] for one in found if one.status == "unknown"} == {"not_reached"}


def test_an_administrator_is_told_by_the_role_and_by_what_the_application_says(
    service: Counterpart, tmp_path: Path
) -> None:
    """The role is known in every language; and where an application refuses an administrator, so is its sentence."""
    world = ODataWorld(tmp_path, service, user="boss")
    world.map_service()
    world.add("local", number="1", name="n", city="Oslo")
    _, found = checks.check(world.context, world.connection_ids[Side.INTEGRATION])
    [told] = [one for one in found if one.code == "user_is_administrator"]
    assert (told.status, checks.error_code(told)) == ("warn", "integration_user_is_administrator")
    said = "The integration user has the System Administrator role, which is not allowed."
    service.control("set", refuse={"where": "POST .*batch", "status": 403, "message": said})
    run = world.run()
    service.control("set", refuse=None)
    assert (run.status, run.code) == ("failed", "integration_user_is_administrator")


def test_currencies_without_a_rate_are_found_on_both_sides() -> None:
    with (
        counterpart("businessCentral", CENTRAL, stampDigits=3) as central,
        counterpart("dataverse", DATAVERSE, stampDigits=0) as dataverse,
    ):
        sales = Sales(central, dataverse)
        sales.apply(mappings=["customers"])
        for code in ("EUR", "SEK"):
            sales.add("local", "currencies", code=code, displayName=code)
        rate = {"relationalCurrencyCode": "", "exchangeRateAmount": "1", "relationalExchangeRateAmount": "11"}
        sales.add("local", "currencyExchangeRates", currencyCode="EUR", startingDate="2020-01-01", **rate)
        sales.add("local", "currencyExchangeRates", currencyCode="SEK", startingDate="2999-01-01", **rate)
        sales.add("integration", "transactioncurrencies", isocurrencycode="USD", exchangerate="1")
        sales.add("integration", "transactioncurrencies", isocurrencycode="GBP")
        for side, missing in ((Side.LOCAL, ["SEK"]), (Side.INTEGRATION, ["GBP"])):
            _, found = checks.check(sales.context, sales.connection_ids[side])
            [told] = [one for one in found if one.code == "exchange_rates"]
            assert (told.status, told.params["currencies"]) == ("fail", missing)
            assert checks.error_code(told) == "exchange_rate_missing"


def test_what_is_unknown_says_why(world: ODataWorld) -> None:
    for side in Side:
        _, found = checks.check(world.context, world.connection_ids[side])
        for one in (one for one in found if one.status == "unknown"):
            assert wording.known(f"check_not_made.{one.params['why']}"), one

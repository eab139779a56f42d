"""Tryton keeps the contract, with stamps in two fields, sessions that end, and rights."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest

from service.connectors.base import Deletion, Insert, SettingsRefused, Update
from service.connectors.kit import (
    SECOND,
    T0,
    Application,
    ConnectorContract,
    Traits,
    failure_of,
    keys_of,
    read_all,
    record_of,
)
from service.connectors.tryton import TrytonConnector, rpc
from service.core.failures import SideFailed
from service.core.records import FieldType, Scalar, Selection, Stamp, moment_of
from tests.odata.servers import faults_at
from tests.setup_checks import assert_complete
from tests.tryton import TrytonServer

TRAITS = Traits(
    customer="accord.customer",
    numbered="accord.numbered",
    modified_on="write_date",
    key_type=FieldType.INTEGER,
    chosen_keys=False,
    rules=frozenset({"not_null"}),
    counts=False,
    plenty=600,
    options={"grade": ("gold", "silver"), "terms": ("net30",)},
    initial={"blocked": False},
)
CUSTOMERS = TRAITS.customers
PARTIES = Selection("party.party", "id", "write_date", ("name", "active"))


class TrytonApplication(Application):
    def __init__(self, server: TrytonServer) -> None:
        self.server = server
        self.database = server.database()
        self.keys: dict[str, int] = {}
        for table in ("accord_customer", "accord_numbered"):
            self.database.execute(f"DELETE FROM {table}")

    def connector(self, user: str = "accord") -> TrytonConnector:
        return TrytonConnector(self.server.settings, self.server.credentials(user))

    def put(self, who: str, /, *, stamp: Stamp | None = None, **values: Scalar) -> None:
        given = {name: _native(value) for name, value in values.items()}
        given["write_date"] = text_of(stamp)
        if (
            who in self.keys
            and self.database.execute("SELECT 1 FROM accord_customer WHERE id = ?", [self.keys[who]]).fetchone()
        ):
            sets = ", ".join(f"{name} = ?" for name in given)
            self.database.execute(f"UPDATE accord_customer SET {sets} WHERE id = ?", [*given.values(), self.keys[who]])
            return
        given["create_date"] = given["write_date"]
        if len(self.keys) % 2:  # Every other record was never written since it was created.
            given["write_date"] = None
        names, marks = ", ".join(given), ", ".join("?" for _ in given)
        made = self.database.execute(f"INSERT INTO accord_customer ({names}) VALUES ({marks})", [*given.values()])
        self.keys[who] = made.lastrowid or 0

    def put_many(self, rows: Iterable[tuple[str, Stamp, dict[str, Scalar]]]) -> None:
        self.database.execute("BEGIN IMMEDIATE")
        for who, stamp, values in rows:
            self.put(who, stamp=stamp, **values)
        self.database.execute("COMMIT")

    def remove(self, who: str) -> None:
        self.database.execute("DELETE FROM accord_customer WHERE id = ?", [self.keys[who]])

    def unstamp(self, who: str) -> None:
        self.database.execute(
            "UPDATE accord_customer SET write_date = NULL, create_date = NULL WHERE id = ?", [self.keys[who]]
        )

    def key(self, who: str) -> str:
        return str(self.keys[who])


def text_of(stamp: Stamp | None) -> str:
    """As the server's own driver writes it."""
    return str(moment_of(time.time_ns() // 1_000 if stamp is None else stamp).replace(tzinfo=None))


def _native(value: Scalar) -> Scalar:
    if isinstance(value, str) and value[10:11] == "T":
        return f"{value[:10]} {value[11:26]}".removesuffix(".000000")
    return value.strip() if isinstance(value, str) else value


@pytest.fixture
def app(tryton: TrytonServer) -> Iterator[TrytonApplication]:
    application = TrytonApplication(tryton)
    yield application
    application.database.close()


@pytest.fixture
def connector(app: TrytonApplication) -> Iterator[TrytonConnector]:
    connector = app.connector()
    yield connector
    connector.close()


class TestTryton(ConnectorContract):
    traits = TRAITS


def test_settings_are_checked_all_together() -> None:
    with pytest.raises(SettingsRefused) as refused:
        TrytonConnector({"url": "erp.example.com", "database": "a/b", "shop": 1, "overlapSeconds": -1}, {"token": "x"})
    assert {name: code for name, code, _ in refused.value.problems} == {
        "shop": "unknown_setting",
        "token": "unknown_credential",
        "username": "credential_required",
        "password": "credential_required",
        "url": "not_a_web_address",
        "database": "not_a_database_name",
        "overlapSeconds": "not_a_duration",
    }


def test_links_open_the_web_client(app: TrytonApplication, connector: TrytonConnector) -> None:
    assert connector.link("party.party", "7") == f"{app.server.url}/#erp/model/party.party/7"
    template = {**app.server.settings, "linkTemplate": "https://erp.example/{table}?id={key}"}
    other = TrytonConnector(template, app.server.credentials())
    assert other.link("party.party", "7") == "https://erp.example/party.party?id=7"


def test_a_session_that_has_ended_is_begun_again(app: TrytonApplication, connector: TrytonConnector) -> None:
    app.put("a", stamp=T0, name="n")
    assert len(read_all(connector, CUSTOMERS)) == 1
    app.database.execute("DELETE FROM ir_session")
    assert len(read_all(connector, CUSTOMERS)) == 1
    [result] = connector.insert(CUSTOMERS, [Insert({"name": "m"})])
    assert record_of(result).values[1] == "m"


def test_wrong_credentials_and_databases_are_told_apart_and_never_shown(app: TrytonApplication) -> None:
    secret = "not-the-password"
    connector = TrytonConnector(app.server.settings, {"username": "accord", "password": secret})
    with pytest.raises(SideFailed) as failed:
        connector.tables()
    assert failed.value.failure.code == "credentials_rejected"
    checks = {check.code: check.status for check in connector.check([CUSTOMERS])}
    assert (checks["reachable"], checks["credentials"], checks["write_access"]) == ("pass", "fail", "unknown")
    assert secret not in f"{failed.value!r} {connector.__dict__} {connector.check([])}"
    connector.close()
    elsewhere = TrytonConnector({**app.server.settings, "database": "nowhere"}, app.server.credentials())
    with pytest.raises(SideFailed) as failed:
        elsewhere.tables()
    assert failed.value.failure.code == "connection_failed"
    elsewhere.close()
    nobody = TrytonConnector({"url": "http://127.0.0.1:1", "database": "erp"}, app.server.credentials())
    assert {check.code: check.status for check in nobody.check([CUSTOMERS])}["reachable"] == "fail"
    nobody.close()


def test_a_user_who_may_only_read(app: TrytonApplication) -> None:
    app.put("a", stamp=T0, name="n")
    connector = app.connector("reader")
    [record] = read_all(connector, CUSTOMERS)
    checks = {check.code: check for check in connector.check([CUSTOMERS])}
    assert (checks["read_access"].status, checks["user_is_administrator"].status) == ("pass", "pass")
    assert checks["write_access"].status == "warn"
    assert checks["write_access"].params["missing"] == ["create", "write", "delete"]
    writes = (
        lambda: connector.insert(CUSTOMERS, [Insert({"name": "m"}), Insert({"name": "o"})]),
        lambda: connector.update(CUSTOMERS, [Update(record, {"name": "m"}, guarded=True)]),
        lambda: connector.delete(CUSTOMERS, [Deletion(record, guarded=False)]),
    )
    for write in writes:
        with pytest.raises(SideFailed) as failed:
            write()
        assert failed.value.failure.code == "permission_denied"
        assert failed.value.failure.responsibility == "administrator"
    assert [one.values[1] for one in read_all(connector, CUSTOMERS)] == ["n"]
    connector.close()


def test_an_administrator_is_found(app: TrytonApplication, connector: TrytonConnector) -> None:
    administrator = TrytonConnector(
        app.server.settings, {"username": "admin", "password": "administrator-has-a-password"}
    )
    checks = {check.code: check.status for check in administrator.check([CUSTOMERS])}
    assert checks["user_is_administrator"] == "fail"
    administrator.close()
    ours = {check.code: check.status for check in connector.check([CUSTOMERS])}
    assert (ours["user_is_administrator"], ours["clock_distance"]) == ("pass", "pass")
    assert (ours["read_access"], ours["write_access"], ours["rate_limits"]) == ("pass", "pass", "unknown")


def test_currencies_without_a_rate_are_named(app: TrytonApplication, connector: TrytonConnector) -> None:
    currencies = Selection("currency.currency", "id", "write_date", ("name", "code"))
    euro: dict[str, Scalar] = {"name": "Euro", "code": "EUR", "symbol": "€", "numeric_code": "978", "rounding": "0.01"}
    [result] = connector.insert(currencies, [Insert({**euro, "digits": 2})])
    made = record_of(result)
    found = {check.code: check for check in connector.check([CUSTOMERS])}["exchange_rates"]
    assert (found.status, found.responsibility) == ("fail", "administrator")
    assert found.params["currencies"] == ["EUR"]
    assert connector.delete(currencies, [Deletion(made, guarded=True)]) == [None]
    assert {check.code: check.status for check in connector.check([CUSTOMERS])}["exchange_rates"] == "pass"


def test_parties_are_a_table_like_any_other(connector: TrytonConnector) -> None:
    table = connector.describe("party.party")
    assert (table.key, table.modified_on, table.generates_keys) == ("id", "write_date", True)
    assert (table.fields["name"].type, table.fields["lang"].type) == (FieldType.STRING, FieldType.INTEGER)
    assert not table.fields["code"].required
    assert not {"addresses", "contact_mechanisms"} & set(table.fields)
    [result] = connector.insert(PARTIES, [Insert({"name": "Ærlig Ås"})])
    record = record_of(result)
    assert record.values == ("Ærlig Ås", True)
    [result] = connector.update(PARTIES, [Update(record, {"active": False}, guarded=True)])
    inactive = record_of(result)
    assert inactive.values == ("Ærlig Ås", False)
    assert keys_of(connector.find(PARTIES, ["name"], [("Ærlig Ås",)])) == [record.key]
    assert record.key in keys_of(read_all(connector, PARTIES, inactive.modified_on))
    assert connector.delete(PARTIES, [Deletion(inactive, guarded=True)]) == [None]


def test_a_change_in_the_very_last_moment_is_refused_by_the_server(
    app: TrytonApplication, connector: TrytonConnector
) -> None:
    for name in "abc":
        app.put(name, stamp=T0, name=name)
    read = {str(one.values[1]): one for one in read_all(connector, CUSTOMERS)}
    once = iter([True])
    # Whoever asks for leave to write has looked at the records already.
    connector.fence(lambda: app.put("b", stamp=T0 + SECOND, city="by another") if next(once, False) else None)
    results = connector.update(CUSTOMERS, [Update(read[name], {"visits": 1}, guarded=True) for name in "abc"])
    assert failure_of(results[1]).code == "record_moved"
    assert [record_of(results[place]).values[7] for place in (0, 2)] == [1, 1]
    assert connector.fetch(CUSTOMERS, [app.key("b")], filtered=False)[app.key("b")].values[2] == "by another"


def test_a_rule_of_the_application_is_said_in_its_words_without_values(
    app: TrytonApplication, connector: TrytonConnector
) -> None:
    app.put("a", stamp=T0, name="n", number="N1")
    [result] = connector.insert(CUSTOMERS, [Insert({"name": "m", "number": "N1"})])
    refused = failure_of(result)
    assert (refused.code, refused.params["rule"]) == ("value_rejected", "trigger")
    assert refused.params["detail"] == "The number of a customer must be unique."
    [result] = connector.insert(CUSTOMERS, [Insert({"name": "two\nlines"})])
    assert "two" not in str(failure_of(result).params)


def test_a_page_is_two_calls(app: TrytonApplication, connector: TrytonConnector) -> None:
    app.put_many((f"k{n}", T0 + n, {"name": "n"}) for n in range(400))
    read_all(connector, CUSTOMERS, T0)
    calls: list[str] = []
    call = connector._rpc.call

    def counted(model: str, method: str, *params: Any, context: Any = None) -> Any:
        calls.append(method)
        return call(model, method, *params, context=context)

    connector._rpc.call = counted  # type: ignore[method-assign]
    assert len(read_all(connector, CUSTOMERS, T0, 100)) == 400
    assert len(calls) == 4 * 2 + 1  # And once for those without a stamp.
    calls.clear()
    connector.fetch(CUSTOMERS, app_keys := [app.key(f"k{n}") for n in range(400)], filtered=False)
    assert (len(app_keys), calls) == (400, ["search_read"])
    calls.clear()
    connector.insert(CUSTOMERS, [Insert({"name": "m"}) for _ in range(300)])
    assert calls == ["create", "search_read"]


def test_every_setup_check_is_made_or_says_why_not(app: TrytonApplication, connector: TrytonConnector) -> None:
    app.put("one", name="n")
    assert_complete(connector.check([CUSTOMERS]), {"rate_limits"})


@pytest.mark.parametrize(
    ("error", "name", "detail"),
    [
        (["UserError", ["The number must be unique.", "", None]], "UserError", "The number must be unique."),
        (["UserError", ['The value "of somebody" is too long.', ""]], "UserError", "The value … is too long."),
        (["UserWarning", ["party_3", "Its orders are open.", ""]], "UserWarning", "Its orders are open."),
        (["ConcurrencyException", "Records have changed"], "ConcurrencyException", "Records have changed"),
        (["invalid date 'of birth'\nDETAIL: (1, Ann)", "Traceback ..."], None, "invalid date …"),
        (["x" * 5_000, ""], None, "x" * 199 + "…"),
        ([], "[]", "[]"),
    ],
)
def test_an_error_of_the_server_is_a_short_sentence_without_values(
    error: list[Any], name: str | None, detail: str
) -> None:
    refused = rpc._refused(error)
    assert refused.name == (error[0] if name is None else name)
    assert refused.detail == detail


def test_an_error_that_nobody_meant_is_that_of_its_record(connector: TrytonConnector) -> None:
    """What the server's program did not foresee concerns the record that it happened to."""
    create = connector._rpc.call

    def call(model: str, method: str, *params: Any, context: Any = None) -> Any:
        if method == "create" and any(one["name"] == "odd" for one in params[0]):
            return create(model, method, "no list of values", context=context)
        return create(model, method, *params, context=context)

    table = connector.describe(CUSTOMERS.table)
    assert table.key == "id"
    connector._rpc.call = call  # type: ignore[method-assign]
    results = connector.insert(CUSTOMERS, [Insert({"name": name}) for name in ("one", "odd", "two")])
    assert [record_of(results[place]).values[1] for place in (0, 2)] == ["one", "two"]
    refused = failure_of(results[1])
    assert (refused.code, refused.params["rule"]) == ("value_rejected", "trigger")
    assert "no list of values" not in str(refused.params)
    assert "\n" not in refused.params["detail"]


def test_a_request_that_is_too_large_is_halved(app: TrytonApplication) -> None:
    with faults_at({"/erp": app.server.port}) as proxy:
        settings = {**app.server.settings, "url": f"http://127.0.0.1:{proxy.port}"}
        with closing(TrytonConnector(settings, app.server.credentials())) as connector:
            proxy.plan({"fault": "answer", "status": 413, "body": '"name":"large"', "times": 10_000})
            names = [f"n{n}" for n in range(6)]
            results = connector.insert(CUSTOMERS, [Insert({"name": name}) for name in (*names, "large")])
            assert [record_of(one).values[1] for one in results[:6]] == names
            assert failure_of(results[6]).params["rule"] == "too_large"

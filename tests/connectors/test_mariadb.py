"""MariaDB keeps the contract, with collations, zero dates, locks, rights and types of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from service.connectors.base import Deletion, Insert, Update
from service.connectors.kit import (
    CUSTOMERS,
    NUMBERED,
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
from service.connectors.sql import SqlConnector
from service.core.failures import Failure, SideFailed
from service.core.records import Condition, Scalar, Selection, Stamp, moment_of
from tests.mariadb import MariaServer
from tests.setup_checks import assert_complete

SCHEMA = """
CREATE TABLE customer (
    id varchar(40) PRIMARY KEY, number varchar(20) UNIQUE, name varchar(50) NOT NULL, city text, credit decimal(10, 2),
    blocked tinyint(1), born date, seen datetime(6), visits int,
    grade enum('gold', 'sil''ver'), terms varchar(10) CHECK (terms IN ('net 30', 'net 60')), modified_at datetime(6),
    KEY customer_modified (modified_at, id));
CREATE TABLE numbered (
    id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(50) NOT NULL,
    modified_at timestamp(6) DEFAULT current_timestamp(6));
CREATE TRIGGER customer_insert BEFORE INSERT ON customer FOR EACH ROW
    SET NEW.modified_at = COALESCE(NEW.modified_at, NOW(6));
CREATE TRIGGER customer_update BEFORE UPDATE ON customer FOR EACH ROW
    SET NEW.modified_at =
        IF(@accord_test OR NOT NEW.modified_at <=> OLD.modified_at, NEW.modified_at, NOW(6))
"""


class MariaApplication(Application):
    def __init__(self, server: MariaServer, name: str) -> None:
        self.server = server
        self.url = server.url(name)
        self.database = server.connect(name)
        self.execute("SET time_zone = '+00:00', sql_mode = ''")
        self.execute("DROP TABLE IF EXISTS child, customer, numbered, oddities, other")
        self.execute("DROP VIEW IF EXISTS cities")
        for statement in SCHEMA.split(";\n"):
            self.execute(statement)

    def connector(self, url: str | None = None, **more: Any) -> SqlConnector:
        return SqlConnector({"url": url or self.url, **more}, {})

    def execute(self, statement: str, *params: Any) -> Any:
        with self.database.cursor() as cursor:
            cursor.execute(statement, params or None)
            return cursor.fetchall()

    def put(self, key: str, /, *, stamp: Stamp | None = None, **values: Scalar) -> None:
        given: dict[str, Any] = {name: _native(value) for name, value in values.items()}
        if stamp is not None:
            given["modified_at"] = moment_of(stamp).replace(tzinfo=None)
        names = ", ".join(["id", *given])
        marks = ", ".join(["%s"] * (len(given) + 1))
        sets = ", ".join(f"{name} = VALUES({name})" for name in given)
        self.execute(f"SET @accord_test = {stamp is not None:d}")
        self.execute(
            f"INSERT INTO customer ({names}) VALUES ({marks}) ON DUPLICATE KEY UPDATE {sets}", key, *given.values()
        )

    def put_many(self, rows: Iterable[tuple[str, Stamp, dict[str, Scalar]]]) -> None:
        self.execute("START TRANSACTION")
        for key, stamp, values in rows:
            self.put(key, stamp=stamp, **values)
        self.execute("COMMIT")

    def remove(self, key: str) -> None:
        self.execute("DELETE FROM customer WHERE id = %s", key)

    def unstamp(self, key: str) -> None:
        self.execute("SET @accord_test = 1")
        self.execute("UPDATE customer SET modified_at = NULL WHERE id = %s", key)


def _native(value: Scalar) -> Any:
    return f"{value[:10]} {value[11:26]}" if isinstance(value, str) and value[10:11] == "T" else value


@pytest.fixture(scope="module")
def database(mariadb: MariaServer) -> Iterator[str]:
    mariadb.create_database("connectors")
    yield "connectors"
    mariadb.drop_database("connectors")


@pytest.fixture
def app(mariadb: MariaServer, database: str) -> Iterator[MariaApplication]:
    application = MariaApplication(mariadb, database)
    yield application
    application.database.close()


@pytest.fixture
def connector(app: MariaApplication) -> Iterator[SqlConnector]:
    connector = app.connector()
    yield connector
    connector.close()


class TestMariaDb(ConnectorContract):
    traits = Traits(cuts=True, options={"grade": ("gold", "sil'ver"), "terms": ("net 30", "net 60")})


# The server


def test_wrong_credentials_are_told_apart_and_never_shown(app: MariaApplication) -> None:
    secret = "not the password"
    connector = SqlConnector(
        {"url": f"mysql://127.0.0.1:{app.server.port}/connectors"}, {"username": "root", "password": secret}
    )
    with pytest.raises(SideFailed) as failed:
        connector.tables()
    assert failed.value.failure.code == "credentials_rejected"
    checks = {check.code: check.status for check in connector.check([CUSTOMERS])}
    assert (checks["reachable"], checks["credentials"], checks["write_access"]) == ("pass", "fail", "unknown")
    assert secret not in f"{failed.value!r} {connector.__dict__} {connector.check([])}"
    connector.close()


def test_a_password_that_has_expired_is_to_be_changed(app: MariaApplication) -> None:
    app.server.execute(
        "CREATE OR REPLACE USER late@'127.0.0.1' IDENTIFIED BY 'p' PASSWORD EXPIRE",
        "GRANT ALL ON *.* TO late@'127.0.0.1'",
    )
    connector = app.connector(app.server.url("connectors", "late", "p"))
    with pytest.raises(SideFailed) as failed:
        connector.tables()
    assert failed.value.failure.code == "password_change_required"
    checks = {check.code: (check.status, check.responsibility) for check in connector.check([CUSTOMERS])}
    assert checks["credentials"][0] == "pass"
    assert checks["password_change"] == ("fail", "administrator")
    connector.close()


def test_a_server_that_does_not_answer() -> None:
    connector = SqlConnector({"url": "mysql://127.0.0.1:1/nothing"}, {})
    with pytest.raises(SideFailed) as failed:
        connector.tables()
    assert failed.value.failure.code == "connection_failed"
    assert {check.code: check.status for check in connector.check([])}["reachable"] == "fail"
    connector.close()


def test_a_connection_that_broke_is_opened_again(app: MariaApplication, connector: SqlConnector) -> None:
    app.put("a", stamp=T0, name="n")
    assert keys_of(read_all(connector, CUSTOMERS)) == ["a"]
    own = connector._database.session.driver.thread_id()
    app.execute(f"KILL {own}")
    with pytest.raises(SideFailed) as failed:
        read_all(connector, CUSTOMERS)
    assert failed.value.failure.code == "connection_failed"
    assert keys_of(read_all(connector, CUSTOMERS)) == ["a"]


def test_a_transaction_that_commits_late_holds_the_horizon(app: MariaApplication, connector: SqlConnector) -> None:
    app.put("early", stamp=T0, name="n")
    app.execute("START TRANSACTION")
    app.put("late", stamp=None, name="n")
    [(started,)] = app.execute(
        "SELECT CAST(UNIX_TIMESTAMP(modified_at) * 1000000 AS INT) FROM customer WHERE id = 'late'"
    )
    held = connector.clock(CUSTOMERS)
    assert held.horizon <= started <= held.now
    assert held.now - held.horizon < 10 * SECOND
    app.execute("COMMIT")
    deadline = time.monotonic() + 10
    while (free := connector.clock(CUSTOMERS)).horizon != free.now:
        assert time.monotonic() < deadline
        time.sleep(0.15)  # Whoever asks ten times a second is given the same answer again and again.


def test_an_ordinary_user_does_not_see_the_transactions_of_others(app: MariaApplication) -> None:
    app.server.execute(
        "CREATE OR REPLACE USER clerk@'127.0.0.1' IDENTIFIED BY 'p'",
        "GRANT SELECT, INSERT, UPDATE ON connectors.customer TO clerk@'127.0.0.1'",
    )
    connector = app.connector(app.server.url("connectors", "clerk", "p"))
    clock = connector.clock(CUSTOMERS)
    assert clock.horizon == clock.now
    assert [table.name for table in connector.tables()] == ["customer"]
    checks = {check.code: check for check in connector.check([CUSTOMERS])}
    assert checks["open_transactions"].status == "warn"
    assert checks["user_is_administrator"].status == "pass"
    assert checks["read_access"].status == "pass"
    assert (checks["write_access"].status, checks["write_access"].params["missing"]) == ("warn", ["DELETE"])
    [result] = connector.insert(CUSTOMERS, [Insert({"name": "n"}, key="a")])
    with pytest.raises(SideFailed) as failed:
        connector.delete(CUSTOMERS, [Deletion(record_of(result), guarded=True)])
    assert failed.value.failure.code == "permission_denied"
    with pytest.raises(SideFailed) as failed:
        connector.read(NUMBERED, None, None, 1)
    assert failed.value.failure.code in ("permission_denied", "table_not_found")
    connector.close()


def test_rights_through_a_role_count(app: MariaApplication) -> None:
    app.server.execute(
        "CREATE OR REPLACE ROLE clerks",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON connectors.* TO clerks",
        "CREATE OR REPLACE USER member@'127.0.0.1' IDENTIFIED BY 'p'",
        "GRANT clerks TO member@'127.0.0.1'",
        "SET DEFAULT ROLE clerks FOR member@'127.0.0.1'",
    )
    connector = app.connector(app.server.url("connectors", "member", "p"))
    checks = {check.code: check.status for check in connector.check([CUSTOMERS])}
    assert (checks["read_access"], checks["write_access"]) == ("pass", "pass")
    connector.close()
    administrator = app.connector()
    checks = {check.code: check.status for check in administrator.check([CUSTOMERS])}
    assert (checks["user_is_administrator"], checks["open_transactions"]) == ("warn", "pass")
    assert (checks["modified_on_index"], checks["clock_distance"]) == ("pass", "pass")
    administrator.close()


# Locks


def test_a_locked_row_is_that_rows_trouble(app: MariaApplication, connector: SqlConnector) -> None:
    app.put_many((f"k{n}", T0, {"name": "n"}) for n in range(3))
    read = read_all(connector, CUSTOMERS)
    connector._database.session.execute("SET SESSION innodb_lock_wait_timeout = 1")
    app.execute("START TRANSACTION")
    app.execute("UPDATE customer SET city = 'held' WHERE id = 'k1'")
    results = connector.update(CUSTOMERS, [Update(one, {"name": "m"}, guarded=True) for one in read])
    app.execute("ROLLBACK")
    assert failure_of(results[1]).code == "record_locked"
    assert [record_of(results[place]).values[1] for place in (0, 2)] == ["m", "m"]


def test_concurrent_guarded_updates_lose_nothing(app: MariaApplication) -> None:
    app.put("a", stamp=T0, name="n", visits=0)

    def add() -> None:
        connector = app.connector()
        done = 0
        while done < 15:
            record = connector.fetch(CUSTOMERS, ["a"], filtered=False)["a"]
            visits = record.values[7]
            assert isinstance(visits, int)
            [result] = connector.update(CUSTOMERS, [Update(record, {"visits": visits + 1}, guarded=True)])
            done += not isinstance(result, Failure)
        connector.close()

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert app.execute("SELECT visits FROM customer WHERE id = 'a'") == ((45,),)


# Tables and types

ODDITIES = """
CREATE TABLE oddities (
    id int unsigned PRIMARY KEY, tiny tinyint, flag tinyint(1), bits bit(1), big bigint unsigned, money decimal(20, 4),
    ratio double, single float, day date, moment datetime, fine timestamp(3) NULL, clock time, length smallint unsigned,
    kind enum('retail', 'wholesale'), note mediumtext, memo tinytext, file varbinary(20), data json, ref uuid,
    doubled int AS (tiny * 2) VIRTUAL, made int NOT NULL DEFAULT 7, modified datetime(3), KEY (modified))
"""
ODD: dict[str, Scalar] = {
    "tiny": -128,
    "flag": True,
    "bits": True,
    "big": 2**64 - 1,
    "money": "1234567890123456.7891",
    "ratio": 0.1,
    "single": 1.5,
    "day": "2024-02-29",
    "moment": "1969-12-31T23:59:59.000000Z",
    "fine": "2026-01-01T10:00:00.123000Z",
    "clock": "23:59:59",
    "length": 65535,
    "kind": "wholesale",
    "note": "ø" * 70_000,
    "memo": "short",
    "file": "AP8=",
    "data": '{"a":[1,null]}',
    "ref": "123e4567-e89b-12d3-a456-426614174000",
}
ODD_SELECTION = Selection("oddities", "id", "modified", tuple(ODD))


def test_every_type_is_described(app: MariaApplication, connector: SqlConnector) -> None:
    app.execute(ODDITIES)
    table = connector.describe("oddities")
    assert (table.key, table.modified_on, table.generates_keys) == ("id", "modified", False)
    kinds = {name: field.type.value for name, field in table.fields.items()}
    assert [kinds[name] for name in ODD] == [
        "integer", "boolean", "boolean", "integer", "decimal", "float", "float", "date", "datetime", "datetime", "time",
        "integer", "string", "string", "string", "binary", "json", "uuid",
    ]  # fmt: skip
    assert (table.fields["big"].precision, table.fields["length"].precision, table.fields["tiny"].precision) == (
        65,
        17,
        8,
    )
    assert (table.fields["moment"].scale, table.fields["fine"].scale) == (0, 3)
    assert (table.fields["kind"].length, table.fields["memo"].length, table.fields["note"].length) == (9, 255, None)
    assert table.fields["doubled"].read_only
    assert not table.fields["made"].required


def test_every_type_comes_back_as_it_was_written_and_is_found_and_guarded(
    app: MariaApplication, connector: SqlConnector
) -> None:
    app.execute(ODDITIES)
    [result] = connector.insert(ODD_SELECTION, [Insert(ODD, key="1")])
    record = record_of(result)
    assert dict(zip(ODD, record.values, strict=True)) == ODD
    app.execute("INSERT INTO oddities (id) VALUES (2)")
    for name, value in ODD.items():
        assert keys_of(connector.find(ODD_SELECTION, [name], [(value,)])) == ["1"], name
        equal = replace(ODD_SELECTION, filter=(Condition(name, "eq", value),))
        assert keys_of(read_all(connector, equal)) == ["1"], name
        [result] = connector.update(ODD_SELECTION, [Update(record, {name: None}, guarded=True)])
        emptied = record_of(result)
        [stale] = connector.update(ODD_SELECTION, [Update(record, {"tiny": 1}, guarded=True)])
        assert failure_of(stale).code == "record_moved", name
        [result] = connector.update(ODD_SELECTION, [Update(emptied, {name: value}, guarded=True)])
        assert record_of(result).values == record.values
        record = record_of(result)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("tiny", 1000, "out_of_range"),
        ("kind", "other", "not_a"),
        ("day", "2024-02-30", "not_a"),
        ("data", "{", "check"),
        ("length", -1, "out_of_range"),
        ("doubled", 1, "read_only"),
    ],
)
def test_what_a_type_refuses_is_named_without_the_value(
    app: MariaApplication, connector: SqlConnector, name: str, value: Scalar, rule: str
) -> None:
    app.execute(ODDITIES)
    [result] = connector.insert(ODD_SELECTION, [Insert({name: value}, key="1")])
    refused = failure_of(result)
    assert (refused.code, refused.params["rule"]) == ("value_rejected", rule)
    assert refused.params.get("field", refused.params.get("constraint", "")).endswith(name)
    assert "2024-02-30" not in str(refused.params)


def test_zero_dates_are_no_values(app: MariaApplication, connector: SqlConnector) -> None:
    app.put_many((f"k{n}", T0, {"name": "n", "born": "2001-01-01"}) for n in range(3))
    app.execute("SET @accord_test = 1")
    app.execute("UPDATE customer SET born = '0000-00-00', modified_at = '0000-00-00 00:00:00' WHERE id = 'k1'")
    [zero] = read_all(connector, CUSTOMERS, T0 + SECOND)
    assert (zero.key, zero.modified_on, zero.values[5]) == ("k1", None, None)
    assert keys_of(read_all(connector, CUSTOMERS, limit=1)) == ["k1", "k0", "k2"]
    [result] = connector.update(CUSTOMERS, [Update(zero, {"city": "Oslo"}, guarded=True)])
    assert record_of(result).values[2] == "Oslo"


def test_texts_compare_as_the_collation_says_and_contain_as_they_are_written(
    app: MariaApplication, connector: SqlConnector
) -> None:
    app.put("a", stamp=T0, name="Zoë ", number="n1")
    equal = replace(CUSTOMERS, filter=(Condition("name", "eq", "ZOE"),))
    assert keys_of(read_all(connector, equal)) == ["a"]
    for part, found in (("Zo", ["a"]), ("zo", []), ("Zoe", [])):
        begins = replace(CUSTOMERS, filter=(Condition("name", "startsWith", part),))
        assert keys_of(read_all(connector, begins)) == found
    [result] = connector.insert(CUSTOMERS, [Insert({"name": "m", "number": "N1"}, key="b")])
    assert failure_of(result).params["rule"] == "unique"


def test_a_table_that_cannot_roll_back_is_read_only(app: MariaApplication, connector: SqlConnector) -> None:
    app.execute("CREATE TABLE other (id int PRIMARY KEY, name text, modified_at datetime) ENGINE = MyISAM")
    assert {table.name: table.read_only for table in connector.tables()}["other"]
    assert all(field.read_only for field in connector.describe("other").fields.values())


def test_views_and_rules_of_tables(app: MariaApplication, connector: SqlConnector) -> None:
    app.execute(
        "CREATE VIEW cities AS SELECT id, name, city, modified_at FROM customer WHERE city = 'Oslo' WITH CHECK OPTION"
    )
    app.execute("CREATE TABLE child (id int PRIMARY KEY, parent varchar(40), n int CHECK (n < 5), modified_at datetime,"
                " CONSTRAINT fk FOREIGN KEY (parent) REFERENCES customer (id))")  # fmt: skip
    view = Selection("cities", "id", "modified_at", ("name", "city"))
    results = connector.insert(view, [Insert({"name": "n", "city": city}, key=city) for city in ("Oslo", "Bergen")])
    assert record_of(results[0]).values == ("n", "Oslo")
    assert failure_of(results[1]).params["rule"] == "check"
    child = Selection("child", "id", "modified_at", ("parent", "n"))
    results = connector.insert(
        child, [Insert({"parent": "x"}, key="1"), Insert({"n": 9}, key="2"), Insert({"n": 1}, key="3")]
    )
    assert (failure_of(results[0]).params["rule"], failure_of(results[0]).params["field"]) == ("foreign_key", "parent")
    assert failure_of(results[1]).params["rule"] == "check"
    assert record_of(results[2]).key == "3"


def test_a_page_of_writes_is_a_handful_of_packets(app: MariaApplication, connector: SqlConnector) -> None:
    counted: list[int] = []
    driver = connector._database.session.driver
    query = driver.query

    def count(text: str, *args: Any, **more: Any) -> Any:
        counted.append(1)
        return query(text, *args, **more)

    driver.query = count
    for number in (20, 400):
        counted.clear()
        results = connector.insert(CUSTOMERS, [Insert({"name": "n"}, key=f"{number}-{n}") for n in range(number)])
        read = [record_of(result) for result in results]
        connector.update(CUSTOMERS, [Update(one, {"name": "m"}, guarded=True) for one in read])
        connector.delete(CUSTOMERS, [Deletion(one, guarded=False) for one in read])
        assert len(counted) < 25, number


def test_every_setup_check_is_made_or_says_why_not(app: MariaApplication, connector: SqlConnector) -> None:
    app.put("one", name="n")
    found = connector.check([CUSTOMERS])
    assert_complete(found, {"exchange_rates"})
    [limits] = [one for one in found if one.code == "rate_limits"]
    assert (limits.status, limits.params["left"] > 5) == ("pass", True)

"""PostgreSQL keeps the contract, with transactions that commit late, locks, rights and types of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg import sql

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
from service.core.records import (
    Condition,
    FieldType,
    Record,
    Scalar,
    Selection,
    SideTable,
    Stamp,
    Table,
    moment_of,
    stamp_of,
)
from tests.servers import PostgresServer
from tests.setup_checks import assert_complete

SCHEMA = """
DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO public;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND new.modified_at IS NULL
       OR TG_OP = 'UPDATE' AND new.modified_at IS NOT DISTINCT FROM old.modified_at THEN
        new.modified_at = clock_timestamp();
    END IF;
    RETURN new;
END $$;
CREATE TYPE grade AS ENUM ('gold', 'sil''ver');
CREATE TABLE customer (
    id text PRIMARY KEY, number varchar(20) UNIQUE, name varchar(50) NOT NULL, city text, credit numeric(10, 2),
    blocked boolean, born date, seen timestamptz, visits integer,
    grade grade, terms varchar(10) CHECK (terms IN ('net 30', 'net 60')), step smallint CHECK (step IN (1, -2)),
    modified_at timestamptz
);
CREATE INDEX customer_modified ON customer (modified_at, id);
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TABLE numbered (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(50) NOT NULL,
    modified_at timestamptz DEFAULT clock_timestamp()
);
"""


class PostgresApplication(Application):
    def __init__(self, url: str) -> None:
        self.url = url
        self.database = psycopg.connect(url, autocommit=True)
        self.execute(SCHEMA)

    def connector(self, url: str | None = None, **more: Any) -> SqlConnector:
        return SqlConnector({"url": url or self.url, **more}, {})

    def execute(self, statement: str, *params: Any) -> Any:
        return self.database.execute(statement.encode(), params or None)

    def put(self, key: str, /, *, stamp: Stamp | None = None, **values: Scalar) -> None:
        given: dict[str, Any] = {"id": key, **values}
        if stamp is not None:
            given["modified_at"] = moment_of(stamp)
        names = [sql.Identifier(name) for name in given]
        assignments = [sql.SQL("{0} = %s").format(name) for name in names[1:]]
        done = self.database.execute(
            sql.SQL("UPDATE customer SET {} WHERE id = %s").format(sql.SQL(", ").join(assignments)),
            [*list(given.values())[1:], key],
        )
        if stamp is not None and done.rowcount:  # The trigger has taken the same stamp for none.
            self.database.execute("ALTER TABLE customer DISABLE TRIGGER stamp")
            self.database.execute("UPDATE customer SET modified_at = %s WHERE id = %s", [moment_of(stamp), key])
            self.database.execute("ALTER TABLE customer ENABLE TRIGGER stamp")
        if not done.rowcount:
            statement = sql.SQL("INSERT INTO customer ({}) VALUES ({})").format(
                sql.SQL(", ").join(names), sql.SQL(", ").join([sql.Placeholder()] * len(names))
            )
            self.database.execute(statement, list(given.values()))

    def put_many(self, rows: Iterable[tuple[str, Stamp, dict[str, Scalar]]]) -> None:
        with self.database.transaction():
            for key, stamp, values in rows:
                self.put(key, stamp=stamp, **values)

    def remove(self, key: str) -> None:
        self.execute("DELETE FROM customer WHERE id = %s", key)

    def unstamp(self, key: str) -> None:
        self.execute("UPDATE customer SET modified_at = NULL WHERE id = %s", key)


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[str]:
    yield postgres.create_database("connectors")
    postgres.drop_database("connectors")


@pytest.fixture
def app(database: str) -> Iterator[PostgresApplication]:
    application = PostgresApplication(database)
    yield application
    application.database.close()


@pytest.fixture
def connector(app: PostgresApplication) -> Iterator[SqlConnector]:
    connector = app.connector()
    yield connector
    connector.close()


class TestPostgres(ConnectorContract):
    traits = Traits(cuts=True, options={"grade": ("gold", "sil'ver"), "terms": ("net 30", "net 60"), "step": (1, -2)})


def explain(app: PostgresApplication, connector: SqlConnector, since: Stamp | None, position: list[Any]) -> str:
    """How PostgreSQL goes about a further page of a reading, sequential scans made unwelcome."""
    plan = connector._plan(CUSTOMERS)
    part = plan.parts(bounded=since is not None)[-1]
    params = {"limit": 100, "stamp": position[0], "key": position[1]}
    if part.bounds is not None and since is not None:
        params |= part.bounds(since)
    rows = app.database.execute(("EXPLAIN " + part.further().text).encode(), params).fetchall()
    return "\n".join(row[0] for row in rows)


# Descriptions


def described(connector: SqlConnector, table: str) -> tuple[Table, bool]:
    """A description, and whether the catalog had to be asked for all of it."""
    before = connector._described.get(table)
    found = connector.describe(table)
    return found, connector._described[table] is not before


CHANGED = (
    "ALTER TABLE oddity ADD COLUMN more text",
    "ALTER TABLE oddity DROP COLUMN plain",
    "ALTER TABLE oddity RENAME COLUMN plain TO other",
    "ALTER TABLE oddity ALTER COLUMN plain SET NOT NULL",
    "ALTER TABLE oddity ALTER COLUMN plain SET DEFAULT 'x'",
    "ALTER TABLE oddity ALTER COLUMN plain TYPE varchar(60)",
    "ALTER TABLE oddity ADD CHECK (plain IN ('a', 'b'))",
    "ALTER TABLE oddity ADD UNIQUE (plain)",
    "CREATE INDEX ON oddity (plain)",
    "DROP INDEX oddity_limited",
    "CREATE TRIGGER stamp BEFORE INSERT ON oddity FOR EACH ROW EXECUTE FUNCTION stamp()",
    "CREATE RULE nothing AS ON DELETE TO oddity DO INSTEAD NOTHING",
    "ALTER TYPE colour ADD VALUE 'green'",
    "ALTER TYPE colour RENAME VALUE 'red' TO 'crimson'",
    "ALTER DOMAIN limited SET NOT NULL",
    "ALTER TABLE oddity RENAME TO former; CREATE TABLE oddity (LIKE former INCLUDING ALL)",
)


@pytest.mark.parametrize("change", CHANGED)
def test_a_table_is_described_anew_when_anything_of_it_has_changed(
    app: PostgresApplication, connector: SqlConnector, change: str
) -> None:
    app.execute("CREATE TYPE colour AS ENUM ('red', 'blue')")
    app.execute("CREATE DOMAIN limited AS varchar(7)")
    app.execute("CREATE TABLE oddity (id int PRIMARY KEY, plain varchar(50), shade colour, short limited)")
    app.execute("CREATE INDEX oddity_limited ON oddity (short)")
    first, _ = described(connector, "oddity")
    app.execute("INSERT INTO oddity VALUES (1, 'a', 'red', 'x')")
    app.execute("ANALYZE oddity")
    assert described(connector, "oddity") == (first, False)
    app.execute(change)
    later, anew = described(connector, "oddity")
    assert anew
    fresh = app.connector()
    assert later == fresh.describe("oddity")
    assert connector._described["oddity"] == fresh._described["oddity"]
    fresh.close()


def test_a_view_is_described_each_time(app: PostgresApplication, connector: SqlConnector) -> None:
    app.execute("CREATE VIEW seen AS SELECT id, name FROM customer")
    assert [described(connector, "seen")[1] for _ in range(2)] == [True, True]


# The server


def test_wrong_credentials_are_told_apart_and_never_shown(app: PostgresApplication) -> None:
    url = psycopg.conninfo.conninfo_to_dict(app.url)
    address = f"postgresql://{url['host']}:{url['port']}/{url['dbname']}"
    secret = "not the password"
    connector = SqlConnector({"url": address}, {"username": "postgres", "password": secret})
    with pytest.raises(SideFailed) as failed:
        connector.tables()
    assert failed.value.failure.code == "credentials_rejected"
    checks = {check.code: check.status for check in connector.check([CUSTOMERS])}
    assert (checks["reachable"], checks["credentials"], checks["write_access"]) == ("pass", "fail", "unknown")
    shown = f"{failed.value!r} {connector.__dict__} {connector._database.__dict__} {connector.check([])}"
    assert secret not in shown
    connector.close()
    nobody = SqlConnector({"url": address}, {"username": "nobody at all", "password": secret})
    with pytest.raises(SideFailed) as failed:
        nobody.tables()
    assert failed.value.failure.code == "credentials_rejected"
    nobody.close()
    known = SqlConnector({"url": address}, {"username": url["user"], "password": url["password"]})
    assert known.tables()
    known.close()


def test_a_server_that_does_not_answer() -> None:
    connector = SqlConnector({"url": "postgresql://u:hidden@127.0.0.1:1/none"}, {})
    with pytest.raises(SideFailed) as failed:
        connector.clock(CUSTOMERS)
    assert failed.value.failure.code == "connection_failed"
    assert "hidden" not in repr(failed.value)
    checks = {check.code: check.status for check in connector.check([CUSTOMERS])}
    assert checks.pop("reachable") == "fail"
    assert set(checks.values()) == {"unknown"}
    connector.close()


def test_a_connection_that_broke_is_opened_again(app: PostgresApplication, connector: SqlConnector) -> None:
    app.put("a", stamp=T0, name="n")
    assert keys_of(read_all(connector, CUSTOMERS)) == ["a"]
    app.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    with pytest.raises(SideFailed) as failed:
        read_all(connector, CUSTOMERS)
    assert failed.value.failure.code == "connection_failed"
    assert keys_of(read_all(connector, CUSTOMERS)) == ["a"]


def test_a_transaction_that_commits_late_holds_the_horizon(app: PostgresApplication, connector: SqlConnector) -> None:
    quiet = connector.clock(CUSTOMERS)
    assert quiet.horizon == quiet.now
    with psycopg.connect(app.url) as other:
        other.execute("SELECT 1")  # It has not written yet; its stamps will be of this moment all the same.
        started = connector.clock(CUSTOMERS)
        assert quiet.now <= started.horizon < started.now
        other.execute("INSERT INTO customer (id, name, modified_at) VALUES ('late', 'n', now())")
        app.put("early", name="n")
        during = connector.clock(CUSTOMERS)
        assert during.horizon == started.horizon
        assert keys_of(read_all(connector, CUSTOMERS)) == ["early"]
        other.commit()
    other.close()
    after = connector.clock(CUSTOMERS)
    assert after.horizon == after.now
    assert keys_of(read_all(connector, CUSTOMERS, during.horizon)) == ["late", "early"]


def test_an_ordinary_user(app: PostgresApplication, connector: SqlConnector) -> None:
    app.put("a", stamp=T0, name="n")
    app.execute("DROP ROLE IF EXISTS clerk")
    app.execute("CREATE ROLE clerk LOGIN PASSWORD 'clerk' VALID UNTIL 'tomorrow'")
    app.execute("GRANT SELECT, INSERT ON customer TO clerk")
    url = psycopg.conninfo.conninfo_to_dict(app.url)
    clerk = app.connector(f"postgresql://clerk:clerk@{url['host']}:{url['port']}/{url['dbname']}")
    assert [table.name for table in clerk.tables()] == ["customer"]
    checks = {check.code: check for check in clerk.check([CUSTOMERS, NUMBERED])}
    assert checks["user_is_administrator"].status == "pass"
    assert (checks["password_change"].status, checks["open_transactions"].status) == ("warn", "warn")
    by_table = {(check.code, check.params.get("table")): check for check in clerk.check([CUSTOMERS, NUMBERED])}
    assert by_table["read_access", "customer"].status == "pass"
    assert by_table["write_access", "customer"].params["missing"] == ["UPDATE", "DELETE"]
    assert by_table["read_access", "numbered"].status == "fail"
    administrator = {check.code: check for check in connector.check([CUSTOMERS])}["user_is_administrator"]
    assert (administrator.status, administrator.responsibility) == ("warn", "administrator")

    record_of(clerk.insert(CUSTOMERS, [Insert({"name": "n"}, key="b")])[0])
    for attempt in (
        lambda: clerk.read(NUMBERED, None, None, 1),
        lambda: clerk.update(CUSTOMERS, [Update(read_all(clerk, CUSTOMERS)[0], {"name": "m"}, guarded=True)]),
    ):
        with pytest.raises(SideFailed) as failed:
            attempt()
        assert failed.value.failure.code == "permission_denied"
    assert failed.value.failure.params["table"] == "customer"
    clerk.close()


def test_a_row_that_a_policy_forbids_is_that_rows_failure(app: PostgresApplication) -> None:
    app.execute("DROP ROLE IF EXISTS guest")
    app.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    app.execute("GRANT ALL ON customer TO guest")
    app.execute("ALTER TABLE customer ENABLE ROW LEVEL SECURITY")
    app.execute("CREATE POLICY oslo ON customer USING (city = 'Oslo')")
    url = psycopg.conninfo.conninfo_to_dict(app.url)
    guest = app.connector(f"postgresql://guest:guest@{url['host']}:{url['port']}/{url['dbname']}")
    items = [Insert({"name": "n", "city": city}, key=city) for city in ("Oslo", "Bergen", "Oslo")]
    results = guest.insert(CUSTOMERS, [items[0], items[1]])
    assert failure_of(results[1]).params["rule"] == "policy"
    assert record_of(results[0]).key == "Oslo"
    guest.close()


# Locks


def test_a_locked_row_is_that_rows_trouble(app: PostgresApplication, connector: SqlConnector) -> None:
    app.put_many((f"k{n}", T0, {"name": "n"}) for n in range(5))
    read = read_all(connector, CUSTOMERS)
    connector._database.session.driver.execute("SET lock_timeout = '50ms'")
    with psycopg.connect(app.url) as other:
        other.execute("SELECT 1 FROM customer WHERE id = 'k2' FOR UPDATE")
        results = connector.update(CUSTOMERS, [Update(record, {"city": "x"}, guarded=True) for record in read])
        deleted = connector.delete(CUSTOMERS, [Deletion(read[2], guarded=False)])
    other.close()
    assert failure_of(results[2]).code == "record_locked"
    assert failure_of(deleted[0]).code == "record_locked"
    assert failure_of(results[2]).transient
    assert [isinstance(result, Record) for result in results] == [True, True, False, True, True]


def test_a_row_that_is_locked_for_a_moment_is_waited_for(app: PostgresApplication, connector: SqlConnector) -> None:
    app.put("a", stamp=T0, name="n")
    [record] = read_all(connector, CUSTOMERS)
    results: list[Any] = []
    with psycopg.connect(app.url) as other:
        other.execute("UPDATE customer SET city = 'by another' WHERE id = 'a'")
        write = threading.Thread(
            target=lambda: results.extend(connector.update(CUSTOMERS, [Update(record, {"city": "x"}, guarded=True)]))
        )
        write.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while not app.execute(waiting).fetchone()[0]:
            pass
        other.commit()
        write.join()
    other.close()
    assert failure_of(results[0]).code == "record_moved"


def test_concurrent_guarded_updates_lose_nothing(app: PostgresApplication) -> None:
    app.put("a", stamp=T0, name="n", visits=0)

    def add() -> None:
        connector = app.connector()
        done = 0
        while done < 20:
            record = connector.fetch(CUSTOMERS, ["a"], filtered=False)["a"]
            visits = record.values[7]
            assert isinstance(visits, int)
            [result] = connector.update(CUSTOMERS, [Update(record, {"visits": visits + 1}, guarded=True)])
            done += isinstance(result, Record)
        connector.close()

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert app.execute("SELECT visits FROM customer").fetchone() == (80,)


# Types

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN code AS varchar(8) NOT NULL;
CREATE TABLE everything (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), small smallint, big bigint, exact numeric, price numeric(8, 3),
    single real, double double precision, fixed char(6), letters varchar(7), short_code code DEFAULT 'x', mood mood,
    plain timestamp, zoned timestamptz(3), day date, clock time, span interval, data bytea, doc json, docb jsonb,
    numbers int[], address inet, doubled bigint GENERATED ALWAYS AS (big * 2) STORED,
    serial bigserial, always int GENERATED ALWAYS AS IDENTITY, "Write Date" timestamp DEFAULT clock_timestamp()
)
"""

EVERYTHING: dict[str, Scalar] = {
    "small": -7,
    "big": 2**60,
    "exact": "123456789012345678901234567890.5",
    "price": "12.5",
    "single": 0.1,
    "double": 1e-300,
    "fixed": "ab",
    "letters": "Å%_\\'\"",
    "short_code": "c",
    "mood": "happy",
    "plain": "2026-01-02T03:04:05.000006Z",
    "zoned": "2026-01-02T03:04:05.120000Z",
    "day": "2026-01-02",
    "clock": "10:00:00.500000",
    "span": "P1DT2H",
    "data": "AP8=",
    "doc": '{"a":[1,2],"b":"ø"}',
    "docb": '{"a":[1,2],"b":"ø"}',
    "numbers": "{1,2}",
    "address": "10.0.0.0/8",
}


def test_every_type_is_described(app: PostgresApplication, connector: SqlConnector) -> None:
    app.execute(TYPES)
    table = connector.describe("everything")
    fields = table.fields
    assert (table.key, table.modified_on, table.generates_keys) == ("id", "Write Date", True)
    assert fields["id"].type is FieldType.UUID
    assert [fields[name].precision for name in ("small", "big", "always")] == [16, 64, 32]
    assert (fields["price"].type, fields["price"].precision, fields["price"].scale) == (FieldType.DECIMAL, 8, 3)
    assert (fields["exact"].precision, fields["exact"].scale) == (None, None)
    assert (fields["fixed"].length, fields["letters"].length, fields["short_code"].length) == (6, 7, 8)
    assert (fields["zoned"].scale, fields["plain"].scale) == (3, 6)
    assert fields["mood"].type is FieldType.STRING
    assert {name for name, field in fields.items() if field.read_only} == {"doubled", "always"}
    assert not any(field.required for field in fields.values())


def test_every_type_comes_back_as_it_was_written_and_is_guarded(
    app: PostgresApplication, connector: SqlConnector
) -> None:
    app.execute(TYPES)
    selection = Selection("everything", "id", "Write Date", tuple(EVERYTHING))
    [result] = connector.insert(selection, [Insert(EVERYTHING)])
    record = record_of(result)
    assert dict(zip(EVERYTHING, record.values, strict=True)) == EVERYTHING
    [again] = connector.update(selection, [Update(record, EVERYTHING, guarded=True)])
    assert record_of(again).values == record.values
    [empty] = connector.update(
        selection, [Update(record_of(again), dict.fromkeys(set(EVERYTHING) - {"short_code"}), guarded=True)]
    )
    assert set(record_of(empty).values) == {None, "c"}
    [back] = connector.update(selection, [Update(record_of(empty), EVERYTHING, guarded=True)])
    assert record_of(back).values == record.values


def test_every_type_is_found_and_filtered(app: PostgresApplication, connector: SqlConnector) -> None:
    app.execute(TYPES)
    selection = Selection("everything", "id", "Write Date", tuple(EVERYTHING))
    [result] = connector.insert(selection, [Insert(EVERYTHING)])
    key = record_of(result).key
    nonsense: dict[str, Scalar] = {
        "mood": "furious",
        "day": "2026-02-31",
        "price": "1e5x",
        "address": "x",
        "data": "AA==",
    }
    for name, value in EVERYTHING.items():
        if name not in ("doc", "docb"):
            wanted = [(value,), (nonsense[name],)] if name in nonsense else [(value,)]
            assert keys_of(connector.find(selection, [name], wanted)) == [key], name
            assert connector.find(selection, ["big", name], [(1, value)]) == []
            assert keys_of(connector.find(selection, ["big", name], [(2**60, value)])) == [key], name
            filtered = replace(selection, filter=(Condition(name, "eq", value),))
            assert keys_of(read_all(connector, filtered)) == [key], name
            assert connector.count(replace(selection, filter=(Condition(name, "ne", value),)), 0, 2**60) == 0, name
    assert list(connector.fetch(selection, [key, key.upper() + "0", "x"], filtered=False)) == [key]


def test_values_beyond_what_python_knows(app: PostgresApplication, connector: SqlConnector) -> None:
    app.execute(
        "CREATE TABLE odd (id int PRIMARY KEY, at timestamptz, day date, n numeric, f float8, changed_at timestamptz)"
    )
    app.execute("INSERT INTO odd VALUES (1, 'infinity', '-infinity', 'NaN', 'NaN', '-infinity')")
    app.execute("INSERT INTO odd VALUES (2, '20000-01-01', '0044-03-15 BC', 1, 'Infinity', 'infinity')")
    selection = Selection("odd", "id", "changed_at", ("at", "day", "n", "f"))
    records = read_all(connector, selection, limit=1)
    assert keys_of(records) == ["1", "2"]
    assert records[0].values == ("infinity", "-infinity", "NaN", "nan")
    assert keys_of(read_all(connector, selection, T0)) == ["2"]
    results = connector.update(selection, [Update(record, {"f": 1.5}, guarded=True) for record in records])
    assert [record_of(result).values[3] for result in results] == [1.5, 1.5]


@pytest.mark.parametrize(
    ("type", "resolution", "divisor"),
    [
        ("timestamptz", 1, 1),
        ("timestamp", 1, 1),
        ("timestamp(0)", SECOND, 1),
        ("date", 86_400 * SECOND, 1),
        ("bigint", SECOND, SECOND),
        ("bigint", 1_000, 1_000),
        ("double precision", 1, SECOND),
    ],
)
def test_stamps_of_many_types(
    app: PostgresApplication, connector: SqlConnector, type: str, resolution: int, divisor: int
) -> None:
    app.execute(f"CREATE TABLE item (id int PRIMARY KEY, updated_at {type})")
    stamps = [T0 + n * 7 * 3_600 * SECOND + n * 1_001 for n in range(20)]
    stamps = [stamp - stamp % resolution for stamp in stamps]
    for n, stamp in enumerate(stamps):
        value: Any = moment_of(stamp) if divisor == 1 else stamp / divisor if "double" in type else stamp // divisor
        app.execute("INSERT INTO item VALUES (%s, %s)", n, value)
    app.execute("INSERT INTO item VALUES (99, NULL)")
    selection = Selection("item", "id", "updated_at", ())
    assert connector.describe("item").modified_on == ("updated_at" if "double" not in type else None)
    for since in (None, stamps[0], stamps[5] - 1, stamps[5], stamps[5] + 1, stamps[-1] + 1):
        expected = [stamp for stamp in stamps if since is None or stamp >= since]
        for limit in (1, 4, 100):
            records = read_all(connector, selection, since, limit)
            assert [record.modified_on for record in records] == [None, *expected]
        if since is not None:
            until = since + 86_400 * SECOND
            assert connector.count(selection, since, until) == sum(1 for one in expected if one <= until)


def test_stamps_in_a_side_table(app: PostgresApplication, connector: SqlConnector) -> None:
    app.execute("CREATE TABLE item (id uuid PRIMARY KEY, name text)")
    app.execute("CREATE TABLE integration_record (record_id text PRIMARY KEY, modified_on timestamptz)")
    ids = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(1, 7)]
    for n, id in enumerate(ids):
        app.execute("INSERT INTO item VALUES (%s, %s)", id, f"n{n}")
        if n != 2:
            app.execute("INSERT INTO integration_record VALUES (%s, %s)", id, moment_of(T0 + n * SECOND))
    selection = Selection("item", "id", SideTable("integration_record", "record_id", "modified_on"), ("name",))
    for limit in (1, 2, 100):
        assert keys_of(read_all(connector, selection, None, limit)) == [ids[2], *ids[:2], *ids[3:]]
        assert keys_of(read_all(connector, selection, T0 + 4 * SECOND, limit)) == [ids[2], *ids[4:]]
    assert connector.count(selection, T0, T0 + SECOND) == 2
    read = connector.fetch(selection, ids, filtered=False)
    app.execute("UPDATE integration_record SET modified_on = now() WHERE record_id = %s", ids[0])
    results = connector.update(selection, [Update(read[id], {"name": "x"}, guarded=True) for id in ids[:3]])
    assert failure_of(results[0]).code == "record_moved"
    assert [record_of(result).values for result in results[1:]] == [("x",), ("x",)]


@pytest.mark.parametrize("index", ["modified_at, id", "modified_at"])
def test_an_index_on_the_stamp_serves_every_reading(
    app: PostgresApplication, connector: SqlConnector, index: str
) -> None:
    app.execute(f"DROP INDEX customer_modified; CREATE INDEX chosen ON customer ({index})")
    app.execute(
        "INSERT INTO customer (id, name, modified_at)"
        " SELECT 'k' || n, 'n', timestamptz '2026-01-01' + n * interval '1 second' FROM generate_series(1, 20000) AS n"
    )
    app.execute("ANALYZE customer")
    position = ["2026-01-01 01:00:00+00", "k3600"]
    for since in (None, stamp_of(moment_of(T0))):
        plan = explain(app, connector, since, position)
        assert "Index Scan using chosen" in plan
        assert "Seq Scan" not in plan
        if index == "modified_at":
            assert "Incremental Sort" in plan  # Of the rows with one stamp.
        else:
            assert "Sort" not in plan


# Writing


def test_triggers_have_the_last_word(app: PostgresApplication, connector: SqlConnector) -> None:
    app.execute(
        """CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN new.id = upper(new.id); new.name = trim(new.name); RETURN new; END $$;
           CREATE TRIGGER a_tidy BEFORE INSERT ON customer FOR EACH ROW EXECUTE FUNCTION tidy();
           CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN UPDATE customer SET modified_at = clock_timestamp() + interval '1 hour'
                 WHERE id = new.id AND modified_at < clock_timestamp(); RETURN NULL; END $$;
           CREATE TRIGGER late AFTER INSERT ON customer FOR EACH ROW EXECUTE FUNCTION late();"""
    )
    [result] = connector.insert(CUSTOMERS, [Insert({"name": " ann "}, key="a")])
    record = record_of(result)
    assert (record.key, record.values[1]) == ("A", "ann")
    assert record == connector.fetch(CUSTOMERS, ["A"], filtered=False)["A"]
    assert record.modified_on is not None
    assert record.modified_on > connector.clock(CUSTOMERS).now


def test_a_trigger_that_refuses_or_drops(app: PostgresApplication, connector: SqlConnector) -> None:
    app.execute(
        """CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN
               IF new.name = 'bad' THEN RAISE EXCEPTION 'Not on a Sunday'; END IF;
               RETURN CASE WHEN new.name = 'dropped' THEN NULL ELSE new END;
           END $$;
           CREATE TRIGGER picky BEFORE INSERT OR UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION picky();"""
    )
    items = [Insert({"name": name}, key=name) for name in ("good", "bad", "dropped", "fine")]
    results = connector.insert(CUSTOMERS, items)
    assert [isinstance(result, Record) for result in results] == [True, False, False, True]
    assert failure_of(results[1]).params == {"rule": "trigger", "detail": "Not on a Sunday"}
    assert failure_of(results[2]).params["rule"] == "not_stored"
    records = [record_of(results[0]), record_of(results[3])]
    updates = [
        Update(record, {"name": name}, guarded=True) for record, name in zip(records, ("dropped", "g"), strict=True)
    ]
    results = connector.update(CUSTOMERS, updates)
    assert failure_of(results[0]).params["rule"] == "not_stored"
    assert record_of(results[1]).values[1] == "g"


def test_constraints_are_named_also_those_of_the_commit_and_values_are_not(
    app: PostgresApplication, connector: SqlConnector, caplog: pytest.LogCaptureFixture
) -> None:
    app.put("p", stamp=T0, name="n")
    app.execute(
        "CREATE TABLE child (id serial PRIMARY KEY, parent text REFERENCES customer DEFERRABLE INITIALLY DEFERRED,"
        " size smallint CONSTRAINT positive CHECK (size > 0), price numeric(4, 1),"
        " born date, note text, modified_at timestamptz DEFAULT now())"
    )
    selection = Selection("child", "id", "modified_at", ("parent", "size"))
    items = [
        Insert({"parent": "p", "size": 1}),
        Insert({"parent": "secret", "size": 1}),
        Insert({"parent": "p", "size": 0}),
        Insert({"parent": "p", "size": 40_000}),
        Insert({"parent": "p", "price": "99999"}),
        Insert({"parent": "p", "size": -1, "note": "secret"}),
        Insert({"parent": "p", "born": "secret"}),
        Insert({"parent": "p", "size": 2}),
    ]
    with caplog.at_level(logging.DEBUG):
        results = connector.insert(selection, items)
    rules = [result.params["rule"] if isinstance(result, Failure) else "" for result in results]
    assert rules == ["", "foreign_key", "check", "out_of_range", "out_of_range", "check", "not_a", ""]
    assert failure_of(results[1]).params["field"] == "parent"
    assert failure_of(results[2]).params["constraint"] == "positive"
    assert "secret" not in caplog.text + str(results)
    assert len(read_all(connector, selection)) == 2


def test_rejected_rows_are_not_logged(connector: SqlConnector, caplog: pytest.LogCaptureFixture) -> None:
    items = [Insert({"name": None if n % 100 else "n", "city": "secret"}, key=f"k{n}") for n in range(300)]
    with caplog.at_level(logging.DEBUG):
        results = connector.insert(CUSTOMERS, items)
    assert sum(isinstance(result, Record) for result in results) == 3
    assert [record.getMessage() for record in caplog.records if record.name == "psycopg"] == []
    assert "secret" not in str([failure_of(result) for result in results if isinstance(result, Failure)])


def test_a_view_can_be_written_where_postgresql_can(app: PostgresApplication, connector: SqlConnector) -> None:
    app.execute(
        "CREATE VIEW active AS SELECT id, name, upper(city) AS city, modified_at FROM customer"
        " WHERE blocked IS NOT TRUE"
    )
    app.execute("CREATE VIEW totals AS SELECT city, count(*) FROM customer GROUP BY city")
    app.put("a", stamp=T0, name="n", city="Oslo")
    assert {table.name: table.read_only for table in connector.tables()} == {
        "active": False, "customer": False, "numbered": False, "totals": True,
    }  # fmt: skip
    table = connector.describe("active")
    assert table.key is None
    assert {name for name, field in table.fields.items() if field.read_only} == {"city"}
    selection = Selection("active", "id", "modified_at", ("name", "city"))
    [record] = read_all(connector, selection)
    [result] = connector.update(selection, [Update(record, {"name": "m"}, guarded=True)])
    assert record_of(result).values == ("m", "OSLO")
    [result] = connector.update(selection, [Update(record, {"name": "x"}, guarded=True)])
    assert failure_of(result).code == "record_moved"


def test_a_schema_of_its_own_and_names_that_need_quotes(app: PostgresApplication) -> None:
    app.execute(
        'CREATE SCHEMA "Sales Dept"; CREATE TABLE "Sales Dept"."Sales Order" ('
        '"No." varchar(20) PRIMARY KEY, "Amount (LCY) 100%" numeric(10, 2), "Select" text, "Modified At" timestamptz)'
    )
    connector = app.connector(schema="Sales Dept")
    assert [table.name for table in connector.tables()] == ["Sales Order"]
    table = connector.describe("Sales Order")
    assert (table.key, table.modified_on) == ("No.", "Modified At")
    selection = Selection("Sales Order", "No.", "Modified At", ("Amount (LCY) 100%", "Select"))
    [result] = connector.insert(selection, [Insert({"Amount (LCY) 100%": "5", "Select": "x"}, key="S1")])
    [result] = connector.update(selection, [Update(record_of(result), {"Amount (LCY) 100%": "6"}, guarded=True)])
    assert record_of(result).values == ("6", "x")
    assert keys_of(connector.find(selection, ["Amount (LCY) 100%"], [("6",)])) == ["S1"]
    assert keys_of(read_all(connector, replace(selection, filter=(Condition("Select", "contains", "x"),)))) == ["S1"]
    assert connector.delete(selection, [Deletion(record_of(result), guarded=True)]) == [None]
    with pytest.raises(SideFailed) as failed:
        connector.describe("customer")
    assert failed.value.failure.code == "table_not_found"
    connector.close()


def test_a_table_that_changes_under_a_prepared_statement(app: PostgresApplication, connector: SqlConnector) -> None:
    app.put("a", stamp=T0, name="n", city="Oslo")
    for _ in range(8):
        assert read_all(connector, CUSTOMERS)[0].values[7] is None
    app.execute("ALTER TABLE customer ALTER visits TYPE bigint, ALTER city TYPE varchar(30)")
    with pytest.raises(SideFailed) as failed:
        read_all(connector, CUSTOMERS)
    assert failed.value.failure.transient
    assert read_all(connector, CUSTOMERS)[0].values[2] == "Oslo"


def test_what_a_view_cannot_do_is_a_matter_of_setup(app: PostgresApplication, connector: SqlConnector) -> None:
    app.execute(
        "CREATE VIEW totals AS SELECT city, count(*) AS many, max(modified_at) AS at FROM customer GROUP BY city"
    )
    app.put("a", stamp=T0, name="n", city="Oslo")
    selection = Selection("totals", "city", "at", ("many",))
    [record] = read_all(connector, selection)
    assert (record.key, record.values) == ("Oslo", (1,))
    with pytest.raises(SideFailed) as failed:
        connector.update(selection, [Update(record, {"many": 2}, guarded=True)])
    assert failed.value.failure.code == "permission_denied"
    with pytest.raises(SideFailed) as failed:
        connector.insert(selection, [Insert({"many": 2}, key="Bergen")])
    assert failed.value.failure.code == "permission_denied"


class CountingCursor(psycopg.Cursor[Any]):
    """A cursor that writes down what it executes."""

    seen: ClassVar[list[str]] = []

    def execute(self, query: Any, *params: Any, **more: Any) -> Any:
        self.seen.append(str(query))
        return super().execute(query, *params, **more)

    def executemany(self, query: Any, *params: Any, **more: Any) -> None:
        self.seen.append(str(query))
        super().executemany(query, *params, **more)


def test_statements_are_one_for_each_page_and_a_constant_number_for_each_bulk(
    app: PostgresApplication, connector: SqlConnector
) -> None:
    connector.read(CUSTOMERS, None, None, 1)
    connector._database.session.driver.cursor_factory = CountingCursor
    counts = []
    for size in (10, 1_000):
        items = [Insert({"name": f"n{n}", "number": f"{size}-{n}"}, key=f"{size}-{n}") for n in range(size)]
        CountingCursor.seen.clear()
        records = [record_of(result) for result in connector.insert(CUSTOMERS, items)]
        updated = connector.update(CUSTOMERS, [Update(record, {"city": "x"}, guarded=True) for record in records])
        assert len(connector.find(CUSTOMERS, ["number"], [(f"{size}-{n}",) for n in range(size)])) == size
        counts.append(len(CountingCursor.seen))
        CountingCursor.seen.clear()
        assert len(read_all(connector, CUSTOMERS, T0, limit=size // 10)) == size
        assert len(CountingCursor.seen) == 10 + 1  # One more that looks for rows without a stamp.
        connector.delete(CUSTOMERS, [Deletion(record_of(record), guarded=True) for record in updated])
    assert counts[0] == counts[1] <= 15


def test_every_setup_check_is_made_or_says_why_not(app: PostgresApplication, connector: SqlConnector) -> None:
    app.put("one", name="n")
    found = connector.check([CUSTOMERS])
    assert_complete(found, {"exchange_rates"})
    [limits] = [one for one in found if one.code == "rate_limits"]
    assert limits.status == "pass"
    app.execute("CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 3")
    url = psycopg.conninfo.conninfo_to_dict(app.url)
    try:
        few = app.connector(f"postgresql://few:few@{url['host']}:{url['port']}/{url['dbname']}")
        [limits] = [one for one in few.check([]) if one.code == "rate_limits"]
        assert (limits.status, limits.params) == ("warn", {"left": 2})
        few.close()
    finally:
        app.execute("DROP ROLE few")

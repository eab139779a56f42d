"""Tables whose primary key has several columns keep the contract on every database."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.connectors.base import Deletion, Insert, Update
from service.connectors.kit import T0, ConnectorContract, Traits, failure_of, keys_of, read_all, record_of
from service.connectors.sql import SqlConnector
from service.connectors.sql.failures import Context
from service.connectors.sql.session import Statement
from service.core.failures import Failure, SideFailed
from service.core.keys import joined
from service.core.records import Condition, Selection, SideTable
from tests.connectors.two_parts import TwoParts, TwoPartsOnMariaDb, TwoPartsOnPostgres, TwoPartsOnSqlite
from tests.mariadb import MariaServer
from tests.servers import PostgresServer

TRAITS = Traits(key="area,line", chosen_keys=False, cuts=True, plenty=600)


@pytest.fixture(scope="module")
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    yield postgres.create_database("two_parts")
    postgres.drop_database("two_parts")


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[TwoParts]:
    app = TwoPartsOnSqlite(tmp_path / "lines.db")
    yield app
    app.close()


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[TwoParts]:
    app = TwoPartsOnPostgres(postgres_url)
    yield app
    app.close()


@pytest.fixture(scope="module")
def mariadb_name(mariadb: MariaServer) -> Iterator[str]:
    mariadb.create_database("two_parts")
    yield "two_parts"
    mariadb.drop_database("two_parts")


@pytest.fixture
def on_mariadb(mariadb: MariaServer, mariadb_name: str) -> Iterator[TwoParts]:
    app = TwoPartsOnMariaDb(mariadb, mariadb_name)
    yield app
    app.close()


class TestTwoPartsOnSqlite(ConnectorContract):
    traits = TRAITS

    @pytest.fixture
    def app(self, on_sqlite: TwoParts) -> TwoParts:
        return on_sqlite


class TestTwoPartsOnPostgres(ConnectorContract):
    traits = TRAITS

    @pytest.fixture
    def app(self, on_postgres: TwoParts) -> TwoParts:
        return on_postgres


class TestTwoPartsOnMariaDb(ConnectorContract):
    traits = TRAITS

    @pytest.fixture
    def app(self, on_mariadb: TwoParts) -> TwoParts:
        return on_mariadb


@pytest.fixture(params=["on_sqlite", "on_postgres", "on_mariadb"])
def any_app(request: pytest.FixtureRequest) -> TwoParts:
    """One after the other on each database."""
    app: TwoParts = request.getfixturevalue(request.param)
    return app


@pytest.fixture
def connector(any_app: TwoParts) -> Iterator[SqlConnector]:
    connector = any_app.connector()
    yield connector
    connector.close()


CUSTOMERS = TRAITS.customers
LINES = replace(CUSTOMERS, fields=("area", "line", "name", "city"))

# Parts of every type that a key may have, in an order that is not that of the columns.
MIXED = {
    TwoPartsOnSqlite: "ref UUID, day DATE, at DATETIME, price DECIMAL(9, 2), done BOOLEAN, anything",
    TwoPartsOnPostgres: "ref uuid, day date, at timestamptz, price numeric(9, 2), done boolean, anything text",
    TwoPartsOnMariaDb: "ref uuid, day date, at datetime(6), price decimal(9, 2), done tinyint(1), anything varchar(9)",
}
PARTS = ("at", "company", "no", "ref", "day", "price", "done", "anything")
MIXED_LINES = Selection("mixed", ",".join(PARTS), "modified_at", ("company", "name", ",".join(PARTS)))
MOMENTS = ("2026-02-28 23:59:59", "2026-03-01 00:00:00")


def make_mixed(app: TwoParts) -> None:
    """Thirty-two keys; all rows have the same stamp, so that pages go on by the key."""
    app.execute(
        f"CREATE TABLE mixed (company varchar(20), no integer, {MIXED[type(app)]}, name varchar(20),"
        f" modified_at {'timestamptz' if isinstance(app, TwoPartsOnPostgres) else 'datetime'},"
        f" PRIMARY KEY ({', '.join(PARTS)}))"
    )
    ref = "0b0e9e3a-9d0a-4d53-b1ab-00000000000{}"
    for n in range(32):
        company, no, at = ("CRONUS, Inc.", "%")[n % 2], (9, 10)[n // 2 % 2], MOMENTS[n // 4 % 2]
        values = (at, company, no, ref.format(n // 8 % 2), "2026-01-31", "1.50", n % 2 == 0, str(n // 16), f"n{n}")
        names = ", ".join((*PARTS, "name"))
        marks = ", ".join("?" * len(values))
        app.execute(f"INSERT INTO mixed ({names}, modified_at) VALUES ({marks}, '2026-01-01 00:00:00')", *values)


def test_parts_may_be_of_any_type_that_can_be_asked_for(any_app: TwoParts, connector: SqlConnector) -> None:
    make_mixed(any_app)
    table = connector.describe("mixed")
    assert (table.key, table.fields[MIXED_LINES.key].read_only) == (MIXED_LINES.key, True)
    records = read_all(connector, MIXED_LINES, limit=5)
    assert len({record.key for record in records}) == 32
    assert all(record.values[2] == record.key for record in records), "the key is a field like others"
    assert sum("CRONUS%2C Inc.,9," in record.key for record in records) == 8
    found = connector.fetch(MIXED_LINES, keys_of(records), filtered=False)
    assert found == {record.key: record for record in records}
    updates = [Update(record, {"name": f"new {record.values[1]}"}, guarded=True) for record in records[:20]]
    written = [record_of(result) for result in connector.update(MIXED_LINES, updates)]
    assert [one.values[1] for one in written] == [f"new {record.values[1]}" for record in records[:20]]
    deletions = [Deletion(record, guarded=True) for record in [*written, *records[20:30]]]
    assert list(connector.delete(MIXED_LINES, deletions)) == [None] * 30
    assert {record.key for record in read_all(connector, MIXED_LINES)} == {record.key for record in records[30:]}
    assert list(connector.cut(MIXED_LINES, 1)) == [], "a part that is a moment or a number with a fraction"


def test_parts_may_hold_any_text(any_app: TwoParts, connector: SqlConnector) -> None:
    areas = [
        "",
        " a",
        "a b",
        "a,b",
        "%",
        "%2C",
        "%25",
        "'",
        '"',
        "\\",
        "a\nb",
        "ø",
        "東京",
        "🙂",
        "a;--",
        "NULL",
        "(1,2)",
    ]
    for number, area in enumerate(areas):
        any_app.execute("INSERT INTO customer (area, line, name) VALUES (?, ?, ?)", area, number, area)
    records = read_all(connector, LINES, limit=4)
    assert sorted(str(record.values[0]) for record in records) == sorted(areas)
    for record in records:
        assert record.key == joined((str(record.values[0]), str(record.values[1])))
    assert connector.fetch(LINES, keys_of(records), filtered=True) == {record.key: record for record in records}
    written = connector.update(LINES, [Update(record, {"city": record.key}, guarded=True) for record in records])
    assert [record_of(one).values[3] for one in written] == keys_of(records)
    assert connector.link("customer", "a%2C b,1") is None
    linked = any_app.connector(linkTemplate="https://erp.example/{table}/{key}")
    assert linked.link("customer", "a%2C b/ø,1") == "https://erp.example/customer/a%252C%20b%2F%C3%B8%2C1"
    linked.close()


def test_what_is_no_key_finds_nothing(any_app: TwoParts, connector: SqlConnector) -> None:
    any_app.put("a", stamp=T0, name="n")
    area, _ = any_app.parts("a")
    strange = [
        "",
        ",",
        "1",
        "1,2,3",
        f"{area},1",
        "x,one",
        "x,1.5",
        "%,1",
        "x%2c,1",
        f"{joined((area, '01'))}",
        "\ud800,1",
    ]
    assert connector.fetch(CUSTOMERS, strange, filtered=False) == {}
    record = replace(connector.fetch(CUSTOMERS, [any_app.key("a")], filtered=False)[any_app.key("a")], key="x,y")
    [refused] = connector.update(CUSTOMERS, [Update(record, {"name": "m"}, guarded=False)])
    assert failure_of(refused).code == "partner_deleted"
    assert list(connector.delete(CUSTOMERS, [Deletion(record, guarded=False)])) == [None]


def test_new_records_have_the_parts_that_they_are_given(any_app: TwoParts, connector: SqlConnector) -> None:
    """Many by one call, in an order that is nobody's, some of them there already; then only one of the parts."""
    any_app.put("there", stamp=T0, name="old")
    area, line = any_app.parts("there")
    items = [
        Insert({"area": f"{n * 7919 % 50:02},%", "line": n % 7 + 1, "name": f"n{n}", "city": f"c{n % 3}"})
        for n in range(200)
    ]
    items[70] = Insert({"area": area, "line": line, "name": "taken", "city": "c"})
    results = connector.insert(LINES, items)
    refused = {place: result for place, result in enumerate(results) if isinstance(result, Failure)}
    assert failure_of(refused[70]).params["rule"] == "unique"
    seen: set[tuple[object, object]] = {(area, line)}
    for place, (item, result) in enumerate(zip(items, results, strict=True)):
        key = (item.values["area"], item.values["line"])
        assert (key in seen) is (place in refused), "a key is given once"
        seen.add(key)
        if place not in refused:
            assert record_of(result).key == joined(map(str, key))
            assert record_of(result).values == tuple(item.values[name] for name in LINES.fields)
    halves = connector.insert(LINES, [Insert({"area": "half", "name": f"h{n}"}) for n in range(20)])
    assert [record_of(one).values[2] for one in halves] == [f"h{n}" for n in range(20)]
    assert len({record_of(one).key for one in halves}) == 20


def test_a_part_that_is_written_makes_another_key(any_app: TwoParts, connector: SqlConnector) -> None:
    any_app.put("a", stamp=T0, name="n")
    [record] = read_all(connector, LINES)
    [moved] = connector.update(LINES, [Update(record, {"line": 77, "city": "Oslo"}, guarded=True)])
    assert record_of(moved).key == joined((str(record.values[0]), "77"))
    assert record_of(moved).values[1:] == (77, "n", "Oslo")
    [refused] = connector.update(LINES, [Update(record_of(moved), {"area,line": "x,1"}, guarded=True)])
    assert failure_of(refused).params == {"field": "area,line", "rule": "key_cannot_change"}


def test_a_key_is_found_and_filtered_by_its_text(any_app: TwoParts, connector: SqlConnector) -> None:
    """As the key of one column is: a field may hold on the other side what the key is here."""
    any_app.put_many((f"k{n}", T0, {"name": "n", "city": "Oslo" if n % 2 else "Bergen"}) for n in range(6))
    keys = [any_app.key(f"k{n}") for n in range(6)]
    selection = replace(CUSTOMERS, fields=("area,line", "city"))
    assert keys_of(connector.find(selection, ["area,line"], {(keys[1],), ("no key",), ("x,1",)})) == keys[1:2]
    both = connector.find(selection, ["city", "area,line"], {("Oslo", keys[1]), ("Oslo", keys[2])})
    assert [record.values for record in both] == [(keys[1], "Oslo")]
    for op, value, expected in (
        ("eq", keys[3], {3}), ("ne", keys[3], {0, 1, 2, 4, 5}), ("in", [keys[0], keys[5], "x"], {0, 5}),
        ("eq", "no key", set()), ("isNull", True, set()), ("isNull", False, set(range(6))),
    ):  # fmt: skip
        filtered = replace(selection, filter=(Condition("area,line", op, value),))
        assert {keys.index(record.key) for record in read_all(connector, filtered)} == expected, (op, value)
    with pytest.raises(SideFailed) as failed:
        read_all(connector, replace(selection, filter=(Condition("area,line", "startsWith", "x"),)))
    assert failed.value.failure.code == "mapping_invalid"


def test_stamps_may_be_in_a_side_table_with_the_same_key(any_app: TwoParts, connector: SqlConnector) -> None:
    any_app.execute("CREATE TABLE stamped (area varchar(20), line integer, name varchar(9), PRIMARY KEY (area, line))")
    kind = "timestamptz" if isinstance(any_app, TwoPartsOnPostgres) else "datetime"
    any_app.execute(f"CREATE TABLE stamps (zone varchar(20), number integer, at {kind}, PRIMARY KEY (zone, number))")
    for n in range(5):
        any_app.execute("INSERT INTO stamped VALUES ('a,b', ?, ?)", n, f"n{n}")
        if n:
            any_app.execute("INSERT INTO stamps VALUES ('a,b', ?, ?)", n, f"2026-01-01 00:00:0{9 - n}")
    selection = Selection("stamped", "area,line", SideTable("stamps", "zone,number", "at"), ("name",))
    assert [record.values[0] for record in read_all(connector, selection, limit=2)] == ["n0", "n4", "n3", "n2", "n1"]
    with pytest.raises(SideFailed) as failed:
        read_all(connector, replace(selection, modified_on=SideTable("stamps", "zone", "at")))
    assert failed.value.failure.code == "mapping_invalid"


# What databases do with such keys


def crowd(app: TwoParts, number: int = 4000) -> None:
    """Rows of one area, which their second part tells apart, all with one stamp."""
    for start in range(0, number, 500):
        rows = ", ".join(f"('CRONUS', {n}, 'n', '2026-01-01 00:00:00')" for n in range(start + 1, start + 501))
        app.execute(f"INSERT INTO customer (area, line, name, modified_at) VALUES {rows}")


def test_reading_goes_through_the_index_of_all_parts(any_app: TwoParts, connector: SqlConnector) -> None:
    """Whatever is read touches about as many rows as it gives, though all have the same first part and stamp."""
    crowd(any_app)
    plan = connector._plan(CUSTOMERS)
    database, position = connector._database, {"stamp": "2026-01-01 00:00:00", "key0": "CRONUS", "key1": 3000}
    keys = [("CRONUS", n * 700 + 1) for n in range(5)]
    further = plan.parts(bounded=False)[-1].further()
    questions: list[tuple[Statement, dict[str, Any], int]] = [
        (further, {"limit": 100, **position}, 100),
        (plan.by_key(after=True, upto=True), _between(3000, 3100, 1000), 100),
        (plan.hop(after=True), {"after0": "CRONUS", "after1": 3000, "offset": 50}, 1),
        (plan.statement("fetch"), dict(database.many(plan.key.columns, keys)), 5),
    ]
    for statement, params, number in questions:
        assert len(database.session.rows(statement, params)) == number
        touched = _touched(any_app, connector, statement, params)
        assert touched <= 2 * max(number, 50) + 20, (statement.text, touched)


def test_rows_of_one_stamp_are_gone_through_once_by_a_key_of_one_column_too(
    any_app: TwoParts, connector: SqlConnector
) -> None:
    """As after an import: each page begins where the last one ended, not where the stamp begins. SQLite does not do
    that for a key that is another name of the row's number."""
    kind = "timestamptz" if isinstance(any_app, TwoPartsOnPostgres) else "datetime"
    any_app.execute(f"CREATE TABLE imported (id varchar(9) PRIMARY KEY, name varchar(9), at {kind})")
    any_app.execute("CREATE INDEX imported_at ON imported (at, id)")
    for start in range(0, 4000, 500):
        rows = ", ".join(f"('{n:04}', 'n', '2026-01-01 00:00:00')" for n in range(start, start + 500))
        any_app.execute(f"INSERT INTO imported VALUES {rows}")
    plan = connector._plan(Selection("imported", "id", "at", ("name",)))
    further = plan.parts(bounded=False)[-1].further()
    for key in ("0300", "3000"):
        params = {"limit": 100, "stamp": "2026-01-01 00:00:00", "key": key}
        assert len(connector._database.session.rows(further, params)) == 100
        assert _touched(any_app, connector, further, params) <= 220


def _between(after: int, upto: int, limit: int) -> dict[str, Any]:
    return {"after0": "CRONUS", "after1": after, "upto0": "CRONUS", "upto1": upto, "limit": limit}


_STEPS = 30
"""So many steps SQLite's machine makes for a row that it gives."""


def _touched(app: TwoParts, connector: SqlConnector, statement: Statement, params: dict[str, Any]) -> int:
    """How many rows the database looked at for an answer."""
    session = connector._database.session
    match app:
        case TwoPartsOnMariaDb():
            session.execute("FLUSH STATUS")
            session.rows(statement, params)
            counted = session.rows(session.prepared("SHOW SESSION STATUS LIKE 'Handler_read%'", Context()))
            return sum(int(value) for name, value in counted if name != "Handler_read_rnd_deleted")
        case TwoPartsOnPostgres():
            app.execute("ANALYZE")
            prefix = "EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) "
            [[found]] = session.rows(replace(statement, text=prefix + statement.text), params)
            return _scanned(found[0]["Plan"])
        case _:
            steps = itertools.count()
            session.driver.set_progress_handler(lambda: next(steps) < 0, 1)
            session.rows(statement, params)
            session.driver.set_progress_handler(None, 1)
            return next(steps) // _STEPS


def _scanned(node: dict[str, Any]) -> int:
    own = node["Actual Rows"] * node["Actual Loops"] if "Scan" in node["Node Type"] else 0
    own += node.get("Rows Removed by Filter", 0) * node["Actual Loops"]
    return int(own) + sum(map(_scanned, node.get("Plans", [])))


def test_a_page_takes_as_many_statements_whatever_its_size(on_sqlite: TwoParts) -> None:
    connector = on_sqlite.connector()
    found: list[str] = []

    def counted(work: Callable[[], object]) -> tuple[int, Any]:
        found.clear()
        connector._database.session.driver.set_trace_callback(
            lambda text: None if text.startswith("--") else found.append(text.partition(" ")[0])
        )
        result = work()
        return len(found) - found.count("INSERT") - found.count("UPDATE") - found.count("DELETE"), result

    numbers = []
    connector.read(LINES, None, None, 1)  # It looks at the table once.
    for size in (20, 600):
        items = [Insert({"area": f"a{size}", "line": n, "name": "n", "city": "c"}) for n in range(size)]
        inserted, results = counted(lambda items=items: connector.insert(LINES, items))  # type: ignore[misc]
        records = [record_of(one) for one in results]
        fetched, _ = counted(lambda records=records: connector.fetch(LINES, keys_of(records), filtered=False))  # type: ignore[misc]
        read, page = counted(lambda size=size: connector.read(LINES, None, None, size // 2))  # type: ignore[misc]
        more, _ = counted(lambda page=page, size=size: connector.read(LINES, None, page.cursor, size // 2))  # type: ignore[misc]
        updates = [Update(record, {"city": "d"}, guarded=True) for record in records]
        updated, results = counted(lambda updates=updates: connector.update(LINES, updates))  # type: ignore[misc]
        deletions = [Deletion(record_of(one), guarded=True) for one in results]
        deleted, _ = counted(lambda deletions=deletions: connector.delete(LINES, deletions))  # type: ignore[misc]
        numbers.append((inserted, fetched, read, more, updated, deleted))
    connector.close()
    assert numbers[0] == numbers[1]
    assert numbers[0][1:4] == (1, 2, 1), "fetch, first page with the rows without a stamp, further page"


def test_a_row_with_an_empty_part_is_no_record(on_sqlite: TwoParts) -> None:
    """SQLite lets nulls into primary keys that are not declared NOT NULL."""
    on_sqlite.execute("CREATE TABLE pair (a TEXT, b TEXT, name TEXT, at TEXT, PRIMARY KEY (a, b))")
    for values in ((None, "1"), ("x", None), (None, None), ("x", "1"), ("x", "2"), ("", "")):
        on_sqlite.execute("INSERT INTO pair VALUES (?, ?, 'n', '2026-01-01 00:00:00')", *values)
    connector = on_sqlite.connector()
    selection = Selection("pair", "a,b", "at", ("name",))
    for limit in (1, 2, 100):
        assert keys_of(read_all(connector, selection, limit=limit)) == [",", "x,1", "x,2"]
        assert keys_of(read_all(connector, selection, since=T0, limit=limit)) == [",", "x,1", "x,2"]
    assert connector.read_range(selection, None, None, 100).records == read_all(connector, selection)
    connector.close()


def test_a_number_in_a_column_of_no_type_is_found(on_sqlite: TwoParts) -> None:
    on_sqlite.execute("CREATE TABLE pair (a, b, name TEXT, at TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID")
    for values in ((1, "1"), ("2", "2"), (3, 3)):
        on_sqlite.execute("INSERT INTO pair VALUES (?, ?, 'n', '2026-01-01 00:00:00')", *values)
    connector = on_sqlite.connector()
    selection = Selection("pair", "a,b", "at", ("name",))
    keys = keys_of(read_all(connector, selection, limit=1))
    assert sorted(keys) == ["1,1", "2,2", "3,3"]
    assert set(connector.fetch(selection, keys, filtered=False)) == set(keys)
    connector.close()


@pytest.mark.parametrize("name", ["on_postgres", "on_mariadb"])
def test_an_enumeration_has_an_order_of_its_own(request: pytest.FixtureRequest, name: str) -> None:
    """That of its members, which is not that of their texts: no row is lost between two pages."""
    app: TwoParts = request.getfixturevalue(name)
    members = "enum('item', 'Account', 'it''s')"
    if isinstance(app, TwoPartsOnPostgres):
        app.execute(f"CREATE TYPE sort AS {members}")
    sort, moment = ("sort", "timestamptz") if isinstance(app, TwoPartsOnPostgres) else (members, "datetime")
    app.execute(f"CREATE TABLE mixed (sort {sort}, n integer, name text, at {moment}, PRIMARY KEY (sort, n))")
    for n in range(12):
        app.execute("INSERT INTO mixed VALUES (?, ?, 'n', '2026-01-01')", ("item", "it's", "Account")[n % 3], n)
    connector = app.connector()
    selection = Selection("mixed", "sort,n", "at", ("name",))
    keys = keys_of(read_all(connector, selection))
    assert [key.partition(",")[0] for key in keys] == ["item"] * 4 + ["Account"] * 4 + ["it's"] * 4
    for limit in (1, 3, 5):
        assert keys_of(read_all(connector, selection, limit=limit)) == keys
    bounds = connector.cut(selection, 4)
    ranges = zip([None, *bounds], [*bounds, None], strict=True)
    assert [keys_of(connector.read_range(selection, *some, 100).records) for some in ranges] == [
        keys[:4], keys[4:8], keys[8:], [],
    ]  # fmt: skip
    records = list(connector.fetch(selection, keys, filtered=False).values())
    updated = connector.update(selection, [Update(one, {"name": "m"}, guarded=True) for one in records])
    assert {record_of(one).key for one in updated} == set(keys)
    connector.close()


def test_texts_are_compared_as_the_key_of_one_column_is(on_mariadb: TwoParts) -> None:
    """By the column's collation, which here ignores letter case and trailing blanks; the key is as it is stored."""
    on_mariadb.put("a", stamp=T0, name="n")
    on_mariadb.execute("INSERT INTO customer (area, line, name) VALUES ('Oslo ', 1, 'n')")
    connector = on_mariadb.connector()
    assert set(connector.fetch(CUSTOMERS, ["OSLO,1"], filtered=False)) == {"Oslo ,1"}
    [refused] = connector.insert(LINES, [Insert({"area": "oslo", "line": 1, "name": "n"})])
    assert failure_of(refused).params["rule"] == "unique"
    [made] = connector.insert(LINES, [Insert({"area": "oslo", "line": 2, "name": "n"})])
    assert record_of(made).key == "oslo,2"
    connector.close()


def test_a_key_of_parts_that_cannot_be_asked_for_is_none(on_postgres: TwoParts) -> None:
    on_postgres.execute("CREATE TABLE odd (a bytea, b integer, PRIMARY KEY (a, b))")
    on_postgres.execute('CREATE TABLE named (a integer, b integer, "a,b" integer, PRIMARY KEY (a, b))')
    on_postgres.execute('CREATE TABLE comma ("a,b" integer, "%" integer, PRIMARY KEY ("%", "a,b"))')
    connector = on_postgres.connector()
    assert connector.describe("odd").key is None
    assert connector.describe("named").key is None
    assert connector.describe("comma").key == "%25,a%2Cb"
    connector.close()

"""SQLite keeps the contract, whatever shapes its texts have, and by a constant number of statements."""

from __future__ import annotations

import sqlite3
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

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
from service.core.records import Condition, FieldType, Record, Scalar, Selection, SideTable, Stamp, moment_of, stamp_of
from tests.setup_checks import assert_complete

SCHEMA = """
CREATE TABLE customer (
    id TEXT PRIMARY KEY, number VARCHAR(20) UNIQUE, name VARCHAR(50) NOT NULL, city TEXT, credit DECIMAL(10, 2),
    blocked BOOLEAN, born DATE, seen DATETIME, visits INTEGER,
    grade TEXT CHECK (grade IN ('gold', 'sil''ver')), step INTEGER CHECK (step = 1 OR step = -2),
    modified_at DATETIME
);
CREATE INDEX customer_modified ON customer (modified_at);
CREATE TABLE numbered (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL, modified_at DATETIME);
CREATE TRIGGER customer_insert AFTER INSERT ON customer WHEN new.modified_at IS NULL BEGIN
    UPDATE customer SET modified_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = new.id;
END;
CREATE TRIGGER customer_update AFTER UPDATE ON customer WHEN new.modified_at IS old.modified_at BEGIN
    UPDATE customer SET modified_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = new.id;
END;
"""


class SqliteApplication(Application):
    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + SCHEMA)

    def connector(self, **more: Any) -> SqlConnector:
        return SqlConnector({"url": f"sqlite:///{self.path}", **more}, {})

    def execute(self, statement: str, *params: Any) -> None:
        self.database.execute(statement, params)

    def put(self, key: str, /, *, stamp: Stamp | None = None, **values: Scalar) -> None:
        given = {**values} if stamp is None else {**values, "modified_at": text_of(stamp)}
        if self.database.execute("SELECT 1 FROM customer WHERE id = ?", [key]).fetchone():
            # Another stamp in between, so that the trigger sees the one that is to be kept as a new one.
            if stamp is not None:
                self.execute("UPDATE customer SET modified_at = '1999-01-01 00:00:00' WHERE id = ?", key)
            assignments = ", ".join(f"{name} = ?" for name in given)
            self.execute(f"UPDATE customer SET {assignments} WHERE id = ?", *given.values(), key)
        else:
            self.execute(
                f"INSERT INTO customer (id, {', '.join(given)}) VALUES (?{', ?' * len(given)})", key, *given.values()
            )

    def put_many(self, rows: Iterable[tuple[str, Stamp, dict[str, Scalar]]]) -> None:
        self.execute("BEGIN")
        for key, stamp, values in rows:
            self.put(key, stamp=stamp, **values)
        self.execute("COMMIT")

    def remove(self, key: str) -> None:
        self.execute("DELETE FROM customer WHERE id = ?", key)

    def unstamp(self, key: str) -> None:
        self.execute("UPDATE customer SET modified_at = NULL WHERE id = ?", key)


def text_of(stamp: Stamp) -> str:
    return moment_of(stamp).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[SqliteApplication]:
    application = SqliteApplication(tmp_path / "business #% data.db")
    yield application
    application.database.close()


@pytest.fixture
def connector(app: SqliteApplication) -> Iterator[SqlConnector]:
    connector = app.connector()
    yield connector
    connector.close()


class TestSqlite(ConnectorContract):
    traits = Traits(cuts=True, options={"grade": ("gold", "sil'ver"), "step": (1, -2)})


def statements_of(connector: SqlConnector) -> list[str]:
    """A list that grows with every statement the connector executes, triggers' left out."""
    found: list[str] = []
    connector._database.session.driver.set_trace_callback(
        lambda text: None if text.startswith("--") else found.append(text)
    )
    return found


def plans_of(app: SqliteApplication, statements: list[str]) -> str:
    """How SQLite goes about the readings among these statements."""
    plans = [
        row[3]
        for statement in statements
        if statement.startswith("SELECT")
        for row in app.database.execute("EXPLAIN QUERY PLAN " + statement)
    ]
    return "\n".join(plans)


# Files


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    connector = SqlConnector({"url": f"sqlite:///{tmp_path}/no.db"}, {})
    with pytest.raises(SideFailed) as failed:
        connector.tables()
    assert failed.value.failure.code == "connection_failed"
    checks = {check.code: check.status for check in connector.check([CUSTOMERS])}
    assert checks.pop("reachable") == "fail"
    assert set(checks.values()) == {"unknown"}
    connector.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_text("Dear Sir or Madam, this has never been a database. " * 40)
    connector = SqlConnector({"url": f"sqlite:///{tmp_path}/letter.db"}, {})
    for _ in range(2):
        with pytest.raises(SideFailed) as failed:
            connector.describe("customer")
        assert failed.value.failure.code == "not_a_database"
    connector.close()


def test_a_file_that_may_only_be_read(app: SqliteApplication) -> None:
    app.put("a", stamp=T0, name="n")
    app.execute("PRAGMA journal_mode = DELETE")
    address = f"file:{app.path.with_name('copy.db')}"
    with sqlite3.connect(address, uri=True) as copy:
        app.database.backup(copy)
    copy.close()
    connector = SqlConnector({"url": f"sqlite:///{app.path.with_name('copy.db')}"}, {})
    connector._database.session.driver.execute("PRAGMA query_only = ON").close()
    assert keys_of(read_all(connector, CUSTOMERS)) == ["a"]
    with pytest.raises(SideFailed) as failed:
        connector.insert(CUSTOMERS, [Insert({"name": "n"}, key="b")])
    assert failed.value.failure.code == "permission_denied"
    assert failed.value.failure.params["table"] == "customer"
    connector.close()


def test_a_locked_file_is_a_passing_trouble(app: SqliteApplication, connector: SqlConnector) -> None:
    connector._database.session.driver.execute("PRAGMA busy_timeout = 1").close()
    app.execute("BEGIN IMMEDIATE")
    with pytest.raises(SideFailed) as failed:
        connector.insert(CUSTOMERS, [Insert({"name": "n"}, key="b")])
    app.execute("ROLLBACK")
    assert failed.value.failure.code == "record_locked"
    assert failed.value.failure.transient
    record_of(connector.insert(CUSTOMERS, [Insert({"name": "n"}, key="b")])[0])


def test_an_open_writer_holds_the_horizon(app: SqliteApplication, connector: SqlConnector) -> None:
    connector._database.session.driver.execute("PRAGMA busy_timeout = 1").close()
    quiet = connector.clock(CUSTOMERS)
    assert quiet.horizon == quiet.now
    app.execute("BEGIN IMMEDIATE")
    app.put("late", name="n")
    busy = connector.clock(CUSTOMERS)
    assert busy.horizon == quiet.now < busy.now
    app.execute("COMMIT")
    assert connector.clock(CUSTOMERS).horizon > busy.horizon
    assert read_all(connector, CUSTOMERS, busy.horizon - 1_000) != []


# What is declared


@pytest.mark.parametrize(
    ("declared", "type", "length", "precision", "scale"),
    [
        ("INTEGER", FieldType.INTEGER, None, None, None),
        ("unsigned big int", FieldType.INTEGER, None, None, None),
        ("VARCHAR(30)", FieldType.STRING, 30, None, None),
        ("nvarchar ( 30 )", FieldType.STRING, 30, None, None),
        ("TEXT", FieldType.STRING, None, None, None),
        ("", FieldType.STRING, None, None, None),
        ("BLOB", FieldType.BINARY, None, None, None),
        ("DOUBLE PRECISION", FieldType.FLOAT, None, None, None),
        ("DECIMAL(10,2)", FieldType.DECIMAL, None, 10, 2),
        ("NUMERIC(10)", FieldType.DECIMAL, None, 10, 0),
        ("money", FieldType.DECIMAL, None, None, None),
        ("boolean", FieldType.BOOLEAN, None, None, None),
        ("Date", FieldType.DATE, None, None, None),
        ("timestamp", FieldType.DATETIME, None, None, None),
        ("uuid", FieldType.UUID, None, None, None),
        ("JSON", FieldType.JSON, None, None, None),
        ("TIME", FieldType.TIME, None, None, None),
    ],
)
def test_declared_types(
    app: SqliteApplication,
    connector: SqlConnector,
    declared: str,
    type: FieldType,
    length: int | None,
    precision: int | None,
    scale: int | None,
) -> None:
    app.execute(f'CREATE TABLE "odd name" (id INTEGER PRIMARY KEY, "a ""b" {declared})')
    field = connector.describe("odd name").fields['a "b']
    assert (field.type, field.length, field.precision, field.scale) == (type, length, precision, scale)


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        ("INSERT INTO numbered (name) VALUES ('one')", False),
        ("CREATE INDEX elsewhere ON customer (name)", False),
        ("ALTER TABLE numbered ADD COLUMN more TEXT", True),
        ("ALTER TABLE numbered RENAME COLUMN name TO title", True),
        ("CREATE INDEX named ON numbered (name)", True),
        ("CREATE UNIQUE INDEX named ON numbered (name)", True),
        ("DROP INDEX stamped", True),
        ("DROP TABLE numbered; CREATE TABLE numbered (id INTEGER PRIMARY KEY, name INT, modified_at TEXT)", True),
    ],
)
def test_a_table_is_described_anew_when_anything_of_it_has_changed(
    app: SqliteApplication, connector: SqlConnector, change: str, anew: bool
) -> None:
    app.execute("CREATE INDEX stamped ON numbered (modified_at)")
    connector.describe("numbered")
    before = connector._described["numbered"]
    connector.rest()
    app.database.executescript(change)
    connector.describe("numbered")
    assert (connector._described["numbered"] is not before) == anew
    fresh = app.connector()
    fresh.describe("numbered")
    assert connector._described["numbered"] == fresh._described["numbered"]
    fresh.close()


def test_a_view_shows_what_its_table_has(app: SqliteApplication, connector: SqlConnector) -> None:
    app.execute("CREATE VIEW seen AS SELECT * FROM numbered")
    connector.describe("seen")
    app.execute("ALTER TABLE numbered ADD COLUMN more TEXT")
    assert "more" in connector.describe("seen").fields


def test_keys_and_read_only_fields(app: SqliteApplication, connector: SqlConnector) -> None:
    app.execute("CREATE TABLE pair (a INT, b INT, PRIMARY KEY (b, a))")
    app.execute("CREATE TABLE odd_pair (a INT, b BLOB, PRIMARY KEY (a, b))")
    app.execute("CREATE TABLE no_alias (id INTEGER PRIMARY KEY, x) WITHOUT ROWID")
    app.execute("CREATE TABLE unique_code (code TEXT NOT NULL UNIQUE, both TEXT GENERATED ALWAYS AS (code || '!'))")
    app.execute(
        "CREATE TABLE made (id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(8)))), LastModifiedDateTime TEXT)"
    )
    app.execute("CREATE VIEW seen AS SELECT id, name FROM customer")
    pair = connector.describe("pair")
    assert (pair.key, pair.generates_keys, pair.fields["b,a"].read_only) == ("b,a", True, True)
    assert connector.describe("odd_pair").key is None
    assert connector.describe("no_alias").generates_keys is False
    unique = connector.describe("unique_code")
    assert unique.key == "code"
    assert unique.fields["both"].read_only
    made = connector.describe("made")
    assert (made.generates_keys, made.modified_on) == (True, "LastModifiedDateTime")
    assert all(field.read_only for field in connector.describe("seen").fields.values())
    assert {table.name: table.read_only for table in connector.tables()}["seen"]
    [result] = connector.insert(Selection("made", "id", "LastModifiedDateTime", ("id",)), [Insert({})])
    assert record_of(result).values == (record_of(result).key,)


def test_a_view_with_triggers_can_be_written(app: SqliteApplication, connector: SqlConnector) -> None:
    app.execute("CREATE VIEW seen AS SELECT id, upper(name) AS name, modified_at FROM customer")
    app.execute(
        "CREATE TRIGGER seen_update INSTEAD OF UPDATE ON seen BEGIN"
        " UPDATE customer SET name = new.name WHERE id = old.id; END"
    )
    app.put("a", stamp=T0, name="ann")
    selection = Selection("seen", "id", "modified_at", ("name",))
    [record] = read_all(connector, selection)
    assert record.values == ("ANN",)
    [result] = connector.update(selection, [Update(record, {"name": "bob"}, guarded=True)])
    assert record_of(result).values == ("BOB",)
    [again] = connector.update(selection, [Update(record, {"name": "eve"}, guarded=True)])
    assert failure_of(again).code == "record_moved"


def test_values_that_are_not_of_their_columns_type_do_not_spoil_a_page(
    app: SqliteApplication, connector: SqlConnector
) -> None:
    odd = {"visits": "many", "born": "soon", "blocked": "maybe", "credit": "a lot", "seen": "2026-13-45 99:00:00"}
    app.put("a", stamp=T0, name=b"\xff\x00", city=b"bytes", **odd)  # type: ignore[arg-type]
    app.put("b", stamp=T0, name="n", visits=2.5, credit=1e300, blocked="true", seen=1767254400)
    app.execute("INSERT INTO customer (id, name, modified_at) VALUES ('c', 'n', 'yesterday')")
    records = {record.key: record for record in read_all(connector, CUSTOMERS)}
    assert records["a"].values == (None, "/wA=", "bytes", "a lot", "maybe", "soon", "2026-13-45 99:00:00", "many")
    assert records["b"].values[4:] == (True, None, "2026-01-01T08:00:00.000000Z", "2.5")
    assert records["c"].modified_on is None
    results = connector.update(CUSTOMERS, [Update(records[key], {"city": "x"}, guarded=True) for key in "abc"])
    assert all(isinstance(result, Record) for result in results)


@pytest.mark.parametrize(
    ("sample", "written"),
    [
        (None, "2026-01-02 03:04:05"),
        ("2020-01-01 00:00:00", "2026-01-02 03:04:05"),
        ("2020-01-01 00:00:00.000", "2026-01-02 03:04:05.000"),
        ("2020-01-01T00:00:00Z", "2026-01-02T03:04:05Z"),
        ("2020-01-01T00:00:00.123456+02:00", "2026-01-02T03:04:05.000000+00:00"),
        (1577836800, 1767323045),
        (1577836800000, 1767323045000),
    ],
)
def test_moments_are_written_in_the_shape_the_column_has(
    app: SqliteApplication, connector: SqlConnector, sample: Any, written: Any
) -> None:
    app.put("a", stamp=T0, name="n", seen=sample)
    moment = "2026-01-02T03:04:05.000000Z"
    [result] = connector.insert(CUSTOMERS, [Insert({"name": "n", "seen": moment}, key="b")])
    assert app.database.execute("SELECT seen FROM customer WHERE id = 'b'").fetchone() == (written,)
    assert record_of(result).values[6] == moment


def test_a_fraction_that_counts_is_kept(app: SqliteApplication, connector: SqlConnector) -> None:
    app.put("a", stamp=T0, name="n", seen="2020-01-01 00:00:00")
    [result] = connector.insert(CUSTOMERS, [Insert({"name": "n", "seen": "2026-01-02T03:04:05.250000Z"}, key="b")])
    assert app.database.execute("SELECT seen FROM customer WHERE id = 'b'").fetchone() == ("2026-01-02 03:04:05.25",)
    assert record_of(result).values[6] == "2026-01-02T03:04:05.250000Z"


def test_a_key_without_a_declared_type(app: SqliteApplication, connector: SqlConnector) -> None:
    app.execute("CREATE TABLE loose (id PRIMARY KEY NOT NULL, name, modified_at)")
    app.execute("INSERT INTO loose VALUES (7, 'seven', ?), ('8', 'eight', ?), ('x', 1.5, ?)", *[text_of(T0)] * 3)
    selection = Selection("loose", "id", "modified_at", ("name",))
    found = connector.fetch(selection, ["7", "8", "x", "9"], filtered=False)
    assert {key: record.values for key, record in found.items()} == {"7": ("seven",), "8": ("eight",), "x": ("1.5",)}
    assert sorted(keys_of(read_all(connector, selection, None, 1))) == ["7", "8", "x"]


# Stamps

SHAPES = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H",
    "%Y-%m-%d",
    "%Y%m%dT%H%M%S",
]


@st.composite
def raw_stamps(draw: st.DrawFn) -> Any:
    """A stamp as some application might write it."""
    moment = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(
        hours=draw(st.integers(-60, 60)),
        seconds=draw(st.sampled_from([0, 0, 1, 59, 60, 3599])),
        microseconds=draw(st.sampled_from([0, 0, 1, 123000, 999999])),
    )
    unit = draw(st.sampled_from([None, None, None, 1_000_000, 1_000, 1]))
    if unit is not None:
        return stamp_of(moment) / unit if draw(st.booleans()) and unit > 1 else stamp_of(moment) // unit
    hours = draw(st.sampled_from([None, 0, 2, 5.5, 14, -1, -5, -9.5, -12]))
    shape = draw(st.sampled_from(SHAPES if hours is None else SHAPES[:5]))
    if hours is None:
        return moment.strftime(shape) + draw(st.sampled_from(["", "Z"] if "%H:%M:%S" in shape else [""]))
    local = moment.astimezone(timezone(timedelta(hours=hours)))
    return local.strftime(shape) + local.strftime("%z")[:3] + ":" + local.strftime("%z")[3:]


def moment_in(raw: Any) -> Stamp:
    """The stamp of a raw value, by another way than the connector's."""
    if isinstance(raw, str):
        return stamp_of(datetime.fromisoformat(raw))
    unit = 1_000_000 if raw < 1e11 else 1_000 if raw < 1e14 else 1
    stamp: Stamp = round(raw * unit)
    return stamp


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raws=st.lists(raw_stamps(), min_size=1, max_size=25),
    pick=st.integers(0, 24),
    shift=st.sampled_from([0, 0, 1, -1, SECOND, -SECOND, 3_600 * SECOND]),
    limit=st.sampled_from([1, 2, 5, 100]),
    declared=st.sampled_from(["TEXT", "DATETIME", "INTEGER", ""]),
    indexed=st.booleans(),
    unstamped=st.integers(0, 3),
)
@example(
    raws=["2026-03-01T00:00:00", "2026-03-01"], pick=1, shift=0, limit=1, declared="TEXT", indexed=True, unstamped=0
)
def test_no_row_at_or_after_since_is_missed(
    app: SqliteApplication,
    raws: list[Any],
    pick: int,
    shift: int,
    limit: int,
    declared: str,
    indexed: bool,
    unstamped: int,
) -> None:
    if declared == "TEXT":
        raws = [raw for raw in raws if isinstance(raw, str)] or ["2026-03-01 00:00:00"]
    app.execute("DROP TABLE IF EXISTS mixed")
    app.execute(f"CREATE TABLE mixed (id INTEGER PRIMARY KEY, at {declared})")
    if indexed:
        app.execute("CREATE INDEX mixed_at ON mixed (at)")
    app.database.executemany("INSERT INTO mixed (at) VALUES (?)", [(raw,) for raw in [*raws, *[None] * unstamped]])
    since = moment_in(raws[pick % len(raws)]) + shift
    expected = {str(n): moment_in(raw) for n, raw in enumerate(raws, 1)}
    connector = app.connector()
    try:
        selection = Selection("mixed", "id", "at", ())
        read = read_all(connector, selection, since, limit)
        everything = read_all(connector, selection, None, limit)
        counted = connector.count(selection, since, since + SECOND)
    finally:
        connector.close()
    assert len(read) == len(set(keys_of(read)))
    nothing = {str(len(raws) + n): None for n in range(1, unstamped + 1)}
    late = {key: stamp for key, stamp in expected.items() if stamp >= since}
    assert {r.key: r.modified_on for r in read} == nothing | late
    assert [r.modified_on for r in read[:unstamped]] == [None] * unstamped
    assert {r.key: r.modified_on for r in everything} == nothing | expected
    assert len(everything) == len(expected) + unstamped
    inside = [raw for raw in raws if since <= moment_in(raw) <= since + SECOND]
    if counted is not None:
        assert len([raw for raw in inside if not _is_behind(raw)]) <= counted <= len(inside)
    assert (counted is not None) is indexed


def _is_behind(raw: Any) -> bool:
    """Whether a stamp is a text with a negative offset, which a count may leave out."""
    return isinstance(raw, str) and "-" in raw[10:]


@pytest.mark.parametrize("index", ["modified_at", "modified_at, id"])
@pytest.mark.parametrize("key", ["TEXT PRIMARY KEY", "INTEGER PRIMARY KEY"])
def test_an_index_on_the_stamp_serves_every_reading(app: SqliteApplication, index: str, key: str) -> None:
    app.execute(f"CREATE TABLE item (id {key}, name TEXT, modified_at DATETIME)")
    app.execute(f"CREATE INDEX item_index ON item ({index})")
    app.database.executemany(
        "INSERT INTO item VALUES (?, 'n', ?)", [(n, text_of(T0 + n * SECOND)) for n in range(1000)]
    )
    app.execute("ANALYZE")
    connector = app.connector()
    selection = Selection("item", "id", "modified_at", ("name",))
    statements = statements_of(connector)
    for since in (None, T0 + 500 * SECOND):
        page = connector.read(selection, since, None, 100)
        connector.read(selection, since, page.cursor, 100)
    connector.close()
    readings = [one for one in statements if one.startswith("SELECT") and 'FROM "item"' in one]
    assert len(readings) >= 4
    for statement in readings:
        plan = plans_of(app, [statement])
        assert "INDEX item_index" in plan
        if "(modified_at>" in plan or "SCAN" in plan:
            # Rows of one stamp may be sorted by key where the index does not have it; the table never is.
            assert "TEMP B-TREE FOR ORDER BY" not in plan
        if key == "INTEGER PRIMARY KEY" or index != "modified_at":
            assert "TEMP B-TREE" not in plan


def test_counting_keeps_no_more_stamps_in_memory_than_a_page(app: SqliteApplication, connector: SqlConnector) -> None:
    app.put_many((f"k{n}", T0 + n * SECOND, {"name": "n"}) for n in range(8_000))
    connector.count(CUSTOMERS, T0, T0 + SECOND)
    tracemalloc.start()
    try:
        assert connector.count(CUSTOMERS, T0 - SECOND, T0 + 7_500 * SECOND) == 7_501
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 700_000


def test_an_index_for_the_filter_is_not_taken_for_the_order(app: SqliteApplication, connector: SqlConnector) -> None:
    app.execute("CREATE INDEX customer_city ON customer (city)")
    app.put_many((f"k{n:05}", T0 + n * SECOND, {"name": "n", "city": "Oslo"}) for n in range(500))
    filtered = replace(CUSTOMERS, filter=(Condition("city", "eq", "Oslo"), Condition("name", "ne", "x")))
    statements = statements_of(connector)
    for since in (None, T0):
        page = connector.read(filtered, since, None, 100)
        assert len(connector.read(filtered, since, page.cursor, 100).records) == 100
    for statement in statements:
        if statement.startswith("SELECT") and 'modified_at" IS NULL' not in statement:
            plan = plans_of(app, [statement]) if 'FROM "customer"' in statement else ""
            assert "customer_city" not in plan
            assert "TEMP B-TREE FOR ORDER BY" not in plan


def test_one_statement_reads_one_page(app: SqliteApplication, connector: SqlConnector) -> None:
    app.put_many((f"k{n:05}", T0 + n, {"name": "n"}) for n in range(2_000))
    connector.read(CUSTOMERS, None, None, 1)
    statements = statements_of(connector)
    assert len(read_all(connector, CUSTOMERS, limit=100)) == 2_000
    assert len(statements) == 20 + 1  # One more that looks for rows without a stamp.
    del statements[:]
    assert len(read_all(connector, CUSTOMERS, T0, limit=100)) == 2_000
    assert len(statements) <= 20 + 10


def test_bulk_writes_take_a_constant_number_of_readings(app: SqliteApplication, connector: SqlConnector) -> None:
    counts = []
    for size in (10, 1_000):
        items = [Insert({"name": f"n{n}", "number": f"{size}-{n}"}, key=f"{size}-{n}") for n in range(size)]
        statements = statements_of(connector)
        records = [record_of(result) for result in connector.insert(CUSTOMERS, items)]
        updated = connector.update(CUSTOMERS, [Update(record, {"city": "x"}, guarded=True) for record in records])
        connector.delete(CUSTOMERS, [Deletion(record_of(record), guarded=True) for record in updated])
        counts.append(len([one for one in statements if one.startswith("SELECT") and '"customer"' in one]))
    assert counts[0] == counts[1]


def test_one_bad_record_in_a_thousand_costs_about_two_batches(app: SqliteApplication, connector: SqlConnector) -> None:
    app.put("old", stamp=T0, name="n", number="N500")
    app.execute("DROP TRIGGER customer_insert")
    before = connector._database.session.driver.total_changes
    items = [Insert({"name": "n", "number": f"N{n}"}, key=f"k{n}") for n in range(1000)]
    results = connector.insert(CUSTOMERS, items)
    assert [place for place, result in enumerate(results) if isinstance(result, Failure)] == [500]
    assert connector._database.session.driver.total_changes - before < 2_000


def test_stamps_in_a_side_table(app: SqliteApplication, connector: SqlConnector) -> None:
    app.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)")
    app.execute('CREATE TABLE "Integration Record" ("Record ID" INTEGER PRIMARY KEY, "Modified On" TEXT)')
    app.execute('CREATE INDEX side_index ON "Integration Record" ("Modified On", "Record ID")')
    for n in range(1, 10):
        app.execute("INSERT INTO item VALUES (?, ?)", n, f"n{n}")
        if n % 3:
            stamp = f"2026-01-0{n}T00:00:00Z"
            app.execute('INSERT INTO "Integration Record" VALUES (?, ?)', n, stamp)
    selection = Selection("item", "id", SideTable("Integration Record", "Record ID", "Modified On"), ("name",))
    for limit in (1, 2, 100):
        assert "".join(keys_of(read_all(connector, selection, None, limit))) == "369124578"
    since = stamp_of(datetime(2026, 1, 5, tzinfo=UTC))
    assert "".join(keys_of(read_all(connector, selection, since, 2))) == "369578"
    assert connector.count(selection, since, since + 86_400 * 2 * SECOND) == 2
    read = connector.fetch(selection, ["1", "3", "5"], filtered=False)
    app.execute('UPDATE "Integration Record" SET "Modified On" = \'2026-02-01T00:00:00Z\' WHERE "Record ID" = 1')
    app.execute("INSERT INTO \"Integration Record\" VALUES (3, '2026-02-01T00:00:00Z')")
    results = connector.update(selection, [Update(read[key], {"name": "x"}, guarded=True) for key in "135"])
    assert [failure_of(result).code for result in results[:2]] == ["record_moved", "record_moved"]
    assert record_of(results[2]).values == ("x",)


# Writing


def test_triggers_have_the_last_word(app: SqliteApplication, connector: SqlConnector) -> None:
    app.execute(
        "CREATE TRIGGER tidy AFTER INSERT ON customer BEGIN"
        " UPDATE customer SET name = upper(trim(new.name)) WHERE id = new.id; END"
    )
    [result] = connector.insert(CUSTOMERS, [Insert({"name": " ann "}, key="a")])
    assert record_of(result).values[1] == "ANN"
    assert record_of(result).modified_on is not None


def test_a_trigger_that_refuses(app: SqliteApplication, connector: SqlConnector) -> None:
    for action, name in (("ABORT", "a"), ("ROLLBACK", "r"), ("FAIL", "f")):
        app.execute(
            f"CREATE TRIGGER no_{name} BEFORE INSERT ON customer WHEN new.name = '{name}' BEGIN"
            f" SELECT RAISE({action}, 'Not on a Sunday'); END"
        )
    items = [Insert({"name": name}, key=f"k{place}") for place, name in enumerate("xarfy")]
    results = connector.insert(CUSTOMERS, items)
    assert [isinstance(result, Failure) for result in results] == [False, True, True, True, False]
    for result in results[1:4]:
        params = failure_of(result).params
        assert (params["rule"], params["detail"]) == ("trigger", "Not on a Sunday")
    assert keys_of(read_all(connector, CUSTOMERS)) == ["k0", "k4"]


def test_constraints_are_named(app: SqliteApplication, connector: SqlConnector) -> None:
    app.execute(
        "CREATE TABLE child (id INTEGER PRIMARY KEY, parent TEXT REFERENCES customer DEFERRABLE INITIALLY DEFERRED,"
        " owner TEXT REFERENCES customer, size INT CONSTRAINT positive CHECK (size > 0), modified_at TEXT)"
    )
    app.put("p", stamp=T0, name="n")
    selection = Selection("child", "id", "modified_at", ("parent", "owner", "size"))
    items = [
        Insert({"parent": "p", "owner": "p", "size": 1}),
        Insert({"parent": "nobody", "owner": "p", "size": 1}),
        Insert({"parent": "p", "owner": "nobody", "size": 1}),
        Insert({"parent": "p", "owner": "p", "size": 0}),
        Insert({"parent": "p", "owner": "p", "size": 2}),
    ]
    results = connector.insert(selection, items)
    rules = [result.params["rule"] if isinstance(result, Failure) else "" for result in results]
    assert rules == ["", "foreign_key", "foreign_key", "check", ""]
    assert failure_of(results[3]).params["constraint"] == "positive"
    assert len(read_all(connector, selection)) == 2


def test_texts_with_an_index_are_found_by_it_and_without_their_blanks(
    app: SqliteApplication, connector: SqlConnector
) -> None:
    for key, number in (("a", "N1"), ("b", "N1  "), ("c", "N10"), ("d", "N1!"), ("e", "N")):
        app.put(key, stamp=T0, name="n", number=number)
    statements = statements_of(connector)
    found = connector.find(CUSTOMERS, ["number"], [("N1",), ("N9",)])
    assert {"a", "b"} <= set(keys_of(found)) <= {"a", "b"}
    plans = plans_of(app, [one for one in statements if "json_each" in one])
    assert "USING COVERING INDEX sqlite_autoindex_customer_2" in plans or "INDEX sqlite_autoindex_customer_2" in plans
    assert "SCAN customer" not in plans


def test_other_types_are_found_in_whatever_shape_they_are(app: SqliteApplication, connector: SqlConnector) -> None:
    app.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, code UUID, data BLOB, at DATETIME, modified_at TEXT)")
    code = "6F9619FF-8B86-D011-B42D-00CF4FC964FF"
    app.execute("INSERT INTO thing VALUES (1, ?, x'00ff', '2026-01-01 10:00:00+02:00', NULL)", code)
    app.execute("INSERT INTO thing VALUES (2, ?, x'01', '2026-01-01T08:00:00Z', NULL)", code.replace("-", "").lower())
    selection = Selection("thing", "id", "modified_at", ("code", "data", "at"))
    records = read_all(connector, selection)
    assert records[0].values == (code.lower(), "AP8=", "2026-01-01T08:00:00.000000Z")
    assert records[1].values[0] == code.lower()
    assert keys_of(connector.find(selection, ["code"], [(code.lower(),)])) == ["1", "2"]
    assert keys_of(connector.find(selection, ["at"], [("2026-01-01T08:00:00.000000Z",)])) == ["1", "2"]
    assert keys_of(connector.find(selection, ["data"], [("AP8=",)])) == ["1"]
    assert keys_of(connector.find(selection, ["code", "data"], [(code.lower(), "AQ==")])) == ["2"]
    filtered = Selection("thing", "id", "modified_at", ("code",), (Condition("data", "eq", "AP8="),))
    assert keys_of(read_all(connector, filtered)) == ["1"]


def test_links_are_made_from_the_template(app: SqliteApplication) -> None:
    connector = app.connector(linkTemplate="https://erp.example/{table}?id={key}")
    assert connector.link("customer", "7") == "https://erp.example/customer?id=7"
    connector.close()


def test_generated_keys_are_those_of_the_rows(app: SqliteApplication, connector: SqlConnector) -> None:
    app.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT)")
    app.execute("CREATE TRIGGER log AFTER INSERT ON numbered BEGIN INSERT INTO log (text) VALUES (1), (2); END")
    results = connector.insert(
        NUMBERED, [Insert({"name": "a"}), Insert({"name": "b"}, key="50"), Insert({"name": "c"})]
    )
    keys = [record_of(result).key for result in results]
    assert keys[1] == "50"
    assert len(set(keys)) == 3


def test_a_table_that_changed_is_looked_at_anew(app: SqliteApplication, connector: SqlConnector) -> None:
    app.put("a", stamp=T0, name="n")
    read_all(connector, CUSTOMERS)
    app.execute("DROP INDEX customer_modified")
    app.execute("ALTER TABLE customer RENAME COLUMN city TO town")
    with pytest.raises(SideFailed):
        read_all(connector, CUSTOMERS)
    with pytest.raises(SideFailed) as failed:
        read_all(connector, CUSTOMERS)
    assert failed.value.failure.code == "field_not_found"
    selection = Selection("customer", "id", "modified_at", ("town",))
    assert keys_of(read_all(connector, selection)) == ["a"]


def test_every_setup_check_is_made_or_says_why_not(app: SqliteApplication, connector: SqlConnector) -> None:
    without = {"credentials", "password_change", "user_is_administrator", "write_access", "rate_limits"}
    assert_complete(connector.check([CUSTOMERS]), {*without, "exchange_rates", "modified_on_precision"})
    app.put("one", name="n")
    assert_complete(connector.check([CUSTOMERS]), {*without, "exchange_rates"})

"""What service/connectors/base.py promises, as tests. A kind's own test is a subclass with the fixture `app`.

`app` is an `Application`: it gives connectors to an application with the two tables below, and plays the people who
work in it at the same time.

customer  id (text, chosen by whoever inserts), number (text of 20, unique), name (text of 50, required), city, credit
          (decimal 10,2), blocked (boolean), born (date), seen (datetime), visits (integer), modified_at (the stamp)
numbered  id (generated), name (text of 50, required), modified_at
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol

import pytest

from service.connectors.base import Check, Connector, Deletion, Insert, Update
from service.core.failures import Failure, SideFailed
from service.core.records import Condition, FieldType, Record, Scalar, Selection, Stamp

T0: Stamp = 1_767_168_000_000_000
"""2025-12-31T08:00:00Z: earlier than any clock that stamps what the tests write."""

SECOND: Stamp = 1_000_000

FIELDS = ("number", "name", "city", "credit", "blocked", "born", "seen", "visits")
CUSTOMERS = Selection("customer", "id", "modified_at", FIELDS)
NUMBERED = Selection("numbered", "id", "modified_at", ("name",))


class Application(Protocol):
    """An application as its own users see it."""

    def connector(self) -> Connector:
        """A new connector to it."""

    def put(self, key: str, *, stamp: Stamp | None = None, **values: Scalar) -> None:
        """Create or change a customer, with this stamp or the application's own."""

    def put_many(self, rows: Iterable[tuple[str, Stamp, dict[str, Scalar]]]) -> None:
        """Create customers: key, stamp, values."""

    def remove(self, key: str) -> None:
        """Delete a customer."""

    def unstamp(self, key: str) -> None:
        """Take a customer's stamp away."""


def read_all(connector: Connector, selection: Selection, since: Stamp | None = None, limit: int = 1000) -> list[Record]:
    """Every record of a reading, page by page."""
    records: list[Record] = []
    cursor = None
    while True:
        page = connector.read(selection, since, cursor, limit)
        assert len(page.records) <= limit
        records += page.records
        cursor = page.cursor
        if cursor is None:
            return records


def keys_of(records: Iterable[Record]) -> list[str]:
    return [record.key for record in records]


def record_of(result: Any) -> Record:
    assert isinstance(result, Record), result
    return result


def failure_of(result: Any) -> Failure:
    assert isinstance(result, Failure), result
    return result


class Overtaken(Exception):
    """What stops a write that is not permitted any more."""


class ConnectorContract:
    """Everything that holds for every connector."""

    @pytest.fixture
    def connector(self, app: Application) -> Iterable[Connector]:
        connector = app.connector()
        yield connector
        connector.close()
        connector.close()

    def one(self, connector: Connector, key: str, selection: Selection = CUSTOMERS) -> Record:
        return connector.fetch(selection, [key], filtered=False)[key]

    # What there is

    def test_tables_are_listed_by_name(self, connector: Connector) -> None:
        names = [table.name for table in connector.tables()]
        assert {"customer", "numbered"} <= set(names)
        assert names == sorted(names)

    def test_a_table_is_described(self, connector: Connector) -> None:
        table = connector.describe("customer")
        assert (table.name, table.key, table.modified_on) == ("customer", "id", "modified_at")
        assert not table.generates_keys
        assert {name: field.type for name, field in table.fields.items()} == {
            "id": FieldType.STRING,
            "number": FieldType.STRING,
            "name": FieldType.STRING,
            "city": FieldType.STRING,
            "credit": FieldType.DECIMAL,
            "blocked": FieldType.BOOLEAN,
            "born": FieldType.DATE,
            "seen": FieldType.DATETIME,
            "visits": FieldType.INTEGER,
            "modified_at": FieldType.DATETIME,
        }
        assert (table.fields["number"].length, table.fields["name"].length) == (20, 50)
        assert (table.fields["credit"].precision, table.fields["credit"].scale) == (10, 2)
        assert (table.fields["name"].required, table.fields["name"].nullable) == (True, False)
        assert (table.fields["city"].required, table.fields["city"].nullable) == (False, True)

    def test_a_table_that_generates_keys_says_so(self, connector: Connector) -> None:
        table = connector.describe("numbered")
        assert table.generates_keys
        assert not table.fields["id"].required

    def test_what_is_missing_is_named(self, connector: Connector) -> None:
        with pytest.raises(SideFailed) as missing:
            connector.describe("nothing")
        assert missing.value.failure.code == "table_not_found"
        assert missing.value.failure.params["table"] == "nothing"
        with pytest.raises(SideFailed) as missing:
            connector.read(replace(CUSTOMERS, table="nothing"), None, None, 10)
        assert missing.value.failure.code == "table_not_found"
        with pytest.raises(SideFailed) as missing:
            connector.read(replace(CUSTOMERS, fields=("name", "colour")), None, None, 10)
        assert missing.value.failure.code == "field_not_found"
        assert missing.value.failure.params["field"] == "colour"

    def test_checks_know_or_say_unknown(self, connector: Connector) -> None:
        checks = connector.check([CUSTOMERS])
        assert all(isinstance(check, Check) for check in checks)
        assert {check.status for check in checks} <= {"pass", "warn", "fail", "unknown"}
        found = {check.code: check.status for check in checks}
        assert found["reachable"] == "pass"
        assert found["conditional_updates"] == "pass"
        assert found["exchange_rates"] == "unknown"

    # Reading

    def test_an_empty_table_has_one_empty_page(self, connector: Connector) -> None:
        page = connector.read(CUSTOMERS, None, None, 10)
        assert (list(page.records), page.cursor) == ([], None)

    def test_values_are_canonical(self, app: Application, connector: Connector) -> None:
        app.put(
            "a",
            stamp=T0,
            number="N1",
            name="Ærlig Ås",
            credit="12.5",
            blocked=True,
            born="2001-02-03",
            seen="2026-01-01T10:00:00.000000Z",
            visits=7,
        )
        [record] = read_all(connector, CUSTOMERS)
        assert record.key == "a"
        assert record.modified_on == T0
        expected = ("N1", "Ærlig Ås", None, "12.5", True, "2001-02-03", "2026-01-01T10:00:00.000000Z", 7)
        assert record.values == expected
        assert [type(value) for value in record.values] == [type(value) for value in expected]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
    def test_pages_hold_everything_once_in_order(self, app: Application, connector: Connector, limit: int) -> None:
        app.put_many((f"k{n}", T0 + (n % 3) * SECOND, {"name": f"n{n}"}) for n in range(7))
        records = read_all(connector, CUSTOMERS, limit=limit)
        assert keys_of(records) == ["k0", "k3", "k6", "k1", "k4", "k2", "k5"]
        assert [record.modified_on for record in records] == [T0] * 3 + [T0 + SECOND] * 2 + [T0 + 2 * SECOND] * 2

    def test_since_includes_its_own_moment(self, app: Application, connector: Connector) -> None:
        app.put_many((f"k{n}", T0 + n * SECOND, {"name": "n"}) for n in range(5))
        assert keys_of(read_all(connector, CUSTOMERS, T0 + 2 * SECOND)) == ["k2", "k3", "k4"]
        assert keys_of(read_all(connector, CUSTOMERS, T0 + 2 * SECOND + 1)) == ["k3", "k4"]
        assert read_all(connector, CUSTOMERS, T0 + 5 * SECOND) == []

    def test_many_rows_with_one_stamp(self, app: Application, connector: Connector) -> None:
        app.put_many((f"k{n:04}", T0, {"name": f"n{n}"}) for n in range(500))
        for since in (None, T0):
            assert keys_of(read_all(connector, CUSTOMERS, since, 7)) == [f"k{n:04}" for n in range(500)]

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_rows_without_a_stamp_come_first_whatever_since_says(
        self, app: Application, connector: Connector, limit: int
    ) -> None:
        app.put_many((f"k{n}", T0 + n * SECOND, {"name": "n"}) for n in range(6))
        for key in ("k1", "k3", "k5"):
            app.unstamp(key)
        records = read_all(connector, CUSTOMERS, T0 + 2 * SECOND, limit)
        assert keys_of(records) == ["k1", "k3", "k5", "k2", "k4"]
        assert [record.modified_on for record in records[:3]] == [None] * 3
        assert keys_of(read_all(connector, CUSTOMERS, None, limit)) == ["k1", "k3", "k5", "k0", "k2", "k4"]

    def test_rows_that_stay_are_read_once_while_others_change(self, app: Application, connector: Connector) -> None:
        app.put_many((f"k{n:02}", T0 + (n // 4) * SECOND, {"name": "n"}) for n in range(40))
        records: list[Record] = []
        cursor, turn = None, 0
        while True:
            page = connector.read(CUSTOMERS, T0, cursor, 5)
            records += page.records
            cursor = page.cursor
            if cursor is None:
                break
            app.put(f"k{turn:02}", stamp=T0 + (100 + turn) * SECOND, name="moved on")  # Already read.
            app.put(f"z{turn:02}", stamp=T0 + (200 + turn) * SECOND, name="new")
            app.remove(f"k{39 - turn:02}")  # Not yet read.
            turn += 1
        stayed = [f"k{n:02}" for n in range(turn, 40 - turn)]
        assert [key for key in keys_of(records) if key in stayed] == stayed

    def test_a_record_that_changes_while_paging_is_met_again(self, app: Application, connector: Connector) -> None:
        app.put_many((f"k{n}", T0 + n * SECOND, {"name": "n"}) for n in range(6))
        page = connector.read(CUSTOMERS, None, None, 3)
        app.put("k0", stamp=T0 + 100 * SECOND, name="changed")
        rest = connector.read(CUSTOMERS, None, page.cursor, 100)
        assert keys_of(rest.records) == ["k3", "k4", "k5", "k0"]

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            (Condition("city", "eq", "Oslo"), "a"),
            (Condition("city", "ne", "Oslo"), "bcd"),
            (Condition("city", "eq", None), "d"),
            (Condition("city", "ne", None), "abc"),
            (Condition("city", "isNull"), "d"),
            (Condition("city", "isNull", True), "d"),
            (Condition("city", "isNull", False), "abc"),
            (Condition("city", "in", ["Oslo", "Bergen"]), "ab"),
            (Condition("city", "in", []), ""),
            (Condition("city", "in", ["Oslo", None]), "ad"),
            (Condition("city", "in", [*map(str, range(2000)), "Oslo"]), "a"),
            (Condition("visits", "in", [9, 100]), "ac"),
            (Condition("born", "in", ["2000-01-01"]), "b"),
            (Condition("visits", "lt", 10), "a"),
            (Condition("visits", "le", 10), "ab"),
            (Condition("visits", "gt", 10), "c"),
            (Condition("visits", "ge", 10), "bc"),
            (Condition("credit", "ge", "100"), "bc"),
            (Condition("credit", "lt", "100"), "a"),
            (Condition("credit", "eq", "9.5"), "a"),
            (Condition("born", "ge", "2000-01-01"), "b"),
            (Condition("born", "eq", "1999-12-31"), "a"),
            (Condition("seen", "gt", "2026-01-01T10:00:00.000000Z"), "b"),
            (Condition("seen", "le", "2026-01-01T10:00:00.000000Z"), "a"),
            (Condition("blocked", "eq", True), "a"),
            (Condition("blocked", "ne", True), "bcd"),
            (Condition("name", "startsWith", "50%"), "a"),
            (Condition("name", "startsWith", "50_"), "b"),
            (Condition("name", "startsWith", "Al"), "c"),
            (Condition("name", "startsWith", "al"), "d"),
            (Condition("name", "contains", "%"), "a"),
            (Condition("name", "contains", "o_o"), "b"),
            (Condition("name", "contains", "\\"), "c"),
            (Condition("name", "contains", "PHA"), ""),
            (Condition("name", "contains", "pha"), "cd"),
        ],
    )
    def test_filters(self, app: Application, connector: Connector, condition: Condition, expected: str) -> None:
        seen = "2026-01-01T10:00:00.000000Z"
        a: dict[str, Scalar] = {
            "name": "50% off",
            "city": "Oslo",
            "visits": 9,
            "credit": "9.5",
            "born": "1999-12-31",
            "seen": seen,
        }
        b: dict[str, Scalar] = {
            "name": "50_to_o",
            "city": "Bergen",
            "visits": 10,
            "credit": "100",
            "born": "2000-01-01",
        }
        c: dict[str, Scalar] = {"name": "Alpha\\", "city": "Århus", "visits": 100, "credit": "1000.25"}
        app.put("a", stamp=T0, blocked=True, **a)
        app.put("b", stamp=T0, blocked=False, seen="2026-01-01T10:00:01.000000Z", **b)
        app.put("c", stamp=T0, blocked=False, **c)
        app.put("d", stamp=T0, name="alpha")
        selection = replace(CUSTOMERS, filter=(condition,))
        assert "".join(keys_of(read_all(connector, selection))) == expected
        assert "".join(sorted(connector.fetch(selection, list("abcd"), filtered=True))) == expected
        assert connector.count(selection, T0, T0) == len(expected)

    def test_all_lines_of_a_filter_hold(self, app: Application, connector: Connector) -> None:
        app.put("a", stamp=T0, name="x", city="Oslo")
        app.put("b", stamp=T0, name="y", city="Oslo")
        selection = replace(CUSTOMERS, filter=(Condition("city", "eq", "Oslo"), Condition("name", "eq", "y")))
        assert keys_of(read_all(connector, selection)) == ["b"]
        assert connector.find(selection, ["name"], [("x",)]) == []

    def test_counting_includes_both_ends(self, app: Application, connector: Connector) -> None:
        app.put_many((f"k{n}", T0 + n * SECOND, {"name": "n"}) for n in range(6))
        app.unstamp("k5")
        assert connector.count(CUSTOMERS, T0, T0 + 10 * SECOND) == 5
        assert connector.count(CUSTOMERS, T0 + SECOND, T0 + 3 * SECOND) == 3
        assert connector.count(CUSTOMERS, T0 + SECOND + 1, T0 + 3 * SECOND - 1) == 1
        assert connector.count(CUSTOMERS, T0 + 11 * SECOND, T0 + 12 * SECOND) == 0

    def test_the_clock_and_its_horizon(self, app: Application, connector: Connector) -> None:
        before = connector.clock(CUSTOMERS)
        assert before.horizon <= before.now
        app.put("a", name="x")
        after = connector.clock(CUSTOMERS)
        stamp = self.one(connector, "a").modified_on
        assert stamp is not None
        assert before.now - 1_000 <= stamp <= after.now  # Stamps may be cut to milliseconds.
        assert after.horizon <= after.now

    def test_records_are_fetched_by_key(self, app: Application, connector: Connector) -> None:
        app.put_many((f"k{n:04}", T0, {"name": f"n{n}", "city": "Oslo" if n % 2 else None}) for n in range(2500))
        wanted = [f"k{n:04}" for n in range(0, 5000, 2)]
        found = connector.fetch(CUSTOMERS, wanted, filtered=False)
        assert sorted(found) == wanted[:1250]
        assert all(record.key == key for key, record in found.items())
        oslo = replace(CUSTOMERS, filter=(Condition("city", "eq", "Oslo"),))
        assert sorted(connector.fetch(oslo, ["k0000", "k0001"], filtered=True)) == ["k0001"]
        assert sorted(connector.fetch(oslo, ["k0000", "k0001"], filtered=False)) == ["k0000", "k0001"]
        assert connector.fetch(CUSTOMERS, [], filtered=False) == {}

    def test_a_text_that_cannot_be_a_key_finds_nothing(self, connector: Connector) -> None:
        for key in ("abc", "", "1.5", "9" * 30, "ø'\";--", "a\0b", "\ud800"):
            assert connector.fetch(NUMBERED, [key], filtered=False) == {}
            assert connector.fetch(CUSTOMERS, [key], filtered=False) == {}

    def test_records_are_found_by_value(self, app: Application, connector: Connector) -> None:
        app.put("a", stamp=T0, number="N1", name="Ann", city="Oslo", credit="12.5", visits=1, blocked=True)
        app.put("b", stamp=T0, number="N2", name="Bob", city="Oslo", credit="100", visits=2, blocked=False)
        app.put("c", stamp=T0, number="N3", name="Ann", city="Bergen", born="2000-01-01")
        found = connector.find
        assert sorted(keys_of(found(CUSTOMERS, ["name"], [("Ann",), ("Zoe",)]))) == ["a", "c"]
        assert sorted(keys_of(found(CUSTOMERS, ["number"], [("N2",), ("N3",), ("",)]))) == ["b", "c"]
        assert keys_of(found(CUSTOMERS, ["credit"], [("12.5",)])) == ["a"]
        assert keys_of(found(CUSTOMERS, ["credit"], [("100",)])) == ["b"]
        assert keys_of(found(CUSTOMERS, ["visits"], [(2,)])) == ["b"]
        assert keys_of(found(CUSTOMERS, ["blocked"], [(True,)])) == ["a"]
        assert keys_of(found(CUSTOMERS, ["born"], [("2000-01-01",)])) == ["c"]
        assert found(CUSTOMERS, ["name"], []) == []
        pairs: list[tuple[Scalar, ...]] = [("Ann", "Bergen"), ("Bob", "Bergen"), ("Bob", "Oslo")]
        assert sorted(keys_of(found(CUSTOMERS, ["name", "city"], pairs))) == ["b", "c"]
        assert keys_of(found(CUSTOMERS, ["visits", "credit"], [(1, "12.5"), (1, "100")])) == ["a"]

    def test_values_that_no_record_can_have_are_not_found(self, app: Application, connector: Connector) -> None:
        app.put("a", stamp=T0, name="Ann")
        assert connector.find(CUSTOMERS, ["visits"], [(10**30,)]) == []
        assert connector.find(CUSTOMERS, ["name"], [("a\0b",), ("\ud800",)]) == []

    def test_trailing_blanks_do_not_hide_a_record(self, app: Application, connector: Connector) -> None:
        app.put("a", stamp=T0, name="Ann  ")
        app.put("b", stamp=T0, name="Ann")
        app.put("c", stamp=T0, name="Anna")
        assert sorted(keys_of(connector.find(CUSTOMERS, ["name"], [("Ann",)]))) == ["a", "b"]
        assert sorted(keys_of(connector.find(CUSTOMERS, ["name"], [("Ann ",)]))) == ["a", "b"]

    # Writing

    def test_insert_with_a_chosen_key(self, connector: Connector) -> None:
        values: dict[str, Scalar] = {
            "number": "N1",
            "name": "Ann",
            "city": None,
            "credit": "12.5",
            "blocked": False,
            "born": "2001-02-03",
            "seen": "2026-01-01T10:00:00.123000Z",
            "visits": 3,
        }
        [result] = connector.insert(CUSTOMERS, [Insert(values, key="a")])
        record = record_of(result)
        assert record.key == "a"
        assert record.values == tuple(values[name] for name in FIELDS)
        assert record.modified_on is not None
        assert self.one(connector, "a") == record

    def test_insert_with_the_key_among_the_values(self, connector: Connector) -> None:
        [result] = connector.insert(CUSTOMERS, [Insert({"id": "b", "name": "Bob"})])
        assert record_of(result).key == "b"
        assert keys_of(read_all(connector, CUSTOMERS)) == ["b"]

    def test_insert_with_generated_keys_answers_in_order(self, connector: Connector) -> None:
        names = [f"name {n * 7919 % 301}" for n in range(301)]
        results = connector.insert(NUMBERED, [Insert({"name": name}) for name in names])
        records = [record_of(result) for result in results]
        assert [record.values for record in records] == [(name,) for name in names]
        assert len({record.key for record in records}) == 301
        stored = connector.fetch(NUMBERED, keys_of(records), filtered=False)
        assert [stored[record.key].values for record in records] == [(name,) for name in names]

    @pytest.mark.parametrize("verb", ["insert", "update", "delete"])
    def test_what_is_not_permitted_any_more_does_not_take_effect(
        self, app: Application, connector: Connector, verb: str
    ) -> None:
        app.put("a", stamp=T0, name="Anna")
        before = self.one(connector, "a")
        calls = {
            "insert": lambda: connector.insert(CUSTOMERS, [Insert({"name": "Bob"}, key="b")]),
            "update": lambda: connector.update(CUSTOMERS, [Update(before, {"name": "Berta"}, guarded=True)]),
            "delete": lambda: connector.delete(CUSTOMERS, [Deletion(before, guarded=True)]),
        }

        def refuse() -> None:
            raise Overtaken

        connector.fence(refuse)
        with pytest.raises(Overtaken):
            calls[verb]()
        assert [record.values[1] for record in read_all(app.connector(), CUSTOMERS)] == ["Anna"]
        connector.fence(lambda: None)
        calls[verb]()
        assert [record.values[1] for record in read_all(app.connector(), CUSTOMERS)] != ["Anna"]

    def test_writing_nothing_is_nothing(self, connector: Connector) -> None:
        assert list(connector.insert(CUSTOMERS, [])) == []
        assert list(connector.update(CUSTOMERS, [])) == []
        assert list(connector.delete(CUSTOMERS, [])) == []

    def test_one_bad_record_does_not_spoil_the_others(self, app: Application, connector: Connector) -> None:
        app.put("old", stamp=T0, name="old", number="N50")
        items = [Insert({"name": f"n{n}", "number": f"N{n}"}, key=f"k{n:03}") for n in range(100)]
        items[70] = Insert({"name": None, "number": "N70"}, key="k070")
        items[71] = Insert({"name": "n71", "number": "x" * 21, "seen": None}, key="k071")
        results = connector.insert(CUSTOMERS, items)
        bad = {place: result for place, result in enumerate(results) if isinstance(result, Failure)}
        assert {50, 70} <= set(bad) <= {50, 70, 71}  # Not every application keeps to its lengths.
        assert bad[50].code == "value_rejected"
        assert (bad[50].params["rule"], bad[50].params["field"]) == ("unique", "number")
        assert (bad[70].params["rule"], bad[70].params["field"]) == ("not_null", "name")
        if 71 in bad:
            assert bad[71].code == "value_too_long"
            assert bad[71].params["field"] == "number"
            assert (bad[71].params["length"], bad[71].params["maximum"]) == (21, 20)
        good = [record_of(result).key for place, result in enumerate(results) if place not in bad]
        assert good == [f"k{n:03}" for n in range(100) if n not in bad]
        assert set(good) | {"old"} == set(keys_of(read_all(connector, CUSTOMERS)))

    def test_a_key_twice_is_refused_once(self, connector: Connector) -> None:
        results = connector.insert(CUSTOMERS, [Insert({"name": "a"}, key="k"), Insert({"name": "b"}, key="k")])
        assert record_of(results[0]).values[1] == "a"
        assert failure_of(results[1]).params["rule"] == "unique"

    def test_failures_of_one_cause_have_one_fingerprint(self, app: Application, connector: Connector) -> None:
        app.put("old1", stamp=T0, name="old", number="N1")
        app.put("old2", stamp=T0, name="old", number="N2")
        items = [Insert({"name": "n", "number": f"N{n}"}, key=f"k{n}") for n in (1, 2)]
        one, two = (failure_of(result) for result in connector.insert(CUSTOMERS, [*items]))
        assert one.fingerprint == two.fingerprint
        assert "N1" not in str(one.params)

    def test_a_value_that_cannot_be_sent_is_refused(self, connector: Connector) -> None:
        items = [
            Insert({"name": "half \ud800 a pair"}, key="a"),
            Insert({"name": "big", "visits": 2**70}, key="b"),
            Insert({"name": "good"}, key="c"),
        ]
        results = connector.insert(CUSTOMERS, items)
        assert record_of(results[2]).values[1] == "good"
        for result in results[:2]:
            if isinstance(result, Failure):  # An application may be able to hold it.
                assert result.code == "value_rejected"

    def test_update_writes_what_it_is_given_and_nothing_else(self, app: Application, connector: Connector) -> None:
        app.put("a", stamp=T0, name="Ann", city="Oslo", credit="12.5", number="N1")
        narrow = replace(CUSTOMERS, fields=("name",))
        read = self.one(connector, "a", narrow)
        app.put("b", stamp=T0, name="Bob", city="Oslo")
        [result] = connector.update(narrow, [Update(read, {"name": "Anne"}, guarded=True)])
        record = record_of(result)
        assert record.values == ("Anne",)
        assert record.modified_on is not None
        assert record.modified_on > T0
        assert self.one(connector, "a").values[:4] == ("N1", "Anne", "Oslo", "12.5")
        assert self.one(connector, "b").values[:3] == (None, "Bob", "Oslo")

    def test_every_record_may_be_given_other_fields(self, app: Application, connector: Connector) -> None:
        app.put_many((f"k{n}", T0, {"name": "n", "city": "Oslo", "visits": n}) for n in range(4))
        read = {record.key: record for record in read_all(connector, CUSTOMERS)}
        items = [
            Update(read["k3"], {"city": None}, guarded=True),
            Update(read["k0"], {"name": "x", "city": "Bergen"}, guarded=True),
            Update(read["k2"], {}, guarded=True),
            Update(read["k1"], {"visits": 100}, guarded=False),
        ]
        results = [record_of(result) for result in connector.update(CUSTOMERS, items)]
        assert keys_of(results) == ["k3", "k0", "k2", "k1"]
        assert [(r.values[1], r.values[2], r.values[7]) for r in results] == [
            ("n", None, 3),
            ("x", "Bergen", 0),
            ("n", "Oslo", 2),
            ("n", "Oslo", 100),
        ]

    def test_a_key_can_be_written_like_any_field_where_the_application_lets_it(
        self, app: Application, connector: Connector
    ) -> None:
        app.put("a", stamp=T0, name="Ann")
        [result] = connector.update(CUSTOMERS, [Update(self.one(connector, "a"), {"id": "z"}, guarded=True)])
        if isinstance(result, Record):
            assert (result.key, result.values[1]) == ("z", "Ann")
        assert keys_of(read_all(connector, CUSTOMERS)) == ["z" if isinstance(result, Record) else "a"]

    def test_a_guarded_update_of_a_record_that_moved_is_refused(self, app: Application, connector: Connector) -> None:
        app.put_many((f"k{n}", T0, {"name": "n", "city": "Oslo"}) for n in range(5))
        read = {record.key: record for record in read_all(connector, CUSTOMERS)}
        app.put("k1", name="by another")
        app.remove("k3")
        items = [Update(read[f"k{n}"], {"city": "Bergen"}, guarded=True) for n in range(5)]
        results = connector.update(CUSTOMERS, items)
        assert failure_of(results[1]).code == "record_moved"
        assert failure_of(results[3]).code == "partner_deleted"
        for place in (0, 2, 4):
            assert record_of(results[place]).values[2] == "Bergen"
        assert self.one(connector, "k1").values[1:3] == ("by another", "Oslo")

    def test_a_change_within_the_same_stamp_is_noticed(self, app: Application, connector: Connector) -> None:
        app.put("a", stamp=T0, name="Ann", city="Oslo")
        read = self.one(connector, "a")
        app.put("a", stamp=T0, name="Ann", city="Bergen")
        [result] = connector.update(CUSTOMERS, [Update(read, {"name": "Anne"}, guarded=True)])
        assert failure_of(result).code == "record_moved"
        [deleted] = connector.delete(CUSTOMERS, [Deletion(read, guarded=True)])
        assert failure_of(deleted).code == "record_moved"

    def test_a_change_from_nothing_and_to_nothing_is_noticed(self, app: Application, connector: Connector) -> None:
        app.put("a", stamp=T0, name="Ann", city=None)
        app.put("b", stamp=T0, name="Bob", city="Oslo")
        read = [self.one(connector, key) for key in "ab"]
        app.put("a", stamp=T0, city="Oslo")
        app.put("b", stamp=T0, city=None)
        results = connector.update(CUSTOMERS, [Update(one, {"visits": 1}, guarded=True) for one in read])
        assert [failure_of(result).code for result in results] == ["record_moved"] * 2

    def test_a_stamp_that_moved_is_noticed_whatever_the_values(self, app: Application, connector: Connector) -> None:
        app.put("a", stamp=T0, name="Ann", city="Oslo")
        narrow = replace(CUSTOMERS, fields=("name",))
        read = self.one(connector, "a", narrow)
        app.put("a", stamp=T0 + SECOND, city="Bergen")
        [result] = connector.update(narrow, [Update(read, {"name": "Anne"}, guarded=True)])
        assert failure_of(result).code == "record_moved"

    def test_an_unguarded_update_overwrites(self, app: Application, connector: Connector) -> None:
        app.put("a", stamp=T0, name="Ann")
        read = self.one(connector, "a")
        app.put("a", name="by another")
        [result] = connector.update(CUSTOMERS, [Update(read, {"name": "Anne"}, guarded=False)])
        assert record_of(result).values[1] == "Anne"
        app.remove("a")
        [result] = connector.update(CUSTOMERS, [Update(read, {"name": "Anne"}, guarded=False)])
        assert failure_of(result).code == "partner_deleted"

    def test_a_record_without_a_stamp_can_be_guarded(self, app: Application, connector: Connector) -> None:
        app.put("a", stamp=T0, name="Ann")
        app.unstamp("a")
        read = self.one(connector, "a")
        assert read.modified_on is None
        [result] = connector.update(CUSTOMERS, [Update(read, {"name": "Anne"}, guarded=True)])
        assert record_of(result).values[1] == "Anne"

    def test_what_a_write_returns_is_good_for_the_next(self, connector: Connector) -> None:
        [result] = connector.insert(CUSTOMERS, [Insert({"name": "n", "credit": "1.5", "blocked": True}, key="a")])
        for turn in range(3):
            record = record_of(result)
            [result] = connector.update(CUSTOMERS, [Update(record, {"visits": turn}, guarded=True)])
        assert record_of(result).values[7] == 2
        assert record_of(result) == self.one(connector, "a")
        [deleted] = connector.delete(CUSTOMERS, [Deletion(record_of(result), guarded=True)])
        assert deleted is None

    def test_one_bad_update_does_not_spoil_the_others(self, app: Application, connector: Connector) -> None:
        app.put_many((f"k{n:02}", T0, {"name": "n", "number": f"N{n}"}) for n in range(50))
        read = read_all(connector, CUSTOMERS)
        items = [Update(record, {"name": "new", "number": f"M{n}"}, guarded=True) for n, record in enumerate(read)]
        items[20] = Update(read[20], {"name": "new", "number": "N30"}, guarded=True)
        items[40] = Update(read[40], {"name": None, "number": "M40"}, guarded=True)
        results = connector.update(CUSTOMERS, items)
        assert failure_of(results[40]).params["rule"] == "not_null"
        written = [place for place, result in enumerate(results) if isinstance(result, Record)]
        # Whether N30 is free when the 21st record asks for it is up to the application.
        assert [place for place in range(50) if place not in (20, 40)] == [p for p in written if p != 20]
        assert self.one(connector, "k40").values[:2] == ("N40", "n")
        assert all(self.one(connector, f"k{n:02}").values[1] == "new" for n in (0, 19, 21, 39, 41, 49))

    def test_delete(self, app: Application, connector: Connector) -> None:
        app.put_many((f"k{n}", T0, {"name": "n"}) for n in range(4))
        read = {record.key: record for record in read_all(connector, CUSTOMERS)}
        app.put("k1", name="by another")
        app.put("k2", name="by another")
        app.remove("k3")
        items = [Deletion(read["k3"], guarded=True), Deletion(read["k2"], guarded=False)]
        items += [Deletion(read["k1"], guarded=True), Deletion(read["k0"], guarded=True)]
        results = connector.delete(CUSTOMERS, items)
        assert [results[0], results[1], results[3]] == [None, None, None]
        assert failure_of(results[2]).code == "record_moved"
        assert keys_of(read_all(connector, CUSTOMERS)) == ["k1"]

    def test_writes_are_seen_by_another_connector(self, app: Application, connector: Connector) -> None:
        [result] = connector.insert(CUSTOMERS, [Insert({"name": "n"}, key="a")])
        other = app.connector()
        try:
            read = self.one(other, "a")
            assert read == record_of(result)
            [updated] = other.update(CUSTOMERS, [Update(record_of(result), {"name": "m"}, guarded=True)])
            assert record_of(updated).values[1] == "m"
        finally:
            other.close()
        assert self.one(connector, "a").values[1] == "m"

"""Reading: pages, counts, records by key and by value."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.connectors.base import Connector
from service.connectors.kit.application import SECOND, T0, People, keys_of, read_all
from service.connectors.kit.base import Case, Part, each, needs
from service.core.records import Condition, Record, Scalar

_MOMENT = "2026-01-01T10:00:00.000000Z"

_FILTERED: dict[str, dict[str, Scalar]] = {
    "a": {"name": "50% off", "city": "Oslo", "visits": 9, "credit": "9.5", "born": "1999-12-31", "seen": _MOMENT},
    "b": {"name": "50_to_o", "city": "Bergen", "visits": 10, "credit": "100", "born": "2000-01-01"},
    "c": {"name": "Alpha\\", "city": "Århus", "visits": 100, "credit": "1000.25", "blocked": False},
    "d": {"name": "alpha"},
}
_FILTERED["a"]["blocked"] = True
_FILTERED["b"] |= {"blocked": False, "seen": "2026-01-01T10:00:01.000000Z"}

_LINES: list[tuple[Condition, str, str | None]] = [
    (Condition("city", "eq", "Oslo"), "a", None),
    (Condition("city", "ne", "Oslo"), "bcd", None),
    (Condition("city", "eq", None), "d", None),
    (Condition("city", "ne", None), "abc", None),
    (Condition("city", "isNull"), "d", None),
    (Condition("city", "isNull", True), "d", None),
    (Condition("city", "isNull", False), "abc", None),
    (Condition("city", "in", ["Oslo", "Bergen"]), "ab", None),
    (Condition("city", "in", []), "", None),
    (Condition("city", "in", ["Oslo", None]), "ad", None),
    (Condition("city", "in", [*map(str, range(2000)), "Oslo"]), "a", None),
    (Condition("visits", "in", [9, 100]), "ac", None),
    (Condition("born", "in", ["2000-01-01"]), "b", None),
    (Condition("visits", "lt", 10), "a", None),
    (Condition("visits", "le", 10), "ab", None),
    (Condition("visits", "gt", 10), "c", None),
    (Condition("visits", "ge", 10), "bc", None),
    (Condition("credit", "ge", "100"), "bc", None),
    (Condition("credit", "lt", "100"), "a", None),
    (Condition("credit", "eq", "9.5"), "a", None),
    (Condition("born", "ge", "2000-01-01"), "b", None),
    (Condition("born", "eq", "1999-12-31"), "a", None),
    (Condition("seen", "gt", _MOMENT), "b", None),
    (Condition("seen", "le", _MOMENT), "a", None),
    (Condition("blocked", "eq", True), "a", None),
    (Condition("blocked", "ne", True), "bcd", None),
    (Condition("name", "startsWith", "50%"), "a", None),
    (Condition("name", "startsWith", "50_"), "b", None),
    (Condition("name", "startsWith", "Al"), "c", "cd"),
    (Condition("name", "startsWith", "al"), "d", "cd"),
    (Condition("name", "contains", "%"), "a", None),
    (Condition("name", "contains", "o_o"), "b", None),
    (Condition("name", "contains", "\\"), "c", None),
    (Condition("name", "contains", "PHA"), "", "cd"),
    (Condition("name", "contains", "pha"), "cd", None),
]
"""A line of a filter, the customers that pass it, and those where letter case is ignored if they are others."""


def _id(line: Condition) -> str:
    value = f"{len(line.value)} values" if isinstance(line.value, list) and len(line.value) > 2 else line.value
    return f"{line.field} {line.op} {value}"


def _needs(line: Condition) -> frozenset[str]:
    """The field of a line, and empty ones where it is about them, or where not every other customer has a value."""
    values = line.value if isinstance(line.value, list) else [line.value]
    empty = line.op == "isNull" or None in values or any(line.field not in _FILTERED[name] for name in "abc")
    return frozenset({line.field} - {"number", "name", "city"} | ({"empty"} if empty else set()))


_FILTERS = {_id(line): Case((line, *customers), _needs(line)) for line, *customers in _LINES}

_SOUGHT: dict[str, dict[str, Scalar]] = {
    "a": {"number": "N1", "name": "Ann", "city": "Oslo", "credit": "12.5", "visits": 1, "blocked": True},
    "b": {"number": "N2", "name": "Bob", "city": "Oslo", "credit": "100", "visits": 2, "blocked": False},
    "c": {"number": "N3", "name": "Ann", "city": "Bergen", "born": "2000-01-01"},
}

_WANTED: list[tuple[list[str], list[tuple[Scalar, ...]], list[str]]] = [
    (["name"], [("Ann",), ("Zoe",)], ["a", "c"]),
    (["number"], [("N2",), ("N3",), ("",)], ["b", "c"]),
    (["credit"], [("12.5",)], ["a"]),
    (["credit"], [("100",)], ["b"]),
    (["visits"], [(2,)], ["b"]),
    (["blocked"], [(True,)], ["a"]),
    (["born"], [("2000-01-01",)], ["c"]),
    (["name"], [], []),
    (["name", "city"], [("Ann", "Bergen"), ("Bob", "Bergen"), ("Bob", "Oslo")], ["b", "c"]),
    (["visits", "credit"], [(1, "12.5"), (1, "100")], ["a"]),
]
_FOUND = {
    f"{'+'.join(words)} of {wanted}": Case((words, wanted, found), frozenset(words) - {"number", "name", "city"})
    for words, wanted, found in _WANTED
}
"""Fields, the values that are sought in them, and who has such values."""

_NO_KEYS = ("abc", "", "1.5", "9" * 30, "ø'\";--", "a\0b", "\ud800")


class Reading(Part):
    """Tests of `clock`, `read`, `count`, `fetch` and `find`."""

    def test_an_empty_table_has_one_empty_page(self, connector: Connector) -> None:
        page = connector.read(self.customers, None, None, 10)
        assert (list(page.records), page.cursor) == ([], None)

    def test_values_are_canonical(self, people: People, connector: Connector) -> None:
        values: dict[str, Scalar] = {"number": "N1", "name": "Ærlig Ås", "city": self.blank, "credit": "12.5"}
        values = self.there({**values, "blocked": True, "born": "2001-02-03", "seen": _MOMENT, "visits": 7})
        people.put("a", stamp=T0, **values)
        [record] = read_all(connector, self.customers)
        assert people.names([record.key]) == ["a"]
        assert record.modified_on == T0
        assert record.values == tuple(values.values())
        assert [type(value) for value in record.values] == [type(value) for value in values.values()]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
    def test_pages_hold_everything_once_in_order(self, people: People, connector: Connector, limit: int) -> None:
        people.put_many((f"k{n}", T0 + (n % 3) * SECOND, {"name": f"n{n}"}) for n in range(7))
        records = read_all(connector, self.customers, limit=limit)
        assert people.names(keys_of(records)) == ["k0", "k3", "k6", "k1", "k4", "k2", "k5"]
        assert [record.modified_on for record in records] == [T0] * 3 + [T0 + SECOND] * 2 + [T0 + 2 * SECOND] * 2

    def test_stamps_are_as_fine_as_the_application_keeps_them(self, people: People, connector: Connector) -> None:
        tick = self.traits.resolution
        people.put_many((f"k{n}", T0 + n * tick, {"name": "n"}) for n in range(3))
        records = read_all(connector, self.customers, T0 + tick)
        assert [record.modified_on for record in records] == [T0 + tick, T0 + 2 * tick]
        assert self.listed(connector, people, since=T0 + 2 * tick) == ["k2"]

    def test_since_includes_its_own_moment(self, people: People, connector: Connector) -> None:
        people.put_many((f"k{n}", T0 + n * SECOND, {"name": "n"}) for n in range(5))
        assert self.listed(connector, people, since=T0 + 2 * SECOND) == ["k2", "k3", "k4"]
        assert self.listed(connector, people, since=T0 + 2 * SECOND + 1) == ["k3", "k4"]
        assert self.listed(connector, people, since=T0 + 5 * SECOND) == []

    def test_many_rows_with_one_stamp(self, people: People, connector: Connector) -> None:
        number = min(500, self.traits.plenty)
        people.put_many((f"k{n:04}", T0, {"name": f"n{n}"}) for n in range(number))
        for since in (None, T0):
            assert self.listed(connector, people, since=since, limit=7) == [f"k{n:04}" for n in range(number)]

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_rows_without_a_stamp_come_first_whatever_since_says(
        self, people: People, connector: Connector, limit: int
    ) -> None:
        people.put_many((f"k{n}", T0 + n * SECOND, {"name": "n"}) for n in range(6))
        bare = ["k1", "k3", "k5"] if self.traits.unstamped else []
        for name in bare:
            people.unstamp(name)
        records = read_all(connector, self.customers, T0 + 2 * SECOND, limit)
        late = [name for name in ("k2", "k3", "k4", "k5") if name not in bare]
        assert people.names(keys_of(records)) == [*bare, *late]
        assert [record.modified_on for record in records[: len(bare)]] == [None] * len(bare)
        early = [name for name in ("k0", "k1") if name not in bare]
        assert self.listed(connector, people, limit=limit) == [*bare, *early, *late]

    def test_rows_that_stay_are_read_once_while_others_change(self, people: People, connector: Connector) -> None:
        people.put_many((f"k{n:02}", T0 + (n // 4) * SECOND, {"name": "n"}) for n in range(40))
        records: list[Record] = []
        cursor, turn = None, 0
        while True:
            page = connector.read(self.customers, T0, cursor, 5)
            records += page.records
            cursor = page.cursor
            if cursor is None:
                break
            assert turn < 20, "the reading does not end"
            people.put(f"k{turn:02}", stamp=T0 + (100 + turn) * SECOND, name="moved on")  # Already read.
            people.put(f"z{turn:02}", stamp=T0 + (200 + turn) * SECOND, name="new")
            people.remove(f"k{39 - turn:02}")  # Not yet read.
            turn += 1
        stayed = [f"k{n:02}" for n in range(turn, 40 - turn)]
        assert [name for name in people.names(keys_of(records)) if name in stayed] == stayed

    def test_a_record_that_changes_while_paging_is_met_again(self, people: People, connector: Connector) -> None:
        people.put_many((f"k{n}", T0 + n * SECOND, {"name": "n"}) for n in range(6))
        page = connector.read(self.customers, None, None, 3)
        people.put("k0", stamp=T0 + 100 * SECOND, name="changed")
        rest: list[Record] = []
        while page.cursor is not None:
            page = connector.read(self.customers, None, page.cursor, 100)
            rest += page.records
        assert people.names(keys_of(rest)) == ["k3", "k4", "k5", "k0"]

    @each("condition, expected, caseless", _FILTERS)
    def test_filters(
        self, people: People, connector: Connector, condition: Condition, expected: str, caseless: str | None
    ) -> None:
        there = "abc" if "empty" in self.traits.lacks else "abcd"  # The last has nothing but a name.
        people.put_many((name, T0, self.there(_FILTERED[name])) for name in there)
        wanted = caseless if caseless is not None and self.traits.ignores_case else expected
        wanted = "".join(name for name in wanted if name in there)
        selection = self.where(condition.field, condition.op, condition.value)
        assert "".join(self.listed(connector, people, selection)) == wanted
        fetched = connector.fetch(selection, people.keys(there), filtered=True)
        assert "".join(sorted(people.names(fetched))) == wanted
        assert connector.count(selection, T0, T0) in ({len(wanted)} if self.traits.counts else {len(wanted), None})

    def test_all_lines_of_a_filter_hold(self, people: People, connector: Connector) -> None:
        people.put("a", stamp=T0, name="x", city="Oslo")
        people.put("b", stamp=T0, name="y", city="Oslo")
        lines = (Condition(self.name("city"), "eq", "Oslo"), Condition(self.name("name"), "eq", "y"))
        selection = replace(self.customers, filter=lines)
        assert self.listed(connector, people, selection) == ["b"]
        assert connector.find(selection, [self.name("name")], [("x",)]) == []
        assert self.found(connector, people, ["name"], [("y",)], selection) == ["b"]

    def test_counting_includes_both_ends(self, people: People, connector: Connector) -> None:
        people.put_many((f"k{n}", T0 + n * SECOND, {"name": "n"}) for n in range(6))
        bare = self.traits.unstamped
        if bare:
            people.unstamp("k5")
        for first, last, expected in ((0, 10, 6 - bare), (1, 3, 3), (11, 12, 0)):
            counted = connector.count(self.customers, T0 + first * SECOND, T0 + last * SECOND)
            assert counted in ({expected} if self.traits.counts else {expected, None})
        if self.traits.counts:
            assert connector.count(self.customers, T0 + SECOND + 1, T0 + 3 * SECOND - 1) == 1

    def test_the_clock_and_its_horizon(self, people: People, connector: Connector) -> None:
        before = connector.clock(self.customers)
        assert before.horizon <= before.now
        people.put("a", name="x")
        after = connector.clock(self.customers)
        [key] = people.keys("a")
        stamp = self.one(connector, key).modified_on
        assert stamp is not None
        assert before.now - max(1_000, self.traits.resolution) <= stamp <= after.now  # Stamps may be cut.
        assert after.horizon <= after.now

    def test_records_are_fetched_by_key(self, people: People, connector: Connector) -> None:
        number = self.traits.plenty
        people.put_many(
            (f"k{n:04}", T0, {"name": f"n{n}", "city": "Oslo" if n % 2 else self.blank}) for n in range(number)
        )
        wanted = [f"k{n:04}" for n in range(0, number, 2)]
        for n in range(0, number, 100):
            people.remove(f"k{n:04}")
        found = connector.fetch(self.customers, people.keys(wanted), filtered=False)
        assert sorted(people.names(found)) == [name for name in wanted if not name.endswith("00")]
        assert all(record.key == key for key, record in found.items())
        oslo = self.where("city", "eq", "Oslo")
        pair = people.keys(["k0001", "k0002"])
        assert people.names(connector.fetch(oslo, pair, filtered=True)) == ["k0001"]
        assert sorted(people.names(connector.fetch(oslo, pair, filtered=False))) == ["k0001", "k0002"]
        assert connector.fetch(self.customers, [], filtered=False) == {}

    def test_that_records_are_there_is_told_without_their_values(self, people: People, connector: Connector) -> None:
        people.put_many((name, T0, {"name": name}) for name in "abc")
        people.remove("b")
        found = connector.fetch(replace(self.customers, fields=()), people.keys("abc"), filtered=False)
        assert sorted(people.names(found)) == ["a", "c"]
        assert {record.values for record in found.values()} == {()}

    def test_a_key_is_the_same_wherever_it_is_met(self, people: People, connector: Connector) -> None:
        people.put_many((name, T0, {"name": name}) for name in ("a", "Bc", "d-1"))
        read = read_all(connector, self.customers)
        assert sorted(keys_of(read)) == sorted(people.keys(["a", "Bc", "d-1"]))
        for record in read:
            assert self.one(connector, record.key) == record
            name = self.values(record)["name"]
            assert list(connector.find(self.customers, [self.name("name")], [(name,)])) == [record]

    def test_a_text_that_cannot_be_a_key_finds_nothing(self, connector: Connector) -> None:
        for key in _NO_KEYS:
            assert connector.fetch(self.customers, [key], filtered=False) == {}

    @needs("numbered")
    def test_a_text_that_cannot_be_a_key_that_is_made_finds_nothing(self, connector: Connector) -> None:
        for key in _NO_KEYS:
            assert connector.fetch(self.numbers, [key], filtered=False) == {}

    @each("words, wanted, expected", _FOUND)
    def test_records_are_found_by_value(
        self,
        people: People,
        connector: Connector,
        words: list[str],
        wanted: list[tuple[Scalar, ...]],
        expected: list[str],
    ) -> None:
        people.put_many((name, T0, self.there(values)) for name, values in _SOUGHT.items())
        assert self.found(connector, people, words, wanted) == expected

    def test_finding_stays_inside_the_filter(self, people: People, connector: Connector) -> None:
        people.put("a", stamp=T0, name="Ann", city="Oslo")
        people.put("b", stamp=T0, name="Ann", city="Bergen")
        oslo = self.where("city", "eq", "Oslo")
        assert people.names(keys_of(connector.find(oslo, [self.name("name")], [("Ann",)]))) == ["a"]

    def test_values_that_no_record_can_have_are_not_found(self, people: People, connector: Connector) -> None:
        people.put("a", stamp=T0, name="Ann")
        assert connector.find(self.customers, [self.name("name")], [("a\0b",), ("\ud800",)]) == []

    @needs("visits")
    def test_numbers_that_no_record_can_have_are_not_found(self, people: People, connector: Connector) -> None:
        people.put("a", stamp=T0, name="Ann")
        assert connector.find(self.customers, [self.name("visits")], [(10**30,)]) == []

    def test_trailing_blanks_do_not_hide_a_record(self, people: People, connector: Connector) -> None:
        people.put("a", stamp=T0, name="Ann  ")
        people.put("b", stamp=T0, name="Ann")
        people.put("c", stamp=T0, name="Anna")
        assert self.found(connector, people, ["name"], [("Ann",)]) == ["a", "b"]
        assert self.found(connector, people, ["name"], [("Ann ",)]) == ["a", "b"]

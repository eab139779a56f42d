"""Writing: one result for each item, in order, and each the record as the application then holds it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.connectors.base import Connector, Insert
from service.connectors.kit.application import (
    T0,
    People,
    failure_of,
    keys_of,
    read_all,
    record_of,
)
from service.connectors.kit.base import Part, needs
from service.core.failures import Failure
from service.core.records import Record, Scalar

_ROUND_TRIPS: list[dict[str, Scalar]] = [
    {"name": "Žluťoučký kůň Ø, Æ, 東京, 🙂", "city": "a 'quoted' \"city\" \\ with %, _, <b> & ;--"},
    {"name": "x" * 200, "city": "ø" * 2_000},
    {"name": "n", "city": "many\nlines\tand tabs"},
    {"name": "n", "credit": "99999999.99", "visits": 2**31 - 1},
    {"name": "n", "credit": "-0.01", "visits": -(2**31)},
    {"name": "n", "credit": "0", "visits": 0, "blocked": False},
    {"name": "n", "born": "1900-01-01", "seen": "1999-12-31T23:59:59.000000Z", "blocked": True},
    {"name": "n", "born": "2024-02-29", "seen": "2024-10-27T00:30:00.000000Z"},
    {"name": "n", "born": "9999-12-31", "seen": "2037-06-30T12:00:00.000000Z"},
]


class Writing(Part):
    """Tests of `insert`, of `update` without a guard, and of what they answer."""

    def test_insert(self, connector: Connector) -> None:
        values: dict[str, Scalar] = {"number": "N1", "name": "Ann", "city": self.blank, "credit": "12.5"}
        values |= {"blocked": False, "born": "2001-02-03", "seen": "2026-01-01T10:00:00.123000Z", "visits": 3}
        values = self.there(values)
        [result] = connector.insert(self.customers, [self.new("a", values)])
        record = record_of(result)
        assert record.key == "a" or not self.traits.chosen_keys
        assert self.values(record) == {**values, "city": values["city"] or self.traits.initial.get("city")}
        assert record.modified_on is not None
        assert self.one(connector, record.key) == record

    def test_what_a_new_record_is_not_given(self, connector: Connector) -> None:
        """It is empty, or holds what the application puts there."""
        [result] = connector.insert(self.customers, [self.new("a", {"name": "Ann"})])
        expected = {word: self.traits.initial.get(word) for word in self.traits.fields}
        assert self.values(record_of(result)) == {**expected, "name": "Ann"}

    def test_the_connector_says_whether_it_takes_keys(self, connector: Connector) -> None:
        assert connector.accepts_keys or not self.traits.chosen_keys
        if self.traits.chosen_keys:
            results = connector.insert(self.customers, [self.new(name, {"name": name}) for name in ("z9", "b")])
            assert [record_of(result).key for result in results] == ["z9", "b"]
            [result] = connector.insert(self.customers, [Insert(self.named({self.traits.key: "c", "name": "Bob"}))])
            assert record_of(result).key == "c"
        else:
            results = connector.insert(self.customers, [Insert(self.named({"name": name})) for name in ("z9", "b")])
        stored = connector.fetch(self.customers, keys_of(map(record_of, results)), filtered=False)
        assert [self.values(stored[record_of(result).key])["name"] for result in results] == ["z9", "b"]

    @needs("numbered")
    def test_insert_with_generated_keys_answers_in_order(self, connector: Connector) -> None:
        names = [f"name {n * 7919 % 301}" for n in range(301)]
        results = connector.insert(self.numbers, [Insert({"name": name}) for name in names])
        records = [record_of(result) for result in results]
        assert [record.values for record in records] == [(name,) for name in names]
        assert len({record.key for record in records}) == 301
        stored = connector.fetch(self.numbers, keys_of(records), filtered=False)
        assert [stored[record.key].values for record in records] == [(name,) for name in names]

    def test_writing_nothing_is_nothing(self, connector: Connector) -> None:
        assert list(connector.insert(self.customers, [])) == []
        assert list(connector.update(self.customers, [])) == []
        assert list(connector.delete(self.customers, [])) == []

    @pytest.mark.parametrize("values", _ROUND_TRIPS, ids=range(len(_ROUND_TRIPS)))
    def test_values_come_back_as_they_were_written(self, connector: Connector, values: dict[str, Scalar]) -> None:
        values = self.there(values)
        [first] = connector.insert(self.customers, [self.new("a", values)])
        inserted = record_of(first)
        assert self.values(inserted).items() >= values.items()
        [second] = connector.insert(self.customers, [self.new("b", {"name": "another"})])
        [third] = connector.update(self.customers, [self.change(record_of(second), values)])
        assert record_of(third).values == inserted.values
        read = {record.key: record for record in read_all(connector, self.customers)}
        assert read == {record.key: record for record in map(record_of, (first, third))}

    def test_an_answer_is_what_is_stored_not_what_was_sent(self, connector: Connector) -> None:
        odd = self.there({"name": "trailing  ", "credit": "12.34567"})
        [result] = connector.insert(self.customers, [self.new("a", odd)])
        if isinstance(result, Record):  # An application may refuse it.
            assert result == self.one(connector, result.key)
        [result] = connector.insert(self.customers, [self.new("b", {"name": "n"})])
        odd = self.there({"name": "  leading", "credit": "0.00051"})
        [result] = connector.update(self.customers, [self.change(record_of(result), odd)])
        if isinstance(result, Record):
            assert result == self.one(connector, result.key)

    def test_one_bad_record_does_not_spoil_the_others(self, people: People, connector: Connector) -> None:
        people.put("old", stamp=T0, name="old", number="N50")
        items = [self.new(f"k{n:03}", {"name": f"n{n}", "number": f"N{n}"}) for n in range(100)]
        if "required" not in self.traits.lacks:
            items[70] = self.new("k070", {"name": None, "number": "N70"})
        length = self.too_long("number")
        items[71] = self.new("k071", self.there({"name": "n71", "seen": None}) | {"number": "x" * length})
        results = connector.insert(self.customers, items)
        bad = {place: result for place, result in enumerate(results) if isinstance(result, Failure)}
        refused = {"unique": 50, "required": 70}
        certain = {place for lack, place in refused.items() if lack not in self.traits.lacks}
        assert certain <= set(bad) <= certain | {71}  # Not every application keeps to its lengths.
        for place, rule, word in ((50, "unique", "number"), (70, "not_null", "name")):
            assert place not in certain or bad[place].code == "value_rejected"
            if place in certain and rule in self.traits.rules:
                assert (bad[place].params["rule"], bad[place].params["field"]) == (rule, self.name(word))
        if 71 in bad:
            assert bad[71].code == "value_too_long"
            assert bad[71].params["field"] == self.name("number")
            assert (bad[71].params["length"], bad[71].params["maximum"]) == (length, length - 1)
        assert bad, "nothing is refused, and the kit knows nothing that would be"
        good = {place: self.values(record_of(result)) for place, result in enumerate(results) if place not in bad}
        assert [values["name"] for values in good.values()] == [f"n{n}" for n in range(100) if n not in bad]
        stored = {record.key for record in read_all(connector, self.customers)}
        assert stored == {*(record_of(results[place]).key for place in good), *people.keys(["old"])}

    @needs("once")
    def test_a_key_twice_is_refused_once(self, connector: Connector) -> None:
        if self.traits.chosen_keys:
            items = [self.new("k", {"name": name}) for name in "ab"]
        else:  # No two records can be given one key; two of one number are as bad.
            items = [self.new(name, {"name": name, "number": "N1"}) for name in "ab"]
        results = connector.insert(self.customers, items)
        assert self.values(record_of(results[0]))["name"] == "a"
        refused = failure_of(results[1])
        assert refused.code == "value_rejected"
        assert "unique" not in self.traits.rules or refused.params["rule"] == "unique"
        assert len(read_all(connector, self.customers)) == 1

    @needs("once")
    def test_failures_of_one_cause_have_one_fingerprint(self, people: People, connector: Connector) -> None:
        people.put("old1", stamp=T0, name="old", number="N1")
        people.put("old2", stamp=T0, name="old", number="N2")
        keys = "k" if self.traits.unique else "old"
        items = [self.new(f"{keys}{n}", {"name": "n", "number": f"N{n}"}) for n in (1, 2)]
        one, two = (failure_of(result) for result in connector.insert(self.customers, [*items]))
        assert one.fingerprint == two.fingerprint
        assert "N1" not in str(one.params)

    def test_a_value_that_cannot_be_sent_is_refused(self, connector: Connector) -> None:
        items = [
            self.new("a", {"name": "half \ud800 a pair"}),
            self.new("b", self.there({"name": "big", "visits": 2**70})),
            self.new("c", {"name": "good"}),
        ]
        results = connector.insert(self.customers, items)
        assert self.values(record_of(results[2]))["name"] == "good"
        for result in results[:2]:
            if isinstance(result, Failure):  # An application may be able to hold it.
                assert result.code == "value_rejected"

    def test_update_writes_what_it_is_given_and_nothing_else(self, people: People, connector: Connector) -> None:
        ann: dict[str, Scalar] = {"number": "N1", "name": "Ann", "city": "Oslo", "credit": "12.5", "visits": 1}
        people.put("a", stamp=T0, **self.there(ann))
        people.put("b", stamp=T0, name="Bob", city="Oslo")
        narrow = replace(self.customers, fields=(self.name("name"),))
        a, b = people.keys("ab")
        before = {key: self.values(self.one(connector, key)) for key in (a, b)}
        assert before[a].items() >= self.there(ann).items()
        [result] = connector.update(narrow, [self.change(self.one(connector, a, narrow), {"name": "Anne"})])
        record = record_of(result)
        assert record.values == ("Anne",)
        assert record.modified_on is not None
        assert record.modified_on > T0
        assert self.values(self.one(connector, a)) == {**before[a], "name": "Anne"}
        assert self.values(self.one(connector, b)) == before[b]

    def test_every_record_may_be_given_other_fields(self, people: People, connector: Connector) -> None:
        people.put_many((f"k{n}", T0, {"number": f"N{n}", "name": "n", "city": "Oslo"}) for n in range(4))
        read = dict(zip(("k0", "k1", "k2", "k3"), read_all(connector, self.customers), strict=True))
        items = [
            self.change(read["k3"], {"city": self.blank}),
            self.change(read["k0"], {"name": "x", "city": "Bergen"}),
            self.change(read["k2"], {}),
            self.change(read["k1"], {"number": "M1"}, guarded=False),
        ]
        results = [record_of(result) for result in connector.update(self.customers, items)]
        assert people.names(keys_of(results)) == ["k3", "k0", "k2", "k1"]
        assert [record.values[:3] for record in results] == [
            ("N3", "n", self.blank),
            ("N0", "x", "Bergen"),
            ("N2", "n", "Oslo"),
            ("M1", "n", "Oslo"),
        ]

    def test_a_key_can_be_written_like_any_field_where_the_application_lets_it(
        self, people: People, connector: Connector
    ) -> None:
        people.put("a", stamp=T0, name="Ann")
        [key] = people.keys("a")
        [result] = connector.update(self.customers, [self.change(self.one(connector, key), {self.traits.key: "z"})])
        if isinstance(result, Record):
            assert (result.key, self.values(result)["name"]) == ("z", "Ann")
        assert keys_of(read_all(connector, self.customers)) == ["z" if isinstance(result, Record) else key]

    def test_an_unguarded_update_overwrites(self, people: People, connector: Connector) -> None:
        people.put("a", stamp=T0, name="Ann")
        [key] = people.keys("a")
        read = self.one(connector, key)
        people.put("a", name="by another")
        [result] = connector.update(self.customers, [self.change(read, {"name": "Anne"}, guarded=False)])
        assert self.values(record_of(result))["name"] == "Anne"
        people.remove("a")
        [result] = connector.update(self.customers, [self.change(read, {"name": "Anne"}, guarded=False)])
        assert failure_of(result).code == "partner_deleted"
        assert read_all(connector, self.customers) == []

    def test_writes_are_seen_by_another_connector(self, people: People, connector: Connector) -> None:
        [result] = connector.insert(self.customers, [self.new("a", {"name": "n"})])
        other = people.app.connector()
        try:
            read = self.one(other, record_of(result).key)
            assert read == record_of(result)
            [updated] = other.update(self.customers, [self.change(record_of(result), {"name": "m"})])
            assert self.values(record_of(updated))["name"] == "m"
        finally:
            other.close()
        assert self.values(self.one(connector, read.key))["name"] == "m"

"""Guarded writes: refused when the record is not as it was read any more, whatever it is that moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from service.connectors.base import Connector, Deletion
from service.connectors.kit.application import SECOND, T0, Application, People, failure_of, read_all, record_of
from service.connectors.kit.base import Part, needs
from service.core.records import Record, Scalar


class Guarding(Part):
    """Tests of guarded updates and of deletions."""

    def by_name(self, connector: Connector, people: People) -> dict[str, Record]:
        records = read_all(connector, self.customers)
        return dict(zip(people.names(record.key for record in records), records, strict=True))

    def touch(self, people: People, who: str, /, **values: Scalar) -> None:
        """A change that leaves the stamp as it was, or moves it by the least there is where only stamps tell."""
        people.put(who, stamp=T0 if self.traits.same_stamp_noticed else T0 + self.traits.resolution, **values)

    def test_a_guarded_update_of_a_record_that_moved_is_refused(self, people: People, connector: Connector) -> None:
        people.put_many((f"k{n}", T0, {"name": "n", "city": "Oslo"}) for n in range(5))
        read = self.by_name(connector, people)
        people.put("k1", name="by another")
        people.remove("k3")
        items = [self.change(read[f"k{n}"], {"city": "Bergen"}) for n in range(5)]
        results = connector.update(self.customers, items)
        assert failure_of(results[1]).code == "record_moved"
        assert failure_of(results[3]).code == "partner_deleted"
        for place in (0, 2, 4):
            assert self.values(record_of(results[place]))["city"] == "Bergen"
        assert self.one(connector, read["k1"].key).values[1:3] == ("by another", "Oslo")

    def test_a_change_within_the_same_stamp_is_noticed(self, people: People, connector: Connector) -> None:
        people.put("a", stamp=T0, name="Ann", city="Oslo")
        read = self.by_name(connector, people)["a"]
        self.touch(people, "a", name="Ann", city="Bergen")
        [result] = connector.update(self.customers, [self.change(read, {"name": "Anne"})])
        assert failure_of(result).code == "record_moved"
        [deleted] = connector.delete(self.customers, [Deletion(read, guarded=True)])
        assert failure_of(deleted).code == "record_moved"

    @needs("empty")
    def test_a_change_from_nothing_and_to_nothing_is_noticed(self, people: People, connector: Connector) -> None:
        people.put("a", stamp=T0, name="Ann", city=None)
        people.put("b", stamp=T0, name="Bob", city="Oslo")
        read = self.by_name(connector, people)
        self.touch(people, "a", city="Oslo")
        self.touch(people, "b", city=None)
        items = [self.change(read[name], {"number": f"N{name}"}) for name in "ab"]
        assert [failure_of(result).code for result in connector.update(self.customers, items)] == ["record_moved"] * 2

    def test_a_stamp_that_moved_is_noticed_whatever_the_values(self, people: People, connector: Connector) -> None:
        people.put("a", stamp=T0, name="Ann", city="Oslo")
        narrow = replace(self.customers, fields=(self.name("name"),))
        [key] = people.keys("a")
        read = self.one(connector, key, narrow)
        people.put("a", stamp=T0 + SECOND, city="Bergen")
        [result] = connector.update(narrow, [self.change(read, {"name": "Anne"})])
        assert failure_of(result).code == "record_moved"

    def test_a_record_without_a_stamp_can_be_guarded(self, people: People, connector: Connector) -> None:
        people.put("a", stamp=T0, name="Ann")
        if self.traits.unstamped:
            people.unstamp("a")
        read = self.by_name(connector, people)["a"]
        assert (read.modified_on is None) is self.traits.unstamped
        [result] = connector.update(self.customers, [self.change(read, {"name": "Anne"})])
        assert self.values(record_of(result))["name"] == "Anne"

    def test_what_a_write_returns_is_good_for_the_next(self, connector: Connector) -> None:
        values = self.there({"name": "n", "credit": "1.5", "blocked": True})
        [result] = connector.insert(self.customers, [self.new("a", values)])
        for turn in range(3):
            [result] = connector.update(self.customers, [self.change(record_of(result), {"number": f"N{turn}"})])
        record = record_of(result)
        assert self.values(record)["number"] == "N2"
        assert record == self.one(connector, record.key)
        [deleted] = connector.delete(self.customers, [Deletion(record, guarded=True)])
        assert deleted is None

    def test_one_bad_update_does_not_spoil_the_others(self, people: People, connector: Connector) -> None:
        people.put_many((f"k{n:02}", T0, {"name": "n", "number": f"N{n}"}) for n in range(50))
        read = self.by_name(connector, people)
        items = [self.change(record, {"name": "new", "number": f"M{n}"}) for n, record in enumerate(read.values())]
        if self.traits.unique:
            items[20] = self.change(read["k20"], {"name": "new", "number": "N30"})
        if "required" in self.traits.lacks:
            items[40] = self.change(read["k40"], {"name": "new", "number": "x" * self.too_long("number")})
        else:
            items[40] = self.change(read["k40"], {"name": None, "number": "M40"})
        results = connector.update(self.customers, items)
        refused = failure_of(results[40])
        assert refused.code == ("value_too_long" if "required" in self.traits.lacks else "value_rejected")
        assert not {"not_null"} & self.rules or refused.params["rule"] == "not_null"
        written = [place for place, result in enumerate(results) if isinstance(result, Record)]
        # Whether N30 is free when the 21st record asks for it is up to the application.
        assert [place for place in range(50) if place not in (20, 40)] == [p for p in written if p != 20]
        assert self.one(connector, read["k40"].key).values[:2] == ("N40", "n")
        assert all(self.one(connector, read[f"k{n:02}"].key).values[1] == "new" for n in (0, 19, 21, 39, 41, 49))

    def test_delete(self, people: People, connector: Connector) -> None:
        people.put_many((f"k{n}", T0, {"name": "n"}) for n in range(4))
        read = self.by_name(connector, people)
        people.put("k1", name="by another")
        people.put("k2", name="by another")
        people.remove("k3")
        items = [Deletion(read["k3"], guarded=True), Deletion(read["k2"], guarded=False)]
        items += [Deletion(read["k1"], guarded=True), Deletion(read["k0"], guarded=True)]
        results = connector.delete(self.customers, items)
        assert [results[0], results[1], results[3]] == [None, None, None]
        assert failure_of(results[2]).code == "record_moved"
        assert self.listed(connector, people) == ["k1"]

    @pytest.mark.parametrize("verb", ["insert", "update", "delete"])
    def test_what_is_not_permitted_any_more_is_not_written(
        self, people: People, app: Application, connector: Connector, verb: str
    ) -> None:
        """A worker that stood still in the midst of its call has lost its run; see `Connector.permit`."""
        people.put("a", stamp=T0, name="Ann")
        read = self.by_name(connector, people)["a"]
        calls: dict[str, Callable[[], object]] = {
            "insert": lambda: connector.insert(self.customers, [self.new("b", {"name": "Bob"})]),
            "update": lambda: connector.update(self.customers, [self.change(read, {"name": "Anne"})]),
            "delete": lambda: connector.delete(self.customers, [Deletion(read, guarded=True)]),
        }
        connector.fence(_refuse)
        with pytest.raises(Overtaken):
            calls[verb]()
        assert [self.values(one)["name"] for one in read_all(app.connector(), self.customers)] == ["Ann"]
        connector.fence(lambda: None)
        calls[verb]()
        assert [self.values(one)["name"] for one in read_all(app.connector(), self.customers)] != ["Ann"]


class Overtaken(Exception):
    """What stops a write that is not permitted any more."""


def _refuse() -> None:
    raise Overtaken

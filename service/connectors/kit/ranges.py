"""Reading by several at a time: tables that are cut by their keys."""

from __future__ import annotations

from service.connectors.base import Connector
from service.connectors.kit.application import SECOND, T0, People, keys_of
from service.connectors.kit.base import Part, needs
from service.core.records import Selection


class Ranges(Part):
    """Tests of `cut` and `read_range`. Of a connector that does not cut, only that is asked."""

    def test_only_who_can_read_ranges_cuts(self, people: People, connector: Connector) -> None:
        people.put_many((f"k{n:04}", T0 + n * SECOND, {"name": f"n{n}"}) for n in range(self.traits.plenty))
        bounds = connector.cut(self.customers, self.traits.plenty // 5)
        assert len(bounds) in ({4, 5, 6} if self.traits.cuts else {0})
        assert list(connector.cut(self.customers, self.traits.plenty * 2)) == []

    @needs("cuts")
    def test_ranges_hold_every_record_once(self, people: People, connector: Connector) -> None:
        """Whatever stamps they have, and by pages of any size."""
        names = [f"{letter}{n:03}" for n in range(200) for letter in "kZæ_"]
        people.put_many((name, T0 - n * SECOND, {"name": name}) for n, name in enumerate(sorted(names)))
        if self.traits.unstamped:
            people.unstamp("k007")
        bounds = connector.cut(self.customers, 100)
        sizes = []
        found: list[str] = []
        for limit, after, upto in zip([1000, 7, 99, 100, 101] * 4, [None, *bounds], [*bounds, None], strict=False):
            keys = self._range(connector, self.customers, after, upto, limit)
            sizes.append(len(keys))
            found += people.names(keys)
        assert sorted(found) == sorted(names)
        assert max(sizes) <= 200, "the ranges are about as large as was asked for"

    @needs("cuts")
    def test_a_range_stays_inside_the_filter(self, people: People, connector: Connector) -> None:
        people.put_many(
            (f"k{n:03}", T0 + n * SECOND, {"name": f"n{n}", "city": "Oslo" if n % 3 else self.blank}) for n in range(60)
        )
        oslo = self.where("city", "eq", "Oslo")
        bounds = connector.cut(oslo, 20)
        found: list[str] = []
        for after, upto in zip([None, *bounds], [*bounds, None], strict=True):
            found += people.names(self._range(connector, oslo, after, upto, 4))
        assert sorted(found) == [f"k{n:03}" for n in range(60) if n % 3]

    @needs("cuts")
    def test_who_is_edited_stays_in_the_range(self, people: People, connector: Connector) -> None:
        """Somebody works on while the ranges are read: a record that was read is not met again, one that is new is met
        where its key belongs, and no other is lost."""
        people.put_many((f"k{n:03}", T0 + n * SECOND, {"name": f"n{n}"}) for n in range(50))
        bounds = connector.cut(self.customers, 20)
        first = self._range(connector, self.customers, None, bounds[0], 7)
        people.put(people.names(first[:1])[0], city="Bergen")
        people.put("k999", name="new")
        rest: list[str] = []
        for after, upto in zip(bounds, [*bounds[1:], None], strict=True):
            rest += self._range(connector, self.customers, after, upto, 7)
        assert not set(first) & set(rest)
        assert set(people.names([*first, *rest])) >= {f"k{n:03}" for n in range(50)}

    @needs("cuts")
    def test_what_is_read_is_the_record(self, people: People, connector: Connector) -> None:
        people.put_many((f"k{n:03}", T0 + n * SECOND, {"name": f"n{n}"}) for n in range(9))
        page = connector.read_range(self.customers, None, None, 100)
        assert page.cursor is None
        assert {record.key: record for record in page.records} == connector.fetch(
            self.customers, keys_of(page.records), filtered=False
        )

    def _range(
        self, connector: Connector, selection: Selection, after: str | None, upto: str | None, limit: int
    ) -> list[str]:
        """The keys of a range, page by page."""
        keys: list[str] = []
        seen = {after}
        while True:
            page = connector.read_range(selection, after, upto, limit)
            assert len(page.records) <= limit
            keys += keys_of(page.records)
            after = page.cursor
            if after is None:
                return keys
            assert after not in seen, "the reading goes round in circles"
            seen.add(after)

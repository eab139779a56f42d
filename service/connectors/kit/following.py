"""Feeds: what an application tells by itself of what was changed and deleted."""

from __future__ import annotations

from collections.abc import Sequence

from service.connectors.base import Connector
from service.connectors.kit.application import SECOND, T0, People, record_of
from service.connectors.kit.base import Part, needs
from service.core.records import Selection, Stamp

Told = tuple[dict[str, Stamp | None], set[str], str]
"""Names with stamps of what was changed, names of what was deleted, and the token after that."""


class Following(Part):
    """Tests of `changes`, and that a table says whether it has a feed."""

    def told(self, connector: Connector, people: People, token: str | None, selection: Selection | None = None) -> Told:
        """Everything that the feed has to tell since a token."""
        changed: dict[str, Stamp | None] = {}
        deleted: set[str] = set()
        for _ in range(1_000):
            part = connector.changes(selection or self.customers, token)
            assert part is not None
            changed |= zip(people.names(key for key, _ in part.changed), (at for _, at in part.changed), strict=True)
            deleted |= set(people.names(part.deleted))
            token = part.token
            if not part.more:
                return changed, deleted, token
        raise AssertionError("the feed does not end")

    def put(self, people: People, names: Sequence[str], stamp: Stamp) -> None:
        for name in names:
            people.put(name, stamp=stamp, name=name)

    def test_a_table_says_whether_it_has_a_feed(self, connector: Connector) -> None:
        assert connector.describe(self.traits.customer).tells_changes is self.traits.tells_changes
        assert connector.has_feeds or not self.traits.tells_changes
        if not self.traits.tells_changes:
            assert connector.changes(self.customers, None) is None

    @needs("changes")
    def test_every_change_after_a_token_is_told(self, people: People, connector: Connector) -> None:
        self.put(people, "abcdef", T0)
        _, _, first = self.told(connector, people, None)
        assert self.told(connector, people, first)[1] == set()
        self.put(people, "b", T0 + SECOND)
        self.put(people, "g", T0)  # As after a transaction that took long: its stamp is an old one.
        people.remove("c")
        people.remove("d")
        for _ in range(2):  # Whoever died after asking asks again.
            changed, deleted, second = self.told(connector, people, first)
            assert {"b", "g"} <= set(changed)
            assert {changed["b"], changed["g"]} <= {T0 + SECOND, T0, None}
            assert deleted == {"c", "d"}
        people.remove("e")
        changed, deleted, _ = self.told(connector, people, second)
        assert "e" in deleted
        assert {"c", "d"} & set(changed) == set()

    @needs("changes")
    def test_our_own_writes_are_told_too(self, people: People, connector: Connector) -> None:
        people.put("a", stamp=T0, name="a")
        _, _, token = self.told(connector, people, None)
        [key] = people.keys("a")
        [result] = connector.update(self.customers, [self.change(self.one(connector, key), {"city": "Oslo"})])
        changed, _, _ = self.told(connector, people, token)
        assert changed.get("a") in (record_of(result).modified_on, None)
        assert "a" in changed

    @needs("changes")
    def test_a_feed_minds_no_filter(self, people: People, connector: Connector) -> None:
        selection = self.where("city", "eq", "Oslo")
        people.put("a", stamp=T0, name="a", city="Oslo")
        _, _, token = self.told(connector, people, None, selection)
        people.put("a", name="a", city="Bergen")
        people.put("b", name="b", city="Bergen")
        changed, deleted, _ = self.told(connector, people, token, selection)
        assert ({"a", "b"} <= set(changed), deleted) == (True, set())

    @needs("changes")
    def test_a_token_that_is_none_is_no_good(self, connector: Connector) -> None:
        assert connector.changes(self.customers, self.traits.lost_token) is None

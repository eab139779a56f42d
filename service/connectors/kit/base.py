"""What all parts of the kit share: the fixtures, and short words for what they ask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import pytest

from service.connectors.base import Connector, Insert
from service.connectors.filters import without_blanks
from service.connectors.kit.application import Application, People, Traits, read_all
from service.core.records import Record, Scalar, Selection, Stamp


class Part:
    """A group of tests. A connector's own class gives the fixture `app` and sets `traits` where it has any."""

    traits: ClassVar[Traits] = Traits()

    @pytest.fixture
    def people(self, app: Application) -> People:
        return People(app)

    @pytest.fixture
    def connector(self, app: Application) -> Iterable[Connector]:
        connector = app.connector()
        yield connector
        connector.close()
        connector.close()

    @property
    def customers(self) -> Selection:
        return self.traits.customers

    @property
    def numbers(self) -> Selection:
        return self.traits.numbers

    def one(self, connector: Connector, key: str, selection: Selection | None = None) -> Record:
        """The record with a key, as it is now."""
        return connector.fetch(selection or self.customers, [key], filtered=False)[key]

    def listed(
        self,
        connector: Connector,
        people: People,
        selection: Selection | None = None,
        since: Stamp | None = None,
        limit: int = 1000,
    ) -> list[str]:
        """The names of everything that a reading shows, in its order."""
        return people.names(record.key for record in read_all(connector, selection or self.customers, since, limit))

    def new(self, name: str, values: dict[str, Scalar]) -> Insert:
        """An insert of a customer, with its name as the key where keys are chosen."""
        return Insert(values, key=name) if self.traits.chosen_keys else Insert(values)

    def found(
        self,
        connector: Connector,
        people: People,
        fields: Sequence[str],
        wanted: Sequence[tuple[Scalar, ...]],
        selection: Selection | None = None,
    ) -> list[str]:
        """The names of the records that `find` gives and that have the values, as whoever asked compares them."""
        selection = selection or self.customers
        records = connector.find(selection, fields, wanted)
        assert len({record.key for record in records}) == len(records)
        places = [selection.fields.index(name) for name in fields]
        trimmed = {tuple(map(without_blanks, one)) for one in wanted}
        fitting = [one for one in records if tuple(without_blanks(one.values[place]) for place in places) in trimmed]
        return sorted(people.names(record.key for record in fitting))

"""What all parts of the kit share: the fixtures, and short words for what they ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import pytest

from service.connectors.base import Connector, Insert, Update
from service.connectors.filters import without_blanks
from service.connectors.kit.application import FIELDS, LACKS, Application, People, Traits, read_all
from service.core.records import Condition, FieldType, Record, Scalar, Selection, Stamp

Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Case:
    """One set of arguments of a test. `needs`: what an application has to have for it, among LACKS."""

    arguments: tuple[Any, ...]
    needs: frozenset[str]


def needs(*what: str) -> Callable[[Test], Test]:
    """Mark a test that only an application can pass that has all of this."""

    def marked(test: Test) -> Test:
        test.needs = frozenset(what)  # type: ignore[attr-defined]
        return test

    return marked


def each(names: str, cases: Mapping[str, Case]) -> Callable[[Test], Test]:
    """Put a test to each case, by its id, whose needs are met."""

    def marked(test: Test) -> Test:
        test.names, test.cases = names, cases  # type: ignore[attr-defined]
        return test

    return marked


def listed(name: str, listing: Callable[[type[Part]], Mapping[str, Any]]) -> Callable[[Test], Test]:
    """Put a test to everything, by its id, that is listed for the class that it is in."""

    def marked(test: Test) -> Test:
        test.names, test.listing = name, listing  # type: ignore[attr-defined]
        return test

    return marked


class Part:
    """A group of tests. A connector's own class gives the fixture `app` and sets `traits` where it has any."""

    traits: ClassVar[Traits] = Traits()

    def __init_subclass__(cls, **more: Any) -> None:
        """Take the tests away that cannot be put to the application of this class; the others stay."""
        super().__init_subclass__(**more)
        if cls.__module__.startswith(f"{__package__}."):
            return
        for name, test in _tests(cls).items():
            if name not in vars(cls) and getattr(cls, name) in (None, test):
                possible = not (_needs(test) & cls.traits.lacks) and _cases(cls, test) != {}
                setattr(cls, name, test if possible else None)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """The cases of a test that this application can be put to."""
        cases = _cases(type(self), metafunc.function)
        if cases is not None:
            metafunc.parametrize(metafunc.function.names, list(cases.values()), ids=list(cases))

    @pytest.fixture
    def people(self, app: Application) -> People:
        return People(app, self.traits)

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

    # Fields, by the kit's words for them

    def name(self, word: str) -> str:
        """What the application calls a field."""
        return self.traits.fields[word].name

    def named(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Values of a customer by the application's names of its fields; those by another name are as they are."""
        fields = self.traits.fields
        return {fields[word].name if word in fields else word: value for word, value in values.items()}

    def there(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Those of these values that the application has fields for, no text longer than its field."""
        return {
            word: self._cut(word, value) if isinstance(value, str) else value
            for word, value in values.items()
            if word in self.traits.fields
        }

    def _cut(self, word: str, text: str) -> str:
        declared = self.traits.fields[word]
        fits = declared.type is not FieldType.STRING or declared.length is None or len(text) <= declared.length
        return text if fits else text[: declared.length].rstrip()

    def values(self, record: Record) -> dict[str, Scalar]:
        """What a customer holds, by the kit's words."""
        words = [word for word in FIELDS if word in self.traits.fields]
        return dict(zip(words, record.values, strict=True))

    def where(self, word: str, op: str, value: Any = None) -> Selection:
        """The customers that pass a line of a filter."""
        chosen = self.customers
        return Selection(
            chosen.table, chosen.key, chosen.modified_on, chosen.fields, (Condition(self.name(word), op, value),)
        )

    def new(self, name: str, values: Mapping[str, Scalar]) -> Insert:
        """An insert of a customer, with its name as the key where keys are chosen."""
        return Insert(self.named(values), key=name if self.traits.chosen_keys else None)

    @property
    def blank(self) -> Scalar:
        """What a text without anything in it is."""
        return "" if "empty" in self.traits.lacks else None

    def change(self, record: Record, values: Mapping[str, Scalar], *, guarded: bool = True) -> Update:
        """Values to be written over a customer."""
        return Update(record, self.named(values), guarded=guarded)

    def too_long(self, word: str) -> int:
        """One character more than a text may have."""
        length = self.traits.fields[word].length
        assert length is not None, "an application that refuses nothing else has to have a limit here"
        return length + 1

    @property
    def rules(self) -> frozenset[str]:
        """The rules that a refusal names here."""
        return self.traits.rules - ({"not_null"} if "required" in self.traits.lacks else set())

    # What is there

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

    def found(
        self,
        connector: Connector,
        people: People,
        words: Sequence[str],
        wanted: Sequence[tuple[Scalar, ...]],
        selection: Selection | None = None,
    ) -> list[str]:
        """The names of the records that `find` gives and that have the values, as whoever asked compares them."""
        records = connector.find(selection or self.customers, list(map(self.name, words)), wanted)
        assert len({record.key for record in records}) == len(records)
        trimmed = {tuple(map(without_blanks, one)) for one in wanted}
        held = ((record.key, self.values(record)) for record in records)
        fitting = [key for key, values in held if tuple(without_blanks(values[word]) for word in words) in trimmed]
        return sorted(people.names(fitting))


def left_out(contract: type[Part]) -> dict[str, frozenset[str]]:
    """What is not asked of the application of a class, each with what the application is without."""
    lacks = contract.traits.lacks
    found = {f"every test: {LACKS[lack]}": frozenset({lack}) for lack in sorted(lacks)}
    for name, test in _tests(contract).items():
        cases: Mapping[str, Case] = getattr(test, "cases", {})
        asked = {name: _needs(test), **{f"{name} {id}": _needs(test) | case.needs for id, case in cases.items()}}
        for what, need in asked.items():
            if need & lacks:
                reasons = ", ".join(LACKS[one] for one in sorted(need & lacks))
                found[f"{what}: {reasons}"] = need & lacks
    return found


def _tests(contract: type[Part]) -> dict[str, Callable[..., None]]:
    """The kit's own tests that a class has, by name, also those that were taken away from it."""
    own = [one for one in reversed(contract.__mro__) if one.__module__.startswith(f"{__package__}.")]
    return {name: test for one in own for name, test in vars(one).items() if name.startswith("test_")}


def _needs(test: Callable[..., None]) -> frozenset[str]:
    found: frozenset[str] = getattr(test, "needs", frozenset())
    return found


def _cases(contract: type[Part], test: Callable[..., None]) -> dict[str, Any] | None:
    """The arguments that a test is put to in a class, by their ids; None where it takes none."""
    if hasattr(test, "listing"):
        return dict(test.listing(contract))
    if hasattr(test, "cases"):
        fitting = {id: case for id, case in test.cases.items() if not case.needs & contract.traits.lacks}
        return {id: case.arguments for id, case in fitting.items()}
    return None

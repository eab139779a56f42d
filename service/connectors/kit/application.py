"""What the kit asks of an application: two tables, and somebody who works in it at the same time as Accord does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.connectors.base import Connector
from service.core.failures import Failure
from service.core.records import Field, FieldType, Record, Scalar, Selection, Stamp

T0: Stamp = 1_767_168_000_000_000
"""2025-12-31T08:00:00Z: earlier than any clock that stamps what the tests write."""

SECOND: Stamp = 1_000_000

CUSTOMER: Mapping[str, Field] = {
    "number": Field("number", FieldType.STRING, length=20),
    "name": Field("name", FieldType.STRING, length=50, required=True, nullable=False),
    "city": Field("city", FieldType.STRING),
    "credit": Field("credit", FieldType.DECIMAL, precision=10, scale=2),
    "blocked": Field("blocked", FieldType.BOOLEAN),
    "born": Field("born", FieldType.DATE),
    "seen": Field("seen", FieldType.DATETIME),
    "visits": Field("visits", FieldType.INTEGER),
}
"""The fields of a customer as an application has them that could be asked to."""

FIELDS = tuple(CUSTOMER)

LACKS: Mapping[str, str] = {
    "credit": "no decimals",
    "blocked": "no booleans",
    "born": "no dates",
    "seen": "no moments",
    "visits": "no integers",
    "empty": "no field can be empty",
    "required": "no field is required",
    "unique": "no value is unique",
    "once": "nothing is refused the second time",
    "numbered": "no table makes its keys",
    "cuts": "no ranges",
    "changes": "no feed",
}
"""What an application may be without, and how the kit says so."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What is peculiar to an application. The tests then ask for something else, they do not ask for less. What it is
    without (`LACKS`) is left out of them, and `test_what_is_left_out` lists it and holds it against the description.

    `customer`, `numbered`: the names of the two tables, None where no table makes its keys; `key`, `modified_on`: of
    their key's and stamp's fields. `fields`: those of `customer` by the kit's words for them, as they are described;
    there are always number, name and city, texts of at least 4, 10 and 9 characters. `initial`: what a new record has,
    by those words, where it was given no value, and where that is not nothing. `refused`: other fields that can be
    written by their description, and that the application refuses all the same. `unique`: a number is there only once.
    `key_type`: the type of the key of `customer`. `chosen_keys`: a new customer has the key that it is given.
    `resolution`: microseconds to which stamps are cut. `unstamped`: a record may have no stamp.
    `same_stamp_noticed`: a guard notices a change that left the stamp as it was; else one that moved it by a tick.
    `ignores_case`: filters on texts do not mind letter case. `counts`: `count` tells a number, never None.
    `cuts`: a table can be read in ranges of its keys. `rules`: which rules a refusal names, together with the field: of
    "unique", "not_null". `tells_changes`: the customers have a feed; `lost_token`: a token of it that is no good any
    more. `plenty`: how many records the larger tests make.
    `options`: fields of `customer`, besides those of the kit, that have options: their values, in their order.
    """

    customer: str = "customer"
    numbered: str | None = "numbered"
    key: str = "id"
    modified_on: str = "modified_at"
    key_type: FieldType = FieldType.STRING
    chosen_keys: bool = True
    resolution: Stamp = 1
    unstamped: bool = True
    same_stamp_noticed: bool = True
    ignores_case: bool = False
    counts: bool = True
    cuts: bool = False
    rules: frozenset[str] = frozenset({"unique", "not_null"})
    tells_changes: bool = False
    lost_token: str = "-1"  # noqa: S105  (no secret)
    plenty: int = 2500
    options: Mapping[str, Sequence[Scalar]] = field(default_factory=dict)
    fields: Mapping[str, Field] = field(default_factory=lambda: CUSTOMER)
    initial: Mapping[str, Scalar] = field(default_factory=dict)
    refused: Sequence[str] = ()
    unique: bool = True

    @property
    def customers(self) -> Selection:
        """All fields of a customer, in the order of FIELDS."""
        names = tuple(self.fields[word].name for word in FIELDS if word in self.fields)
        return Selection(self.customer, self.key, self.modified_on, names)

    @property
    def numbers(self) -> Selection:
        assert self.numbered is not None
        return Selection(self.numbered, self.key, self.modified_on, ("name",))

    @property
    def lacks(self) -> frozenset[str]:
        """What the application is without, among LACKS."""
        there = {
            **{word: word in self.fields for word in FIELDS},
            "empty": any(one.nullable for one in self.fields.values()),
            "required": self.fields["name"].required,
            "unique": self.unique,
            "once": self.unique or self.chosen_keys,
            "numbered": self.numbered is not None,
            "cuts": self.cuts,
            "changes": self.tells_changes,
        }
        return frozenset(name for name in LACKS if not there[name])


class Application(Protocol):
    """An application as its own users see it. They call each customer by a name, which is its key where keys are
    chosen, and fields by the kit's words. A stamp that they give is a multiple of `Traits.resolution`."""

    def connector(self) -> Connector:
        """A new connector to it."""

    def put(self, who: str, /, *, stamp: Stamp | None = None, **values: Scalar) -> None:
        """Create or change a customer, with this stamp or the application's own."""

    def put_many(self, rows: Iterable[tuple[str, Stamp, dict[str, Scalar]]]) -> None:
        """Create customers: name, stamp, values. Later ones have greater keys."""
        for who, stamp, values in rows:
            self.put(who, stamp=stamp, **values)

    def remove(self, name: str) -> None:
        """Delete a customer."""

    def unstamp(self, name: str) -> None:
        """Take a customer's stamp away; not asked of an application whose records always have one."""

    def key(self, name: str) -> str:
        """The key of a customer that was put; of one that was deleted, the key it had."""
        return name


class People:
    """The users of an application, who remember the names of the customers they made."""

    def __init__(self, app: Application, traits: Traits) -> None:
        self.app = app
        self._words = set(traits.fields)
        self._names: dict[str, str] = {}

    def put(self, who: str, /, *, stamp: Stamp | None = None, **values: Scalar) -> None:
        assert set(values) <= self._words, values
        self.app.put(who, stamp=stamp, **values)
        self._names[self.app.key(who)] = who

    def put_many(self, rows: Iterable[tuple[str, Stamp, dict[str, Scalar]]]) -> None:
        listed = list(rows)
        assert all(set(values) <= self._words for _, _, values in listed)
        self.app.put_many(listed)
        self._names |= {self.app.key(name): name for name, _, _ in listed}

    def remove(self, name: str) -> None:
        self.app.remove(name)

    def unstamp(self, name: str) -> None:
        self.app.unstamp(name)

    def keys(self, names: Iterable[str]) -> list[str]:
        return [self.app.key(name) for name in names]

    def names(self, keys: Iterable[str]) -> list[str]:
        """Their names for these keys; a key that is not theirs stands for itself."""
        return [self._names.get(key, key) for key in keys]


def read_all(connector: Connector, selection: Selection, since: Stamp | None = None, limit: int = 1000) -> list[Record]:
    """Every record of a reading, page by page. A cursor that comes a second time would never end."""
    records: list[Record] = []
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        page = connector.read(selection, since, cursor, limit)
        assert len(page.records) <= limit
        records += page.records
        cursor = page.cursor
        if cursor is None:
            return records
        assert cursor not in seen, "the reading goes round in circles"
        seen.add(cursor)


def keys_of(records: Iterable[Record]) -> list[str]:
    return [record.key for record in records]


def record_of(result: Any) -> Record:
    assert isinstance(result, Record), result
    return result


def failure_of(result: Any) -> Failure:
    assert isinstance(result, Failure), result
    return result

"""Two applications in memory that a seed makes more or less odd, and the people who work in them.

A record is known by its number, which nobody changes, so that it can be told whether anybody is there twice. What
people typed last into each field is remembered, so that it can be told what became of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from service.connectors.memory import STORES, MemoryTable, open_store
from service.connectors.memory.store import MemoryStore
from service.core.records import Field, FieldType, Side

TABLES = {Side.LOCAL: "customer", Side.INTEGRATION: "account"}
NUMBER = {Side.LOCAL: "number", Side.INTEGRATION: "accountnumber"}
FIELDS = {Side.LOCAL: ("name", "city"), Side.INTEGRATION: ("title", "town")}
STAMP = "modified"


@dataclass
class Typed:
    """What somebody typed last into a field. `travelled`: the other side had it, too."""

    value: str
    travelled: bool = False


@dataclass(frozen=True)
class Nature:
    """What a seed makes of the two applications."""

    takes_keys: bool
    resolution: dict[Side, int]
    versions: dict[Side, bool]
    restamps: bool
    capitals: bool


class Applications:
    """Both applications, and what people do in them by chance."""

    def __init__(self, chance: random.Random, nature: Nature) -> None:
        self.chance = chance
        self.nature = nature
        self.typed: dict[tuple[Side, str, int], Typed] = {}
        self.deleted: set[tuple[Side, str]] = set()
        self.touched: set[tuple[Side, str]] = set()
        self.keys: set[tuple[Side, str, str]] = set()
        self.numbers = 0
        self.values = 0
        self.both_may_add = False
        self.late: list[tuple[Side, AbstractContextManager[Callable[..., None]], list[tuple[str, dict[str, Any]]]]] = []
        STORES.clear()
        self.stores = {side: self._made(side) for side in Side}

    def _made(self, side: Side) -> MemoryStore:
        store, there = open_store(side.value), side is Side.INTEGRATION
        store.step = 300_000
        declared = [Field(NUMBER[side], FieldType.STRING), *(Field(name, FieldType.STRING) for name in FIELDS[side])]
        store.create_table(
            TABLES[side],
            declared,
            key="id",
            modified_on=STAMP,
            generates_keys=not (there and self.nature.takes_keys),
            resolution=self.nature.resolution[side],
            versions=self.nature.versions[side],
            restamps=there and self.nature.restamps,
            upper_cases=(FIELDS[side][0],) if there and self.nature.capitals else (),
        )
        return store

    def table(self, side: Side) -> MemoryTable:
        return self.stores[side].tables[TABLES[side]]

    def by_number(self, side: Side) -> dict[str, list[tuple[str, dict[str, Any]]]]:
        """Every record of a side by its number: one each, unless something went wrong."""
        found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for key, row in self.table(side).rows.items():
            number = str(row.values[NUMBER[side]])
            self.keys.add((side, number, key))
            found.setdefault(number, []).append((key, dict(row.values)))
        return found

    def keys_of(self, side: Side, number: str) -> set[str]:
        """Every key that a record with this number ever had: those of records that are gone, too."""
        return {key for one, other, key in self.keys if (one, other) == (side, number)}

    def versions(self) -> list[tuple[str, str, int]]:
        """Every record with the number of its last write: the same as long as nobody writes."""
        return [(side, key, row.version) for side in Side for key, row in sorted(self.table(side).rows.items())]

    # What people do

    def work(self) -> None:
        """One thing that somebody does in one of the two applications."""
        side = self.chance.choice(list(Side))
        deeds = (self.edit, self.edit, self.edit, self.edit, self.add, self.add, self.remove, self.wait, self.come_late)
        self.chance.choice(deeds)(side)

    def add(self, side: Side) -> None:
        self.numbers += 1
        self._put(side, str(self.numbers), None, range(2))
        if self.both_may_add and self.chance.random() < 0.3:
            self._put(side.other, str(self.numbers), None, range(2))

    def edit(self, side: Side) -> None:
        found = sorted(self.table(side).rows)
        if found:
            key = self.chance.choice(found)
            number = str(self.table(side).rows[key].values[NUMBER[side]])
            self._put(side, number, key, self.chance.sample(range(2), self.chance.randint(1, 2)))

    def remove(self, side: Side) -> None:
        found = sorted(self.table(side).rows)
        if len(found) > 2 and self.chance.random() < 0.4:
            key = self.chance.choice(found)
            number = str(self.table(side).rows[key].values[NUMBER[side]])
            self.stores[side].remove(TABLES[side], key)
            self.deleted.add((side, number))
            self.forget(side, number)

    def wait(self, side: Side) -> None:
        self.stores[side].now += self.chance.choice((100_000, 1_000_000, 5_000_000))

    def come_late(self, side: Side) -> None:
        """A transaction begins that commits later, with the stamp of now; or one that was begun commits."""
        if self.late and self.chance.random() < 0.7:
            self.commit()
        elif len(self.late) < 2:
            self.numbers += 1
            opened = self.stores[side].transaction()
            put = opened.__enter__()
            values = {name: self._new_value() for name in FIELDS[side]}
            key = {"id": self._key()} if side is Side.INTEGRATION and self.nature.takes_keys else {}
            put(TABLES[side], **key, **{NUMBER[side]: str(self.numbers)}, **values)
            self.late.append((side, opened, [(str(self.numbers), values)]))

    def commit(self) -> None:
        """The oldest transaction that is still open commits."""
        side, opened, written = self.late.pop(0)
        opened.__exit__(None, None, None)
        for number, values in written:
            self.touched.add((side, number))
            for place, name in enumerate(FIELDS[side]):
                self.typed[side, number, place] = Typed(self._held(side, place, values[name]))

    def forget(self, side: Side, number: str) -> None:
        for place in range(2):
            self.typed.pop((side, number, place), None)

    def _put(self, side: Side, number: str, key: str | None, places: Any) -> None:
        if key is not None:
            self._note_travelled(side, number, key)
        values = {FIELDS[side][place]: self._new_value() for place in places}
        named = {} if key is None else {"id": key}
        if key is None and side is Side.INTEGRATION and self.nature.takes_keys:
            named = {"id": self._key()}
        made = self.stores[side].put(TABLES[side], **named, **{NUMBER[side]: number}, **values)
        self.keys.add((side, number, made))
        self.touched.add((side, number))
        for place in places:
            self.typed[side, number, place] = Typed(self._held(side, place, values[FIELDS[side][place]]))
        if key is None and self.chance.random() < 0.2:
            self._stamp_back(side, made)

    def _note_travelled(self, side: Side, number: str, key: str) -> None:
        """What the other side's people typed has come here, as is seen before it is typed over."""
        held = self.table(side).rows[key].values
        for place, name in enumerate(FIELDS[side]):
            typed = self.typed.get((side.other, number, place))
            if typed is not None and same(held[name], typed.value):
                typed.travelled = True

    def _stamp_back(self, side: Side, key: str) -> None:
        """The record shows with a stamp that is a little old, and nothing told that it would come."""
        store, table = self.stores[side], self.table(side)
        late = store.now - self.chance.randint(0, 900_000)
        store.stamp(table, key, table.rows[key], late - late % table.resolution)

    def _new_value(self) -> str:
        """A value that nobody typed before, now and then with a blank that an application may drop."""
        self.values += 1
        return f"v{self.values}" + (" " if self.chance.random() < 0.1 else "")

    def _held(self, side: Side, place: int, value: str) -> str:
        return value.upper() if side is Side.INTEGRATION and place == 0 and self.nature.capitals else value

    def _key(self) -> str:
        return f"{self.chance.getrandbits(128):032x}"


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same as far as both applications can hold them."""
    return str(one or "").rstrip(" ").upper() == str(other or "").rstrip(" ").upper()

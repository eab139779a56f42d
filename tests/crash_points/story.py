"""What goes on while processes are killed: a first load with a twin, new records and edits both ways with a conflict
and a record that is refused, deletions that travel with the refused record's retry, a person's resolution, and a full
run in ranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from service.core.records import Side
from service.operations import execution, runs, skipped
from service.operations.context import Context
from service.store import sql
from tests.world import World, line

LOCAL, INTEGRATION = Side.LOCAL, Side.INTEGRATION
FIELDS = {LOCAL: ("number", "name", "city"), INTEGRATION: ("accountnumber", "name", "address1_city")}
LINES = [
    line(local_field=one, integration_field=other, match_key=1 if one == "number" else None)
    for one, other in zip(*FIELDS.values(), strict=True)
]
PAGE = 3


class Place(World):
    """The two applications and the mapping, as files that one process after another works with."""

    def __init__(self, folder: Path, context: Context, *, make: bool = False) -> None:
        if make:
            super().__init__(folder, context)
            self.map(LINES, deletion_conflict_resolution="deletePartner", max_delete_percent=None)
        else:
            self.context = context
            self.files = {side: folder / f"{side}.db" for side in Side}
            self.mapping_id = 1

    def work(self) -> None:
        """Carry out what is queued, in small pages."""
        while (lease := execution.claim(self.context, "worker")) is not None:
            execution.carry_out(self.context, lease, lambda: None, lambda _: None, PAGE)

    def ask_for(self, kind: str = "modified") -> None:
        runs.start(self.context, runs.RunRequest(self.mapping_id, kind, allow_mass_delete=True), "test")

    def key(self, side: Side, number: str) -> str:
        table, key = ("customer", "id") if side is LOCAL else ("account", "accountid")
        return str(self.sql(side, f"SELECT {key} FROM {table} WHERE {FIELDS[side][0]} = ?", number)[0][0])

    def held(self) -> dict[str, Any]:
        """What both applications hold, and what is set aside: all that people can see."""
        shown: dict[str, Any] = {
            side.value: sorted(tuple(row[name] for name in FIELDS[side]) for row in self.all(side)) for side in Side
        }
        shown["aside"] = [
            self.number(row) for row in sql.rows("SELECT local_key FROM skipped_records WHERE status <> 'resolved'")
        ]
        return shown

    def number(self, row: tuple[Any, ...]) -> Any:
        return (self.get(LOCAL, row[0]) or {}).get("number")


@dataclass(frozen=True)
class Stage:
    """A part of the story. `people`: what they do before it. `work`: what may die at every moment; it is told again
    by whoever finds that nothing of it was noted. `long`: it has so many moments that some will do by day."""

    name: str
    people: Callable[[Place], None]
    work: Callable[[Place], None]
    long: bool = False


def first_records(place: Place) -> None:
    for number, name in (("1", "One"), ("2", "Two"), ("3", "Three"), ("4", "Four")):
        place.add(LOCAL, number=number, name=name, city="Oslo")
    for number, name in (("1", "One"), ("5", "Five"), ("6", "Six")):
        place.add(INTEGRATION, accountid=f"a{number}", accountnumber=number, name=name, address1_city="Oslo")


def load(place: Place) -> None:
    place.ask_for()
    place.work()


def edits(place: Place) -> None:
    place.edit(LOCAL, place.key(LOCAL, "2"), city="Bergen")
    place.edit(LOCAL, place.key(LOCAL, "3"), city="Tromsø")
    place.edit(INTEGRATION, place.key(INTEGRATION, "5"), address1_city="Bodø")
    place.edit(LOCAL, place.key(LOCAL, "1"), name="Uno")
    place.edit(INTEGRATION, place.key(INTEGRATION, "1"), name="Eins")
    place.add(LOCAL, number="7", name="Seven", city="Oslo")
    place.add(LOCAL, number="8", name="bad", city="Oslo")
    place.add(INTEGRATION, accountid="a9", accountnumber="9", name="Nine", address1_city="Oslo")
    refuse = "CREATE TRIGGER no BEFORE INSERT ON account WHEN NEW.name = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END"
    place.sql(INTEGRATION, refuse)


def deletions(place: Place) -> None:
    place.sql(INTEGRATION, "DROP TRIGGER no")
    place.delete(LOCAL, place.key(LOCAL, "4"))
    place.delete(INTEGRATION, place.key(INTEGRATION, "6"))


def delete(place: Place) -> None:
    place.ask_for("findDeleted")
    place.work()
    load(place)


def nobody(_place: Place) -> None:
    """People leave the applications alone."""


def resolve(place: Place) -> None:
    for item in place.skips():
        skipped.resolve(place.context, item.id, "keepLocal", None, "anna")
    place.work()


def many(place: Place) -> None:
    """Enough for some ranges; one of the new ones has a twin."""
    for number, name in (("20", "Twenty"), ("21", "Twenty-one"), ("22", "Twenty-two")):
        place.add(LOCAL, number=number, name=name, city="Oslo")
    place.add(INTEGRATION, accountid="a22", accountnumber="22", name="Twenty-two", address1_city="Oslo")
    place.edit(LOCAL, place.key(LOCAL, "2"), city="Drammen")


def shared(place: Place) -> None:
    """A full run whose readings are cut."""
    place.ask_for("full")
    place.context = replace(place.context, range_size=4)
    place.work()


STAGES: Sequence[Stage] = (
    Stage("first load", first_records, load),
    Stage("edits, new records, a conflict, a refusal", edits, load),
    Stage("deletions, a retry", deletions, delete),
    Stage("a resolution", nobody, resolve),
    Stage("a full run in ranges", many, shared, long=True),
)

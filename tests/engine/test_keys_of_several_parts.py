"""Tables whose records are told apart by several columns: order lines here, shipment lines there, each told apart by
an order and a number. What holds for a key of one column holds for theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.core.keys import joined
from service.core.records import Side
from service.operations import couplings, restored, runs
from service.store import sql
from service.store.models import Intents
from service.worker import run_until_idle
from tests.engine.test_ranges import PAGE, Team
from tests.faults import Crash, Fault, Planned
from tests.world import World, errors, tally

TABLES = {
    Side.LOCAL: ("order_line", "order_no", "line_no", "item", "modified_at"),
    Side.INTEGRATION: ("shipment_line", "shipment", "number", "product", "modifiedon"),
}
SCHEMA = """
    CREATE TABLE {0} ({3} TEXT, {2} INTEGER NOT NULL, {1} VARCHAR(40) NOT NULL, {4} TEXT, PRIMARY KEY ({1}, {2}));
    CREATE INDEX {0}_stamp ON {0} ({4}, {1}, {2});
    CREATE TRIGGER {0}_insert AFTER INSERT ON {0} BEGIN
        UPDATE clock SET now = now + 1;
        UPDATE {0} SET {4} = datetime((SELECT now FROM clock), 'unixepoch') WHERE rowid = NEW.rowid; END;
    CREATE TRIGGER {0}_update AFTER UPDATE ON {0} WHEN NEW.{4} IS OLD.{4} BEGIN
        UPDATE clock SET now = now + 1;
        UPDATE {0} SET {4} = datetime((SELECT now FROM clock), 'unixepoch') WHERE rowid = NEW.rowid; END
"""
LINES: list[dict[str, Any]] = [
    {"local_field": "order_no", "integration_field": "shipment", "match_key": 1},
    {"local_field": "line_no", "integration_field": "number", "match_key": 1},
    {"local_field": "item", "integration_field": "product"},
]
KEYLESS = [{**one, "match_key": None} for one in LINES]


class Lines:
    """Two tables of lines in the applications of a world, and what people do to them."""

    def __init__(self, world: World, lines: list[dict[str, Any]], **given: Any) -> None:
        self.world = world
        for side, names in TABLES.items():
            for statement in SCHEMA.format(*names).split(";\n    CREATE"):
                world.sql(side, statement if statement.lstrip().startswith("CREATE") else f"CREATE{statement}")
        sides = {side.value: {"table": names[0], "modified_on": names[4]} for side, names in TABLES.items()}
        world.map(lines, **sides, **given)

    def put(self, side: Side, order: str, number: int, item: str) -> str:
        """Write a line; its key."""
        table, *parts, name, _ = TABLES[side]
        self.world.sql(
            side,
            f"INSERT INTO {table} ({', '.join(parts)}, {name}) VALUES (?, ?, ?)"
            f" ON CONFLICT ({', '.join(parts)}) DO UPDATE SET {name} = excluded.{name}",
            order,
            number,
            item,
        )
        return joined((order, str(number)))

    def remove(self, side: Side, order: str, number: int) -> None:
        table, *parts, _, _ = TABLES[side]
        self.world.sql(side, f"DELETE FROM {table} WHERE {parts[0]} = ? AND {parts[1]} = ?", order, number)

    def all(self, side: Side) -> dict[str, str]:
        """What the lines are of, by order and number."""
        table, *parts, name, _ = TABLES[side]
        found = self.world.sql(side, f"SELECT {', '.join(parts)}, {name} FROM {table}")
        return {f"{order}/{number}": item for order, number, item in found}

    def stamps(self) -> list[tuple[Any, ...]]:
        return [
            row for side, names in TABLES.items() for row in self.world.sql(side, "SELECT {4} FROM {0}".format(*names))
        ]

    def agreed(self) -> dict[str, str]:
        """The lines of both sides, which are the same, and which a further run leaves as they are."""
        found = self.all(Side.LOCAL)
        assert found == self.all(Side.INTEGRATION)
        stamps = self.stamps()
        for kind in ("modified", "full", "reconcile"):
            assert self.world.run(kind).status == "succeeded"
        assert self.stamps() == stamps
        return found


def test_the_whole_story(world: World) -> None:
    lines = Lines(world, LINES, deletion_conflict_resolution="deletePartner", max_delete_percent=100)
    one = lines.put(Side.LOCAL, "A,1", 10, "bolt")
    lines.put(Side.LOCAL, "A,1", 20, "nut")
    theirs = lines.put(Side.INTEGRATION, "50%", 10, "washer")
    run = world.run()
    assert (tally(run, "toIntegration")["inserted"], tally(run, "fromIntegration")["inserted"]) == (2, 1)
    assert (world.partner("local", one), world.partner("integration", theirs)) == (one, theirs)
    assert lines.agreed() == {"A,1/10": "bolt", "A,1/20": "nut", "50%/10": "washer"}

    lines.put(Side.LOCAL, "50%", 10, "washer, edited here")
    lines.put(Side.INTEGRATION, "A,1", 20, "nut, edited there")
    run = world.run()
    assert (tally(run, "toIntegration")["modified"], tally(run, "fromIntegration")["modified"]) == (1, 1)
    assert lines.agreed()["A,1/20"] == "nut, edited there"

    lines.put(Side.LOCAL, "A,1", 10, "long bolt")
    lines.put(Side.INTEGRATION, "A,1", 10, "short bolt")
    world.run()
    [skip] = world.skips()
    assert (skip.reason, skip.local_key, skip.integration_key) == ("conflict", "A%2C1,10", "A%2C1,10")
    world.resolve(skip, "keepIntegration")
    assert lines.agreed()["A,1/10"] == "short bolt"

    lines.remove(Side.LOCAL, "A,1", 20)
    assert tally(world.run("findDeleted"), "fromIntegration") == {"read": 1, "deleted": 1}
    assert set(lines.agreed()) == {"A,1/10", "50%/10"}


def test_a_deleted_line_is_made_again_under_its_key(world: World) -> None:
    lines = Lines(world, LINES, deletion_conflict_resolution="restoreRecords", max_delete_percent=100)
    key = lines.put(Side.LOCAL, "A", 10, "bolt")
    lines.put(Side.LOCAL, "A", 20, "nut")
    world.run()
    lines.remove(Side.INTEGRATION, "A", 10)
    world.run("findDeleted")
    assert world.partner("local", key) == key
    assert lines.agreed() == {"A/10": "bolt", "A/20": "nut"}


def test_existing_lines_are_coupled_by_the_parts_of_their_keys(world: World) -> None:
    lines = Lines(world, LINES)
    for number in (1, 2, 3):
        lines.put(Side.LOCAL, "A", number, f"i{number}")
        lines.put(Side.INTEGRATION, "A", number, f"i{number}")
    run = world.run("match")
    assert run.status == "succeeded"
    assert world.partner("local", "A,2") == "A,2"
    assert len(lines.agreed()) == 3


def test_a_person_couples_two_lines(world: World) -> None:
    lines = Lines(world, LINES)
    one, other = lines.put(Side.LOCAL, "A,B", 1, "bolt"), lines.put(Side.INTEGRATION, "A,B", 1, "bolt")
    made = couplings.create(world.context, world.mapping_id, one, other, "anna")
    assert (made.local_key, made.integration_key) == ("A%2CB,1", "A%2CB,1")
    assert lines.agreed() == {"A,B/1": "bolt"}


def test_a_part_of_a_key_never_changes(world: World) -> None:
    """A customer here is a line there: the number that was its part is edited, and that would be another line."""
    lines = Lines(world, LINES)
    side = {"table": "shipment_line", "modified_on": "modifiedon"}
    named = {"number": "shipment", "city": "number", "name": "product"}
    world.map(
        [{"local_field": own, "integration_field": other} for own, other in named.items()],
        integration=side,
        name="customers to lines",
    )
    key = world.add("local", number="A", city="10", name="bolt")
    world.run()
    assert world.partner("local", key) == "A,10"
    world.edit("local", key, city="20", name="nut")
    run = world.run()
    assert run.status == "completedWithErrors"
    assert [(error.code, error.params["rule"], error.params["field"]) for error in errors()] == [
        ("value_rejected", "key_cannot_change", "number")
    ]
    assert lines.all(Side.INTEGRATION) == {"A/10": "bolt"}


def test_lines_refer_to_their_orders_and_records_to_lines(world: World) -> None:
    """The order is a part of the line's key and a reference; what refers to a line has the whole key in one field."""
    lines = Lines(world, LINES, name="other")
    made = [world.map()]
    world.sql("local", "CREATE TABLE note (id INTEGER PRIMARY KEY, line TEXT, modified_at TEXT DEFAULT '2026-01-01')")
    world.sql("integration", "CREATE TABLE memo (id TEXT PRIMARY KEY, detail TEXT, modifiedon TEXT)")
    key = world.add("local", number="1", name="One")
    sides = {side.value: {"table": names[0], "modified_on": names[4]} for side, names in TABLES.items()}
    refers: dict[str, Any] = {
        "local_field": "order_no",
        "integration_field": "shipment",
        "reference": {"mapping": "customers"},
    }
    made.append(world.map([refers, *LINES[1:]], name="lines", **sides))
    lines.put(Side.LOCAL, key, 10, "bolt")
    notes = {"local": ("note", "modified_at"), "integration": ("memo", "modifiedon")}
    given = {side: {"table": table, "modified_on": stamp} for side, (table, stamp) in notes.items()}
    refers = {"local_field": "line", "integration_field": "detail", "reference": {"mapping": "lines"}}
    made.append(world.map([refers], name="notes", **given))
    world.sql("local", "INSERT INTO note (line) VALUES (?)", f"{key},10")
    for world.mapping_id in made:
        world.run()
    assert [(error.code, error.params) for error in errors()] == []
    partner = world.all("integration")[0]["accountid"]
    assert lines.all(Side.INTEGRATION) == {f"{partner}/10": "bolt"}
    assert world.sql("integration", "SELECT detail FROM memo") == [(f"{partner},10",)]


def test_a_large_reading_is_cut_by_both_parts(world: World) -> None:
    lines = Lines(world, LINES)
    for number in range(60):
        lines.put(Side.LOCAL, f"A{number % 2}", number, f"i{number}")
    team = Team(world)
    run = team.run()
    assert team.moments.calls.count(("local", "read_range")) >= 60 // (2 * PAGE)
    assert (run.status, tally(run, "toIntegration")) == ("succeeded", {"read": 60, "inserted": 60})
    assert len(lines.agreed()) == 60


def test_after_the_state_is_restored_from_a_backup_no_line_is_made_twice(world: World) -> None:
    lines = Lines(world, KEYLESS)
    for number in range(4):
        lines.put(Side.LOCAL, "A", number, f"i{number}")
    world.run()
    with sql.transaction():
        for table in ("couplings", "watermarks"):
            sql.execute(f"DELETE FROM {table}")
    assert restored.declare(world.context, "anna") == 1
    assert world.run().status == "succeeded"
    assert len(lines.agreed()) == 4


@pytest.mark.parametrize("lines", [LINES, KEYLESS], ids=["matched", "unmatched"])
@pytest.mark.parametrize("fault", [Fault.AFTER, Fault.CRASH_AFTER, Fault.PART, Fault.CRASH_PART, Fault.CRASH_BEFORE])
def test_no_insert_is_sent_twice(world: World, lines: list[dict[str, Any]], fault: Fault) -> None:
    """An answer that is lost, a worker that dies: what had arrived is found by the parts that it was given."""
    made = Lines(world, lines)
    for number in range(7):
        made.put(Side.LOCAL, "A,%", number, "the same")
    faults = Planned(("insert", fault))
    world.context = replace(world.context, connector_class=faults.connector_class, now=faults.clock.now)
    run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    try:
        run_until_idle(world.context)
    except Crash:
        faults.clock.sleep(60)  # Its lease ends.
    assert faults.counts == {fault: 1}
    run_until_idle(world.context)
    assert runs.get(run.id).status == "succeeded", errors()
    assert Intents.select().count() == 0
    assert len(made.agreed()) == 7
    assert all(world.partner("local", f"A%2C%25,{number}") == f"A%2C%25,{number}" for number in range(7))

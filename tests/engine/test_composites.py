"""Several fields on one side are one on the other: parts are joined and split again, and no part's edit is lost."""

import threading
from typing import Any

import pytest

from service.core.errors import Invalid
from service.core.records import Side
from service.operations import execution, runs
from service.store import intents
from service.store import runs as run_rows
from service.store.intents import Intent
from service.worker import carry_out_next
from tests.world import World, couple, errors, records, tally

# The state's database has no part in it.
pytestmark = pytest.mark.parametrize("state", ["sqlite"], indirect=True)

NAMES: dict[str, Any] = {
    "local_field": "name + city",
    "integration_field": "name",
    "transforms": {"toIntegration": [{"concat": {"separator": ", "}}]},
}
NUMBER = {"local_field": "number", "integration_field": "accountnumber", "match_key": 1}
LINES = [NUMBER, NAMES]


def parts(world: World, key: str) -> tuple[Any, Any]:
    row = world.get("local", key) or {}
    return row["name"], row["city"]


def name(world: World, key: str) -> Any:
    return (world.get("integration", key) or {})["name"]


def test_parts_are_joined_and_split(world: World) -> None:
    world.map(LINES)
    ann = world.add("local", number="1", name="Ann", city="Berg", remark="ours")
    bo = world.add("integration", accountid="b", accountnumber="2", name="Bo, Lund")
    alone = world.add("integration", accountid="c", accountnumber="3", name="Cher")
    run = world.run()
    assert run.status == "succeeded"
    assert name(world, world.partner("local", ann) or "") == "Ann, Berg"
    assert parts(world, world.partner("integration", bo) or "") == ("Bo", "Lund")
    assert parts(world, world.partner("integration", alone) or "") == ("Cher", None)
    before = world.stamps()
    assert world.run("full").counts["toIntegration"]["modified"] == 0
    assert world.stamps() == before


@pytest.mark.parametrize("mode", ["record", "field"])
def test_an_edit_of_one_part_leaves_the_other_alone(world: World, mode: str) -> None:
    world.map(LINES, conflict_detection=mode)
    customer, account = couple(world, number="1", name="Ann", city="Berg")
    world.edit("local", customer, city="Lund")
    world.run()
    assert name(world, account) == "Ann, Lund"
    world.edit("integration", account, name="Anna, Lund")
    run = world.run()
    assert parts(world, customer) == ("Anna", "Lund")
    change = records(run)[-1].fields
    assert change == [{"side": "local", "field": "name + city", "before": '["Ann","Lund"]', "after": '["Anna","Lund"]'}]
    assert errors() == []


def test_only_the_parts_that_differ_are_written(world: World) -> None:
    world.map(LINES, direction="fromIntegration")
    world.sql("local", "CREATE TABLE written (field TEXT)")
    for field in ("name", "city"):
        world.sql(
            "local",
            f"CREATE TRIGGER note_{field} AFTER UPDATE OF {field} ON customer BEGIN"
            f" INSERT INTO written VALUES ('{field}'); END",
        )
    account = world.add("integration", accountid="a", accountnumber="1", name="Ann, Berg")
    world.run()
    world.edit("integration", account, name="Ann, Lund")
    world.run()
    assert parts(world, world.partner("integration", account) or "") == ("Ann", "Lund")
    assert world.sql("local", "SELECT field FROM written") == [("city",)]


@pytest.mark.parametrize("mode", ["record", "field"])
def test_edits_of_different_parts_on_both_sides_are_a_conflict(world: World, mode: str) -> None:
    """The text has one value: neither edit is written over the other, and a person sees both."""
    world.map(LINES, conflict_detection=mode)
    customer, account = couple(world, number="1", name="Ann", city="Berg")
    world.edit("local", customer, name="Anna")
    world.edit("integration", account, name="Ann, Lund")
    world.run()
    assert (parts(world, customer), name(world, account)) == (("Anna", "Berg"), "Ann, Lund")
    (item,) = world.skips()
    assert item.reason == "conflict"
    world.resolve(item, "merge", {"name + city": {"value": '["Anna","Lund"]'}})
    assert (parts(world, customer), name(world, account)) == (("Anna", "Lund"), "Anna, Lund")
    before = world.stamps()
    world.run()
    assert world.stamps() == before


def test_what_would_come_back_changed_is_refused(world: World) -> None:
    world.map([NAMES, NUMBER])
    good = world.add("local", number="1", name="Ann", city="Berg")
    bad = world.add("local", number="2", name="Berg, Ann", city="Lund")
    nameless = world.add("local", number="3", name="", city="Lund")
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 3, "inserted": 1, "failed": 2}
    assert world.partner("local", good) is not None
    assert world.partner("local", bad) is None
    assert world.partner("local", nameless) is None
    found = [(error.code, error.params["part"], error.params["held"], error.params["back"]) for error in errors()]
    assert found == [("value_rejected", "name", "“Berg, Ann”", "“Berg”"), ("value_rejected", "name", "“”", "“Lund”")]
    assert [(error.source or {})["description"] for error in errors()] == ["Berg, Ann Lund", "Lund"]
    world.edit("local", bad, name="Berg Ann")
    world.edit("local", nameless, name="Cher", city="")
    world.run()
    held = [name(world, world.partner("local", key) or "") for key in (bad, nameless)]
    assert held == ["Berg Ann, Lund", "Cher"]


def test_empty_parts_keep_their_place_where_the_separator_stays(world: World) -> None:
    joined = {"concat": {"separator": ", ", "keepEmpty": True}}
    world.map([NUMBER, {**NAMES, "transforms": {"toIntegration": [joined]}}])
    key = world.add("local", number="1", name="", city="Lund")
    world.run()
    account = world.partner("local", key) or ""
    assert name(world, account) == ", Lund"
    world.edit("integration", account, name=", Malmö")
    world.run()
    assert parts(world, key) in (("", "Malmö"), (None, "Malmö"))


def test_a_part_that_is_too_long_is_named(world: World) -> None:
    world.map([NUMBER, {**NAMES, "local_field": "city + name"}])
    world.add("integration", accountid="a", accountnumber="1", name=f"Berg, {'x' * 51}")
    run = world.run()
    assert tally(run, "fromIntegration") == {"read": 1, "failed": 1}
    (error,) = errors()
    assert (error.code, error.params) == ("value_too_long", {"field": "name", "length": 51, "maximum": 50})


@pytest.mark.parametrize("direction", ["toIntegration", "fromIntegration"])
def test_records_match_by_parts_and_by_empty_parts(world: World, direction: str) -> None:
    """The name is the key: records are found by the parts that are there, and an empty one has to be empty."""
    world.map([{**NAMES, "match_key": 1}, {"local_field": "number", "integration_field": "accountnumber"}])
    here = [
        world.add("local", number=str(at), name=first, city=last)
        for at, (first, last) in enumerate([("Ann", "Berg"), ("Bo", None), ("Cher", "Lund"), ("Cher", "")])
    ]
    there = {
        full: world.add("integration", accountid=full, accountnumber="9", name=full)
        for full in ("Ann, Berg", "Bo", "Cher")
    }
    world.run("match", direction=direction)
    assert [world.partner("local", key) for key in here] == [there["Ann, Berg"], there["Bo"], None, there["Cher"]]


def test_twins_are_found_from_the_side_of_the_text(world: World) -> None:
    lines = [{**NAMES, "match_key": 1, "direction": "toIntegration"}, {**NUMBER, "match_key": None}]
    world.map(lines)
    customer = world.add("local", number="1", name="Ann", city="Berg")
    world.add("local", number="1", name="Ann", city=None)
    account = world.add("integration", accountid="a", accountnumber="1", name="Ann, Berg")
    world.run(direction="fromIntegration")
    assert world.partner("integration", account) == customer


def test_an_expression_over_several_fields_flows_one_way_or_has_its_inverse(world: World) -> None:
    there = {"expression": "city == '' ? name : name + ' (' + city + ')'"}
    lone = "[value, '']"
    both = "[value.split(' (')[0], value.split(' (')[1].replace(')', '')]"
    back = {"expression": f"value.contains(' (') ? {both} : {lone}"}
    with pytest.raises(Invalid) as refused:
        world.map([NUMBER, {**NAMES, "transforms": {"toIntegration": [there]}}])
    assert [(one.pointer, one.code) for one in refused.value.problems] == [
        ("/fieldMappings/1/localField", "parts_not_split")
    ]
    world.map([NUMBER, {**NAMES, "transforms": {"toIntegration": [there], "fromIntegration": [back]}}])
    customer, account = couple(world, number="1", name="Ann", city="Berg")
    assert name(world, account) == "Ann (Berg)"
    world.edit("integration", account, name="Ann (Lund)")
    world.run()
    assert parts(world, customer) == ("Ann", "Lund")
    world.edit("local", customer, name="A (B")
    world.run()
    assert [error.params["part"] for error in errors()] == ["name"]


def test_an_insert_that_a_crash_interrupted_is_found_by_its_parts(world: World) -> None:
    """The application makes the keys, and the mapping has no match key: what was sent is found by what it holds."""
    world.map([{**NUMBER, "match_key": None}, NAMES])
    account = world.add("integration", accountid="a", accountnumber="7", name="Ann, Berg")
    runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    lease = execution.claim(world.context, "dead")
    assert lease is not None
    sent = {"number": "7", "name + city": '["Ann","Berg"]'}
    intents.save(world.mapping_id, lease, Side.LOCAL, 0, [Intent(account, None, sent)])
    run_rows.end_leases(["dead"])
    world.add("local", number="7", name="Ann", city="Lund")
    customer = world.add("local", number="7", name="Ann", city="Berg")
    carry_out_next(world.context, "other", threading.Event())
    assert world.partner("integration", account) == customer

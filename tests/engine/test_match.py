"""Coupling what both applications have already, and finding twins before anything is inserted."""

import pytest

from service.operations import couplings, execution, runs
from service.store.models import Retry
from tests.world import LINES, World, errors, tally


def test_a_match_run_couples_exactly_one_hit(world: World) -> None:
    world.map()
    one = world.add("local", number="1", name="One")
    world.add("local", number="2", name="Two")
    world.add("local", number="9", name="Alone")
    world.add("integration", accountid="a", accountnumber="1", name="One", customertypecode=3)
    world.add("integration", accountid="b", accountnumber="2", name="Another two", customertypecode=3)
    before = world.stamps()
    run = world.run("match")
    assert tally(run, "toIntegration") == {"read": 3, "coupled": 2, "ignored": 1}
    assert world.stamps() == before
    assert world.partner("local", one) == "a"
    assert run.status == "completedWithErrors", "records that differ are settled by a person, not silently"
    assert [item.integration_key for item in world.skips()] == ["b"]
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 3, "unchanged": 1, "skipped": 1, "inserted": 1}
    assert len(world.all("integration")) == 3


def test_an_update_policy_settles_pairs_that_differ(world: World) -> None:
    world.map(update_conflict_resolution="getUpdateFromIntegration")
    key = world.add("local", number="2", name="Two", city="Oslo")
    world.add("integration", accountid="b", accountnumber="2", name="Another two", customertypecode=3)
    run = world.run("match")
    assert (run.status, tally(run, "toIntegration")) == ("succeeded", {"read": 1, "coupled": 1})
    world.run()
    row = world.get("local", key) or {}
    assert row["name"] == "Another two"


def test_several_hits_couple_nobody_and_name_the_candidates(world: World) -> None:
    world.map()
    world.add("local", number="1", name="One")
    world.add("integration", accountid="a", accountnumber="1", name="One")
    world.add("integration", accountid="b", accountnumber="1", name="Uno")
    run = world.run("match")
    assert tally(run, "toIntegration") == {"read": 1, "failed": 1}
    (error,) = errors()
    assert error.code == "ambiguous_match"
    assert sorted(error.params["candidates"]) == ["a", "b"]
    assert couplings.list_couplings(mapping_id=world.mapping_id, limit=5) == []


def test_two_records_of_the_source_with_one_key_couple_nobody(world: World) -> None:
    world.map()
    world.add("local", number="1", name="One")
    world.add("local", number="1", name="One again")
    world.add("integration", accountid="a", accountnumber="1", name="One")
    run = world.run("match")
    assert tally(run, "toIntegration") == {"read": 2, "failed": 2}
    assert world.partner("integration", "a") is None


def test_priorities_are_tried_on_their_own_and_in_order(world: World) -> None:
    world.map(
        [
            {"local_field": "number", "integration_field": "accountnumber", "match_key": 1},
            {"local_field": "name", "integration_field": "name", "match_key": 2},
            {"local_field": "city", "integration_field": "address1_city", "match_key": 2},
        ],
        direction="toIntegration",
    )
    by_name = world.add("local", number="7", name="Name", city="City")
    half = world.add("local", number="8", name="Name", city="Elsewhere")
    world.add("integration", accountid="a", accountnumber=None, name="Name", address1_city="City")
    world.run("match")
    assert world.partner("local", by_name) == "a"
    assert world.partner("local", half) is None


@pytest.mark.parametrize("priority", [1, 2])
def test_records_on_different_pages_with_one_twin_couple_nobody(world: World, priority: int) -> None:
    names = {"integration_field": "name", "local_field": "name", "match_key": priority}
    world.map([{**LINES[0], "match_key": 3 - priority}, names, {**LINES[2], "match_key": priority}])
    for city in ("Oslo", "Oslo", "Bergen"):
        world.add("local", number="" if priority == 1 else None, name="One", city=city)
    world.add("integration", accountid="a", accountnumber=None, name="One", address1_city="Oslo")
    world.add("integration", accountid="b", accountnumber=None, name="One", address1_city="Bergen")
    started = runs.start(world.context, runs.RunRequest(world.mapping_id, "match"), "test")
    lease = execution.claim(world.context, "test")
    assert lease is not None
    execution.carry_out(world.context, lease, lambda: None, lambda _: None, page_size=1)
    assert tally(runs.get(started.id), "toIntegration") == {"read": 3, "failed": 2, "coupled": 1}
    assert {error.code for error in errors()} == {"ambiguous_match"}
    assert (world.partner("integration", "a"), world.partner("local", "3")) == (None, "b")


def test_a_twin_is_coupled_instead_of_inserting_a_second_one(world: World) -> None:
    world.map()
    key = world.add("local", number="1", name="One", city="Oslo")
    world.add("integration", accountid="a", accountnumber="1", name="One")
    run = world.run()
    assert run.counts["toIntegration"]["coupled"] == 1
    assert len(world.all("integration")) == 1
    assert world.partner("local", key) == "a"
    assert (world.get("integration", "a") or {})["address1_city"] == "Oslo", "an empty field is filled"
    assert world.skips() == []


def test_two_new_records_with_one_key_are_not_both_inserted(world: World) -> None:
    world.map()
    world.add("local", number="1", name="One")
    world.add("local", number="1", name="One again")
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 2, "inserted": 1, "failed": 1}
    assert len(world.all("integration")) == 1
    world.run()
    assert [item.reason for item in world.skips()] == ["ambiguous"]


def test_blank_keys_match_nothing(world: World) -> None:
    world.map()
    world.add("local", number="", name="One")
    world.add("integration", accountid="a", accountnumber="", name="Two")
    run = world.run("match")
    assert tally(run, "toIntegration") == {"read": 1, "ignored": 1}
    assert world.partner("integration", "a") is None


def test_coupling_by_hand(world: World) -> None:
    world.map()
    key = world.add("local", number="1", name="One")
    world.add("integration", accountid="a", accountnumber="1", name="One", customertypecode=3)
    view = couplings.create(world.context, world.mapping_id, key, "a", "anna")
    assert view.last_synch_local_modified_on is not None
    assert tally(world.run(), "toIntegration") == {"read": 1, "unchanged": 1}
    couplings.delete(world.context, view.id, "anna")
    assert tally(world.run("full"), "toIntegration") == {"read": 1, "ignored": 1}
    again = couplings.create(world.context, world.mapping_id, key, "a", "anna")
    assert again.id != view.id


def test_a_pair_that_is_in_step_waits_for_nothing(world: World) -> None:
    world.map()
    world.add("local", number="1", name="One", credit_limit=5)
    world.add("integration", accountid="a", accountnumber="1", name="One")
    world.run("match")
    world.run()
    assert Retry.select().count() == 0
    assert world.run().counts["fromIntegration"]["read"] == 0

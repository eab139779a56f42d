"""After our own state was restored from a backup nothing is deleted and nothing made twice: what is equal is coupled
again, and the rest is left to people."""

from typing import Any

import pytest

from service.operations import couplings, mappings, restored, runs
from service.store import sql
from tests.world import LINES, World, couple, errors

KEYLESS = [{**item, "match_key": None} for item in LINES]
"""The mapping without match keys: nothing tells the twin of a record but that it is equal."""

TABLES = ("couplings", "watermarks", "retries", "intents", "skipped_records", "exclusions")
"""What a mapping's runs have made of the state."""


class Backup:
    """What the state holds of a mapping, put back as it was."""

    def __init__(self) -> None:
        self.rows = {table: sql.rows(f"SELECT * FROM {table}") for table in TABLES}

    def restore(self) -> None:
        with sql.transaction():
            for table in reversed(TABLES):
                sql.execute(f"DELETE FROM {table}")
            for table in TABLES:
                for row in self.rows[table]:
                    sql.execute(f"INSERT INTO {table} VALUES ({', '.join('?' for _ in row)})", *row)


def came_back(world: World, backup: Backup) -> None:
    backup.restore()
    assert restored.declare(world.context, "anna") == 1


def number_of_records(world: World) -> tuple[int, int]:
    return len(world.all("local")), len(world.all("integration"))


def name_of(world: World, side: str, key: str | None) -> Any:
    assert key is not None
    record = world.get(side, key)
    return None if record is None else record["name"]


def test_what_was_synchronized_since_is_equal_and_stays_as_it_is(world: World) -> None:
    world.map(KEYLESS)
    keys = [world.add("local", number=str(number), name=f"Customer {number}") for number in range(6)]
    world.run()
    backup = Backup()
    world.edit("local", keys[0], name="Edited")
    world.edit("integration", str(world.partner("local", keys[1])), name="Edited there")
    new = world.add("local", number="new", name="New")
    there = world.add("integration", accountid="there", accountnumber="t", name="There", customertypecode=3)
    world.run()
    pairs = {key: world.partner("local", key) for key in (*keys, new)}
    taken = world.partner("integration", there)
    before = world.stamps()
    came_back(world, backup)
    run = world.run()
    assert run.status == "succeeded"
    assert world.stamps() == before
    assert {key: world.partner("local", key) for key in (*keys, new)} == pairs
    assert world.partner("integration", there) == taken
    assert errors() == []
    assert mappings.get(world.mapping_id)["status"]["restored_at"] is None


def test_an_edit_since_the_last_synchronization_is_a_conflict_whatever_the_policy(world: World) -> None:
    world.map(KEYLESS, update_conflict_resolution="getUpdateFromIntegration")
    key, partner = couple(world, number="1", name="One")
    backup = Backup()
    world.edit("local", key, name="Two")
    world.run()
    came_back(world, backup)
    world.edit("local", key, name="Three")
    world.run()
    assert [item.reason for item in world.skips()] == ["conflict"]
    assert (name_of(world, "local", key), name_of(world, "integration", partner)) == ("Three", "Two")


@pytest.mark.parametrize("policy", ["deletePartner", "restoreRecords", "removeCoupling"])
def test_no_deletion_travels_and_no_partner_is_made_again(world: World, policy: str) -> None:
    world.map(KEYLESS, deletion_conflict_resolution=policy, max_delete_percent=None)
    key, partner = couple(world, number="1", name="One")
    couple(world, number="2", name="Two")
    backup = Backup()
    came_back(world, backup)
    world.delete("integration", partner)
    world.edit("local", key, city="Bergen")
    world.run()
    assert [item.reason for item in world.skips()] == ["deleted"]
    assert number_of_records(world) == (2, 1)
    world.run()
    assert number_of_records(world) == (2, 1)


def test_a_partner_that_was_made_again_since_is_coupled_again(world: World) -> None:
    world.map(KEYLESS, deletion_conflict_resolution="restoreRecords", max_delete_percent=None)
    key, partner = couple(world, number="1", name="One")
    backup = Backup()
    world.delete("integration", partner)
    world.edit("local", key, city="Bergen")
    world.run()
    again = world.partner("local", key)
    assert again not in (None, partner)
    came_back(world, backup)
    world.run()
    assert world.partner("local", key) == again
    assert number_of_records(world) == (1, 1)
    assert world.skips() == []


def test_a_record_that_nothing_tells_about_is_left_to_a_person(world: World) -> None:
    """Inserted and edited since the backup: its partner cannot be recognized, and inserting it would make it twice."""
    world.map(KEYLESS, direction="toIntegration")
    backup = Backup()
    key, partner = couple(world, number="1", name="One")
    came_back(world, backup)
    world.edit("local", key, name="Two")
    run = world.run()
    assert run.status == "completedWithErrors"
    assert [(item.reason, item.local_key) for item in world.skips()] == [("ambiguous", key)]
    assert [error.code for error in errors()] == ["uncertain_after_restore"]
    world.run()
    assert number_of_records(world) == (1, 1)
    couplings.create(world.context, world.mapping_id, key, partner, "anna")
    assert world.skips() == []
    world.run()
    assert name_of(world, "integration", partner) == "Two"


def test_a_person_can_say_that_it_is_not_there(world: World) -> None:
    world.map(KEYLESS, direction="toIntegration")
    came_back(world, Backup())
    world.add("local", number="1", name="One")
    world.run()
    assert number_of_records(world) == (1, 0)
    (item,) = world.skips()
    world.resolve(item, "retry")
    assert number_of_records(world) == (1, 1)


def test_a_record_with_a_match_key_that_has_no_twin_is_new(world: World) -> None:
    world.map()
    came_back(world, Backup())
    world.add("local", number="1", name="One")
    world.run()
    assert number_of_records(world) == (1, 1)
    assert world.skips() == []


def test_equal_records_are_coupled_one_to_one(world: World) -> None:
    world.map(KEYLESS, direction="toIntegration")
    backup = Backup()
    keys = [world.add("local", number="1", name="Same") for _ in range(3)]
    world.run()
    assert number_of_records(world) == (3, 3)
    came_back(world, backup)
    world.run()
    assert number_of_records(world) == (3, 3)
    assert len({world.partner("local", key) for key in keys} - {None}) == 3


def test_one_full_run_ends_the_care_and_a_narrower_one_does_not(world: World) -> None:
    world.map(KEYLESS)
    couple(world, number="1", name="One")
    came_back(world, Backup())
    runs.start(world.context, runs.RunRequest(world.mapping_id, dry_run=True), "anna")
    for given in ({"dry_run": True}, {"kind": "findDeleted"}):
        world.run(**given)
        assert mappings.get(world.mapping_id)["status"]["restored_at"] is not None
    world.run()
    assert mappings.get(world.mapping_id)["status"]["restored_at"] is None
    world.add("local", number="2", name="Two")
    world.run()
    assert number_of_records(world) == (2, 2)


def test_couple_by_hand_leaves_other_skipped_records_alone(world: World) -> None:
    world.map(KEYLESS)
    pairs = [couple(world, number=str(number), name=str(number)) for number in range(2)]
    for key, partner in pairs:
        world.edit("local", key, name="Here")
        world.edit("integration", partner, name="There")
    world.run()
    couplings.delete(world.context, _coupling(world, pairs[0][0]), "anna")
    couplings.create(world.context, world.mapping_id, *pairs[0], "anna")
    assert [item.local_key for item in world.skips()] == [pairs[1][0]]


def _coupling(world: World, key: str) -> int:
    (found,) = couplings.list_couplings(mapping_id=world.mapping_id, local_key=key, limit=1)
    return found.id


def test_both_sides_of_a_lost_coupling_are_asked_about(world: World) -> None:
    world.map(KEYLESS)
    backup = Backup()
    key, partner = couple(world, number="1", name="One")
    came_back(world, backup)
    world.edit("integration", partner, name="Uno")
    world.run()
    assert {(item.local_key, item.integration_key) for item in world.skips()} == {(key, None), (None, partner)}
    couplings.create(world.context, world.mapping_id, key, partner, "anna")
    assert world.skips() == []

"""The destination check, what it sets aside, and what people say about it."""

import sqlite3
from contextlib import closing

import peewee as pw
import psycopg
import pytest

from service.core.errors import Conflict, Invalid
from service.operations import skipped
from service.store.database import database
from service.store.models import Mapping, SkippedRecord
from tests.world import World, couple, errors, records, tally

NAMES = [{"local_field": "name", "integration_field": "name", "match_key": 1}]


def synchronize_by_hand(world: World, customer: str) -> None:
    """Synchronize one chosen record, which leaves the watermark where it was."""
    run = world.run("records", local_keys=(customer,))
    assert tally(run, "toIntegration") == {"read": 1, "modified": 1}


@pytest.mark.parametrize("direction", ["bidirectional", "toIntegration"])
def test_a_record_past_the_filter_but_not_past_its_coupling(world: World, direction: str) -> None:
    """The origin's own paragraph: the customer is later than the mapping's filter, because it was synchronized by hand,
    but not later than its coupling; and the account has been changed since. With a bidirectional mapping that is an
    error, and the record is set aside; with a one-way mapping the destination is not checked."""
    world.map(direction=direction)
    customer, account = couple(world, number="1", name="Adatum")
    world.edit("local", customer, name="Adatum Corporation")
    synchronize_by_hand(world, customer)
    world.edit("integration", account, name="ADATUM")
    run = world.run()
    if direction == "bidirectional":
        assert run.status == "completedWithErrors"
        assert tally(run, "toIntegration") == {"read": 1, "skipped": 1}
        (error,) = errors()
        assert (error.code, error.category) == ("destination_modified_later", "conflict")
        assert error.params == {"destination": "Account", "source": "Customer"}
        (item,) = world.skips()
        assert (item.reason, item.local_key, item.integration_key) == ("conflict", customer, account)
        assert (world.get("integration", account) or {})["name"] == "ADATUM"
    else:
        assert run.status == "succeeded"
        assert tally(run, "toIntegration") == {"read": 1, "unchanged": 1}
        world.edit("local", customer, name="Adatum Ltd")
        assert tally(world.run(), "toIntegration") == {"read": 1, "modified": 1}
        assert (world.get("integration", account) or {})["name"] == "Adatum Ltd"
        assert (world.skips(), errors()) == ([], [])


def test_edits_on_both_sides_are_a_conflict_that_touches_nothing(world: World) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit("local", customer, name="Local")
    world.edit("integration", account, address1_city="Bergen")
    before = world.stamps()
    run = world.run()
    assert run.status == "completedWithErrors"
    assert tally(run, "toIntegration") == {"read": 1, "skipped": 1}
    assert tally(run, "fromIntegration") == {"read": 1, "skipped": 1}
    assert world.stamps() == before
    again = world.run("full")
    assert again.status == "succeeded", "a record that was set aside before does not change a run's status"
    assert tally(again, "toIntegration") == {"read": 1, "skipped": 1}
    assert len(errors()) == 1


def test_the_same_edit_on_both_sides_is_no_conflict(world: World) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One")
    world.edit("local", customer, name="Two")
    world.edit("integration", account, name="Two  ")
    before = world.stamps()
    run = world.run()
    assert run.status == "succeeded"
    assert tally(run, "toIntegration") == {"read": 1, "unchanged": 1}
    assert world.stamps() == before
    world.edit("integration", account, name="Three")
    world.run()
    assert (world.get("local", customer) or {})["name"] == "Three"


def test_a_destination_touched_elsewhere_is_no_conflict(world: World) -> None:
    world.map(
        [
            {"local_field": "number", "integration_field": "accountnumber"},
            {"local_field": "name", "integration_field": "name"},
        ]
    )
    customer, account = couple(world, number="1", name="One")
    world.edit("local", customer, name="Two")
    world.edit("integration", account, customertypecode=7)
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 1, "modified": 1}
    assert run.status == "succeeded"
    assert (world.get("integration", account) or {})["customertypecode"] == 7


def test_a_field_that_flows_one_way_is_overwritten_without_a_conflict(world: World) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One", credit_limit=10)
    world.edit("local", customer, credit_limit=20)
    world.edit("integration", account, creditlimit=99)
    run = world.run()
    assert run.status == "succeeded"
    assert (world.get("integration", account) or {})["creditlimit"] == 20


@pytest.mark.parametrize(
    ("policy", "name", "city"),
    [
        ("sendUpdateToIntegration", "Local", "Oslo"),
        ("getUpdateFromIntegration", "One", "Bergen"),
        ("newestWins", "One", "Bergen"),
    ],
)
def test_an_update_policy_settles_a_conflict(world: World, policy: str, name: str, city: str) -> None:
    world.map(update_conflict_resolution=policy)
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit("local", customer, name="Local")
    world.edit("integration", account, address1_city="Tromsø")
    world.edit("integration", account, address1_city="Bergen")
    run = world.run()
    assert run.status == "succeeded"
    assert (world.get("local", customer) or {})["name"] == name
    assert (world.get("integration", account) or {})["name"] == name
    assert (world.get("local", customer) or {})["city"] == city
    assert (world.get("integration", account) or {})["address1_city"] == city
    before = world.stamps()
    world.run()
    assert world.stamps() == before


def test_field_mode_lets_disjoint_edits_flow_both_ways_in_one_visit(world: World) -> None:
    world.map(conflict_detection="field")
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit("local", customer, name="Local")
    world.edit("integration", account, address1_city="Bergen")
    run = world.run()
    assert run.status == "succeeded"
    assert tally(run, "toIntegration") == {"read": 1, "modified": 1}
    for side, key, city in (("local", customer, "city"), ("integration", account, "address1_city")):
        row = world.get(side, key) or {}
        assert (row["name"], row[city]) == ("Local", "Bergen")
    before = world.stamps()
    assert world.run().status == "succeeded"
    assert world.stamps() == before


def test_field_mode_sets_only_the_conflicting_field_aside(world: World) -> None:
    world.map(conflict_detection="field")
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit("local", customer, name="Local", city="Bergen")
    world.edit("integration", account, name="CRM")
    run = world.run()
    assert run.status == "completedWithErrors"
    row = world.get("integration", account) or {}
    assert (row["name"], row["address1_city"]) == ("CRM", "Bergen")
    (item,) = world.skips()
    view = skipped.show(world.context, item.id)
    assert {field.local_field: field.state for field in view.fields}["name"] == "changedInBoth"
    world.resolve(item, "keepIntegration")
    assert (world.get("local", customer) or {})["name"] == "CRM"


def conflicted(world: World) -> tuple[str, str, SkippedRecord]:
    """A customer and an account that were both edited, and the record that was set aside for it."""
    customer, account = couple(world, number="1", name="One", city="Oslo")
    world.edit("local", customer, name="Local", city="Bergen")
    world.edit("integration", account, name="CRM")
    world.run()
    (item,) = world.skips()
    return customer, account, item


def test_a_skipped_record_shows_both_sides_and_the_base(world: World) -> None:
    world.map()
    _, _, item = conflicted(world)
    view = skipped.show(world.context, item.id)
    fields = {field.local_field: field for field in view.fields}
    assert (fields["name"].local, fields["name"].integration, fields["name"].base) == ("Local", "CRM", "One")
    assert fields["name"].state == "changedInBoth"
    assert (fields["city"].state, fields["number"].state) == ("changedLocally", "equal")
    assert (view.local or {})["name"] == "Local"


@pytest.mark.parametrize(
    ("resolution", "name", "city"), [("keepLocal", "Local", "Bergen"), ("keepIntegration", "CRM", "Oslo")]
)
def test_keeping_one_side(world: World, resolution: str, name: str, city: str) -> None:
    world.map()
    customer, account, item = conflicted(world)
    run = world.resolve(item, resolution)
    assert (run.trigger, run.status) == ("resolution", "succeeded")
    local, integration = world.get("local", customer) or {}, world.get("integration", account) or {}
    assert (local["name"], local["city"]) == (integration["name"], integration["address1_city"]) == (name, city)
    resolved = skipped.get(item.id)
    assert (resolved.status, resolved.resolution, resolved.resolved_by) == ("resolved", resolution, "anna")
    assert [error.status for error in errors()] == ["resolved"]
    before = world.stamps()
    assert world.run().status == "succeeded"
    assert world.stamps() == before
    with pytest.raises(Conflict) as refused:
        skipped.resolve(world.context, item.id, resolution, None, "bob")
    assert refused.value.code == "already_resolved"


def test_merging_field_by_field_with_a_third_value(world: World) -> None:
    world.map()
    customer, account, item = conflicted(world)
    with pytest.raises(Invalid) as refused:
        skipped.resolve(world.context, item.id, "merge", {"city": "local"}, "anna")
    assert [problem.code for problem in refused.value.problems] == ["choice_missing"]
    world.resolve(item, "merge", {"name": {"value": "Both"}, "city": "integration"})
    local, integration = world.get("local", customer) or {}, world.get("integration", account) or {}
    assert (local["name"], local["city"]) == ("Both", "Oslo")
    assert (integration["name"], integration["address1_city"]) == ("Both", "Oslo")


def test_a_resolution_is_refused_when_a_side_has_moved_on(world: World) -> None:
    world.map()
    _, account, item = conflicted(world)
    world.edit("integration", account, name="CRM again")
    with pytest.raises(Conflict) as refused:
        skipped.resolve(world.context, item.id, "keepLocal", None, "anna")
    assert refused.value.code == "moved_on"
    assert (world.get("integration", account) or {})["name"] == "CRM again"
    assert skipped.show(world.context, item.id).record.status == "open"
    world.resolve(skipped.get(item.id), "keepLocal")
    assert (world.get("integration", account) or {})["name"] == "Local"


def test_an_edit_between_the_resolution_and_its_run_is_offered_again(world: World) -> None:
    world.map()
    _, account, item = conflicted(world)
    skipped.resolve(world.context, item.id, "keepLocal", None, "anna")
    world.edit("integration", account, name="In between")
    run = world.run()
    assert run is not None
    assert (world.get("integration", account) or {})["name"] == "In between"
    assert [one.status for one in world.skips(None)] == ["open"]


def test_retry_lets_the_rules_decide(world: World) -> None:
    world.map()
    customer, account, item = conflicted(world)
    world.edit("local", customer, name="One", city="Oslo")
    run = world.resolve(item, "retry")
    assert run.status == "succeeded"
    assert (world.get("local", customer) or {})["name"] == "CRM"
    world.edit("local", customer, name="Local")
    world.edit("integration", account, name="CRM 2")
    world.run()
    (again,) = world.skips()
    world.resolve(again, "retry")
    (third,) = world.skips()
    assert third.id != again.id


def test_uncoupled_records_are_left_alone_until_somebody_couples_them(world: World) -> None:
    world.map()
    customer, account, item = conflicted(world)
    run = world.resolve(item, "uncouple")
    assert tally(run, "toIntegration") == {"read": 1, "uncoupled": 1}
    run = world.run("full")
    assert tally(run, "toIntegration") == {"read": 1, "ignored": 1}
    assert tally(run, "fromIntegration") == {"read": 1, "ignored": 1}
    found = skipped.list_exclusions(mapping_id=world.mapping_id, limit=10)
    assert {(one.side, one.key) for one in found} == {("local", customer), ("integration", account)}
    for one in found:
        skipped.delete_exclusion(world.context, one.id, "anna")
    run = world.run()
    assert run.counts["toIntegration"]["coupled"] == 1, "the twin is found by its number instead of being doubled"


def test_a_resolution_that_does_not_fit_is_refused(world: World) -> None:
    world.map()
    _, _, item = conflicted(world)
    with pytest.raises(Invalid) as refused:
        skipped.resolve(world.context, item.id, "restore", None, "anna")
    assert refused.value.problems[0].code == "resolution_does_not_fit"


def test_a_mapping_with_open_conflicts_stays_bidirectional(world: World) -> None:
    world.map()
    _, _, item = conflicted(world)
    with pytest.raises(Conflict) as refused:
        world.change_mapping(direction="toIntegration")
    assert refused.value.code == "open_conflicts"
    world.resolve(item, "keepLocal")
    world.change_mapping(direction="toIntegration")


CONFLICT = """
    INSERT INTO skipped_records (mapping_id, mapping_direction, reason, status, local_key, version, created_at)
    VALUES ({id}, '{direction}', 'conflict', 'open', '1', 1, 0)
"""


def by_hand(url: str, statement: str) -> None:
    """Carry out a statement as somebody with an ordinary client would, who knows nothing of our settings."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as client, client:
            client.execute(statement)
    else:
        with psycopg.connect(url) as other:
            other.execute(statement.encode())


REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError)


@pytest.mark.parametrize("claimed", ["toIntegration", "bidirectional"])
def test_hand_written_sql_cannot_store_a_conflict_for_a_one_way_mapping(state: str, world: World, claimed: str) -> None:
    id = world.map(direction="toIntegration")
    with pytest.raises(REFUSED):
        by_hand(state, CONFLICT.format(id=id, direction=claimed))
    assert world.skips(None) == []


def test_hand_written_sql_can_store_one_for_a_bidirectional_mapping(state: str, world: World) -> None:
    id = world.map()
    by_hand(state, CONFLICT.format(id=id, direction="bidirectional"))
    assert len(world.skips()) == 1


@pytest.mark.parametrize("change", ["mapping_direction = 'toIntegration'", "status = 'resolved', reason = 'nonsense'"])
def test_hand_written_sql_cannot_bend_a_conflict(state: str, world: World, change: str) -> None:
    world.map()
    conflicted(world)
    with pytest.raises(REFUSED):
        by_hand(state, f"UPDATE skipped_records SET {change}")


def test_hand_written_sql_cannot_make_a_mapping_with_conflicts_one_way(state: str, world: World) -> None:
    id = world.map()
    conflicted(world)
    with pytest.raises(REFUSED):
        by_hand(state, f"UPDATE mappings SET direction = 'toIntegration' WHERE id = {id}")
    with pytest.raises(pw.IntegrityError), database.atomic():
        Mapping.update(direction="toIntegration").where(Mapping.id == id).execute()


def test_changes_are_kept_with_the_run(world: World) -> None:
    world.map()
    _, _, item = conflicted(world)
    run = world.resolve(item, "keepLocal")
    (done,) = records(run)
    assert {(change["side"], change["field"]): (change["before"], change["after"]) for change in done.fields} == {
        ("integration", "name"): ("CRM", "Local"),
        ("integration", "address1_city"): ("Oslo", "Bergen"),
    }


@pytest.mark.parametrize("detection", ["record", "field"])
@pytest.mark.parametrize(("resolution", "choices"), [("keepLocal", None), ("merge", {"name": "local"})])
def test_a_value_that_does_not_fit_does_not_hinder_the_other_one(
    world: World, detection: str, resolution: str, choices: dict[str, str] | None
) -> None:
    world.map(conflict_detection=detection)
    customer, account = couple(world, number="1", name="One")
    world.edit("integration", account, name="x" * 60)
    world.edit("local", customer, name="Two")
    world.run()
    assert world.resolve(world.skips()[0], resolution, choices).status == "succeeded"
    assert (world.get("integration", account) or {})["name"] == "Two"


def test_a_policy_is_not_hindered_by_the_value_it_overrules(world: World) -> None:
    world.map(update_conflict_resolution="sendUpdateToIntegration")
    customer, account = couple(world, number="1", name="One")
    world.edit("integration", account, name="x" * 60)
    world.edit("local", customer, name="Two")
    assert world.run().status == "succeeded"
    assert (world.get("integration", account) or {})["name"] == "Two"


def test_a_run_that_uncouples_leaves_nothing_to_resolve(world: World) -> None:
    world.map()
    couple(world, number="2", name="Two")
    _, _, item = conflicted(world)
    run = world.run("uncouple")
    assert tally(run, "toIntegration") == {"read": 2, "uncoupled": 2}
    resolved = skipped.get(item.id)
    assert (resolved.status, resolved.resolution, resolved.resolved_by) == ("resolved", "uncouple", "test")
    assert tally(world.run("full"), "toIntegration") == {"read": 2, "ignored": 2}


def test_when_both_records_are_gone_the_coupling_and_its_conflict_end(world: World) -> None:
    world.map()
    couple(world, number="2", name="Two")
    customer, account, item = conflicted(world)
    world.delete("local", customer)
    world.delete("integration", account)
    run = world.run("findDeleted")
    assert tally(run, "toIntegration") == {"read": 1, "uncoupled": 1}
    assert skipped.get(item.id).status == "resolved"


def test_a_merge_needs_no_choice_for_a_field_that_flows_one_way(world: World) -> None:
    world.map()
    key, partner = couple(world, number="1", name="One")
    world.edit("local", key, name="Here", credit_limit=5)
    world.edit("integration", partner, name="There", creditlimit=7)
    world.run()
    (item,) = world.skips()
    with pytest.raises(Invalid) as refused:
        world.resolve(item, "merge", {"city": "local"})
    assert [(one.pointer, one.code) for one in refused.value.problems] == [("/fields/name", "choice_missing")]
    world.resolve(item, "merge", {"name": "integration"})
    assert (world.get("local", key) or {})["name"] == "There"
    assert (world.get("integration", partner) or {})["creditlimit"] == 5

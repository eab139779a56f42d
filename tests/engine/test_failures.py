"""One bad record among many, second failures, things that pass by themselves, and a run that cannot go on."""

import sqlite3
from contextlib import closing

import pytest

from service import wording
from service.core.records import Direction, Side
from service.operations import execution, runs, skipped
from service.store.models import Retry
from service.worker import run_until_idle
from tests.world import LINES, World, couple, errors, records, tally


def refuse(world: World, side: str, condition: str) -> None:
    """Let an application refuse records."""
    table = "account" if side == "integration" else "customer"
    for event in ("INSERT", "UPDATE"):
        world.sql(
            side,
            f"CREATE TRIGGER refuse_{event} BEFORE {event} ON {table} WHEN {condition} "
            "BEGIN SELECT RAISE(ABORT, 'not like this'); END",
        )


def allow(world: World, side: str) -> None:
    for event in ("INSERT", "UPDATE"):
        world.sql(side, f"DROP TRIGGER refuse_{event}")


def test_one_bad_record_does_not_hold_up_the_others(world: World) -> None:
    world.map()
    refuse(world, "integration", "NEW.name = 'Bad'")
    for number in range(40):
        world.add("local", number=str(number), name="Bad" if number == 17 else f"Good {number}")
    run = world.run()
    assert run.status == "completedWithErrors"
    assert tally(run, "toIntegration") == {"read": 40, "inserted": 39, "failed": 1}
    assert len(world.all("integration")) == 39
    (error,) = errors()
    assert (error.code, error.responsibility, error.source["key"]) == ("value_rejected", "user", "18")
    failed = [one for one in records(run) if one.outcome == "failed"]
    assert [one.error_id for one in failed] == [error.id]


def test_a_failed_insert_is_remembered_and_heals(world: World) -> None:
    world.map()
    refuse(world, "integration", "NEW.name = 'Bad'")
    customer = world.add("local", number="1", name="Bad")
    world.run()
    allow(world, "integration")
    run = world.run()
    assert run.status == "succeeded"
    assert tally(run, "toIntegration") == {"read": 1, "inserted": 1}
    assert world.partner("local", customer) is not None
    assert [error.status for error in errors()] == ["resolved"]


def test_a_record_that_is_left_alone_from_now_on_waits_no_more(world: World) -> None:
    world.map()
    refuse(world, "integration", "NEW.name = 'Bad'")
    world.add("local", number="1", name="Bad")
    world.run()
    world.change_mapping(synch_only_coupled_records=True)
    world.sql("local", "UPDATE customer SET modified_at = '2025-01-01 00:00:00'")
    world.run()
    assert Retry.select().count() == 0


def test_the_second_identical_failure_sets_the_record_aside(world: World) -> None:
    world.map()
    refuse(world, "integration", "NEW.name = 'Bad'")
    world.add("local", number="1", name="Bad")
    assert tally(world.run(), "toIntegration") == {"read": 1, "failed": 1}
    second = world.run()
    assert (second.status, tally(second, "toIntegration")) == ("completedWithErrors", {"read": 1, "skipped": 1})
    (item,) = world.skips()
    assert item.reason == "repeatedFailure"
    third = world.run("full")
    assert (third.status, tally(third, "toIntegration")) == ("succeeded", {"read": 1, "skipped": 1})
    allow(world, "integration")
    run = world.resolve(item, "retry")
    assert tally(run, "toIntegration") == {"read": 1, "inserted": 1}


def test_two_different_failures_do_not(world: World) -> None:
    world.map()
    customer, _ = couple(world, number="1", name="One")
    refuse(world, "integration", "NEW.name = 'Bad'")
    world.edit("local", customer, name="Bad")
    world.run()
    world.edit("local", customer, name="x" * 60)
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 1, "failed": 1}
    assert [error.code for error in errors()] == ["value_rejected", "value_too_long"]
    assert world.skips() == []


def test_a_value_that_does_not_fit_is_never_cut(world: World) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One")
    world.sql("local", "UPDATE customer SET name = ? WHERE id = ?", "Donaudampfschifffahrtsgesellschaft " * 3, customer)
    run = world.run()
    (error,) = errors()
    assert (error.code, error.params) == ("value_too_long", {"field": "name", "length": 104, "maximum": 50})
    assert (world.get("integration", account) or {})["name"] == "One"
    assert run.status == "completedWithErrors"


def test_a_value_that_is_no_option_is_refused_before_it_is_sent(world: World) -> None:
    world.sql("integration", "ALTER TABLE account ADD COLUMN grade TEXT CHECK (grade IN ('gold', 'silver'))")
    world.map([*LINES, {"local_field": "city", "integration_field": "grade", "direction": "toIntegration"}])
    for number, city in enumerate(("gold", "bronze", "silver", None)):
        world.add("local", number=str(number), name="n", city=city)
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 4, "inserted": 3, "failed": 1}
    (error,) = errors()
    assert (error.code, error.responsibility) == ("value_rejected", "user")
    said = wording.say(error.code, error.params)
    assert said.message == "grade cannot hold bronze: its options are gold, silver."


def test_a_lost_table_stops_the_run_with_one_error(world: World) -> None:
    world.map()
    for number in range(5):
        world.add("local", number=str(number), name=str(number))
    world.sql("integration", "ALTER TABLE account RENAME TO elsewhere")
    run = world.run()
    assert (run.status, run.code) == ("failed", "table_not_found")
    assert [(error.code, error.responsibility) for error in errors()] == [("table_not_found", "administrator")]
    assert world.skips() == []
    world.sql("integration", "ALTER TABLE elsewhere RENAME TO account")
    run = world.run()
    assert tally(run, "toIntegration") == {"read": 5, "inserted": 5}
    assert [error.status for error in errors()] == ["resolved"]


def test_a_lock_that_passes_is_waited_for_inside_the_run(world: World) -> None:
    world.map()
    world.add("local", number="1", name="One")
    with closing(sqlite3.connect(world.files[Side.INTEGRATION], isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        pauses: list[float] = []

        def let_go(seconds: float) -> None:
            pauses.append(seconds)
            holder.execute("ROLLBACK")

        run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
        lease = execution.claim(world.context, "test")
        assert lease is not None
        execution.carry_out(world.context, lease, lambda: None, let_go)
    run = runs.get(run.id)
    assert (run.status, tally(run, "toIntegration")) == ("succeeded", {"read": 1, "inserted": 1})
    assert len(pauses) == 1
    assert (errors(), world.skips(), len(world.all("integration"))) == ([], [], 1)


def test_a_partner_that_was_deleted_is_an_error_and_then_set_aside(world: World) -> None:
    world.map()
    customer, account = couple(world, number="1", name="One")
    world.delete("local", customer)
    world.edit("integration", account, name="Two")
    run = world.run()
    assert tally(run, "fromIntegration") == {"read": 1, "failed": 1}
    (error,) = errors()
    assert (error.code, error.category) == ("partner_deleted", "coupledRecord")
    run = world.run()
    assert tally(run, "fromIntegration") == {"read": 1, "skipped": 1}
    (item,) = world.skips()
    assert item.reason == "deleted"
    restored = world.resolve(item, "restore")
    assert tally(restored, "fromIntegration") == {"read": 1, "inserted": 1}
    made = world.partner("integration", account) or ""
    assert (world.get("local", made) or {})["name"] == "Two"
    before = world.stamps()
    assert world.run().status == "succeeded"
    assert world.stamps() == before


@pytest.mark.parametrize(
    ("policy", "outcome", "left"),
    [("restoreRecords", "inserted", 1), ("removeCoupling", "uncoupled", 1), ("deletePartner", "deleted", 0)],
)
def test_a_deletion_policy_settles_it(world: World, policy: str, outcome: str, left: int) -> None:
    world.map(deletion_conflict_resolution=policy, synch_only_coupled_records=True)
    keys = []
    for number in range(8):
        world.change_mapping(synch_only_coupled_records=False)
        keys.append(couple(world, number=str(number), name=str(number)))
    world.change_mapping(synch_only_coupled_records=True)
    world.run()
    customer, account = keys[3]
    world.delete("integration", account)
    world.edit("local", customer, name="Survivor")
    run = world.run()
    assert (run.status, tally(run, "toIntegration")) == ("succeeded", {"read": 1, outcome: 1})
    assert len([row for row in world.all("local") if str(row["id"]) == customer]) == left
    assert (world.partner("local", customer) is not None) is (policy == "restoreRecords")


def test_find_deleted_does_not_mistake_a_record_that_left_the_filter(world: World) -> None:
    world.map(
        local={"filter": [{"field": "blocked", "op": "eq", "value": ""}]}, deletion_conflict_resolution="deletePartner"
    )
    gone, stays = couple(world, number="1", name="One"), couple(world, number="2", name="Two")
    couple(world, number="3", name="Three")
    world.edit("local", stays[0], blocked="All")
    world.delete("local", gone[0])
    run = world.run("findDeleted", dry_run=True)
    assert tally(run, "fromIntegration") == {"read": 1, "deleted": 1}
    assert len(world.all("integration")) == 3
    run = world.run("findDeleted")
    assert tally(run, "fromIntegration") == {"read": 1, "deleted": 1}
    assert {row["accountnumber"] for row in world.all("integration")} == {"2", "3"}


def test_deletions_beyond_the_limit_stop_the_run_before_anything_is_done(world: World) -> None:
    world.map(deletion_conflict_resolution="deletePartner", max_delete_percent=20)
    pairs = [couple(world, number=str(number), name=str(number)) for number in range(10)]
    for customer, _ in pairs[:5]:
        world.delete("local", customer)
    run = world.run("findDeleted")
    assert (run.status, run.code) == ("failed", "mass_deletion")
    assert len(world.all("integration")) == 10
    run = world.run("findDeleted", allow_mass_delete=True)
    assert tally(run, "fromIntegration")["deleted"] == 5


def test_a_side_that_suddenly_lists_nothing_stops_the_run(world: World) -> None:
    world.map(deletion_conflict_resolution="deletePartner")
    for number in range(3):
        couple(world, number=str(number), name=str(number))
    world.sql("local", "DELETE FROM customer")
    run = world.run("findDeleted")
    assert (run.status, run.code) == ("failed", "side_is_empty")
    assert len(world.all("integration")) == 3


def test_a_run_for_chosen_records_names_what_does_not_exist(world: World) -> None:
    world.map()
    customer = world.add("local", number="1", name="One")
    world.add("local", number="2", name="Two")
    run = world.run("records", local_keys=(customer, "4711", "no number"), direction=Direction.TO_INTEGRATION)
    assert tally(run, "toIntegration") == {"read": 3, "inserted": 1, "failed": 2}
    assert {error.code for error in errors()} == {"record_not_found"}
    assert len(world.all("integration")) == 1


def test_a_dry_run_says_what_it_would_do_and_does_nothing(world: World) -> None:
    world.map()
    customer, _ = couple(world, number="1", name="One")
    world.edit("local", customer, name="Two")
    world.add("local", number="2", name="New")
    before, mark = world.stamps(), len(errors())
    run = world.run(dry_run=True)
    assert tally(run, "toIntegration") == {"read": 2, "modified": 1, "inserted": 1}
    assert {one.outcome for one in records(run)} == {"modified", "inserted"}
    assert (world.stamps(), len(errors())) == (before, mark)
    assert tally(world.run(), "toIntegration") == {"read": 2, "modified": 1, "inserted": 1}


def test_counters_add_up(world: World) -> None:
    world.map()
    for number in range(6):
        world.add("local", number=str(number % 4), name=f"Customer {number}", city="x" * 3)
    run = world.run()
    for counts in run.counts.values():
        assert counts["read"] == sum(number for name, number in counts.items() if name != "read")
    assert skipped.list_skipped(mapping_id=world.mapping_id, limit=1) == []
    assert run_until_idle(world.context) == 0


def test_a_key_that_the_application_gives_away_again_ends_the_old_coupling(world: World) -> None:
    """SQLite gives the highest key again after its record was deleted, unless a table says otherwise."""
    world.sql("local", "DROP TABLE customer")
    world.sql(
        "local",
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, number TEXT, name TEXT, city TEXT, credit_limit DECIMAL(12,2),"
        " modified_at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')))",
    )
    world.map()
    customer, account = couple(world, number="1", name="One")
    world.delete("local", customer)
    world.add("integration", accountid="b", accountnumber="2", name="Two")
    run = world.run()
    assert tally(run, "fromIntegration") == {"read": 1, "inserted": 1}
    assert run.status == "completedWithErrors"
    assert world.partner("local", customer) == "b"
    assert [(item.reason, item.integration_key) for item in world.skips()] == [("deleted", account)]
    assert world.run().status == "succeeded"

"""Disasters, as `docs/disasters.md` tells them: what one application loses, Accord does not take away from the other.

There are two dozen coupled pairs and work in hand: one customer and one account that were edited and not synchronized
yet. A disaster strikes, runs are made, and both applications are compared, to the byte, with what they were when it had
struck. Then it is undone, and the next run does the work that was in hand.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.core.failures import Failure, SideFailed
from service.core.records import Scalar, Side
from service.engine.patience import ATTEMPTS, LONGEST_PAUSE
from service.engine.task import Stop
from service.operations import connections, execution, runs
from service.operations.kept_connectors import AGE, Kept
from service.store.models import SyncRun
from service.worker import carry_out_next
from tests.conformance.words import MemoryWorld, both, field, quiet, total
from tests.engine.test_crash import sent
from tests.servers import PostgresServer
from tests.world import LINES, TABLES, World, errors, new_context

pytestmark = pytest.mark.parametrize("state", ["sqlite"], indirect=True)
"""Where our own state is makes no difference to what becomes of others' records; that is what other tests are for."""

PAIRS = 24
HALF = PAIRS // 2
SIDES = list(Side)
POLICIES = ["none", "restoreRecords", "removeCoupling", "deletePartner"]
KINDS = ["modified", "full", "findDeleted"]

UNMATCHED = [{name: value for name, value in line.items() if name != "match_key"} for line in LINES]
NUMBERS = {Side.LOCAL: "number", Side.INTEGRATION: "accountnumber"}


def fill(world: World, **given: Any) -> None:
    """Map, and bring two dozen pairs into step."""
    world.map(**given)
    # By now, so that stamps can be in the future; and such that the last one is never a whole minute, which may stand
    # for any moment within it: then a run reads further back.
    for side in Side:
        world.sql(side, "UPDATE clock SET now = strftime('%s', 'now') / 60 * 60 - 3600")
    add_customers(world)
    assert total(world.run(), "inserted") == PAIRS
    assert quiet(world.run())


def add_customers(world: World, first: int = 1) -> None:
    """Two dozen of them, in one transaction."""
    rows = [(f"{number:02}", f"Customer {number}", "Oslo") for number in range(first, first + PAIRS)]
    with closing(sqlite3.connect(world.files[Side.LOCAL])) as connection, connection:
        connection.executemany("INSERT INTO customer (number, name, city) VALUES (?, ?, ?)", rows)


def change(world: World, side: Side, number: str, name: str) -> None:
    """Somebody gives the record with this number another name."""
    world.sql(side, f"UPDATE {TABLES[side][0]} SET name = ? WHERE {NUMBERS[side]} = ?", name, number)


def work_in_hand(world: World) -> None:
    """Two people edit, now."""
    for side in Side:
        world.sql(side, "UPDATE clock SET now = strftime('%s', 'now')")
    change(world, Side.LOCAL, "01", "Edited in the ERP")
    change(world, Side.INTEGRATION, "02", "Edited in the CRM")


def contents(world: World) -> dict[Side, bytes]:
    """All that both applications hold, to the byte."""
    return {side: file.read_bytes() if file.exists() else b"" for side, file in world.files.items()}


def assert_stopped(run: SyncRun, code: str) -> None:
    """One clear reason, one error, nobody's records."""
    assert (run.status, run.code) == ("failed", code), (run.status, run.code, both(run))
    assert [(error.code, error.source) for error in errors(run_id=run.id)] == [(code, None)]


def assert_survived(world: World, code: str, kinds: list[str], **given: Any) -> None:
    """Runs of these kinds stop for this reason, write nothing anywhere, and set nothing aside."""
    before = contents(world)
    for kind in kinds:
        assert_stopped(world.run(kind, **given), code)
        assert contents(world) == before
    assert world.skips(None) == []


def assert_unmoved(world: World, kinds: list[str]) -> None:
    """Nothing is wrong in Accord's eyes, and it does nothing."""
    before = contents(world)
    for kind in kinds:
        run = world.run(kind)
        assert quiet(run), (run.status, run.code, both(run))
        assert contents(world) == before
    assert (errors(), world.skips(None)) == ([], [])


def assert_back_to_work(world: World) -> None:
    """The disaster is undone: the work in hand is done, no error is left, and the next run has nothing to do."""
    run = world.run()
    assert (run.status, total(run, "modified")) == ("succeeded", 2), (run.status, run.code, both(run))
    (customer,) = world.sql("local", "SELECT name FROM customer WHERE number = '02'")
    (account,) = world.sql("integration", "SELECT name FROM account WHERE accountnumber = '01'")
    assert (customer, account) == (("Edited in the CRM",), ("Edited in the ERP",))
    assert (errors(status="open"), world.skips(None)) == ([], [])
    assert quiet(world.run("full"))


@contextmanager
def undone(world: World) -> Iterator[None]:
    """Work in hand, then whatever the block does; at its end both applications are given back as they were before."""
    work_in_hand(world)
    before = contents(world)
    yield
    for side, held in before.items():
        world.files[side].write_bytes(held)
    assert_back_to_work(world)


# Something is not where it was


def table_renamed(world: World, side: Side) -> None:
    world.sql(side, f"ALTER TABLE {TABLES[side][0]} RENAME TO elsewhere")


def table_dropped(world: World, side: Side) -> None:
    world.sql(side, f"DROP TABLE {TABLES[side][0]}")


def column_renamed(world: World, side: Side) -> None:
    world.sql(side, f"ALTER TABLE {TABLES[side][0]} RENAME COLUMN name TO full_name")


def stamp_renamed(world: World, side: Side) -> None:
    world.sql(side, f"ALTER TABLE {TABLES[side][0]} RENAME COLUMN {TABLES[side][2]} TO changed_on")


def file_missing(world: World, side: Side) -> None:
    world.files[side].unlink()


def file_of_garbage(world: World, side: Side) -> None:
    world.files[side].write_bytes(b"This is no database. " * 1000)


def file_of_nothing(world: World, side: Side) -> None:
    world.files[side].write_bytes(b"")


GONE: list[tuple[Callable[[World, Side], None], str]] = [
    (table_renamed, "table_not_found"),
    (table_dropped, "table_not_found"),
    (column_renamed, "field_not_found"),
    (stamp_renamed, "field_not_found"),
    (file_missing, "connection_failed"),
    (file_of_garbage, "not_a_database"),
    (file_of_nothing, "table_not_found"),
]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("strike", "code"), GONE, ids=[strike.__name__ for strike, _ in GONE])
def test_something_is_gone(world: World, strike: Callable[[World, Side], None], code: str, side: Side) -> None:
    fill(world, deletion_conflict_resolution="deletePartner")
    with undone(world):
        strike(world, side)
        assert_survived(world, code, KINDS, allow_mass_delete=True)


def rename_key(world: World, side: Side) -> None:
    world.sql(side, f"ALTER TABLE {TABLES[side][0]} RENAME COLUMN {TABLES[side][1]} TO identity")


@pytest.mark.parametrize("side", SIDES)
def test_the_key_that_the_mapping_names_is_renamed(world: World, side: Side) -> None:
    fill(world, **{other.value: {"key": TABLES[other][1]} for other in Side})
    with undone(world):
        rename_key(world, side)
        assert_survived(world, "field_not_found", KINDS)


@pytest.mark.parametrize("side", SIDES)
def test_the_key_that_the_table_tells_is_renamed(world: World, side: Side) -> None:
    """The same records under the same keys: the connection finds them by the key's new name."""
    fill(world)
    kept = contents(world)
    rename_key(world, side)
    assert_unmoved(world, KINDS)
    world.files[side].write_bytes(kept[side])
    work_in_hand(world)
    assert_back_to_work(world)


@pytest.mark.parametrize("side", SIDES)
def test_the_connection_is_disabled(world: World, side: Side) -> None:
    fill(world)
    with undone(world):
        connections.change(world.context, world.connection_ids[side], {"enabled": False}, None, "test")
        assert_survived(world, "connection_disabled", KINDS)
        connections.change(world.context, world.connection_ids[side], {"enabled": True}, None, "test")


@pytest.mark.parametrize("side", SIDES)
def test_the_secret_key_is_lost(world: World, side: Side) -> None:
    fill(world)
    secrets = {"credentials": {"username": "accord", "password": "secret"}}
    connections.change(world.context, world.connection_ids[side], secrets, None, "test")
    with undone(world):
        right = world.context
        world.context = new_context()
        assert_survived(world, "secret_lost", KINDS)
        world.context = right


# A side lists nothing


@pytest.mark.parametrize("side", SIDES)
def test_a_side_is_emptied(world: World, side: Side) -> None:
    fill(world, deletion_conflict_resolution="deletePartner")
    with undone(world):
        world.sql(side, f"DELETE FROM {TABLES[side][0]}")
        assert_survived(world, "side_is_empty", KINDS)
        assert_survived(world, "side_is_empty", KINDS, dry_run=True)


@pytest.mark.parametrize("side", SIDES)
def test_a_side_is_emptied_on_purpose(world: World, side: Side) -> None:
    """An operator lets one run do it, and only that one."""
    fill(world, deletion_conflict_resolution="deletePartner")
    world.sql(side, f"DELETE FROM {TABLES[side][0]}")
    assert_survived(world, "side_is_empty", KINDS)
    run = world.run("findDeleted", allow_mass_delete=True)
    assert (run.status, total(run, "deleted")) == ("succeeded", PAIRS)
    assert (world.all("local"), world.all("integration")) == ([], [])
    assert quiet(world.run())
    assert errors(status="open") == []


@pytest.mark.parametrize("side", SIDES)
def test_a_filter_that_fits_nothing(world: World, side: Side) -> None:
    fill(world, deletion_conflict_resolution="deletePartner")
    typo = [{"field": NUMBERS[side], "op": "startsWith", "value": "o"}]
    with undone(world):
        world.change_mapping(**{side.value: {"filter": typo}})
        assert_survived(world, "side_is_empty", KINDS)
        world.change_mapping(**{side.value: {"filter": []}})


@pytest.mark.parametrize("side", SIDES)
def test_a_filter_that_fits_only_half(world: World, side: Side) -> None:
    """Who leaves the filter is not deleted."""
    fill(world, deletion_conflict_resolution="deletePartner")
    world.change_mapping(**{side.value: {"filter": [{"field": NUMBERS[side], "op": "le", "value": f"{HALF:02}"}]}})
    assert_unmoved(world, KINDS)
    world.change_mapping(**{side.value: {"filter": []}})
    work_in_hand(world)
    assert_back_to_work(world)


@pytest.mark.parametrize("side", SIDES)
def test_a_connection_leads_to_an_empty_system(world: World, side: Side) -> None:
    fill(world, deletion_conflict_resolution="deletePartner")
    right, wrong = world.files[side], world.files[side].with_name("test-system.db")
    wrong.write_bytes(right.read_bytes())
    with closing(sqlite3.connect(wrong)) as system, system:
        system.execute(f"DELETE FROM {TABLES[side][0]}")
    with undone(world):
        lead(world, side, wrong)
        assert_survived(world, "side_is_empty", KINDS)
        lead(world, side, right)


def lead(world: World, side: Side, file: Path) -> None:
    """Let a connection lead to another file."""
    settings = {"settings": {"url": f"sqlite:///{file}"}}
    connections.change(world.context, world.connection_ids[side], settings, None, "test")


# Half of a side is gone


def lose_half(world: World, side: Side, count: int = HALF) -> None:
    """So many of one side's records are gone, and somebody edits one of those that they were coupled to."""
    world.sql(side, f"DELETE FROM {TABLES[side][0]} WHERE {NUMBERS[side]} > ?", f"{PAIRS - count:02}")
    change(world, side.other, f"{PAIRS:02}", "Survivor")


LOSSES = [(side, kind) for side in SIDES for kind in KINDS]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("side", "kind"), LOSSES)
def test_half_of_a_side_is_gone(world: World, policy: str, side: Side, kind: str) -> None:
    fill(world, deletion_conflict_resolution=policy)
    with undone(world):
        lose_half(world, side)
        assert_survived(world, "mass_deletion", [kind])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["modified", "full"])
def test_half_of_the_local_side_is_gone_and_nobody_has_edited_there(world: World, policy: str, kind: str) -> None:
    fill(world, deletion_conflict_resolution=policy)
    before = contents(world)
    lose_half(world, Side.LOCAL)
    assert_survived(world, "mass_deletion", [kind])
    for side, held in before.items():
        world.files[side].write_bytes(held)
    work_in_hand(world)
    assert_back_to_work(world)


OUTCOMES = {
    "none": "failed",
    "restoreRecords": "inserted",
    "removeCoupling": "uncoupled",
    "deletePartner": "deleted",
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("side", SIDES)
def test_half_of_a_side_is_gone_on_purpose(world: World, policy: str, side: Side) -> None:
    """An operator lets one run do it, and only that one."""
    fill(world, deletion_conflict_resolution=policy)
    lose_half(world, side)
    assert_survived(world, "mass_deletion", ["findDeleted"])
    assert_survived(world, "mass_deletion", ["findDeleted"], dry_run=True)
    run = world.run("findDeleted", allow_mass_delete=True)
    assert total(run, OUTCOMES[policy]) == HALF
    if policy == "none":
        assert_survived(world, "mass_deletion", ["findDeleted"])
    else:
        assert both(world.run("findDeleted")) == {}
    assert errors(status="open", code="mass_deletion") == [] or policy == "none"


@pytest.mark.parametrize("side", SIDES)
def test_more_deletions_than_the_mapping_allows(world: World, side: Side) -> None:
    fill(world, deletion_conflict_resolution="deletePartner", max_delete_percent=None, max_delete_count=3)
    with undone(world):
        lose_half(world, side, 4)
        assert_survived(world, "mass_deletion", ["findDeleted"])
    lose_half(world, side, 3)
    run = world.run("findDeleted")
    assert (run.status, total(run, "deleted")) == ("succeeded", 3)


# Keys, stamps and values of another time


RE_IMPORTS = [(side, kind) for side in SIDES for kind in ("modified", "full")]


@pytest.mark.parametrize("matched", [True, False], ids=["matchKeys", "noMatchKeys"])
@pytest.mark.parametrize(("side", "kind"), RE_IMPORTS)
def test_a_re_import_gives_all_records_new_keys(world: World, side: Side, kind: str, matched: bool) -> None:
    """Every old key is gone, and there are as many new records, which must not be made a second time."""
    fill(world, lines=LINES if matched else UNMATCHED, deletion_conflict_resolution="deletePartner")
    before = contents(world)
    re_import(world, side)
    assert_survived(world, "mass_deletion", [kind])
    world.files[side].write_bytes(before[side])
    work_in_hand(world)
    assert_back_to_work(world)


@pytest.mark.parametrize("side", SIDES)
def test_a_re_import_is_met_by_a_look_for_deleted_records(world: World, side: Side) -> None:
    fill(world, deletion_conflict_resolution="deletePartner")
    with undone(world):
        re_import(world, side)
        assert_survived(world, "mass_deletion", ["findDeleted"])


@pytest.mark.parametrize("side", SIDES)
def test_a_re_import_that_keeps_the_stamps(world: World, side: Side) -> None:
    """An ordinary run reads what was changed since, and that is nothing."""
    fill(world, deletion_conflict_resolution="deletePartner")
    before = contents(world)
    re_import(world, side, stamped=False)
    assert_survived(world, "mass_deletion", ["findDeleted"])
    world.files[side].write_bytes(before[side])
    work_in_hand(world)
    assert_back_to_work(world)


def re_import(world: World, side: Side, *, stamped: bool = True) -> None:
    """Every record of a side gets another key."""
    table, key, stamp = TABLES[side]
    new = f"{key} + 1000" if side is Side.LOCAL else f"{key} || '-new'"
    kept = "" if stamped else f", {stamp} = {stamp} || ''"
    world.sql(side, f"UPDATE {table} SET {key} = {new}{kept}")


def shift(world: World, side: Side, by: str) -> None:
    """Every stamp of a side is another, and nothing else is."""
    table, _, stamp = TABLES[side]
    world.sql(side, f"UPDATE {table} SET {stamp} = datetime({stamp}, ?)", by)


@pytest.mark.parametrize("by", ["+1 day", "-1 day"])
@pytest.mark.parametrize("side", SIDES)
def test_all_stamps_are_a_day_off(world: World, side: Side, by: str) -> None:
    """A day ahead is in the future. Work goes on as before, whether the stamps are put right or not."""
    fill(world)
    before = contents(world)
    shift(world, side, by)
    assert_unmoved(world, KINDS)
    work_in_hand(world)
    assert_back_to_work(world)
    for other, held in before.items():
        world.files[other].write_bytes(held)


@pytest.mark.parametrize("by", ["+1 day", "-1 day"])
@pytest.mark.parametrize("side", SIDES)
def test_all_stamps_are_a_day_off_and_put_right(world: World, side: Side, by: str) -> None:
    fill(world)
    before = contents(world)
    shift(world, side, by)
    assert_unmoved(world, KINDS)
    world.files[side].write_bytes(before[side])
    work_in_hand(world)
    assert_back_to_work(world)


def a_later_day(world: World, side: Side) -> None:
    """What was done after the backup: some records were edited on either side, and synchronized."""
    for number in range(3, 9):
        change(world, side if number % 2 else side.other, f"{number:02}", f"After the backup {number}")
    assert total(world.run(), "modified") == 6
    assert quiet(world.run())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    "kind",
    [
        "modified",
        "findDeleted",
        "full",
    ],
)
def test_a_backup_of_one_application_is_restored(world: World, side: Side, kind: str) -> None:
    """Stamps went back, so an ordinary run sees nothing to do, and a full one stops; what is edited later travels."""
    fill(world)
    backup = world.files[side].read_bytes()
    a_later_day(world, side)
    right = world.files[side].read_bytes()
    world.files[side].write_bytes(backup)
    if kind == "full":
        assert_survived(world, "side_went_back", [kind])
    else:
        assert_unmoved(world, [kind])
    world.files[side].write_bytes(right)
    work_in_hand(world)
    assert_back_to_work(world)


@pytest.mark.parametrize("side", SIDES)
def test_a_backup_is_met_by_a_run_that_reads_a_minute_again(world: World, side: Side) -> None:
    """The last stamp is a whole minute, as those of a clock that tells no seconds."""
    fill(world)
    for one in Side:
        world.sql(one, "UPDATE clock SET now = now / 60 * 60 + 54")
    backup = world.files[side].read_bytes()
    a_later_day(world, side)
    right = world.files[side].read_bytes()
    world.files[side].write_bytes(backup)
    assert_survived(world, "side_went_back", ["modified"])
    world.files[side].write_bytes(right)
    work_in_hand(world)
    assert_back_to_work(world)


# An application that does not let us work, or does not answer


class PostgresCrm:
    """An integration side on PostgreSQL, worked with by a user who has a password and rights that can be taken away."""

    TABLE = """
        CREATE TABLE account (
            accountid varchar(36) PRIMARY KEY, accountnumber text, name varchar(50), address1_city text,
            creditlimit numeric(12, 2), customertypecode integer, modifiedon timestamptz DEFAULT clock_timestamp());
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN new.modifiedon = clock_timestamp(); RETURN new; END';
        CREATE TRIGGER stamp BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION stamp();
    """

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.name = f"crm_{uuid.uuid4().hex[:12]}"
        self.url = server.create_database(self.name)
        self.passed = 0.0
        """Seconds that pass for connections that rest, besides those that pass anyway."""
        self.do(self.TABLE)
        self.do(f"CREATE ROLE {self.name} LOGIN PASSWORD 'first'; GRANT ALL ON account TO {self.name}")

    def do(self, statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statements.encode())

    def all(self) -> list[Any]:
        """Every account, with the transaction that wrote it."""
        with psycopg.connect(self.url) as connection:
            return connection.execute("SELECT xmin::text, * FROM account ORDER BY accountid").fetchall()

    def settings(self, port: int | None = None) -> dict[str, Any]:
        return {
            "settings": {"url": f"postgresql://127.0.0.1:{port or self.server.port}/{self.name}"},
            "credentials": {"username": self.name, "password": "first"},
        }


@pytest.fixture
def crm(postgres: PostgresServer, world: World) -> Iterator[PostgresCrm]:
    """A CRM on PostgreSQL in the place of the other one, with two dozen pairs, and all customers edited."""
    made = PostgresCrm(postgres)
    world.context = replace(world.context, kept=Kept(lambda: time.monotonic() + made.passed))
    connections.change(world.context, world.connection_ids[Side.INTEGRATION], made.settings(), None, "test")
    world.map()
    add_customers(world)
    assert total(world.run(), "inserted") == PAIRS
    world.sql("local", "UPDATE customer SET name = 'New ' || name")
    yield made
    postgres.drop_database(made.name)


def assert_shut_out(world: World, crm: PostgresCrm, code: str) -> None:
    """Two runs, and in each one error instead of one for each of the customers."""
    before = contents(world), crm.all()
    for _ in range(2):
        assert_stopped(world.run(), code)
        assert (contents(world), crm.all()) == before
    assert world.skips(None) == []


def assert_let_in(world: World, crm: PostgresCrm, inserted: int = 0) -> None:
    run = world.run()
    assert (run.status, total(run, "modified"), total(run, "inserted")) == ("succeeded", PAIRS, inserted)
    assert len(crm.all()) == len(world.all("local"))
    assert (errors(status="open"), world.skips(None)) == ([], [])
    assert quiet(world.run())


@pytest.mark.parametrize("right", ["UPDATE", "INSERT, UPDATE", "SELECT"])
def test_a_right_is_taken_away(world: World, crm: PostgresCrm, right: str) -> None:
    crm.do(f"REVOKE {right} ON account FROM {crm.name}")
    assert_shut_out(world, crm, "permission_denied")
    crm.do(f"GRANT {right} ON account TO {crm.name}")
    assert_let_in(world, crm)


@pytest.mark.parametrize("right", ["INSERT", "INSERT, UPDATE"])
def test_the_right_to_insert_is_taken_away(world: World, crm: PostgresCrm, right: str) -> None:
    add_customers(world, first=30)
    crm.do(f"REVOKE {right} ON account FROM {crm.name}")
    assert_shut_out(world, crm, "permission_denied")
    crm.do(f"GRANT {right} ON account TO {crm.name}")
    assert_let_in(world, crm, inserted=PAIRS)


def test_what_was_done_before_a_right_was_missed_is_not_done_twice(world: World, crm: PostgresCrm) -> None:
    """New records are made before old ones are updated; then the run stops, and the next one finds what was made."""
    world.add("local", number="99", name="New")
    crm.do(f"REVOKE UPDATE ON account FROM {crm.name}")
    for _ in range(2):
        assert_stopped(world.run(), "permission_denied")
        assert len(crm.all()) == PAIRS + 1
    crm.do(f"GRANT UPDATE ON account TO {crm.name}")
    assert_let_in(world, crm)


def test_a_password_is_changed(world: World, crm: PostgresCrm) -> None:
    """The server asks for it when a connection is opened, and none rests for longer than this."""
    crm.do(f"ALTER ROLE {crm.name} PASSWORD 'second'")
    crm.passed += AGE
    assert_shut_out(world, crm, "credentials_rejected")
    crm.do(f"ALTER ROLE {crm.name} PASSWORD 'first'")
    assert_let_in(world, crm)


def test_a_server_cannot_be_reached(world: World, crm: PostgresCrm) -> None:
    id = world.connection_ids[Side.INTEGRATION]
    connections.change(world.context, id, crm.settings(port=1), None, "test")
    assert_shut_out(world, crm, "connection_failed")
    connections.change(world.context, id, crm.settings(), None, "test")
    assert_let_in(world, crm)


@pytest.mark.parametrize(
    ("failure", "pauses"),
    [
        (Failure("timeout", {"table": "account"}), [0.5, 1.0, 2.0]),
        (Failure("rate_limited", {"retryAfter": 120}), [LONGEST_PAUSE] * 3),
    ],
    ids=lambda value: value.code if isinstance(value, Failure) else "",
)
@pytest.mark.parametrize("side", SIDES)
def test_an_application_does_not_answer(state: str, side: Side, failure: Failure, pauses: list[float]) -> None:
    """A run tries a few times, waits as long as it is asked to, but not for ever, and leaves the rest to the next."""
    world = MemoryWorld()
    world.map()
    for number in range(PAIRS):
        world.add("local", number=str(number), name="One")
    world.run()
    for customer in world.all("local"):
        world.edit("local", customer["id"], name="Two")
    before = {one: world.all(one) for one in Side}

    def fail(operation: str, table: str) -> None:
        if operation != "describe":
            raise SideFailed(failure)

    world.stores[side].before = fail
    world.calls()
    waited: list[float] = []
    run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    lease = execution.claim(world.context, "test")
    assert lease is not None
    execution.carry_out(world.context, lease, lambda: None, waited.append)
    assert_stopped(runs.get(run.id), failure.code)
    assert (waited, {one: world.all(one) for one in Side}) == (pauses, before)
    assert sum(world.calls().values()) <= ATTEMPTS * 6
    world.stores[side].before = None
    run = world.run()
    assert (run.status, total(run, "modified")) == ("succeeded", PAIRS)
    assert (errors(status="open"), world.skips(None)) == ([], [])


@pytest.mark.parametrize("side", SIDES)
def test_an_application_does_not_answer_just_when_a_run_begins(state: str, side: Side) -> None:
    """It is asked for its tables before the first page; that is tried as often as a page is."""
    world = MemoryWorld()
    world.map()
    world.add("local", number="1", name="One")
    asked: list[str] = []

    def fail(operation: str, table: str) -> None:
        if operation == "describe" and len(asked) < ATTEMPTS - 1:
            asked.append(table)
            raise SideFailed(Failure("timeout", {"table": table}))

    world.stores[side].before = fail
    waited: list[float] = []
    run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    lease = execution.claim(world.context, "test")
    assert lease is not None
    execution.carry_out(world.context, lease, lambda: None, waited.append)
    assert (runs.get(run.id).status, waited) == ("succeeded", [0.5, 1.0, 2.0])
    assert (errors(), len(world.all(side.other)), len(world.all(side))) == ([], 1, 1)


def test_who_is_asked_to_stop_does_not_wait_for_an_application(state: str) -> None:
    world = MemoryWorld()
    world.map()

    def fail(operation: str, table: str) -> None:
        raise SideFailed(Failure("timeout", {"table": table}))

    world.stores[Side.LOCAL].before = fail
    run = runs.start(world.context, runs.RunRequest(world.mapping_id), "test")
    lease = execution.claim(world.context, "test")
    assert lease is not None
    waited: list[float] = []
    execution.carry_out(world.context, lease, lambda: Stop.CANCEL, waited.append)
    assert (runs.get(run.id).status, waited) == ("cancelled", [])


def test_what_became_of_a_page_of_inserts_is_asked_at_once(state: str) -> None:
    """All answers to it were lost, in an application that makes the keys: not one question for each record."""
    world = MemoryWorld()
    world.map()
    written: list[tuple[str, dict[str, Scalar]]] = []
    for number in range(60):
        key = world.add("local", number=str(number), name=f"name {number}")
        values: dict[str, Scalar] = {"accountnumber": str(number), "name": f"name {number}", "customertypecode": 3}
        written.append((key, values))
        if number % 3:
            world.add("integration", **values)
    sent(world, None, *written)
    world.calls()
    assert carry_out_next(world.context, "other", threading.Event())
    assert world.calls()["find"] == 1 + 1  # What became of them, and twins of those that never arrived.
    assert len(world.all("integration")) == 60
    for key, values in written:
        partner = world.partner("local", key)
        assert partner is not None
        assert field(world, "integration", partner, "name") == values["name"]

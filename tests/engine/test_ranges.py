"""A large reading is cut into ranges of keys: several workers take them, and it comes out as if one had done it all."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from service.core.records import Side
from service.engine.task import Stop
from service.operations import execution, runs, sharing
from service.store import couplings, intents, ranges, sql, watermarks
from service.store import runs as run_rows
from service.store.database import database, open_database
from service.store.models import RunRange, SyncRun
from service.store.runs import Lease
from tests.faults import Fault, Faults, VirtualClock
from tests.servers import PostgresServer
from tests.world import LINES, World, errors, records, tally

KEYLESS = [{**item, "match_key": None} for item in LINES]

RANGE, PAGE = 6, 2


class Moments(Faults):
    """Nothing goes wrong, but something may happen before a call reaches an application."""

    def __init__(self) -> None:
        super().__init__(0, {}, VirtualClock())
        self.before: Callable[[str, str], None] = lambda name, operation: None
        self.calls: list[tuple[str, str]] = []

    def draw(self, name: str, operation: str) -> Fault | None:
        self.calls.append((Path(name).stem, operation))
        self.before(name, operation)
        return None


class Broken(BaseException):
    """Something is not as it should be while a worker is at work."""


@dataclass
class Team:
    """A world whose workers take small ranges. `moments` says what happens before which call."""

    world: World
    moments: Moments = field(default_factory=Moments)

    def __post_init__(self) -> None:
        self.context = replace(self.world.context, connector_class=self.moments.connector_class, range_size=RANGE)
        self.world.context = self.context

    def start(self, kind: str = "full", **given: Any) -> int:
        return runs.start(self.context, runs.RunRequest(self.world.mapping_id, kind, **given), "test").id

    def lead(self, stopping: Callable[[], Stop | None] = lambda: None, owner: str = "leader") -> bool:
        """One worker claims a run and works on it as long as it can; whether there was one."""
        lease = execution.claim(self.context, owner)
        if lease is None:
            return False
        execution.carry_out(self.context, lease, stopping, lambda _: None, PAGE)
        return True

    def help(self, stopping: Callable[[], Stop | None] = lambda: None, owner: str = "helper") -> bool:
        """Another takes ranges, as long as there are any."""
        return execution.help_out(self.context, owner, sharing.unkept(stopping, lambda _: None), PAGE) is not None

    def cut(self) -> tuple[int, Lease]:
        """A run that somebody has, and has cut, and does nothing more about."""
        run_id = self.start()
        assert self.lead(after_pages(1, Stop.HAND_OVER))
        lease = execution.claim(self.context, "leader")
        assert lease is not None
        return run_id, lease

    def finish(self, run_id: int) -> SyncRun:
        """Whoever comes by works until there is nothing to be done."""
        while self.lead() or self.help():
            pass
        return runs.get(run_id)

    def run(self, kind: str = "full", **given: Any) -> SyncRun:
        return self.finish(self.start(kind, **given))

    def before_first(self, operation: str, act: Callable[[], Any], number: int = 1) -> None:
        """Do something once, before the first such call of whoever makes it, or a later one."""
        calls: list[str] = []

        def before(_: str, called: str) -> None:
            calls.extend([called] if called == operation else [])
            if len(calls) == number:
                self.moments.before = lambda name, operation: None
                try:
                    act()
                except Exception as error:
                    raise Broken from error  # A worker must not take it for a failure of the application.

        self.moments.before = before


@pytest.fixture
def team(world: World, state: str) -> Team:
    if state.startswith("sqlite"):
        sql.rows("PRAGMA synchronous = OFF")  # Nobody takes the power away here.
    return Team(world)


def customers(world: World, number: int) -> list[str]:
    """So many of them; the last keys."""
    marks = ", ".join(f"('{n}', 'Name {n}')" for n in range(number))
    world.sql("local", f"INSERT INTO customer (number, name) VALUES {marks}")
    return [str(row["id"]) for row in world.all("local")][-number:]


def names(world: World, side: str) -> list[str]:
    return sorted(row["name"] for row in world.all(side))


def after_pages(number: int, why: Stop) -> Callable[[], Stop | None]:
    answers = iter([None] * number)
    return lambda: next(answers, why)


def test_what_is_cut_adds_up(team: Team) -> None:
    """The counters are those of a run that one worker does alone, the watermarks move, and the next run is quiet."""
    team.world.map(KEYLESS)
    customers(team.world, 25)
    run = team.run()
    assert run.status == "succeeded"
    assert tally(run, "toIntegration") == {"read": 25, "inserted": 25}
    assert tally(run, "fromIntegration") == {"read": 25, "unchanged": 25}
    assert run.progress["read"] == 50
    assert ("local", "read_range") in team.moments.calls
    assert ("integration", "read_range") in team.moments.calls
    assert names(team.world, "local") == names(team.world, "integration")
    assert len(records(run)) == 25
    assert RunRange.select().count() == 0
    stamps = team.world.stamps()
    mark = watermarks.get(team.world.mapping_id, Side.LOCAL)
    assert mark is not None
    assert mark.key == "25"
    assert sum(mark.recent.values()) == 2, "as many as have stamps of the last two seconds"
    later = team.world.run()
    assert (tally(later, "toIntegration"), tally(later, "fromIntegration")) == ({}, {})
    assert team.world.stamps() == stamps


def test_a_first_load_is_cut_too(team: Team) -> None:
    """A run of changes reads everything when nothing was read before; the next one does not."""
    team.world.map(KEYLESS)
    customers(team.world, 25)
    assert tally(team.run("modified"), "toIntegration") == {"read": 25, "inserted": 25}
    assert ("local", "read_range") in team.moments.calls
    team.moments.calls.clear()
    customers(team.world, 20)
    assert tally(team.run("modified"), "toIntegration") == {"read": 20, "inserted": 20}
    assert ("local", "cut") not in team.moments.calls


def test_little_is_not_cut(team: Team) -> None:
    team.world.map(KEYLESS)
    customers(team.world, 2 * RANGE - 1)
    assert tally(team.run(), "toIntegration") == {"read": 11, "inserted": 11}
    assert ("local", "cut") not in team.moments.calls


def test_the_order_of_records_that_refer_to_each_other_counts(team: Team) -> None:
    """They are read by one worker, the oldest first: a later one finds what it refers to."""
    team.world.sql("local", "ALTER TABLE customer ADD COLUMN parent INTEGER")
    team.world.sql("integration", "ALTER TABLE account ADD COLUMN parent VARCHAR(36)")
    lines = [*KEYLESS, {"local_field": "parent", "integration_field": "parent", "reference": {"mapping": "customers"}}]
    team.world.map(lines)
    keys = customers(team.world, 20)
    for key, parent in zip(keys[1:], keys, strict=False):
        team.world.edit("local", key, parent=parent)
    assert team.run().status == "succeeded"
    assert ("local", "cut") not in team.moments.calls


def test_two_workers_share_a_run(team: Team) -> None:
    """One has the run, and while it inserts its first page another does everything else that is to be done."""
    team.world.map(KEYLESS)
    customers(team.world, 40)
    run_id = team.start()
    team.before_first("insert", lambda: team.help())
    team.lead()
    run = runs.get(run_id)
    assert (run.status, run.attempt) == ("succeeded", 1)
    assert tally(run, "toIntegration") == {"read": 40, "inserted": 40}
    assert names(team.world, "local") == names(team.world, "integration")
    assert couplings.count(team.world.mapping_id) == 40


def test_who_has_the_run_lets_it_go_while_others_are_at_its_last_ranges(team: Team) -> None:
    """Nobody takes it up before they are done; then anybody does."""
    team.world.map(KEYLESS)
    customers(team.world, 30)
    run_id, lease = team.cut()

    def meanwhile() -> None:
        run_rows.hand_over(lease)
        assert team.lead(owner="second")
        assert runs.get(run_id).status == "running"
        assert not team.lead(owner="third"), "there is nothing to be done"

    team.before_first("insert", meanwhile)
    assert team.help()
    assert runs.get(run_id).status == "running"
    assert team.lead(owner="fourth")
    run = runs.get(run_id)
    assert run.status == "succeeded"
    assert tally(run, "toIntegration") == {"read": 30, "inserted": 30}
    assert names(team.world, "local") == names(team.world, "integration")


def test_progress_is_that_of_all_workers(team: Team) -> None:
    team.world.map(KEYLESS, direction="toIntegration")
    customers(team.world, 40)
    run_id = team.start()
    seen: list[dict[str, Any]] = []

    def look() -> None:
        seen.append(runs.get(run_id).progress)

    team.before_first("insert", lambda: team.help(after_pages(3, Stop.HAND_OVER)))
    team.lead(look)
    reads = [progress.get("read", 0) for progress in seen]
    assert reads == sorted(reads)
    assert 5 * PAGE + PAGE in reads, "five pages of the helper and the first one"
    assert all(progress["estimate"] == 40 for progress in seen if "estimate" in progress)
    assert any(progress.get("remainingSeconds") is not None for progress in seen)
    done = runs.get(run_id)
    assert (done.progress["read"], "remainingSeconds" in done.progress) == (40, False)


def test_a_range_goes_on_where_its_worker_died(team: Team) -> None:
    """It wrote pages down, and one more had arrived when it died: that is found, not sent again."""
    team.world.map(KEYLESS)
    customers(team.world, 40)
    run_id, lease = team.cut()

    class Died(BaseException):
        pass

    def die(number: list[int]) -> None:
        number.append(1)
        if len(number) == 3:
            raise Died

    inserted: list[int] = []
    team.moments.before = lambda _, operation: die(inserted) if operation == "insert" else None
    with pytest.raises(Died):
        team.help(owner="dead")
    team.moments.before = lambda name, operation: None
    assert run_rows.end_leases(["dead"]) == 1
    found = {part.id: part for part in ranges.of_run(run_id)}
    assert sorted(part.progress.get("read", 0) for part in found.values())[-1] == 2 * PAGE
    noted = [one for id in found for some in intents.open_ones(team.world.mapping_id, id).values() for one in some]
    assert len(noted) == PAGE
    run_rows.hand_over(lease)
    run = team.finish(run_id)
    assert run.status == "succeeded"
    assert tally(run, "toIntegration")["read"] == 40
    assert names(team.world, "local") == names(team.world, "integration")
    assert couplings.count(team.world.mapping_id) == 40


def test_a_worker_that_lost_its_range_writes_nothing(team: Team) -> None:
    """Another took the range while it stood still: what it was about to write, and to write down, stays undone."""
    team.world.map(KEYLESS)
    customers(team.world, 40)
    run_id, lease = team.cut()

    def overtaken() -> None:
        run_rows.end_leases(["slow"])
        assert team.help(owner="other")
        assert len(team.world.all("integration")) == 40

    team.before_first("read_range", overtaken)
    assert team.help(owner="slow")
    run_rows.hand_over(lease)
    assert tally(team.finish(run_id), "toIntegration") == {"read": 40, "inserted": 40}
    assert names(team.world, "local") == names(team.world, "integration")


def test_cancelling_stops_everybody_at_their_next_page(team: Team) -> None:
    """The run ends when the last of them has stopped, with what was done counted; then its mapping is free."""
    team.world.map(KEYLESS)
    customers(team.world, 40)
    run_id = team.start()

    def wish() -> Stop | None:
        return Stop.CANCEL if run_rows.cancel_wanted(run_id) else None

    def meanwhile() -> None:
        runs.cancel(team.context, run_id, "anna")
        team.start("modified")
        assert not team.lead(), "somebody is at work on the run"

    def cancel() -> None:
        team.before_first("insert", meanwhile)
        team.help(wish)

    team.before_first("insert", cancel)
    team.lead(wish)
    run = runs.get(run_id)
    assert run.status == "cancelled"
    assert tally(run, "toIntegration") == {"read": 2 * PAGE, "inserted": 2 * PAGE}
    assert run.progress["read"] == 2 * PAGE
    assert RunRange.select().count() == 0
    assert len(team.world.all("integration")) == 2 * PAGE
    team.finish(run_id)
    assert names(team.world, "local") == names(team.world, "integration")
    assert couplings.count(team.world.mapping_id) == 40


def test_a_run_waits_for_others_before_it_is_cancelled(team: Team) -> None:
    """Whoever has the run hands it over; nobody takes it while a page of it is under way."""
    team.world.map(KEYLESS)
    customers(team.world, 40)
    run_id, lease = team.cut()

    def meanwhile() -> None:
        runs.cancel(team.context, run_id, "anna")
        execution.carry_out(team.context, lease, lambda: Stop.CANCEL, lambda _: None, PAGE)
        assert runs.get(run_id).status == "running", "a page is still under way"
        assert not team.lead(owner="second")

    team.before_first("insert", meanwhile)
    assert team.help(lambda: Stop.CANCEL if run_rows.cancel_wanted(run_id) else None)
    assert runs.get(run_id).status == "running"
    assert team.lead(lambda: Stop.CANCEL, owner="third")
    assert runs.get(run_id).status == "cancelled"


def test_who_takes_the_run_leaves_alone_what_others_are_about_to_send(team: Team) -> None:
    """Whoever takes a run settles what a crash left; what belongs to a range is for whoever has that."""
    team.world.map(KEYLESS)
    customers(team.world, 40)
    run_id, lease = team.cut()
    noted = "SELECT * FROM intents WHERE range_id IS NOT NULL ORDER BY id"

    def meanwhile() -> None:
        before = sql.rows(noted)
        run_rows.hand_over(lease)
        assert team.lead(lambda: Stop.HAND_OVER, owner="second")
        assert before
        assert sql.rows(noted) == before

    team.before_first("insert", meanwhile)
    assert team.help()
    assert tally(team.finish(run_id), "toIntegration") == {"read": 40, "inserted": 40}


def test_a_side_that_fails_in_one_range_fails_the_run(team: Team) -> None:
    team.world.map(KEYLESS)
    customers(team.world, 40)
    run_id = team.start()

    def wish() -> Stop | None:
        return Stop.CANCEL if run_rows.cancel_wanted(run_id) else None

    def break_down() -> None:
        team.world.sql("integration", "ALTER TABLE account RENAME TO gone")
        assert team.help(wish)
        team.world.sql("integration", "ALTER TABLE gone RENAME TO account")

    team.before_first("insert", break_down)
    team.lead(wish)
    run = runs.get(run_id)
    assert (run.status, run.code) == ("failed", "table_not_found")
    assert [one.code for one in errors(run_id=run_id)] == ["table_not_found"]
    assert tally(run, "toIntegration") == {"read": PAGE, "inserted": PAGE}
    assert team.run().status == "succeeded"
    assert names(team.world, "local") == names(team.world, "integration")
    assert couplings.count(team.world.mapping_id) == 40


def test_a_run_that_waits_comes_before_another_range(team: Team) -> None:
    """Whoever helps lets go at the next page when a run could begin, and takes that."""
    team.world.map(KEYLESS)
    customers(team.world, 40)
    first, lease = team.cut()
    large, second = team.world.mapping_id, []

    def ask() -> None:
        team.world.map(KEYLESS, name="small", direction="toIntegration", synch_only_coupled_records=True)
        second.append(team.start("modified"))

    team.before_first("insert", ask)
    assert team.help()
    assert [part.progress.get("read", 0) for part in ranges.of_run(first) if part.progress] == [PAGE]
    assert team.lead(owner="helper")
    assert runs.get(second[0]).status == "succeeded"
    run_rows.hand_over(lease)
    team.world.mapping_id = large
    assert tally(team.finish(first), "toIntegration")["inserted"] == 40


def test_deleted_partners_are_counted_once_for_all_workers(team: Team) -> None:
    team.world.map(KEYLESS, max_delete_percent=50)
    keys = customers(team.world, 40)
    team.run()
    for key in keys[::4]:
        partner = team.world.partner("local", key)
        assert partner is not None
        team.world.delete("integration", partner)
    team.moments.calls.clear()
    assert team.run(direction="toIntegration").status == "completedWithErrors"
    pages = 40 // PAGE
    fetches = team.moments.calls.count(("local", "fetch"))
    assert fetches <= 2 * pages + 3, "a look at every pair before the run begins, and one for all of its ranges"


# One to one


@pytest.fixture
def rivals(team: Team) -> tuple[str, str]:
    """Two customers with one number, in different ranges."""
    team.world.map()
    keys = customers(team.world, 40)
    first, second = keys[0], keys[30]
    team.world.edit("local", second, number="0")
    return first, second


def test_two_new_records_with_one_key_are_not_both_inserted(team: Team, rivals: tuple[str, str]) -> None:
    """One is about to be inserted when the page of the other comes to it."""
    run_id = team.start()
    team.before_first("insert", lambda: team.help())
    team.lead()
    run = runs.get(run_id)
    assert tally(run, "toIntegration") == {"read": 40, "inserted": 39, "failed": 1}
    assert len([row for row in team.world.all("integration") if row["accountnumber"] == "0"]) == 1
    (error,) = errors(run_id=run_id)
    assert (error.code, error.source_key, error.params["rivals"]) == ("ambiguous_match", rivals[1], [rivals[0]])
    team.run("modified")
    assert len([row for row in team.world.all("integration") if row["accountnumber"] == "0"]) == 1
    assert [item.local_key for item in team.world.skips()] == [rivals[1]]


def test_what_was_inserted_since_then_is_found(team: Team, rivals: tuple[str, str]) -> None:
    """The page of the one begins when that of the other is written down already."""
    run_id = team.start()
    team.before_first("read_range", lambda: team.help())
    team.lead()
    assert tally(runs.get(run_id), "toIntegration") == {"read": 40, "inserted": 39, "failed": 1}
    assert len([row for row in team.world.all("integration") if row["accountnumber"] == "0"]) == 1


@pytest.mark.parametrize("operation", ["find", "update"])
def test_one_twin_is_not_given_to_two(team: Team, rivals: tuple[str, str], operation: str) -> None:
    """There is one account with that number already. While the page of one customer looks for it, or writes to it, the
    page of the other is done."""
    key = team.world.add("integration", accountid="one", accountnumber="0", name="Old")
    team.world.change_mapping(update_conflict_resolution="sendUpdateToIntegration")
    run_id = team.start(direction="toIntegration")
    team.before_first(operation, lambda: team.help())
    team.lead()
    run = runs.get(run_id)
    assert tally(run, "toIntegration")["failed"] in (1, 2)
    assert couplings.count(team.world.mapping_id) == 40 - tally(run, "toIntegration")["failed"]
    held = [row["name"] for row in team.world.all("integration") if row["accountnumber"] == "0"]
    partner = team.world.partner("integration", key)
    assert held == (["Old"] if partner is None else [team.world.get("local", partner)["name"]])  # type: ignore[index]
    team.run("modified", direction="toIntegration")
    assert len([row for row in team.world.all("integration") if row["accountnumber"] == "0"]) == 1
    partner = team.world.partner("integration", key)
    assert partner in rivals


def test_two_ways_to_one_twin(team: Team) -> None:
    """One customer fits the account by its number, another by its name: the pages say different values, and the same
    account."""
    lines = [{**item, "match_key": {"number": 1, "name": 2}.get(item.get("local_field", ""))} for item in LINES]
    team.world.map(lines)
    keys = customers(team.world, 40)
    account = team.world.add("integration", accountid="one", accountnumber="0", name="Name 30")
    run_id = team.start(direction="toIntegration")
    team.before_first("find", lambda: team.help(), 2)
    team.lead()
    run = runs.get(run_id)
    assert run.status == "completedWithErrors"
    partner = team.world.partner("integration", account)
    assert partner in (keys[0], keys[30], None)
    assert len(team.world.all("integration")) == couplings.count(team.world.mapping_id) + (partner is None)


def test_a_lease_tells_of_its_range(team: Team) -> None:
    """The lease of a range is kept alive and given back by itself, whatever becomes of that of the run."""
    team.world.map(KEYLESS)
    customers(team.world, 40)
    team.cut()
    lease = sharing.claim(team.context, "helper")
    assert lease is not None
    assert not execution.keep_lease(team.context, lease)
    run_rows.hand_over(lease)
    with pytest.raises(run_rows.LeaseLost):
        execution.keep_lease(team.context, lease)


def test_who_gives_in_to_another_tries_again(postgres: PostgresServer) -> None:
    """Two workers write down the same causes in different orders: PostgreSQL lets one of them fail, as a clash."""
    name = f"deadlock_{uuid.uuid4().hex[:12]}"
    open_database(postgres.create_database(name))
    with database.connection_context():
        sql.execute("CREATE TABLE cause (id BIGINT PRIMARY KEY, count BIGINT)")
        sql.execute("INSERT INTO cause VALUES (1, 0), (2, 0)")
    met, clashes = threading.Barrier(2), []

    def write(*ids: int) -> None:
        with database.connection_context():
            try:
                with sql.transaction():
                    sql.execute("UPDATE cause SET count = count + 1 WHERE id = ?", ids[0])
                    met.wait(10)
                    sql.execute("UPDATE cause SET count = count + 1 WHERE id = ?", ids[1])
            except sql.Clash:
                clashes.append(ids)

    both = [threading.Thread(target=write, args=ids) for ids in ((1, 2), (2, 1))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(30)
    database.obj.close_all()
    postgres.drop_database(name)
    assert len(clashes) == 1

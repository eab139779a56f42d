"""Some days in the life of two applications, out of a seed: people, runs, faults and crashes, and in the end a rest in
which everything that was promised must hold."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from service.core.records import Side
from service.operations import connections, execution, mappings, runs, sharing, skipped
from service.operations.context import Context, SecretBox
from service.operations.sharing import Signs
from service.store import sql
from service.store.database import database, migrate, open_database
from service.store.models import SyncRun
from service.store.runs import Lease, LeaseLost
from tests.faults import CRASHES, Crash, Fault, Faults, VirtualClock
from tests.simulation.applications import FIELDS, NUMBER, STAMP, TABLES, Applications, Nature
from tests.simulation.invariants import Truth
from tests.world import line

RATES: Mapping[Fault, float] = {
    Fault.BETWEEN: 0.08,
    Fault.SHORT: 0.04,
    Fault.SLOW: 0.02,
    Fault.BEFORE: 0.02,
    Fault.AFTER: 0.03,
    Fault.PART: 0.03,
    Fault.LASTING: 0.01,
    Fault.CRASH_BEFORE: 0.01,
    Fault.CRASH_AFTER: 0.025,
    Fault.CRASH_PART: 0.02,
    Fault.PAUSE_BEFORE: 0.01,
    Fault.PAUSE_AFTER: 0.01,
}
POLICIES = ("none", "none", "none", "sendUpdateToIntegration", "getUpdateFromIntegration", "newestWins")
DELETIONS = ("none", "restoreRecords", "deletePartner", "removeCoupling")
KINDS = ("modified",) * 6 + ("full", "findDeleted", "match")
SECRETS = SecretBox(Fernet.generate_key().decode())


class Scenario:
    """One seed. `play` raises AssertionError where something that was promised does not hold."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.clock = VirtualClock()
        self.faults = Faults(self.chance.getrandbits(32), RATES, self.clock)
        self.faults.between = self._come_between
        self.faults.paused = self._overtake
        self.faults.meanwhile = self._may_help
        keys = random.Random(seed)
        # Chances of their own: what else happens in a seed is what happened before there were ranges.
        self.helper = random.Random(f"ranges {seed}")
        self.helping = self.helper.choice((0.0, 0.02, 0.1))
        self.context = Context(
            SECRETS,
            now=self.clock.now,
            steady=self.clock.now,
            new_key=lambda: uuid.UUID(int=keys.getrandbits(128)),
            connector_class=self.faults.connector_class,
            range_size=self.helper.choice((2, 3, 10_000)),
        )
        self.page_size = self.chance.randint(2, 5)
        self.workers = 0
        self.standing = False
        self.by_number = self.chance.random() < 0.6
        self.applications = Applications(self.chance, self._nature())
        self.applications.both_may_add = self.by_number
        self.mapping_id = self._map(folder)
        self.truth = Truth(self.applications, self.faults)

    @property
    def crashes(self) -> int:
        return sum(self.faults.counts[fault] for fault in CRASHES)

    def _nature(self) -> Nature:
        takes_keys = self.chance.random() < 0.5
        return Nature(
            takes_keys=takes_keys,
            resolution={side: self.chance.choice((1, 1_000_000)) for side in Side},
            versions={side: self.chance.random() < 0.5 for side in Side},
            restamps=self.chance.random() < 0.3,
            # What a record that nobody knows became in capitals can only be told by its number, or by our key.
            capitals=(takes_keys or self.by_number) and self.chance.random() < 0.3,
        )

    def _map(self, folder: Path) -> int:
        file = folder / "state.db"
        file.write_bytes(_template(folder))
        open_database(f"sqlite:///{file}")
        database.connect()
        # Nobody takes the power away here, and thousands of commits need not wait for the disk.
        sql.rows("PRAGMA synchronous = OFF")
        mapping_id = 1
        sql.execute(
            "UPDATE mappings SET conflict_detection = ?, update_conflict_resolution = ?,"
            " deletion_conflict_resolution = ?",
            self.chance.choice(("record", "field")),
            self.chance.choice(POLICIES),
            self.chance.choice(DELETIONS),
        )
        if not self.by_number:
            sql.execute("UPDATE field_mappings SET match_key = NULL")
        return mapping_id

    # What happens

    def play(self) -> None:
        for _ in range(self.chance.randint(3, 6)):
            self.applications.add(self.chance.choice(list(Side)))
        for _ in range(self.chance.randint(3, 6)):
            for _ in range(self.chance.randint(0, 5)):
                self._come_between("", "")
            self._ask()
            self._work()
            self.truth.look()
        self._rest()

    def _ask(self) -> None:
        """A run of some kind is asked for, or a person resolves what was set aside."""
        aside = skipped.list_skipped(mapping_id=self.mapping_id, status="open", limit=20)
        if aside and self.chance.random() < 0.3:
            self.faults.on = False
            resolved = self._resolve(self.chance.choice(aside).id)
            self.faults.on = True
            if resolved:
                return
        kind = self.chance.choice(KINDS)
        self._start(kind if kind != "match" or self.by_number else "modified")

    def _resolve(self, id: int) -> bool:
        view = skipped.show(self.context, id)
        ways = [name for name in ("keepLocal", "keepIntegration", "retry", "restore") if name in view.resolutions]
        if ways:
            skipped.resolve(self.context, id, self.chance.choice(ways), None, "anna")
        return bool(ways)

    def _start(self, kind: str) -> SyncRun:
        return runs.start(self.context, runs.RunRequest(self.mapping_id, kind, allow_mass_delete=True), "test")

    def _work(self) -> None:
        """Workers carry out what is queued. One that dies is followed by another when its lease has ended."""
        for _ in range(40):
            if not sql.rows("SELECT 1 FROM sync_runs WHERE status IN ('queued', 'running')"):
                return
            if not self._carry_out_one():
                self.clock.sleep(self.context.lease / 1_000_000 + 1)
        raise AssertionError("the runs do not come to an end")

    def _carry_out_one(self) -> bool:
        self.workers += 1
        lease = execution.claim(self.context, f"worker-{self.workers}")
        if lease is None:
            return self._help()
        beat, sleep = self._beat(lease), self.clock.sleep
        try:
            execution.carry_out(self.context, lease, beat, sleep, self.page_size, self._hold)
        except Crash:
            self.truth.look()
        return True

    def _help(self) -> bool:
        """Another worker takes ranges of the run at hand, if there are any."""
        self.workers += 1
        try:
            return bool(execution.help_out(self.context, f"worker-{self.workers}", self._hold, self.page_size))
        except Crash:
            self.truth.look()
            return True

    def _hold(self, lease: Lease) -> AbstractContextManager[Signs]:
        return sharing.unkept(self._beat(lease), self.clock.sleep)(lease)

    def _beat(self, lease: Lease) -> Callable[[], None]:
        def beat() -> None:
            try:
                execution.keep_lease(self.context, lease)
            except LeaseLost:
                return

        return beat

    def _come_between(self, _name: str, operation: str) -> None:
        """People work, also while a run does. Where a record of which nobody knows whether it was made can only be
        told by all it holds, they keep their hands off until that is settled: what docs/crashes.md asks for."""
        if self.by_number or not self._inserting():
            self.applications.work()

    def _may_help(self, name: str, operation: str) -> None:
        """While a worker is about to call an application, another may do what it can."""
        if self.standing or database.in_transaction() or self.helper.random() >= self.helping:
            return
        self.standing = True
        self._help()
        self.standing = False

    def _inserting(self) -> bool:
        return bool(sql.rows("SELECT 1 FROM intents"))

    def _overtake(self) -> None:
        """This worker stands still; its lease ends, and another takes its run and carries it out."""
        if self.standing or database.in_transaction():
            return
        self.standing = True
        self.clock.sleep(self.context.lease / 1_000_000 + 1)
        self._carry_out_one()
        self.standing = False

    def _rest(self) -> None:
        """Nothing goes wrong any more, nobody works; runs go on until they have nothing to do."""
        self.faults.on = False
        while self.applications.late:
            self.applications.commit()
        self._work()
        before: Any = None
        for _ in range(8):
            for kind in ("modified", "findDeleted"):
                self._start(kind)
                self._work()
                self.truth.look()
            if before == (before := self.applications.versions()):
                break
        else:
            raise AssertionError("the runs do not become quiet")
        self.truth.hold()


_TEMPLATE: list[bytes] = []


def _template(folder: Path) -> bytes:
    """A state with two connections and the mapping; made once."""
    if not _TEMPLATE:
        file = folder / "template.db"
        open_database(f"sqlite:///{file}")
        migrate()
        context = Context(SECRETS)
        with database.connection_context():
            ids = {
                side: connections.create(
                    context,
                    name=side.value,
                    kind="memory",
                    settings={"store": side.value},
                    credentials=None,
                    enabled=True,
                    actor="test",
                ).id
                for side in Side
            }
            document: dict[str, Any] = {"name": "customers", "synch_only_coupled_records": False}
            for side in Side:
                document[side.value] = {
                    "connection_id": ids[side],
                    "table": TABLES[side],
                    "key": None,
                    "modified_on": STAMP,
                    "caption": TABLES[side],
                    "filter": [],
                }
            pairs = zip(*FIELDS.values(), strict=True)
            document["field_mappings"] = [
                line(local_field=NUMBER[Side.LOCAL], integration_field=NUMBER[Side.INTEGRATION], match_key=1),
                *(line(local_field=one, integration_field=other) for one, other in pairs),
            ]
            assert mappings.create(context, document, "test")["id"] == 1
            sql.execute("UPDATE mappings SET max_delete_percent = NULL")
            sql.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        _TEMPLATE.append(file.read_bytes())
    return _TEMPLATE[0]

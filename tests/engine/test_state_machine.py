"""People edit, add and delete on both sides, applications refuse records, runs go on in between, in any order.

When the last obstacle is gone and everything set aside is resolved, both sides agree, nobody is there twice, and the
next run writes nothing.
"""

import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from service.core.records import Side
from service.operations import skipped
from service.store.database import database, migrate, open_database
from service.store.models import Intent, SyncRun
from tests.world import World, couple

FIELDS = {Side.LOCAL: ("name", "city"), Side.INTEGRATION: ("name", "address1_city")}
KINDS = st.sampled_from(["modified", "modified", "modified", "full", "findDeleted", "match"])
SIDES = st.sampled_from(list(Side))
TEXTS = st.sampled_from(["", "Oslo", "Bergen ", "Ærø", "bad", "x"])


class People(RuleBasedStateMachine):
    """Two applications in daily use."""

    numbers = Bundle("numbers")

    @initialize(
        detection=st.sampled_from(["record", "field"]),
        policy=st.sampled_from(["none", "sendUpdateToIntegration", "getUpdateFromIntegration", "newestWins"]),
        deletion=st.sampled_from(["none", "restoreRecords", "deletePartner"]),
    )
    def begin(self, detection: str, policy: str, deletion: str) -> None:
        self.folder = Path(tempfile.mkdtemp())
        open_database(f"sqlite:///{self.folder / 'state.db'}")
        migrate()
        database.connect()
        self.world = World(self.folder)
        self.world.map(
            conflict_detection=detection,
            update_conflict_resolution=policy,
            deletion_conflict_resolution=deletion,
            max_delete_percent=None,
        )
        self.next_number = 0
        self.refusing: set[Side] = set()
        for _ in range(3):
            self.next_number += 1
            couple(self.world, number=str(self.next_number), name="x", city="y")

    @rule(target=numbers, side=SIDES, text=TEXTS)
    def add(self, side: Side, text: str) -> str:
        self.next_number += 1
        number = str(self.next_number)
        if side is Side.LOCAL:
            self._unless_refused(self.world.add, side, number=number, name=text)
        else:
            self._unless_refused(self.world.add, side, accountid=f"a{number}", accountnumber=number, name=text)
        return number

    @rule(side=SIDES, which=st.integers(0, 50), field=st.integers(0, 1), text=TEXTS)
    def edit(self, side: Side, which: int, field: int, text: str) -> None:
        key = self._key(side, which)
        if key is not None:
            self._unless_refused(self.world.edit, side, key, **{FIELDS[side][field]: text})

    @rule(side=SIDES, which=st.integers(0, 50))
    def touch(self, side: Side, which: int) -> None:
        """Somebody changes what is not mapped."""
        key = self._key(side, which)
        if key is not None and side is Side.LOCAL:
            self._unless_refused(self.world.edit, side, key, remark="touched")

    @rule(side=SIDES, which=st.integers(0, 50))
    def delete(self, side: Side, which: int) -> None:
        key = self._key(side, which)
        if key is not None and len(self.world.all(side)) > 2:
            self.world.delete(side, key)

    @rule(side=SIDES)
    def refuse(self, side: Side) -> None:
        if side not in self.refusing:
            self.refusing.add(side)
            table = "customer" if side is Side.LOCAL else "account"
            for event in ("INSERT", "UPDATE"):
                self.world.sql(
                    side,
                    f"CREATE TRIGGER refuse_{event} BEFORE {event} ON {table} WHEN NEW.name = 'bad' "
                    "BEGIN SELECT RAISE(ABORT, 'no'); END",
                )

    @rule(kind=KINDS, dry=st.sampled_from([False, False, False, True]))
    def run(self, kind: str, dry: bool) -> None:
        before = self.world.stamps()
        run = self.world.run(kind, dry_run=dry, allow_mass_delete=True)
        assert run.status in ("succeeded", "completedWithErrors"), (run.status, run.code, run.params)
        if dry:
            assert self.world.stamps() == before

    @rule(which=st.integers(0, 10), first=st.integers(0, 6))
    def resolve(self, which: int, first: int) -> None:
        items = self.world.skips()
        if items:
            self._resolve(items[which % len(items)].id, first)

    @invariant()
    def counters_add_up(self) -> None:
        if not hasattr(self, "world"):
            return
        run = SyncRun.select().order_by(SyncRun.id.desc()).first()
        for counts in run.counts.values() if run else ():
            assert counts["read"] == sum(number for name, number in counts.items() if name != "read"), counts

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self._come_to_rest()
        finally:
            database.close()
            shutil.rmtree(self.folder)

    def _come_to_rest(self) -> None:
        for side in self.refusing:
            for event in ("INSERT", "UPDATE"):
                self.world.sql(side, f"DROP TRIGGER refuse_{event}")
        for _ in range(6):
            self.world.run(allow_mass_delete=True)
            self.world.run("findDeleted", allow_mass_delete=True)
            for item in self.world.skips():
                self._resolve(item.id, 0)
        assert self.world.skips() == []
        before = self.world.stamps()
        for kind in ("modified", "full"):
            run = self.world.run(kind, allow_mass_delete=True)
            assert run.status == "succeeded", run.counts
        assert self.world.stamps() == before, "a run without edits writes nothing"
        local, integration = self._contents()
        assert local == integration
        assert Intent.select().count() == 0

    def _contents(self) -> tuple[list[Any], list[Any]]:
        def text(value: Any) -> str:
            return (value or "").rstrip(" ")

        local = sorted((row["number"], text(row["name"]), text(row["city"])) for row in self.world.all("local"))
        integration = sorted(
            (row["accountnumber"], text(row["name"]), text(row["address1_city"]))
            for row in self.world.all("integration")
        )
        assert len({row[0] for row in local}) == len(local), "nobody is there twice"
        return local, integration

    def _key(self, side: Side, which: int) -> str | None:
        rows = self.world.all(side)
        name = "id" if side is Side.LOCAL else "accountid"
        return str(rows[which % len(rows)][name]) if rows else None

    def _unless_refused(self, change: Any, *given: Any, **values: Any) -> None:
        try:
            change(*given, **values)
        except sqlite3.IntegrityError:
            assert self.refusing

    def _resolve(self, id: int, first: int) -> None:
        """Resolve by one of the ways that fit, `uncouple` excepted: it would leave the sides apart for good."""
        view = skipped.show(self.world.context, id)
        fits = [name for name in view.resolutions if name not in ("uncouple", "merge")]
        fits.sort(key=lambda name: name == "retry")
        if fits:
            self.world.resolve(view.record, fits[first % len(fits)])


TestPeople = People.TestCase
TestPeople.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, database=None, derandomize=True, phases=[Phase.generate]
)

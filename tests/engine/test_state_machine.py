"""People edit, add, delete and undelete on both sides, change filters, resolve what was set aside; applications refuse
records, break off and behave oddly; runs of every kind go on in between, in any order.

When the last obstacle is gone and everything set aside is resolved, both sides agree, nobody is there twice, and the
next run writes nothing. And no value that a person typed disappears: whatever a run overwrites is in its history, and
it had reached the other side before, unless a policy, a person or the direction of its field decided.
"""

import functools
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.connectors.memory import MemoryStore, MemoryTable, open_store
from service.connectors.memory.store import Values
from service.core.failures import Failure, SideFailed
from service.core.records import Direction, Field, FieldType, Side
from service.operations import connections, couplings, execution, runs, skipped
from service.store.database import database, migrate, open_database
from service.store.models import Coupling, FieldMapping, Intents, RunRecord, SkippedRecord, SyncRun
from tests.world import TABLES, World, couple, new_context

FIELDS = {Side.LOCAL: ("name", "city", "credit_limit"), Side.INTEGRATION: ("name", "address1_city", "creditlimit")}
ONE_WAY = 2
"""The place of the field that only flows to the integration table."""

KINDS = st.sampled_from(["modified", "modified", "modified", "full", "findDeleted", "match"])
SIDES = st.sampled_from(list(Side))
WAYS = st.sampled_from([None, None, None, Direction.TO_INTEGRATION, Direction.FROM_INTEGRATION])
WHICH = st.integers(0, 50)
TEXTS = st.sampled_from(["", "Oslo", "Bergen ", "Ærø", "bad", "x", "a name that is long"])
AMOUNTS = st.sampled_from(["0", "1", "1.5", "2.5"])
CHOICES = st.sampled_from(["local", "integration", {"value": "agreed"}])


class Workplace(World):
    """The world, worked on in pages of a few records, without a pause between two attempts."""

    page_size = 3

    def work(self) -> None:
        while (lease := execution.claim(self.context, "people")) is not None:
            execution.carry_out(self.context, lease, lambda: None, lambda _: None, self.page_size)

    def run(self, kind: str = "modified", **given: Any) -> SyncRun:
        run = runs.start(self.context, runs.RunRequest(self.mapping_id, kind, **given), "test")
        self.work()
        return runs.get(run.id)

    def resolve(self, item: SkippedRecord, resolution: str, choices: dict[str, Any] | None = None) -> SyncRun:
        _, run = skipped.resolve(self.context, item.id, resolution, choices, "anna")
        self.work()
        assert run is not None
        return runs.get(run.id)

    def put_back(self, side: Side, row: dict[str, Any]) -> None:
        """A record that was deleted is there again, with its key."""
        self.add(side, **{name: value for name, value in row.items() if name != TABLES[side][2]})

    def refuse(self, side: Side) -> None:
        """From now on the application takes no record whose name is "bad"."""
        for event in ("INSERT", "UPDATE"):
            self.sql(
                side,
                f"CREATE TRIGGER refuse_{event} BEFORE {event} ON {TABLES[side][0]} WHEN NEW.name = 'bad' "
                "BEGIN SELECT RAISE(ABORT, 'no'); END",
            )

    def allow(self, side: Side) -> None:
        for event in ("INSERT", "UPDATE"):
            self.sql(side, f"DROP TRIGGER refuse_{event}")

    def remove_obstacles(self) -> None:
        """Nothing but `refuse` is in the way here."""


DECLARED = {
    Side.LOCAL: (
        Field("number", FieldType.STRING),
        Field("name", FieldType.STRING),
        Field("city", FieldType.STRING),
        Field("credit_limit", FieldType.DECIMAL, scale=2),
        Field("remark", FieldType.STRING),
    ),
    Side.INTEGRATION: (
        Field("accountnumber", FieldType.STRING),
        Field("name", FieldType.STRING, length=12),
        Field("address1_city", FieldType.STRING),
        Field("creditlimit", FieldType.DECIMAL, scale=2),
        Field("customertypecode", FieldType.INTEGER),
    ),
}


def _rounded(values: Values) -> Values:
    """An application that keeps whole amounts, whatever it is given."""
    amount = values["creditlimit"]
    if isinstance(amount, str):
        values["creditlimit"] = str(Decimal(amount).quantize(Decimal(1), ROUND_HALF_EVEN))
    return values


class MemoryWorkplace(Workplace):
    """The same two applications in memory: clocks of whole seconds, versions on one side only; one trims texts, the
    other capitalizes names, rounds amounts and stamps what it is given a second time."""

    def __init__(self, folder: Path) -> None:
        self.context = new_context()
        self.stores: dict[Side, MemoryStore] = {}
        self.connection_ids = {}
        self.mapping_id = 0
        for side in Side:
            name = f"{side}-{folder.name}"
            store = self.stores[side] = open_store(name)
            store.step = 300_000
            table, key, stamp = TABLES[side]
            local = side is Side.LOCAL
            store.create_table(
                table,
                DECLARED[side],
                key=key,
                modified_on=stamp,
                generates_keys=local,
                resolution=1_000_000,
                versions=not local,
                trims=local,
                upper_cases=() if local else ("name",),
                restamps=not local,
                on_write=None if local else _rounded,
            )
            self.connection_ids[side] = connections.create(
                self.context,
                name=side.value,
                kind="memory",
                settings={"store": name},
                credentials=None,
                enabled=True,
                actor="test",
            ).id

    def table(self, side: Side | str) -> MemoryTable:
        return self.stores[Side(side)].tables[TABLES[Side(side)][0]]

    def add(self, side: Side | str, **values: Any) -> str:
        return self._put(Side(side), values)

    def edit(self, side: Side | str, key: str, **values: Any) -> None:
        self._put(Side(side), {TABLES[Side(side)][1]: key, **values})

    def _put(self, side: Side, values: dict[str, Any]) -> str:
        try:
            return self.stores[side].put(TABLES[side][0], **values)
        except ValueError as refusal:
            raise sqlite3.IntegrityError from refusal

    def delete(self, side: Side | str, key: str) -> None:
        self.stores[Side(side)].remove(TABLES[Side(side)][0], key)

    def all(self, side: Side | str) -> list[dict[str, Any]]:
        return [dict(row.values) for _, row in sorted(self.table(side).rows.items())]

    def get(self, side: Side | str, key: str) -> dict[str, Any] | None:
        row = self.table(side).rows.get(key)
        return dict(row.values) if row else None

    def stamps(self) -> list[tuple[Any, ...]]:
        return [(side, key, row.version) for side in Side for key, row in sorted(self.table(side).rows.items())]

    def refuse(self, side: Side) -> None:
        refusal = Failure("value_rejected", {"field": "name", "rule": "constraint"}, ("name", "constraint"))
        self.table(side).refuse = lambda values: refusal if str(values["name"]).lower() == "bad" else None

    def allow(self, side: Side) -> None:
        self.table(side).refuse = None

    def remove_obstacles(self) -> None:
        """Nobody breaks in any more, and names may be of any length."""
        for side, fields in DECLARED.items():
            self.stores[side].before = None
            for field in fields:
                if field.length:
                    self.table(side).table.fields[field.name] = Field(field.name, field.type)  # type: ignore[index]


@dataclass
class Typed:
    """A value that a person typed into a field. `travelled`: the other side had it, too."""

    value: Any
    travelled: bool = False


class People(RuleBasedStateMachine):
    """Two applications in daily use."""

    workplace: type[Workplace] = Workplace

    @initialize(
        detection=st.sampled_from(["record", "field"]),
        policy=st.sampled_from(["none", "none", "sendUpdateToIntegration", "getUpdateFromIntegration", "newestWins"]),
        deletion=st.sampled_from(["none", "restoreRecords", "deletePartner", "removeCoupling"]),
        by_name=st.booleans(),
    )
    def begin(self, detection: str, policy: str, deletion: str, by_name: bool) -> None:
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "state.db").write_bytes(_empty_state())
        open_database(f"sqlite:///{self.folder / 'state.db'}")
        database.connect()
        self.world = self.workplace(self.folder)
        # The keys that are chosen for new records must be the same each time a failure is tried again.
        numbers = count(1)
        self.world.context = replace(self.world.context, new_key=lambda: uuid.UUID(int=next(numbers) << 64))
        self.world.map(
            conflict_detection=detection,
            update_conflict_resolution=policy,
            deletion_conflict_resolution=deletion,
            max_delete_percent=None,
        )
        # A filter hides the twin of an uncoupled record, which then would be made a second time.
        self.by_name = by_name and deletion != "removeCoupling"
        self.next_number = 0
        self.refusing: set[Side] = set()
        self.graves: dict[Side, list[dict[str, Any]]] = {side: [] for side in Side}
        self.typed: dict[tuple[Side, str, int], Typed] = {}
        self.last_seen = 0
        for _ in range(3):
            self.next_number += 1
            couple(self.world, number=str(self.next_number), name="x", city="y")

    # What people do in the applications

    @rule(side=SIDES, text=TEXTS)
    def add(self, side: Side, text: str) -> None:
        self.next_number += 1
        number = str(self.next_number)
        values = {"number": number} if side is Side.LOCAL else {"accountid": f"a{number}", "accountnumber": number}
        self._type(side, self.world.add, side, name=text, **values)

    @rule(side=SIDES, which=WHICH, field=st.integers(0, 1), text=TEXTS)
    def edit(self, side: Side, which: int, field: int, text: str) -> None:
        self._edit(side, which, field, text)

    @rule(side=SIDES, which=WHICH, amount=AMOUNTS)
    def edit_amount(self, side: Side, which: int, amount: str) -> None:
        """A field that flows one way only."""
        self._edit(side, which, ONE_WAY, amount)

    @rule(which=WHICH)
    def touch(self, which: int) -> None:
        """Somebody changes what is not mapped."""
        key = self._key(Side.LOCAL, which)
        if key is not None:
            self._unless_refused(self.world.edit, Side.LOCAL, key, remark="touched")

    @rule(side=SIDES, which=WHICH)
    def delete(self, side: Side, which: int) -> None:
        key = self._key(side, which)
        if key is not None and len(self.world.all(side)) > 2:
            self.graves[side].append(self.world.get(side, key) or {})
            self.world.delete(side, key)
            self._forget(side, key)

    @rule(side=SIDES)
    def undelete(self, side: Side) -> None:
        """Somebody puts a record back, unless there is a new one with its number."""
        grave = self.graves[side]
        if grave:
            row, number = grave.pop(), _number(side)
            if all(other[number] != row[number] for other in self.world.all(side)):
                self._unless_refused(self.world.put_back, side, row)

    @rule(side=SIDES)
    def refuse(self, side: Side) -> None:
        if side not in self.refusing:
            self.refusing.add(side)
            self.world.refuse(side)

    # What people do in Accord

    @rule(side=SIDES, line=st.sampled_from([None, ("ne", "x"), ("ne", "Oslo"), ("startsWith", "B")]))
    def filter(self, side: Side, line: tuple[str, str] | None) -> None:
        """The mapping gets another filter: one that records leave and enter as they are edited, or the same numbers on
        both sides."""
        if self.by_name:
            condition = [{"field": "name", "op": line[0], "value": line[1]}] if line else []
            self.world.change_mapping(**{side.value: {"filter": condition}})
        else:
            self._filter_numbers(["1", "3"] if line else [])

    @rule(kind=KINDS, dry=st.sampled_from([False, False, False, True]), way=WAYS)
    def run(self, kind: str, dry: bool, way: Direction | None) -> None:
        before = self.world.stamps()
        self._run(kind, dry_run=dry, direction=way if kind in ("modified", "full") else None)
        if dry:
            assert self.world.stamps() == before

    @rule(which=st.lists(WHICH, min_size=1, max_size=3), by_key=st.booleans(), way=WAYS)
    def run_for_chosen(self, which: list[int], by_key: bool, way: Direction | None) -> None:
        if by_key:
            keys = {self._key(Side.LOCAL, one) for one in which} - {None}
            chosen: dict[str, Any] = {"local_keys": tuple(sorted(key for key in keys if key))}
        else:
            chosen = {"coupling_ids": self._couplings(which)}
        if any(chosen.values()):
            self._run("records", direction=way, **chosen)

    @rule(which=WHICH)
    def uncouple(self, which: int) -> None:
        ids = self._couplings([which])
        if ids:
            self._run("uncouple", coupling_ids=ids)

    @rule(which=WHICH)
    def include(self, which: int) -> None:
        """Somebody lets runs see an uncoupled record again, and its partner with it or not."""
        if self.by_name:
            return
        found = skipped.list_exclusions(mapping_id=self.world.mapping_id, limit=100)
        for item in found[: 1 + which % 2]:
            skipped.delete_exclusion(self.world.context, item.id, "anna")

    @rule(which=st.integers(0, 10), first=st.integers(0, 8), choices=st.tuples(CHOICES, CHOICES))
    def resolve(self, which: int, first: int, choices: tuple[Any, Any]) -> None:
        items = self.world.skips()
        if items:
            self._resolve(items[which % len(items)].id, first, choices)

    # What must hold

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
        self.world.remove_obstacles()
        for side in self.refusing:
            self.world.allow(side)
        self._filter_numbers([])
        for _ in range(6):
            for exclusion in skipped.list_exclusions(mapping_id=self.world.mapping_id, limit=100):
                skipped.delete_exclusion(self.world.context, exclusion.id, "anna")
            for kind in ("modified", "findDeleted", "full"):
                self._run(kind)
            for item in self.world.skips():
                self._resolve(item.id, 0, ("local", "integration"), leave=("uncouple", "merge"))
        assert self.world.skips() == []
        before = self.world.stamps()
        for kind in ("modified", "full", "findDeleted"):
            run = self._run(kind)
            assert run.status == "succeeded", run.counts
        assert self.world.stamps() == before, "a run without edits writes nothing"
        local, integration = (self._contents(side) for side in Side)
        assert local == integration
        assert Intents.select().count() == 0

    def _contents(self, side: Side) -> list[Any]:
        names = (_number(side), *FIELDS[side][:ONE_WAY])
        found = sorted(tuple(_loosely(row[name]) for name in names) for row in self.world.all(side))
        assert len({row[0] for row in found}) == len(found), "nobody is there twice"
        return found

    # Helpers

    def _filter_numbers(self, without: list[str]) -> None:
        conditions = {side: [{"field": _number(side), "op": "ne", "value": one} for one in without] for side in Side}
        self.world.change_mapping(**{side.value: {"filter": lines} for side, lines in conditions.items()})

    def _key(self, side: Side, which: int) -> str | None:
        rows = sorted(self.world.all(side), key=lambda row: str(row[_number(side)]))
        return str(rows[which % len(rows)][TABLES[side][1]]) if rows else None

    def _couplings(self, which: Iterable[int]) -> tuple[int, ...]:
        found = couplings.list_couplings(mapping_id=self.world.mapping_id, limit=100)
        return tuple({found[one % len(found)].id: None for one in which}) if found else ()

    def _edit(self, side: Side, which: int, field: int, value: str) -> None:
        key = self._key(side, which)
        if key is not None:
            self._type(side, self.world.edit, side, key, **{FIELDS[side][field]: value})

    def _type(self, side: Side, change: Callable[..., str | None], *given: Any, **values: Any) -> None:
        """Carry out an edit, and remember what the application has now of what was typed."""
        key = self._unless_refused(change, *given, **values) or (given[1] if len(given) > 1 else None)
        row = self.world.get(side, key) if key else None
        for place, name in enumerate(FIELDS[side]):
            if row is not None and name in values:
                self.typed[side, str(key), place] = Typed(
                    row[name], self._was(side, str(key), place) == _exactly(row[name])
                )

    def _was(self, side: Side, key: str, place: int) -> Any:
        """What a field held when it was last synchronized: to type that again is no change."""
        coupled = Coupling.get_or_none(getattr(Coupling, f"{side}_key") == key)
        line = FieldMapping.get(getattr(FieldMapping, f"{side}_field") == FIELDS[side][place])
        base = getattr(coupled, f"{side}_base") if coupled else None
        return _exactly(base[str(line.id)]) if base and str(line.id) in base else None

    def _unless_refused(self, change: Callable[..., Any], *given: Any, **values: Any) -> Any:
        try:
            return change(*given, **values)
        except sqlite3.IntegrityError:
            return None

    def _forget(self, side: Side, key: str) -> None:
        self.typed = {place: one for place, one in self.typed.items() if place[:2] != (side, key)}

    def _run(self, kind: str, **given: Any) -> SyncRun:
        run = self.world.run(kind, allow_mass_delete=True, **given)
        assert run.status in ("succeeded", "completedWithErrors") or self._excused(run), (run.code, run.params)
        self._account_for(run)
        return run

    def _excused(self, run: SyncRun) -> bool:
        """Whether a run had a reason to fail."""
        return False

    def _resolve(self, id: int, first: int, choices: tuple[Any, Any], leave: tuple[str, ...] = ()) -> None:
        """Resolve a record in one of the ways that fit."""
        view = skipped.show(self.world.context, id)
        fits = sorted((name for name in view.resolutions if name not in leave), key=lambda name: name == "retry")
        if fits:
            way = fits[first % len(fits)]
            named = dict(zip(("name", "city"), choices, strict=True)) if way == "merge" else None
            self._account_for(self.world.resolve(view.record, way, named))

    def _account_for(self, run: SyncRun) -> None:
        """Nothing that was typed is gone without a trace."""
        if run.dry_run:
            return
        history = [
            (change, done, done.source_key if change["side"] == done.side else done.destination_key)
            for done in RunRecord.select().where(RunRecord.id > self.last_seen)
            for change in done.fields or ()
        ]
        deleted = {
            (Side(done.side), done.source_key)
            for done in RunRecord.select().where((RunRecord.id > self.last_seen) & (RunRecord.outcome == "deleted"))
        }
        self.last_seen = RunRecord.select().count()
        now = {side: {str(row[TABLES[side][1]]): row for row in self.world.all(side)} for side in Side}
        partners = {side: self._partners(side) for side in Side}
        for (side, key, place), typed in list(self.typed.items()):
            other, field = partners[side].get(key), FIELDS[side][place]
            arrived = (
                (now[side.other].get(other or "") or {}).get(FIELDS[side.other][place]),
                *(
                    change["after"]
                    for change, _, where in history
                    if (change["side"], change["field"], where) == (side.other, FIELDS[side.other][place], other)
                ),
            )
            typed.travelled |= any(_loosely(value) == _loosely(typed.value) for value in arrived)
            if key not in now[side]:
                assert (side, key) in deleted, "a record is gone, and nobody deleted it"
                del self.typed[side, key, place]
            elif _exactly(now[side][key][field]) != _exactly(typed.value):
                overwritten = [
                    done
                    for change, done, where in history
                    if (change["side"], change["field"], where) == (side, field, key)
                    and _exactly(change["before"]) == _exactly(typed.value)
                ]
                assert overwritten, f"{typed} in {field} of {side} {key} is gone, and no history tells"
                free = side is Side.INTEGRATION and place == ONE_WAY
                assert (
                    free or typed.travelled or _exactly(typed.value) == "" or any(done.rule for done in overwritten)
                ), f"{typed} in {field} of {side} {key} was overwritten unseen"
                del self.typed[side, key, place]

    def _partners(self, side: Side) -> dict[str, str]:
        found = couplings.list_couplings(mapping_id=self.world.mapping_id, limit=100)
        names = (f"{side}_key", f"{side.other}_key")
        return {getattr(one, names[0]): getattr(one, names[1]) for one in found}


def _number(side: Side) -> str:
    return "number" if side is Side.LOCAL else "accountnumber"


def _exactly(value: Any) -> Any:
    """A value as far as a trailing blank, an absent text or the form of a number is no difference."""
    if isinstance(value, str):
        try:
            return Decimal(value).normalize()
        except ArithmeticError:
            return value.rstrip(" ")
    return "" if value is None else Decimal(str(value)).normalize()


def _loosely(value: Any) -> Any:
    """A value as far as both applications can hold it."""
    exact = _exactly(value)
    return exact.upper() if isinstance(exact, str) else str(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


@functools.cache
def _empty_state() -> bytes:
    """A migrated database without a row."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.db"
        open_database(f"sqlite:///{file}")
        migrate()
        return file.read_bytes()


class PeopleInMemory(People):
    """The same with applications that are in memory, and odd."""

    workplace = MemoryWorkplace
    world: MemoryWorkplace
    breaking = False

    @rule(
        side=SIDES, operation=st.sampled_from(["update", "insert", "delete", "read", "find"]), times=st.integers(1, 6)
    )
    def break_off(self, side: Side, operation: str, times: int) -> None:
        """The connection breaks off during the next calls; a run tries each page four times."""
        self.breaking = True
        left = times

        def before(called: str, _table: str) -> None:
            nonlocal left
            if called == operation and left:
                left -= 1
                raise SideFailed(Failure("connection_failed", {"detail": "reset"}))

        self.world.stores[side].before = before

    @rule(side=SIDES, which=WHICH, field=st.integers(0, 1), text=TEXTS, delete=st.sampled_from([False] * 5 + [True]))
    def come_between(self, side: Side, which: int, field: int, text: str, delete: bool) -> None:
        """Somebody edits or deletes a record between the next reading and writing."""

        def before(called: str, _table: str) -> None:
            if called in ("update", "insert", "delete"):
                self.world.stores[side].before = None
                if delete:
                    self.delete(side, which)
                else:
                    self._edit(side, which, field, text)

        self.world.stores[side].before = before

    @rule(side=SIDES)
    def lock(self, side: Side) -> None:
        """A record is locked by somebody for a while."""
        if side not in self.refusing:
            self.refusing.add(side)
            locked = Failure("record_locked", {}, ())
            self.world.table(side).refuse = lambda values: locked if str(values["name"]).lower() == "x" else None

    @precondition(lambda self: self.refusing)
    @rule(side=SIDES)
    def allow(self, side: Side) -> None:
        if side in self.refusing:
            self.refusing.remove(side)
            self.world.allow(side)

    @rule(side=SIDES)
    def a_second_passes(self, side: Side) -> None:
        self.world.stores[side].now += 1_000_000

    def _excused(self, run: SyncRun) -> bool:
        return self.breaking and run.status == "failed" and run.code == "connection_failed"


NIGHTLY = settings.get_current_profile_name() == "nightly"
"""The fast profile fails quickly: it makes no attempt to find a shorter way to the same failure."""

DAY = settings(
    max_examples=800 if NIGHTLY else 25,
    stateful_step_count=50 if NIGHTLY else 25,
    phases=list(Phase) if NIGHTLY else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TestPeople = People.TestCase
TestPeople.settings = DAY
TestPeopleInMemory = PeopleInMemory.TestCase
TestPeopleInMemory.settings = settings(DAY, max_examples=3_000 if NIGHTLY else 60)

"""A connector that stands in front of any other and lets go wrong what can go wrong on the way to an application: calls
that never arrive, answers that are lost, writes that reach half of their records, pages that are cut, time that passes,
people who come between, workers that die or stand still. Everything follows from a seed, and all of it is in a trace.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias, TypeVar

from service.connectors import connector_class
from service.connectors.base import Changes, Check, Clock, Connector, Deletion, Insert, Result, TableName, Update
from service.core.failures import Failure, SideFailed
from service.core.records import Page, Record, Scalar, Selection, Stamp, Table

Answer = TypeVar("Answer")
Item = TypeVar("Item")
Entry: TypeAlias = tuple[str, str, Any, str, Any]
"""One call in a trace: whose, which, what was asked, what went wrong (empty: nothing), and what came of it."""


class Fault(StrEnum):
    """What can happen to a call."""

    BEFORE = "before"
    """It never arrives."""
    AFTER = "after"
    """It takes effect, and its answer is lost."""
    LASTING = "lasting"
    """It takes effect, its answer is lost, and the application stays away for a while."""
    PART = "part"
    """A bulk write takes effect for some of its records; then the connection breaks."""
    SHORT = "short"
    """A page has fewer records than were asked for, and more follow."""
    SLOW = "slow"
    """It takes some seconds."""
    BETWEEN = "between"
    """Somebody works in the applications before it arrives."""
    CRASH_BEFORE = "crashBefore"
    """The worker dies before it is sent."""
    CRASH_AFTER = "crashAfter"
    """The worker dies after it took effect."""
    CRASH_PART = "crashPart"
    """The worker dies while a bulk write has taken effect for some of its records."""
    PAUSE_BEFORE = "pauseBefore"
    """The worker stands still before it is sent, for so long that another takes its run."""
    PAUSE_AFTER = "pauseAfter"
    """The worker stands still after it took effect, for so long that another takes its run."""


WRITES = ("insert", "update", "delete")
ONLY_WRITES = (Fault.PART, Fault.CRASH_PART)
CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.CRASH_PART)
PAUSES = (Fault.PAUSE_BEFORE, Fault.PAUSE_AFTER)
BROKEN: Sequence[Failure] = (
    Failure("connection_failed", {"detail": "reset by peer"}),
    Failure("timeout", {"table": ""}),
    Failure("rate_limited", {"retryAfter": 2}),
)


class Crash(BaseException):
    """The worker's process has died: nobody may catch this but whoever starts the next one."""


class VirtualClock:
    """The time of our own machine, in microseconds; it passes when somebody says so, and a little with every look."""

    def __init__(self, start: Stamp = 1_800_000_000_000_000) -> None:
        self.stamp = start

    def now(self) -> Stamp:
        self.stamp += 1
        return self.stamp

    def sleep(self, seconds: float) -> None:
        self.stamp += int(seconds * 1_000_000)


def _nobody(_name: str, _operation: str) -> None:
    """Nobody comes between."""


class Faults:
    """What goes wrong, by chance out of a seed: each call meets at most one fault, with the rates given.

    `between(name, operation)` plays the people who come between; `meanwhile`, with the same, what other workers do
    before any call; `paused()` what others do while a worker stands still. `trace` has every call; `counts` every
    fault. Nothing goes wrong while `on` is False.
    """

    def __init__(self, seed: int, rates: Mapping[Fault, float], clock: VirtualClock) -> None:
        self.on = True
        self.between: Callable[[str, str], None] = _nobody
        self.meanwhile: Callable[[str, str], None] = _nobody
        self.paused: Callable[[], None] = lambda: None
        self.trace: list[Entry] = []
        self.counts: Counter[Fault] = Counter()
        self.clock = clock
        self._chance = random.Random(seed)
        self._rates = rates
        self._away: dict[str, int] = {}

    def connector_class(self, kind: str) -> Callable[[Mapping[str, Any], Mapping[str, Any]], Connector]:
        """What makes connectors of a kind that go through these faults; for `Context.connector_class`."""
        made = connector_class(kind)
        return lambda settings, credentials: around(made(settings, credentials), _name(settings), self)

    def draw(self, name: str, operation: str) -> Fault | None:
        """What happens to the next call."""
        if not self.on:
            return None
        if self._away.get(name):
            self._away[name] -= 1
            return self._count(Fault.BEFORE)
        drawn = self._chance.random()
        for fault, rate in self._rates.items():
            drawn -= rate
            if drawn < 0:
                fits = operation in WRITES if fault in ONLY_WRITES else fault is not Fault.SHORT or operation == "read"
                return self._count(fault) if fits else None
        return None

    def _count(self, fault: Fault) -> Fault:
        self.counts[fault] += 1
        return fault

    def broken(self, name: str, fault: Fault) -> SideFailed:
        """How a broken call shows."""
        if fault is Fault.LASTING:
            self._away[name] = self._chance.randint(3, 12)
        return SideFailed(self._chance.choice(BROKEN))

    def some(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items that a write reaches before it breaks."""
        return items[: self._chance.randint(1, len(items))] if items else items

    def seconds(self) -> float:
        return self._chance.uniform(0.1, 3.0)

    def fewer(self, limit: int) -> int:
        return self._chance.randint(1, limit)


def _name(settings: Mapping[str, Any]) -> str:
    return str(settings.get("store") or settings.get("url"))


def around(inner: Connector, name: str, faults: Faults) -> Connector:
    """A connector in front of another, to which everything goes that gets through."""
    kind = type(
        "FaultyConnector",
        (_FaultyConnector,),
        {"kind": inner.kind, "accepts_keys": inner.accepts_keys, "has_feeds": inner.has_feeds},
    )
    made: Connector = kind(inner, name, faults)
    return made


class _FaultyConnector(Connector):
    """See `around`. What is not a call to the application, its nature, is that of the connector behind it."""

    kind: ClassVar[str] = "faulty"
    SETTINGS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, inner: Connector, name: str, faults: Faults) -> None:
        self._inner = inner
        self._name = name
        self._faults = faults
        self.overlap = inner.overlap

    def close(self) -> None:
        self._inner.close()

    def fence(self, permit: Callable[[], None]) -> None:
        self._inner.fence(permit)

    def tables(self) -> Sequence[TableName]:
        return self._inner.tables()

    def describe(self, table: str) -> Table:
        return self._inner.describe(table)

    def check(self, tables: Collection[Selection]) -> Sequence[Check]:
        return self._inner.check(tables)

    def link(self, table: str, key: str) -> str | None:
        return self._inner.link(table, key)

    def clock(self, selection: Selection) -> Clock:
        return self._call("clock", None, lambda: self._inner.clock(selection))

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        return self._call(
            "read",
            (since, cursor, limit),
            lambda: self._inner.read(selection, since, cursor, limit),
            lambda: self._inner.read(selection, since, cursor, self._faults.fewer(limit)),
        )

    def count(self, selection: Selection, since: Stamp, until: Stamp) -> int | None:
        return self._call("count", (since, until), lambda: self._inner.count(selection, since, until))

    def fetch(self, selection: Selection, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
        asked = (sorted(keys), filtered)
        return self._call("fetch", asked, lambda: self._inner.fetch(selection, keys, filtered=filtered))

    def find(
        self, selection: Selection, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
    ) -> Sequence[Record]:
        asked = (tuple(fields), sorted(map(repr, wanted)))
        return self._call("find", asked, lambda: self._inner.find(selection, fields, wanted))

    def cut(self, selection: Selection, size: int) -> Sequence[str]:
        return self._call("cut", size, lambda: self._inner.cut(selection, size))

    def read_range(self, selection: Selection, after: str | None, upto: str | None, limit: int) -> Page:
        return self._call(
            "read_range",
            (after, upto, limit),
            lambda: self._inner.read_range(selection, after, upto, limit),
            lambda: self._inner.read_range(selection, after, upto, self._faults.fewer(limit)),
        )

    def changes(self, selection: Selection, token: str | None) -> Changes | None:
        return self._call("changes", token, lambda: self._inner.changes(selection, token))

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        return self._call(
            "insert",
            list(items),
            lambda: self._inner.insert(selection, items),
            lambda: self._inner.insert(selection, self._faults.some(items)),
        )

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        return self._call(
            "update",
            list(items),
            lambda: self._inner.update(selection, items),
            lambda: self._inner.update(selection, self._faults.some(items)),
        )

    def delete(self, selection: Selection, items: Sequence[Deletion]) -> Sequence[Failure | None]:
        return self._call(
            "delete",
            list(items),
            lambda: self._inner.delete(selection, items),
            lambda: self._inner.delete(selection, self._faults.some(items)),
        )

    def _call(
        self, operation: str, asked: Any, work: Callable[[], Answer], less: Callable[[], Answer] | None = None
    ) -> Answer:
        """One call with whatever happens to it. `less` does a part of it."""
        self._faults.meanwhile(self._name, operation)
        fault = self._faults.draw(self._name, operation)
        place = len(self._faults.trace)
        self._faults.trace.append((self._name, operation, asked, fault or "", None))
        try:
            answer = self._meet(fault, operation, work, less or work)
        except BaseException as error:
            self._enter(place, f"{type(error).__name__} {error}")
            raise
        self._enter(place, answer)
        return answer

    def _enter(self, place: int, outcome: Any) -> None:
        self._faults.trace[place] = (*self._faults.trace[place][:4], outcome)

    def _meet(
        self, fault: Fault | None, operation: str, work: Callable[[], Answer], less: Callable[[], Answer]
    ) -> Answer:
        faults = self._faults
        match fault:
            case None:
                return work()
            case Fault.BEFORE:
                raise faults.broken(self._name, fault)
            case Fault.AFTER | Fault.LASTING:
                work()
                raise faults.broken(self._name, fault)
            case Fault.PART:
                less()
                raise faults.broken(self._name, fault)
            case Fault.SHORT:
                return less()
            case Fault.SLOW:
                faults.clock.sleep(faults.seconds())
                return work()
            case Fault.BETWEEN:
                faults.between(self._name, operation)
                return work()
            case Fault.CRASH_BEFORE:
                raise Crash
            case Fault.CRASH_AFTER:
                work()
                raise Crash
            case Fault.CRASH_PART:
                less()
                raise Crash
            case Fault.PAUSE_BEFORE:
                faults.paused()
                return work()
            case Fault.PAUSE_AFTER:
                answer = work()
                faults.paused()
                return answer


class Planned(Faults):
    """Faults that are said beforehand: each happens to the next call of its operation, once."""

    def __init__(self, *plan: tuple[str, Fault], clock: VirtualClock | None = None) -> None:
        super().__init__(0, {}, clock or VirtualClock())
        self._plan = list(plan)

    def draw(self, name: str, operation: str) -> Fault | None:
        if not self._plan or self._plan[0][0] != operation:
            return None
        return self._count(self._plan.pop(0)[1])

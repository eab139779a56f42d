"""What the four steps of a run pass to each other."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import orjson
from uuid_utils import UUID, uuid7

from service.connectors.base import Connector
from service.core.decide import Decision, Do
from service.core.failures import Failure
from service.core.flow import Coupled, Flow
from service.core.mapping import SyncMapping
from service.core.outcomes import Counts, Outcome, no_counts
from service.core.records import Direction, Record, Side, Stamp
from service.engine.match_index import MatchIndex
from service.engine.seen import Seen
from service.store.retries import Waiting
from service.store.runs import Lease, LeaseLost
from service.store.watermarks import Mark

PAGE_SIZE = 1_000
"""Records per page. A hundred take most of the gain of a batch, a thousand the rest; beyond it only memory grows."""


NewKey: TypeAlias = Callable[[], uuid.UUID | UUID]
"""What makes a key for a new record."""

SYNCHRONIZING = ("modified", "full")
"""The kinds of runs that go through all records there are, or all that changed, and carry them to the other side."""


class Stop(StrEnum):
    """Why a run ends before its last page."""

    CANCEL = "cancel"
    HAND_OVER = "handOver"


class Stopped(Exception):
    """Raised between two pages when a run is to stop; everything done so far is written down."""

    def __init__(self, why: Stop) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class Visit:
    """One candidate on its way through a run.

    `fresh`: its stamp may have been made since the side was last read, even if it is older than one that was seen.
    `after`: both records as they stand once the run is done with them. `written`: the sides that were written to.
    `first`: the coupling is made by this visit. `resolving`: a person decided, for these very states. `error_id`: the
    error that was logged for it.
    """

    record: Record
    coupled: Coupled | None
    decision: Decision
    destination: Record | None = None
    past: bool = False
    fresh: bool = False
    waiting: Waiting | None = None
    first: bool = False
    resolving: bool = False
    error_id: int | None = None
    failure: Failure | None = None
    after: dict[Side, Record] = field(default_factory=dict)
    written: set[Side] = field(default_factory=set)

    @property
    def outcome(self) -> Outcome:
        if self.failure is not None:
            return Outcome.FAILED
        return Outcome.COUPLED if self.first else self.decision.outcome

    @property
    def still_waits(self) -> bool:
        """Whether a record that was merely read again waits for another, as it did before."""
        idle = self.decision.do in (Do.FAIL, Do.NOTHING, Do.REFRESH)
        waits = len(self.decision.waits)
        return idle and not self.past and self.waiting is not None and 0 < waits == self.waiting.awaited


def _never() -> Stop | None:
    return None


@dataclass(slots=True)
class Task:
    """A run that a worker holds the lease of, with everything it needs. Counters and checkpoint live here between two
    pages and are written down with each.

    `margin`: microseconds before the end of its lease from which on a worker writes nothing more; so far the clocks of
    two machines may differ. `restored`: our own state is an older one than the records are. `chosen`: keys that inserts
    of unknown outcome were sent with, by the side they go to and the key of their source; sent again, they have the
    same. `unclear`: for writes, by the same, what was said when nobody knew whether they had arrived. `range_size`: a
    reading of twice as many records is cut into ranges. `noted`: whether the page has noted changes before it sent
    them. `marks`: how far sides were read whose pass found nothing, until that is written down. `began`, `read_here`:
    when this worker began, and how many records it has read.
    `steady`: a clock of our own that nobody sets while this process lives.
    `sent`: inserts of unknown outcome, by the same as `chosen`, that were looked for and not found. `new_key`: the keys
    of a page lie beside each other in every index, here and there, where each is greater than the one before.
    """

    lease: Lease
    kind: str
    direction: Direction
    dry_run: bool
    allow_mass_delete: bool
    request: Mapping[str, Any]
    requested_by: str | None
    mapping: SyncMapping
    flows: Mapping[Side, Flow]
    connectors: Mapping[Side, Connector]
    full: bool
    now: Callable[[], Stamp]
    steady: Callable[[], Stamp]
    new_key: NewKey = uuid7
    margin: Stamp = 0
    stopping: Callable[[], Stop | None] = _never
    sleep: Callable[[float], None] = time.sleep
    restored: bool = False
    max_delete_percent: int | None = None
    max_delete_count: int | None = None
    chosen: dict[tuple[Side, str], str] = field(default_factory=dict)
    sent: set[tuple[Side, str]] = field(default_factory=set)
    unclear: dict[tuple[Side, str], list[Failure]] = field(default_factory=dict)
    noted: bool = False
    marks: dict[Side, Mark] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    checkpoint: dict[str, Any] = field(default_factory=dict)
    page_size: int = PAGE_SIZE
    range_size: int = 10_000
    match_index: MatchIndex | None = None
    seen: Mapping[Side, Seen] = field(default_factory=lambda: {side: Seen() for side in Side})

    began: Stamp = field(init=False)
    read_here: int = 0
    _kept: tuple[bytes, dict[Side, Mark]] = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.now()
        for side in Side:
            self.counts.setdefault(Direction.out_of(side), no_counts())
        self.keep()

    def keep(self) -> None:
        """What is counted so far stays, even if what follows is done again."""
        self._kept = orjson.dumps((self.counts, self.progress, self.checkpoint)), dict(self.marks)

    def go_back(self) -> None:
        """Forget what was counted, and gone on, since it was last kept."""
        document, marks = self._kept
        self.counts, self.progress, self.checkpoint = orjson.loads(document)
        self.marks = dict(marks)

    @property
    def sources(self) -> list[Side]:
        """The sides that this run reads as sources, in order: the local one first, as the origin has it."""
        return [side for side in Side if self.flows[side].lines and self.direction.allows(Direction.out_of(side))]

    def permit(self) -> None:
        """Raise LeaseLost when the lease has ended by our own clock: from then on another may have the run. Asks
        nobody, so that it can be the last thing done before a write."""
        if self.now() >= self.lease.until - self.margin:
            raise LeaseLost

    @property
    def passes(self) -> list[Side]:
        """The sources of the run's passes. Where records refer to others of their own mapping, each side is gone
        through again for those that waited for a record of this very run."""
        again = not self.request.get("released") and self.refers_to_itself
        return self.sources * 2 if again and self.kind in SYNCHRONIZING else self.sources

    @property
    def revisiting(self) -> bool:
        """Whether this pass looks only at records that waited for others which are coupled now."""
        again = self.kind in SYNCHRONIZING and self.checkpoint.get("pass", 0) >= len(self.sources)
        return again or bool(self.request.get("released"))

    @property
    def refers_to_itself(self) -> bool:
        """Whether records refer to others of their own mapping."""
        pointers = [line.pointer for flow in self.flows.values() for line in flow.lines]
        return any(pointer is not None and pointer.mapping_id == self.mapping.id for pointer in pointers)

    def beyond(self, number: int) -> dict[str, Any]:
        """The checkpoint after a pass."""
        more = self.following or number + 1 < len(self.passes)
        return {"pass": number + 1, **self.following} if more else {"finished": True}

    @property
    def following(self) -> dict[str, Any]:
        """What the checkpoint says of feeds, which outlasts a pass."""
        return {"feeds": self.checkpoint["feeds"]} if self.checkpoint.get("feeds") else {}

    def check_stop(self) -> None:
        """Raise Stopped between two pages when somebody asked for it."""
        why = self.stopping()
        if why is not None:
            raise Stopped(why)

"""One contender's way through the work items on one pair of tables, in a process of its own.

Prints one JSON document: the costs of each item, in the order in which they were measured.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scripts.benchmarks.contenders import Contender, contender
from scripts.benchmarks.counting import Counter, watch_sqlite
from scripts.benchmarks.databases import People, Place
from scripts.benchmarks.meters import measure
from scripts.benchmarks.tables import CHANGED, CONFLICTS, CRM, ERP, Edit, changes, conflicting_changes, forbid
from service.connectors.base import Connector
from service.engine.window import SECOND

QUIET = (Connector.overlap + SECOND) / SECOND + 0.1
"""Seconds after which nothing lies in the window any more that is read again behind a watermark. Readings begin with a
second: without a whole one more than the overlap, the moment within a second decides what is read again."""

STORIES: dict[str, tuple[str, ...]] = {
    "load": ("W1", "echoes", "W5", "W3", "W4", "batch", "badRecord"),
    "match": ("W2",),
}
"""What is measured in one go, on the same tables."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one process does. `repeats`: how often the short items are measured. `counting`: work is counted, instead of
    timed."""

    contender: str
    story: str
    size: int
    repeats: int
    counting: bool
    items: tuple[str, ...]
    place: dict[str, Any]


class Wrong(Exception):
    """The contender did not do what the item asks for, so that its time does not count."""


class Telling:
    """Carries out the items of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        if plan.counting:
            watch_sqlite()
        self._place = Place(**plan.place)
        self._people = People(self._place)
        self._found: dict[str, list[dict[str, float]]] = defaultdict(list)
        self._who: Contender = contender(plan.contender, self._place, plan.story == "match")
        self._next = 0

    def tell(self) -> dict[str, list[dict[str, float]]]:
        """Everything that the plan asks for."""
        if self._plan.story == "match":
            self._match()
        else:
            self._load()
        self._who.close()
        return dict(self._found)

    def _match(self) -> None:
        self._measure("W2", "match")
        self._rest()
        self._settle()
        self._agree()

    def _load(self) -> None:
        self._measure("W1", "copy")
        if self._people.count(CRM) != self._plan.size:
            raise Wrong("not every record arrived")
        self._rest()
        self._measure("echoes", "run")
        self._agree()
        steps: dict[str, Callable[[], None]] = {
            "W5": lambda: self._measure("W5", "run"),
            "W3": self._changed,
            "W4": self._conflicts,
            "batch": self._batch,
            "badRecord": self._bad_record,
        }
        for item, step in steps.items():
            wanted = item in self._plan.items and (item != "badRecord" or self._who.outcome() is not None)
            for _ in range(self._plan.repeats if wanted else 0):
                self._rest()
                step()

    def _changed(self) -> None:
        self._people.edit(changes(self._fresh_rows(), "A/S"))
        self._measure("W3", "run")
        self._settle()
        if self._who.set_aside() == 0:
            self._agree()

    def _conflicts(self) -> None:
        before = self._who.set_aside()
        self._people.edit(conflicting_changes(self._fresh_rows(), "ANS"))
        self._measure("W4", "run")
        self._settle()
        if self._who.set_aside() - before != CONFLICTS:
            raise Wrong(f"{self._who.set_aside() - before} conflicts were kept instead of {CONFLICTS}")

    def _batch(self) -> None:
        first = self._fresh_rows()
        self._people.edit([Edit(ERP, first, first + CHANGED, " AB")])
        self._measure("batch", "run")
        self._settle()

    def _bad_record(self) -> None:
        first = self._fresh_rows()
        self._people.edit([Edit(ERP, first, first + CHANGED, " KG")])
        self._people.execute(ERP, forbid(first + CHANGED // 3))
        self._measure("badRecord", "run")
        if self._who.outcome() != (CHANGED - 1, 1):
            raise Wrong(f"a bad record among {CHANGED}: {self._who.outcome()} were written and failed")

    def _measure(self, item: str, what: str) -> None:
        self._who.ask(what)
        if self._plan.counting and item not in self._plan.items:
            self._who.work()
        elif self._plan.counting:
            with Counter(self._place) as counter:
                self._who.work()
            self._found[item].append(counter.counts())
        else:
            self._found[item].append(measure(self._who.work, self._place.server).document())

    def _settle(self) -> None:
        """A run that is not measured: it sees the last writes again, and the next item does not."""
        self._rest()
        self._who.ask("run")
        self._who.work()

    def _rest(self) -> None:
        time.sleep(QUIET)

    def _fresh_rows(self) -> int:
        """The first of a thousand rows that nobody touched yet."""
        first = self._next
        self._next += CHANGED
        if self._next > self._plan.size:
            raise Wrong(f"{self._plan.size} rows are too few for so many repeats")
        return first

    def _agree(self) -> None:
        if differences := self._people.differences():
            raise Wrong(f"the two sides differ in {differences} records")


def main() -> None:
    document = json.loads(sys.argv[1])
    plan = Plan(**{**document, "items": tuple(document["items"])})
    print(json.dumps(Telling(plan).tell()))


if __name__ == "__main__":
    main()

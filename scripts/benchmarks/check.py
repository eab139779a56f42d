"""Holds counted work against the figures that were accepted: counts do not depend on the machine's mood, times do."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.databases import KINDS, Databases, databases
from scripts.benchmarks.rounds import tell
from scripts.benchmarks.story import Plan
from tests.servers import PostgresServer

ACCEPTED = Path(__file__).with_name("accepted.json")

SIZES = (2_000, 10_000)
"""Rows of the tables whose work is counted. The items below `SAME` must not cost more in the larger ones."""

SAME = ("W3", "W5")

ITEMS = ("W1", "echoes", "W5", "W3", "W4", "W2")

TOLERANCE = {"statements": 1.05, "roundTrips": 1.05, "requests": 1.0, "rowsWritten": 1.02, "bytes": 1.2, "calls": 1.1}
"""So many times the accepted count is still taken for the same. What threads do at a time of their own, and how full
the pages of a file are, differs a little from run to run."""

GROWTH = 1.1
"""So many times as much may an item of `SAME` cost in the larger table."""

Counts = dict[str, dict[str, float]]
"""For `databases size item`, what was counted."""


@dataclass(frozen=True, slots=True)
class Worse:
    """A count that is larger than it may be."""

    where: str
    name: str
    was: float
    now: float

    def __str__(self) -> str:
        return f"{self.where}: {self.name} {self.was:,.0f} -> {self.now:,.0f} ({self.now / max(self.was, 1):.2f} times)"


def count(folder: Path, server: PostgresServer | None = None) -> Counts:
    """Count the work of all items on both kinds of databases, in processes beside each other."""
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        found: Counts = {}
        jobs = []
        for kind in KINDS:
            kept = stack.enter_context(databases(kind, folder / kind, server))
            jobs += [pool.submit(_story, kept, "load", size) for size in SIZES]
            jobs.append(pool.submit(_story, kept, "match", SIZES[0]))
        for job in jobs:
            found |= job.result()
    return dict(sorted(found.items()))


def _story(kept: Databases, story: str, size: int) -> Counts:
    with kept.place(size, story == "match") as place:
        plan = Plan("accord", story, size, 1, True, ITEMS, place.document())
        told = tell(plan, place, counting=True)
    return {f"{kept.kind} {size} {item}": costs[0] for item, costs in told.items() if item in ITEMS}


def accepted() -> Counts:
    """The figures that were last accepted; calls are left out where another Python counted them."""
    document = json.loads(ACCEPTED.read_text(encoding="utf-8"))
    counts: Counts = document["counts"]
    if document["python"] == _python():
        return counts
    return {where: {name: n for name, n in found.items() if name != "calls"} for where, found in counts.items()}


def accept(found: Mapping[str, Mapping[str, float]]) -> None:
    """Write the figures down as what counts from now on."""
    text = json.dumps({"python": _python(), "counts": found}, indent=1)
    ACCEPTED.write_text(text + "\n", encoding="utf-8")


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def worse(found: Counts, before: Counts) -> list[Worse]:
    """What costs more than was accepted."""
    return [
        Worse(where, name, was, found[where][name])
        for where, counts in before.items()
        for name, was in counts.items()
        if found[where][name] > was * TOLERANCE[name]
    ]


def better(found: Counts, before: Counts) -> list[Worse]:
    """What costs a tenth less than was accepted, so that the figures can be accepted anew."""
    return [
        Worse(where, name, was, found[where][name])
        for where, counts in before.items()
        for name, was in counts.items()
        if found[where][name] < was * 0.9
    ]


def growing(found: Counts) -> Iterator[Worse]:
    """What depends on the size of the tables, and must not."""
    few, many = SIZES
    for kind in KINDS:
        for item in SAME:
            small, large = (found[f"{kind} {size} {item}"] for size in (few, many))
            for name in ("statements", "roundTrips", "requests", "rowsWritten", "calls"):
                if large[name] > small[name] * GROWTH:
                    yield Worse(f"{kind} {item} of {many:,} rows against {few:,}", name, small[name], large[name])


def report(found: Counts) -> tuple[list[str], bool]:
    """What a person reads, and whether all is well."""
    wrong: Sequence[Worse] = [*worse(found, accepted()), *growing(found)]
    lines = [f"more: {one}" for one in wrong] + [f"less: {one}" for one in better(found, accepted())]
    lines.append("The work grew; if it has to, say so with scripts/bench --accept." if wrong else "No work grew.")
    return lines, not wrong

"""The items that are not about one run: lists and pages of a full state, and many mappings due at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from scripts.benchmarks import odata
from scripts.benchmarks.asking import CONSTANT, Asking
from scripts.benchmarks.databases import Databases
from scripts.benchmarks.filled import SKIPPED
from scripts.benchmarks.rounds import in_own_process

TIMES = {"A1": 50, "console": 10}
"""How often each is asked for."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What one address, or one pass over all mappings, took: milliseconds of wall as median and 99th of a hundred, and
    of CPU."""

    databases: str
    item: str
    rows: int
    what: str
    median: float
    p99: float
    cpu: float


def ask(found: Databases, items: Iterable[str], rows: int, runs: int) -> list[Answered]:
    """Measure those of the items that are asked for."""
    answers = []
    for item in items:
        if item in TIMES:
            with found.place(0, False) as place:
                asking = Asking(item, rows, min(SKIPPED, rows // 10), TIMES[item], place.document())
                told: list[tuple[str, dict[str, float]]] = in_own_process("asking", asdict(asking))
            answers += [Answered(found.kind, item, rows, path, **costs) for path, costs in told]
        elif item == "A2":
            answers.append(_due(found, runs))
        elif item == "W6":
            answers += _odata(found, runs)
    return answers


def _due(found: Databases, runs: int) -> Answered:
    costs: list[dict[str, Any]] = []
    for _ in range(runs):
        with found.place(0, False) as place:
            costs.append(in_own_process("due", place.document()))
    walls = [one["wall"] * 1000 for one in costs]
    cpu = median(one["cpu"] for one in costs) * 1000
    return Answered(found.kind, "A2", 0, "all mappings", median(walls), max(walls), cpu)


def _odata(found: Databases, runs: int) -> list[Answered]:
    told: list[dict[str, dict[str, float]]] = []
    alone: list[dict[str, dict[str, float]]] = []
    for _ in range(runs):
        with found.place(odata.ROWS, False) as place:
            one = in_own_process("odata", place.document())
            told.append(one["told"])
            alone.append(one["alone"])
    answers = []
    for name, title in odata.TITLES.items():
        walls = [one[name]["wall"] * 1000 for one in told]
        what = f"{title}, {told[0][name]['requests']:.0f} requests"
        cpu = median(one[name]["cpu"] for one in told) * 1000
        answers.append(Answered(found.kind, "W6", odata.ROWS, what, median(walls), max(walls), cpu))
    for name, title in odata.ALONE.items():
        walls, cpus = ([run[name][cost] * 1000 for run in alone] for cost in ("wall", "cpu"))
        answers.append(Answered(found.kind, "W6", odata.ROWS, title, median(walls), max(walls), median(cpus)))
    return answers


def report(answers: Sequence[Answered]) -> list[str]:
    """A line for each address; what takes longer than it should is marked."""
    if not answers:
        return []
    constants = [one.cpu for one in answers if one.what == CONSTANT]
    lines = [f"{'':11}{'item':8} {'':58}{'median ms':>10}{'p99 ms':>10}{'CPU ms':>10}   CPU against a constant"]
    for one in answers:
        digits = 4 if one.what in odata.ALONE.values() else 1  # Milliseconds for each record, which takes few.
        ratio = f"{one.cpu / median(constants):8.1f}" if one.item == "A1" else ""
        lines.append(
            f"{one.databases:11}{one.item:8} {one.what:58}"
            + "".join(f"{figure:10.{digits}f}" for figure in (one.median, one.p99, one.cpu))
            + f"   {ratio}"
        )
    return lines

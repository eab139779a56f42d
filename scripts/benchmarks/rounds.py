"""Runs the stories of all contenders in turn, each in a process of its own, and gathers what they cost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from scripts.benchmarks import wire
from scripts.benchmarks.databases import Databases, Place
from scripts.benchmarks.story import STORIES, Plan

ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Figures:
    """What a contender's item cost in all runs: for each figure the median of each run's repeats."""

    runs: list[dict[str, float]] = field(default_factory=list)

    def add(self, repeats: Sequence[dict[str, float]]) -> None:
        self.runs.append({name: median(one[name] for one in repeats) for name in repeats[0]})

    def of(self, name: str) -> list[float]:
        return [run[name] for run in self.runs]

    def median(self, name: str) -> float:
        return median(self.of(name))


Key = tuple[str, int, str, str]
"""Databases, size, item, contender."""

Results = dict[Key, Figures]


def stories_for(items: Sequence[str]) -> list[str]:
    return [story for story, told in STORIES.items() if set(told) & set(items)]


def play(
    found: Databases,
    sizes: Sequence[int],
    contenders: Sequence[str],
    items: Sequence[str],
    runs: int,
    repeats: int,
    counting: bool = False,
) -> Iterator[tuple[Key, list[dict[str, float]]]]:
    """All rounds: in each, every contender one after the other, so that the machine's mood is the same for all."""
    for size in sizes:
        for story in stories_for(items):
            for _ in range(runs):
                for name in contenders:
                    with found.place(size, story == "match") as place:
                        plan = Plan(name, story, size, repeats, counting, tuple(items), place.document())
                        for item, costs in tell(plan, place, counting).items():
                            yield (found.kind, size, item, name), costs


def tell(plan: Plan, place: Place, counting: bool) -> dict[str, list[dict[str, float]]]:
    """One story in a process of its own."""
    found: dict[str, list[dict[str, float]]]
    if not counting:
        found = in_own_process("story", asdict(plan))
    else:
        with wire.counted(place) as counted:
            found = in_own_process("story", {**asdict(plan), "place": counted.document()})
    return found


def in_own_process(module: str, document: dict[str, Any]) -> Any:
    """What a module of this package prints when it is told what to do. Ends this program when it fails."""
    command = [sys.executable, "-m", f"scripts.benchmarks.{module}", json.dumps(document)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{module} failed: {json.dumps(document)}")
    return json.loads(done.stdout.splitlines()[-1])

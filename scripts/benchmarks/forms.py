"""Measure matching by normal forms: two tables with an overlap of nine in ten, and four kinds of noise on one side.

For each size a fresh process says how long a run of kind `match` took, its CPU seconds, the most memory it ever had,
and how many of the pairs it found. The memory must not grow with the tables.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from service.core.records import Side
from service.operations import runs
from service.store import couplings
from service.store.database import database, migrate, open_database
from service.worker import run_until_idle
from tests.companies import KEYS, Truth, map_companies, write
from tests.world import new_context

LEVEL = 4
MOST_GROWTH = 1.5
"""So much more memory may the largest size take than the smallest."""


def match(folder: Path, size: int) -> dict[str, Any]:
    """Make the data, match it, and judge what was coupled."""
    files, truth_of = _make(folder, size)
    open_database(f"sqlite:///{folder / 'state.db'}")
    migrate()
    context = new_context()
    with database.connection_context():
        mapping_id = map_companies(context, files, KEYS)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        cpu, wall = time.process_time(), time.perf_counter()
        run = runs.start(context, runs.RunRequest(mapping_id, "match"), "bench")
        run_until_idle(context)
        found: dict[str, Any] = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        found["before"], found["peak"] = before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found["status"], after = runs.get(run.id).status, 0
        coupled: dict[str, str] = {}
        while page := couplings.page(mapping_id, after, 10_000):
            coupled |= {pair.keys[Side.LOCAL]: pair.keys[Side.INTEGRATION] for pair in page}
            after = page[-1].id
    partners = json.loads(truth_of.read_text())
    right = len(coupled.items() & partners.items())
    return {**found, "precision": right / max(1, len(coupled)), "recall": right / len(partners)}


def _make(folder: Path, size: int) -> tuple[dict[Side, Path], Path]:
    """The two databases and the truth, made by another process, so that its memory is not counted here."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmarks.forms", "--make", str(size), str(folder)], check=True
    )
    done.check_returncode()
    files = {side: folder / f"companies_{side}.db" for side in Side}
    return files, folder / "truth.json"


def make(size: int, folder: Path) -> None:
    """The data of one size."""
    truth = Truth(size, LEVEL, seed=size)
    write(folder, truth)
    (folder / "truth.json").write_text(json.dumps(truth.partners))


def in_own_process(size: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "scripts.benchmarks.forms", "--only", str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(sizes: Sequence[int]) -> None:
    """Measure each size in a process of its own, and print the table."""
    report({size: in_own_process(size) for size in sizes})


def main() -> None:
    """What one of these processes does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int)
    parser.add_argument("--make", nargs=2)
    given = parser.parse_args()
    if given.make:
        make(int(given.make[0]), Path(given.make[1]))
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(match(Path(folder), given.only)))


def report(found: dict[int, dict[str, Any]]) -> None:
    """The table; fails when the memory grows with the tables, or a pair is wrong."""
    heads = ("wall s", "CPU s", "us each", "start MB", "peak MB", "precision", "recall")
    print(f"{'records':>9}" + "".join(f"{head:>10}" for head in heads))
    for size, one in found.items():
        figures = (one["wall"], one["cpu"], one["cpu"] / size / 2 * 1e6, one["before"], one["peak"])
        shown = "".join(f"{figure:>10.1f}" for figure in figures)
        print(f"{size:>9,}{shown}{one['precision']:>10.4f}{one['recall']:>10.4f}")
    peaks = [one["peak"] for one in found.values()]
    if peaks[-1] > MOST_GROWTH * peaks[0] or min(one["precision"] for one in found.values()) < 0.999:
        raise SystemExit("the memory grew with the tables, or records were coupled wrongly")


if __name__ == "__main__":
    main()

"""A thousand seeds: people, runs, faults, crashes and workers that stand still, each time another way, and the same way
again for the same seed.

A seed that fails is told with the last of its trace. To play it alone, with all of it:

    ACCORD_SEED=17 .venv/bin/python -m pytest tests/simulation -k other_seeds

ACCORD_SEEDS says how many to play instead of a thousand.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from service.store.database import database
from tests.faults import CRASHES, PAUSES, Entry, Fault
from tests.simulation.scenario import Scenario

ALONE = os.environ.get("ACCORD_SEED")
SEEDS = int(os.environ.get("ACCORD_SEEDS", "1000"))
FEW = 150
"""So many seeds are played in a moment. They find every bug that scripts/planted-bugs plants for them."""

TOLD = 40
"""So many calls of a seed that failed are told."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of crashes are not worth a line each."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


def play(seed: int, folder: Path) -> Scenario:
    """Play a seed; what went wrong names it."""
    scenario = Scenario(seed, folder)
    try:
        scenario.play()
    except Exception as error:
        told = scenario.faults.trace if ALONE else scenario.faults.trace[-TOLD:]
        lines = "\n".join(map(_line, told))
        raise AssertionError(f"seed {seed}: {error}\n{lines}\nACCORD_SEED={seed} plays it alone") from error
    finally:
        database.close()
    return scenario


def _line(entry: Entry) -> str:
    name, operation, asked, fault, answer = entry
    return f"{name}.{operation} {_short(asked)}{f' <<{fault}>>' if fault else ''} -> {_short(answer)}"


def _short(value: Any) -> str:
    return "" if value is None else str(value) if ALONE else str(value)[:300]


def play_all(seeds: range, folder: Path) -> Counter[Fault]:
    """Play seeds and say what went wrong in them."""
    began, counts = time.monotonic(), Counter[Fault]()
    for seed in seeds:
        counts += play(seed, folder).faults.counts
    crashes, pauses = (sum(counts[fault] for fault in some) for some in (CRASHES, PAUSES))
    print(
        f"\n{len(seeds)} seeds in {time.monotonic() - began:.0f} s: {sum(counts.values())} faults, among them "
        f"{crashes} crashes and {pauses} workers that stood still, {counts[Fault.BETWEEN]} people between two calls"
    )
    return counts


def test_the_first_seeds(tmp_path: Path) -> None:
    counts = play_all(range(FEW), tmp_path)
    assert set(counts) == set(Fault), "every fault happens"


@pytest.mark.slow
def test_the_other_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        play_all(range(int(ALONE), int(ALONE) + 1) if ALONE else range(FEW, SEEDS), tmp_path)


def test_the_same_seed_goes_the_same_way(tmp_path: Path) -> None:
    for seed in range(10):
        one, other = play(seed, tmp_path), play(seed, tmp_path)
        assert one.faults.trace == other.faults.trace
        assert one.applications.versions() == other.applications.versions()
        assert one.clock.stamp == other.clock.stamp
    assert play(1, tmp_path).faults.trace != play(2, tmp_path).faults.trace

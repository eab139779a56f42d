"""A real process is killed at every moment that can be told from the one before, on both databases that hold the state;
or it is stopped there, and wakes when another has done its work."""

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PostgresServer

ROOT = Path(__file__).parents[2]
EVERY, LONG = ("1", "1") if os.environ.get("ACCORD_EVERY_MOMENT") else ("4", "6")
"""Only the nightly tests go through all moments on PostgreSQL, where each needs new databases, and through all at which
a process may be stopped, and at all of the run that is worked on in ranges."""


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder that is in memory where the machine has one: thousands of commits need not wait for a disk here."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
    command = [sys.executable, "-m", "tests.crash_points", *arguments, "--long", LONG]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    with capsys.disabled():
        print(f"\n{done.stdout}", end="")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_every_moment_on_sqlite(memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, str(memory))


@pytest.mark.slow
def test_a_process_that_is_stopped_and_overtaken_does_no_harm(memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, str(memory), "--way", "overtake", "--every", EVERY)


@pytest.mark.slow
def test_moments_on_postgresql(memory: Path, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, str(memory), postgres.url(), "--every", EVERY, "--name", f"crash_{uuid.uuid4().hex[:8]}")

"""Measure a full run over a large table by one worker process and by two: seconds, CPU seconds of the workers, records
a second, and the ratio; and how soon a small mapping begins that is triggered in the middle.

The state and the applications are databases of one PostgreSQL. The measurements take turns, since a machine may have
other things to do, and of each the fastest counts. It ends with 1 where a small mapping began too late.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.core.records import Direction
from service.operations import runs
from service.store.database import connection
from service.store.models import SyncRun
from tests.servers import PostgresServer, postgres_server
from tests.service.installation import Installation, installation

LATEST = 2.0
"""Seconds after which the small mapping has to have begun."""

PATIENCE = 3_600.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One full run; `began`: seconds from triggering the small mapping to its beginning."""

    workers: int
    rows: int
    wall: float
    cpu: float
    began: float

    @property
    def rate(self) -> float:
        return self.rows / self.wall

    def __str__(self) -> str:
        return (
            f"{self.workers} worker{'s' if self.workers > 1 else ' '} {self.wall:8.1f} s {self.cpu:8.1f} s CPU"
            f" {self.rate:9.0f} records/s   a small mapping began after {self.began:.2f} s"
        )


def measure(server: PostgresServer, workers: int, rows: int, queue: str) -> Measured:
    """A fresh installation, a full run, and in its middle a small one."""
    names = [f"work{number}" for number in range(workers)]
    with (
        tempfile.TemporaryDirectory() as folder,
        installation(Path(folder), server, server, ACCORD_QUEUE_URL=queue, ACCORD_LOG_LEVEL="warning") as place,
    ):
        large, small = place.map(2, rows)
        place.change("DELETE FROM source_1 WHERE id > 20")
        for name in names:
            place.start(name)
        before = cpu_of(place, names)
        with connection():
            run_id = runs.start(place.context, runs.RunRequest(large, "full", Direction.TO_INTEGRATION), "bench").id
            place.wait_for(lambda: SyncRun.get_by_id(run_id).progress.get("read", 0) > rows // 2, PATIENCE)
            small_id = runs.start(place.context, runs.RunRequest(small), "bench").id
            place.wait_for(ended(run_id), PATIENCE)
            run, other = runs.get(run_id), runs.get(small_id)
            place.wait_for(ended(small_id))
        cpu = cpu_of(place, names) - before
        assert (run.status, run.counts["toIntegration"]["inserted"]) == ("succeeded", rows), (run.status, run.counts)
        wall, began = seconds(run.started_at, run.finished_at), seconds(other.created_at, other.started_at)
        return Measured(workers, rows, wall, cpu, began)


def seconds(start: int | None, end: int | None) -> float:
    assert start is not None
    assert end is not None
    return (end - start) / 1_000_000


def ended(run_id: int) -> Callable[[], bool]:
    return lambda: SyncRun.get_by_id(run_id).status not in ("queued", "running")


def cpu_of(place: Installation, names: list[str]) -> float:
    """Seconds of CPU that the workers have used."""
    stats = [Path(f"/proc/{place.processes[name].pid}/stat").read_text().rpartition(")")[2].split() for name in names]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description="Measure a full run by one worker, and by two.")
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--times", type=int, default=2, help="how often each is measured")
    parser.add_argument("--no-queue", action="store_true", help="workers look for runs in the table themselves")
    given = parser.parse_args()
    queue = "" if given.no_queue else "procrastinate"
    found: dict[int, list[Measured]] = {1: [], 2: []}
    with postgres_server() as server:
        for _ in range(given.times):
            for workers, measured in found.items():
                measured.append(measure(server, workers, given.rows, queue))
                print(measured[-1], flush=True)
    one, two = (max(measured, key=lambda item: item.rate) for measured in found.values())
    print(f"{given.rows:,} rows: two workers do {two.rate / one.rate:.2f} times as much as one,", end=" ")
    print(f"for {two.cpu / one.cpu:.2f} times the CPU")
    latest = max(item.began for some in found.values() for item in some)
    print(f"the small mapping began after {latest:.2f} s at most")
    return int(latest > LATEST)


if __name__ == "__main__":
    sys.exit(main())

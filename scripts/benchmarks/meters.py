"""What a step cost: CPU seconds of this process and of the databases apart, wall seconds, and the most memory."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds, and megabytes at most while it lasted."""

    service: float
    database: float
    wall: float
    memory: float

    @property
    def cpu(self) -> float:
        """User and system time of the service and of the databases together."""
        return self.service + self.database

    def document(self) -> dict[str, float]:
        return {**asdict(self), "cpu": self.cpu}


def measure(step: Callable[[], object], server: int) -> Cost:
    """Do one step; `server` is the number of a database server's first process, 0 where there is none."""
    _forget_peak()
    before, wall = (own_cpu(), tree_cpu(server)), time.perf_counter()
    step()
    wall = time.perf_counter() - wall
    return Cost(own_cpu() - before[0], tree_cpu(server) - before[1], wall, peak_memory())


def own_cpu() -> float:
    """Seconds of this process and of the children that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def tree_cpu(first: int) -> float:
    """Seconds of a process and its children: the living ones to the nanosecond, and those that are gone."""
    if not first:
        return 0.0
    numbers = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    gone = Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[13:15]
    return sum(_running(number) for number in (str(first), *numbers)) + sum(map(int, gone)) / TICK


def _running(number: str) -> float:
    try:
        return int(Path(f"/proc/{number}/schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # It ended meanwhile, and is counted with those that are gone.


def peak_memory() -> float:
    """Megabytes that this process had resident at most since `measure` began."""
    return _status("VmHWM") / 1024


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1])
    raise LookupError(name)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")

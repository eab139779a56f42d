"""Workers of this machine whose process is gone: what they had may be taken at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from service.store import runs as run_rows


def free_runs_of_the_dead(own: str) -> int:
    """End the leases of workers of this machine whose process is gone; returns how many runs that frees."""
    dead = [owner for owner in run_rows.owners() if not owner.startswith(own) and _is_dead(owner)]
    return run_rows.end_leases(dead) if dead else 0


def _is_dead(owner: str, alive: Callable[[int], bool] | None = None) -> bool:
    """Whether a worker is surely gone. A process that has our own number, or that of nobody, is; another machine's may
    live."""
    host, _, rest = owner.partition(":")
    number = rest.partition(":")[0]
    if host == "inline":
        host, number = socket.gethostname(), rest.partition(":")[0]
    if host != socket.gethostname() or not number.isdigit():
        return False
    return int(number) == os.getpid() or not (alive or _lives)(int(number))


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""Bringing the schema up to date while processes work: those that could not go on beside it are asked to leave."""

from __future__ import annotations

import threading

from service.core.errors import Explained
from service.operations.context import wall_clock
from service.store import levels, processes
from service.store.database import migrate

LIVING = 30_000_000
"""Microseconds since a process was seen after which it does not count as living."""

PATIENCE = 60
"""Seconds for older processes to finish their pages, hand their runs over and end."""


class StillWorking(Explained):
    """Processes of an older version have not ended; the text names them."""


def upgrade(patience: float = PATIENCE) -> list[str]:
    """Migrate, and return the names of what was applied. Raises StillWorking."""
    return migrate(lambda: _ask_older_to_leave(patience))


def _ask_older_to_leave(patience: float) -> None:
    level = levels.to_be_alone()
    if level is None:
        return
    levels.close_below(level)
    pause, waited = threading.Event(), 0.0
    while names := [seen.name for seen in living() if seen.level < level]:
        if waited >= patience:
            raise StillWorking(
                "Processes of an older version still work: {names}. Stop them, and run `accord migrate` again.",
                names=", ".join(sorted(names)),
            )
        pause.wait(0.5)
        waited += 0.5


def living() -> list[processes.Seen]:
    """The processes that live, as far as one can see."""
    return [seen for seen in processes.seen(wall_clock()) if seen.silent < LIVING]

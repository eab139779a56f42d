"""Which versions of the service may work on a state at a time.

A migration only adds, so that processes of the version before go on beside new ones; or it says `ALONE = True`, and is
not carried out before they have ended. The newest of those is noted, and a version that does not know it stays away.
"""

from __future__ import annotations

from playhouse.migrations import Runner

from service.store import notes
from service.store.database import MIGRATIONS, database

_NOTE = "closed_below"


def own() -> str:
    """The newest migration that this version knows."""
    return str(Runner(database.obj, str(MIGRATIONS)).migrations()[-1].name)


def closed_to_us() -> str | None:
    """The migration beside which this version cannot work; None: it can. The caller has a connection open."""
    if not database.table_exists("notes"):
        return None
    level = notes.read(_NOTE)
    return level if level is not None and level > own() else None


def to_be_alone() -> str | None:
    """The newest of the pending migrations that no older version works beside; None: there is none, or nobody can be
    told."""
    pending = [m for m in Runner(database.obj, str(MIGRATIONS)).status() if m.path is not None and not m.applied]
    alone = [m.name for m in pending if getattr(m.load(), "ALONE", False)]
    return str(alone[-1]) if alone and database.table_exists("notes") else None


def close_below(level: str) -> None:
    """From now on, versions that do not know this migration stay away."""
    notes.write(_NOTE, level)

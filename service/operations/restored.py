"""What is to be done once the service's own state was restored from a backup: every mapping looks at everything, and
leaves to people what it cannot know any more.

That it was restored is noticed by a note beside the database of the last run that was ever taken: a state whose newest
run is older than that has been set back. Who restores the note together with the database says so by `accord restored`.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

import orjson

from service.operations import audit
from service.operations.context import Context
from service.store import mappings, sql
from service.store import runs as run_rows


class LastRun:
    """The note of the last run, in a file. `state` names the database, so that a note of another one is not taken for
    its own. Processes on several machines each have a note of theirs."""

    def __init__(self, place: Path, state: str) -> None:
        self._place = place
        self._state = state

    def read(self) -> int:
        """The number of the last run that this machine knows of; 0 without a note."""
        try:
            noted = orjson.loads(self._place.read_bytes())
            return int(noted["run"]) if noted["state"] == self._state else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def note(self, run_id: int) -> None:
        """Note a run that is about to be worked on, unless a later one is noted. A folder that cannot be written to
        stops no run: the note is a net, not the rope."""
        if run_id > self.read():
            with suppress(OSError):
                self.write(run_id)

    def write(self, run_id: int) -> None:
        """Write the note, whole or not at all. Raises OSError."""
        draft = self._place.with_name(f"{self._place.name}.{secrets.token_hex(4)}")
        draft.write_bytes(orjson.dumps({"state": self._state, "run": run_id}))
        draft.replace(self._place)


def notice(context: Context, note: LastRun) -> bool:
    """At the start of a process: whether the state is older than what this machine has seen; then it is declared."""
    newest = run_rows.newest_id()
    older = note.read() > newest
    if older:
        declare(context, "start")
        with suppress(OSError):
            note.write(newest)
    return older


def declare(context: Context, actor: str) -> int:
    """The state was restored: the next run of every mapping reads everything, applies no policy, deletes nothing,
    couples what is equal, and sets aside what may be there already. Returns how many mappings that concerns."""
    with sql.transaction():
        number = mappings.declare_restored(context.now())
        audit.record(context, actor, "restored", "state", 0, after={"mappings": number})
    return number

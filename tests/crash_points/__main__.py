"""Kills a real process at every moment of a story and lets another go on.

    python -m tests.crash_points FOLDER [SERVER]

One process that has imported everything, and has neither a thread nor a connection, forks a fresh one for each moment;
that kills itself there with SIGKILL. A second one takes the run over, as any worker does when a lease has ended, and
finishes; then the data is looked at. The state is on SQLite, or with SERVER on PostgreSQL; the applications are files.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import structlog
from cryptography.fernet import Fernet
from psycopg import sql as postgres

from service.core.records import Side
from service.operations.context import Context, SecretBox
from service.store import sql
from service.store.database import database, migrate, open_database
from service.worker import run_until_idle
from tests.crash_points.boundaries import Boundaries, CountedCalls
from tests.crash_points.story import STAGES, Place, Stage

HOUR = 3_600_000_000
SECRETS = SecretBox(Fernet.generate_key().decode())


@dataclass(frozen=True)
class Ground:
    """Where the state and the applications are; `server` is the URL of a PostgreSQL, None for SQLite."""

    folder: Path
    server: str | None

    @property
    def url(self) -> str:
        if self.server is None:
            return f"sqlite:///{self.folder / 'state.db'}"
        return self.server.rpartition("/")[0] + "/crash"

    def keep(self, name: str) -> None:
        """Remember how everything is, under a name."""
        for file in self._files():
            file.with_suffix(f".{name}").write_bytes(file.read_bytes())
        if self.server is not None:
            self._copy("crash", f"crash_{name}")

    def restore(self, name: str) -> None:
        """Everything is again as it was then."""
        for file in self._files():
            for left in ("-wal", "-shm", "-journal"):
                Path(f"{file}{left}").unlink(missing_ok=True)
            file.write_bytes(file.with_suffix(f".{name}").read_bytes())
        if self.server is not None:
            self._copy(f"crash_{name}", "crash")

    def create(self) -> None:
        if self.server is not None:
            self._copy("template1", "crash")

    def _files(self) -> list[Path]:
        names = [f"{side}.db" for side in Side] + (["state.db"] if self.server is None else [])
        return [self.folder / name for name in names]

    def _copy(self, source: str, target: str) -> None:
        with psycopg.connect(self.server or "", autocommit=True) as connection:
            drop, create = "DROP DATABASE IF EXISTS {} WITH (FORCE)", "CREATE DATABASE {} TEMPLATE {}"
            connection.execute(postgres.SQL(drop).format(postgres.Identifier(target)))
            names = (postgres.Identifier(target), postgres.Identifier(source))
            connection.execute(postgres.SQL(create).format(*names))


def forked(ground: Ground, act: Callable[[Context], Any]) -> tuple[int, str]:
    """Do something in a fresh process with the state open; how it ended, and what it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            open_database(ground.url)
            with database.connection_context():
                if ground.server is None:
                    sql.rows("PRAGMA synchronous = OFF")
                said = act(Context(SECRETS))
            os.write(writing, str(said).encode())
            os._exit(0)
        except BaseException:
            os.write(writing, traceback.format_exc()[-3000:].encode())
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    return status, said


def well(ground: Ground, act: Callable[[Context], Any]) -> str:
    """The same, for what must go well."""
    status, said = forked(ground, act)
    if status:
        raise SystemExit(said)
    return said


def attempt(ground: Ground, stage: Stage, die_before: int) -> Callable[[Context], int]:
    """The work of a stage, in a process that dies before one of its calls."""

    def act(context: Context) -> int:
        boundaries = Boundaries(die_before)
        place = Place(ground.folder, replace(context, connector_class=CountedCalls(boundaries).connector_class))
        boundaries.watch_state()
        stage.work(place)
        return boundaries.calls

    return act


def recover(ground: Ground, stage: Stage, truth: str) -> Callable[[Context], str]:
    """An hour later another process goes on, and whoever asked asks again; then everything must be as if nothing had
    happened, and stay so."""

    def act(context: Context) -> str:
        place = Place(ground.folder, replace(context, now=lambda: context.now() + HOUR))
        run_until_idle(place.context)
        stage.work(place)
        _rest(place)
        _holds(place, truth)
        before = place.stamps()
        _rest(place)
        assert place.stamps() == before, "a further run writes"
        return ""

    return act


def _rest(place: Place) -> str:
    """Runs until nothing is left to do; what everything looks like then."""
    for kind in ("modified", "findDeleted"):
        place.ask_for(kind)
        run_until_idle(place.context)
    return str(place.held())


def _holds(place: Place, truth: str) -> None:
    assert str(place.held()) == truth, f"{place.held()}\ninstead of\n{truth}"
    assert sql.rows("SELECT * FROM intents") == [], "an intent is open"
    assert sql.rows("SELECT * FROM pending_changes") == [], "a change is pending"
    assert sql.rows("SELECT id FROM sync_runs WHERE status IN ('queued', 'running')") == [], "a run is open"
    numbers = {
        side: {str(row[key]): row[name] for row in place.all(side)}
        for side, key, name in ((Side.LOCAL, "id", "number"), (Side.INTEGRATION, "accountid", "accountnumber"))
    }
    coupled = sql.rows("SELECT local_key, integration_key FROM couplings")
    pairs = [(numbers[Side.LOCAL].get(one), numbers[Side.INTEGRATION].get(other)) for one, other in coupled]
    assert all(one == other and one is not None for one, other in pairs), f"couplings of {pairs}"
    both = set(numbers[Side.LOCAL].values()) & set(numbers[Side.INTEGRATION].values())
    assert {one for one, _ in pairs} == both, "a pair is not coupled"


def enumerate_stage(ground: Ground, stage: Stage, name: str, every: int) -> tuple[int, list[str]]:
    """Kill a process at every moment of a stage; how many calls it has, and what went wrong."""
    calls = int(well(ground, attempt(ground, stage, 0)))
    truth = well(ground, lambda context: _rest(Place(ground.folder, context)))
    wrong = []
    for moment in range(1, calls + 1, every):
        ground.restore(name)
        status, said = forked(ground, attempt(ground, stage, moment))
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            wrong.append(f"{stage.name}, before call {moment}: it was not killed: {said}")
            continue
        status, said = forked(ground, recover(ground, stage, truth))
        if status:
            wrong.append(f"{stage.name}, before call {moment}: {said}")
    ground.restore(name)
    well(ground, attempt(ground, stage, 0))
    return calls, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("server", nargs="?", help="URL of a PostgreSQL for the state")
    parser.add_argument("--every", type=int, default=1, help="only every so many moments")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    ground, began, total = Ground(arguments.folder, arguments.server), time.monotonic(), 0
    wrong: list[str] = []
    ground.create()

    def make(context: Context) -> None:
        Place(ground.folder, context, make=True)

    well(ground, lambda _context: migrate())
    well(ground, make)
    for number, stage in enumerate(STAGES):

        def people(context: Context, stage: Stage = stage) -> None:
            stage.people(Place(ground.folder, context))

        well(ground, people)
        ground.keep(str(number))
        calls, found = enumerate_stage(ground, stage, str(number), arguments.every)
        print(f"{stage.name}: {calls} calls, {2 * calls} boundaries, {len(range(1, calls + 1, arguments.every))} kills")
        total, wrong = total + calls, wrong + found
    where = "SQLite" if ground.server is None else "PostgreSQL"
    print(
        f"{where}: {total} calls, {2 * total} boundaries in {time.monotonic() - began:.0f} s, {len(wrong)} went wrong"
    )
    for one in wrong[:10]:
        print(one, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Kills a real process at every moment of a story, or stops it there, and lets another go on.

    python -m tests.crash_points FOLDER [SERVER]

One process that has imported everything, and has neither a thread nor a connection, forks a fresh one for each moment;
that kills itself there with SIGKILL. A second one takes the run over, as any worker does when a lease has ended, and
finishes; then the data is looked at. The state is on SQLite, or with SERVER on PostgreSQL; the applications are files.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, TypeAlias

import psycopg
import structlog
from cryptography.fernet import Fernet
from psycopg import sql as postgres

from service.core.errors import AccordError
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
    name: str

    @property
    def url(self) -> str:
        if self.server is None:
            return f"sqlite:///{self.folder / 'state.db'}"
        return f"{self.server.rpartition('/')[0]}/{self.name}"

    def keep(self, name: str) -> None:
        """Remember how everything is, under a name."""
        for file in self._files():
            file.with_suffix(f".{name}").write_bytes(file.read_bytes())
        if self.server is not None:
            self._copy(self.name, f"{self.name}_{name}")

    def restore(self, name: str) -> None:
        """Everything is again as it was then."""
        for file in self._files():
            for left in ("-wal", "-shm", "-journal"):
                Path(f"{file}{left}").unlink(missing_ok=True)
            file.write_bytes(file.with_suffix(f".{name}").read_bytes())
        if self.server is not None:
            self._copy(f"{self.name}_{name}", self.name)

    def create(self) -> None:
        if self.server is not None:
            self._copy("template1", self.name)

    def _files(self) -> list[Path]:
        names = [f"{side}.db" for side in Side] + (["state.db"] if self.server is None else [])
        return [self.folder / name for name in names]

    def _copy(self, source: str, target: str) -> None:
        with psycopg.connect(self.server or "", autocommit=True) as connection:
            drop, create = "DROP DATABASE IF EXISTS {} WITH (FORCE)", "CREATE DATABASE {} TEMPLATE {}"
            connection.execute(postgres.SQL(drop).format(postgres.Identifier(target)))
            names = (postgres.Identifier(target), postgres.Identifier(source))
            connection.execute(postgres.SQL(create).format(*names))


@dataclass(frozen=True)
class Child:
    """A process that was forked, and where it says what came of it."""

    number: int
    answer: IO[str]

    def wait(self) -> tuple[int, str]:
        """How it ended, and what it said."""
        with self.answer:
            said = self.answer.read()
        return os.waitpid(self.number, 0)[1], said

    def wait_until_stopped(self) -> bool:
        """Whether it stopped; False when it ended without."""
        found = os.waitid(os.P_PID, self.number, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        return found is not None and found.si_code == os.CLD_STOPPED


def fork(ground: Ground, act: Callable[[Context], Any]) -> Child:
    """Do something in a fresh process with the state open."""
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
    return Child(child, os.fdopen(reading))


def forked(ground: Ground, act: Callable[[Context], Any]) -> tuple[int, str]:
    """The same, to its end."""
    return fork(ground, act).wait()


def well(ground: Ground, act: Callable[[Context], Any]) -> str:
    """The same, for what must go well."""
    status, said = forked(ground, act)
    if status:
        raise SystemExit(said)
    return said


def attempt(
    ground: Ground, stage: Stage, before: int, sent: signal.Signals = signal.SIGKILL
) -> Callable[[Context], int]:
    """The work of a stage, in a process that dies or stops before one of its calls; how many it made. One that wakes
    finds that two hours have passed."""

    def act(context: Context) -> int:
        boundaries = Boundaries(before, sent)
        place = Place(
            ground.folder,
            replace(
                context,
                connector_class=CountedCalls(boundaries).connector_class,
                now=lambda: context.now() + 2 * HOUR * boundaries.stopped,
            ),
        )
        boundaries.watch_state()
        try:
            stage.work(place)
        except AccordError:
            assert boundaries.stopped, "somebody else did it meanwhile"
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


def undisturbed(ground: Ground, stage: Stage) -> int:
    """The work of a stage, to its end; how many calls it made. What a process dies in must go well where none dies, or
    nothing would be told by its moments."""

    def act(context: Context) -> int:
        calls = attempt(ground, stage, 0)(context)
        failed = sql.rows("SELECT kind, code, params FROM sync_runs WHERE status = 'failed'")
        assert failed == [], f"{stage.name}: runs failed without being disturbed: {failed}"
        return calls

    return int(well(ground, act))


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


def overtaken(ground: Ground, stage: Stage, truth: str, moment: int) -> str | None:
    """A process stops at a moment, another does its work, and the first goes on; what is wrong then. None: the process
    cannot stop there without holding up all others."""
    first = fork(ground, attempt(ground, stage, moment, signal.SIGSTOP))
    if not first.wait_until_stopped():
        status, said = first.wait()
        return said if status else None
    status, said = forked(ground, recover(ground, stage, truth))
    stamps = well(ground, lambda context: Place(ground.folder, context).stamps())
    os.kill(first.number, signal.SIGCONT)
    woken, complaint = first.wait()
    if status or woken:
        return said if status else complaint
    if well(ground, lambda context: Place(ground.folder, context).stamps()) != stamps:
        return "the process that woke has written"
    return forked(ground, recover(ground, stage, truth))[1]


def killed(ground: Ground, stage: Stage, truth: str, moment: int) -> str | None:
    """A process is killed at a moment, and another does its work; what is wrong then."""
    status, said = forked(ground, attempt(ground, stage, moment))
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        return f"it was not killed: {said}"
    return forked(ground, recover(ground, stage, truth))[1]


Way: TypeAlias = Callable[[Ground, Stage, str, int], str | None]
"""What is done at a moment of a stage, and what was wrong afterwards."""


@dataclass
class Tally:
    """How many calls there are, at how many of their moments it was tried, and what went wrong."""

    calls: int = 0
    tried: int = 0
    wrong: list[str] = field(default_factory=list)


def enumerate_stage(ground: Ground, stage: Stage, name: str, every: int, way: Way) -> Tally:
    """Do something to a process at every moment of a stage."""
    tally = Tally(undisturbed(ground, stage))
    truth = well(ground, lambda context: _rest(Place(ground.folder, context)))
    for moment in range(1, tally.calls + 1, every):
        ground.restore(name)
        said = way(ground, stage, truth, moment)
        tally.tried += said is not None
        if said:
            tally.wrong.append(f"{stage.name}, before call {moment}: {said}")
    ground.restore(name)
    undisturbed(ground, stage)
    return tally


WAYS: Mapping[str, Way] = {"kill": killed, "overtake": overtaken}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("server", nargs="?", help="URL of a PostgreSQL for the state")
    parser.add_argument("--way", choices=WAYS, default="kill", help="what happens to the process")
    parser.add_argument("--name", default="crash", help="what its databases are called")
    parser.add_argument("--every", type=int, default=1, help="only every so many moments")
    parser.add_argument("--long", type=int, default=1, help="and of those of long stages again only every so many")
    arguments = parser.parse_args()
    gc.freeze()  # What all the processes share stays shared.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    ground, began, total = Ground(arguments.folder, arguments.server, arguments.name), time.monotonic(), 0
    tried = 0
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
        every = arguments.every * (arguments.long if stage.long else 1)
        tally = enumerate_stage(ground, stage, str(number), every, WAYS[arguments.way])
        print(f"{stage.name}: {tally.calls} calls, {2 * tally.calls} boundaries; {arguments.way} at {tally.tried}")
        total, tried, wrong = total + tally.calls, tried + tally.tried, wrong + tally.wrong
    where = "SQLite" if ground.server is None else "PostgreSQL"
    seconds = time.monotonic() - began
    print(f"{where}: {total} calls, {2 * total} boundaries; {arguments.way} at {tried} moments in {seconds:.0f} s:")
    print(f"{len(wrong)} went wrong")
    for one in wrong[:10]:
        print(one, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

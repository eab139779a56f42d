"""Real workers on the ranges of one run, killed with SIGKILL while they work: with the state in a file, and on
PostgreSQL with a queue. Everybody is there once, and the counters say so.

With `ACCORD_RANGES=100000`, as at night, there are so many records, more are killed, and PostgreSQL is tried without a
queue as well.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.operations import runs
from service.store import ranges, sql
from service.store.database import connection, database
from service.store.models import SyncRun
from service.worker.carrying import run_until_idle
from tests.servers import PostgresServer
from tests.service.installation import Installation

NIGHT = "ACCORD_RANGES" in os.environ
RECORDS = int(os.environ.get("ACCORD_RANGES", "2000"))
SEED = int(os.environ.get("ACCORD_SEED", "1"))
KILLED = 12 if NIGHT else 2
STATES = ["sqlite", "queue", "postgresql"][: 3 if NIGHT else 2]
WORKERS = ("work0", "work1")
SETTINGS = {"ACCORD_LEASE_SECONDS": "3", "ACCORD_RANGE_RECORDS": str(RECORDS // 20)}
VERSIONS = "SELECT id, xmin::text FROM {0} ORDER BY id"


@pytest.fixture(params=STATES)
def place(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> Iterator[Installation]:
    name = f"ranges_{os.getpid()}_{time.monotonic_ns()}"
    application = postgres.create_database(f"{name}_app")
    state = f"sqlite:///{tmp_path / 'state.db'}"
    if request.param != "sqlite":
        state = postgres.create_database(f"{name}_state")
    queue = "procrastinate" if request.param == "queue" else ""
    made = Installation(tmp_path, state, application, **SETTINGS, ACCORD_QUEUE_URL=queue)
    yield made
    made.kill_all()
    getattr(database.obj, "close_all", lambda: None)()
    for database_name in [f"{name}_app", *([] if request.param == "sqlite" else [f"{name}_state"])]:
        postgres.drop_database(database_name)


@pytest.mark.slow
def test_workers_are_killed_in_the_midst_of_ranges(place: Installation) -> None:
    (mapping_id,) = place.map(1, RECORDS)
    chance = random.Random(SEED)
    place.start(*WORKERS)
    with connection():
        run_id = runs.start(place.context, runs.RunRequest(mapping_id, "full"), "test").id
        killed = 0
        while killed < KILLED:
            before = read_by_ranges(run_id)
            place.wait_for(more_than(run_id, before + chance.randint(0, RECORDS // 8)))
            if SyncRun.get_by_id(run_id).status != "running":
                break
            name = chance.choice(WORKERS)
            place.kill(name)
            killed += 1
            place.start(name)
        place.wait_for(lambda: SyncRun.get_by_id(run_id).status != "running")
        print(f"seed {SEED}: {killed} workers killed while {RECORDS} records were read twice")
        assert killed
        run = runs.get(run_id)
        assert (run.status, run.code) == ("succeeded", None)
        out, back = run.counts["toIntegration"], run.counts["fromIntegration"]
        assert out["read"] == RECORDS == sum(number for name, number in out.items() if name != "read")
        assert (back["read"], back["unchanged"]) == (RECORDS, RECORDS)
        assert run.progress["read"] == 2 * RECORDS
        place.assert_same(1)
        assert sql.rows("SELECT count(*) FROM couplings") == [(RECORDS,)]
        assert sql.rows("SELECT count(*) FROM intents") == sql.rows("SELECT count(*) FROM run_ranges") == [(0,)]
        place.kill_all()
        versions = [place.rows(VERSIONS.format(table)) for table in ("source_0", "target_0")]
        runs.start(place.context, runs.RunRequest(mapping_id), "test")
        run_until_idle(place.context)
        assert [place.rows(VERSIONS.format(table)) for table in ("source_0", "target_0")] == versions
    shared = {name for name in WORKERS if "range_started" in place.log(name)}
    assert shared, "nobody has helped"


def read_by_ranges(run_id: int) -> int:
    """How many records have been read in the ranges that there are now."""
    return sum(progress.get("read", 0) for progress in ranges.progress_of(run_id))


def more_than(run_id: int, number: int) -> Callable[[], bool]:
    return lambda: read_by_ranges(run_id) > number or SyncRun.get_by_id(run_id).status in ("succeeded", "failed")

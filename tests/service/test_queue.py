"""Several web processes and workers on one PostgreSQL: every run is carried out once, whoever dies, and nothing is lost
or there twice.

At night it lasts longer, and there is more of it: `ACCORD_CHAOS_SECONDS=60`, `ACCORD_CHAOS_MAPPINGS=200`, and
`ACCORD_CHAOS_LEASE=20`, which is the default of `ACCORD_LEASE_SECONDS`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from service.cli.preparing import bring_up_to_date
from service.store import notes, queue, sql
from service.store.database import connection
from service.worker import queue_schema
from tests.servers import PostgresServer
from tests.service.installation import ROOT, Installation, installation

SECONDS = float(os.environ.get("ACCORD_CHAOS_SECONDS", "6"))
MAPPINGS = int(os.environ.get("ACCORD_CHAOS_MAPPINGS", "30"))
LEASE = os.environ.get("ACCORD_CHAOS_LEASE", "6")
SEED = int(os.environ.get("ACCORD_SEED", "1"))
WORKERS = [f"work{n}" for n in range(4)]
WEBS = ["web0", "web1"]


@pytest.fixture
def place(tmp_path: Path, postgres: PostgresServer) -> Iterator[Installation]:
    with installation(tmp_path, postgres, postgres, ACCORD_LEASE_SECONDS="5") as made:
        yield made


def test_every_run_is_carried_out_once_whoever_dies(place: Installation) -> None:
    mapping_ids = place.map(MAPPINGS, 20)
    place.start(*WEBS, *WORKERS)
    began = time.monotonic()
    run_ids = place.trigger(WEBS, mapping_ids)
    place.wait_for_all()
    print(f"{MAPPINGS} mappings triggered at once: all had run after {time.monotonic() - began:.1f} s")
    assert len(set(run_ids)) == MAPPINGS
    ended = [(status, orjson.loads(counts)["toIntegration"]) for status, counts in place.runs("status, counts")]
    assert [(status, counts["read"], counts["inserted"]) for status, counts in ended] == [
        ("succeeded", 20, 20)
    ] * MAPPINGS
    owners = {name for name in WORKERS if "run_finished" in place.log(name)}
    assert len(owners) > 1, "one worker did it all"
    place.assert_same(MAPPINGS)

    killed = place.chaos(SECONDS, SEED, WORKERS, WEBS, mapping_ids)
    began = time.monotonic()
    place.wait_for_all()
    open_for = time.monotonic() - began
    again = len(place.runs("id", "attempt > 1"))
    total = len(place.runs("id"))
    print(f"seed {SEED}: {killed} workers killed in {SECONDS:.0f} s, {again} of {total} runs were gone on with;")
    print(f"all had ended {open_for:.1f} s after the last was started again")
    place.trigger(WEBS, mapping_ids)
    place.wait_for_all()
    assert {status for (status,) in place.runs("status")} == {"succeeded"}
    place.assert_same(MAPPINGS)


def test_the_tables_of_the_queue_follow_its_versions(place: Installation) -> None:
    """As after an upgrade of procrastinate: what came since is carried out, once."""
    *older, last_but_one, last = queue_schema.files()
    functions = "SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE starts_with(proname, 'procrastinate')"
    with connection():
        wanted = dict(sql.rows(functions))
        assert queue_schema.missing() == []
        queue.run_statements("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        queue.driver_connection().commit()
    bring_up_to_date(replace(place.settings, queue_url=None))
    with connection():
        for file in older:
            with sql.transaction():
                queue.run_statements(file.read_text())
        notes.write(queue_schema.NOTE, older[-1].stem)
    assert queue_schema.migrate() == [last_but_one.stem, last.stem]
    assert queue_schema.migrate() == []
    with connection():
        found = dict(sql.rows(functions))
    assert {name: found.get(name) for name in wanted} == wanted


def test_the_run_of_a_dead_worker_goes_on_within_half_a_minute(tmp_path: Path, postgres: PostgresServer) -> None:
    """On another machine than that of the dead one, where nobody can know that its process is gone."""
    with installation(tmp_path, postgres, postgres, ACCORD_LEASE_SECONDS=LEASE) as place:
        mapping_ids = place.map(1, 3_000)
        place.slow_down(0.004)
        place.start("web0", "work0", "work1")
        place.trigger(["web0"], mapping_ids)
        place.wait_for(lambda: place.runs("owner", "progress LIKE '%read%'"))
        ((owner,),) = place.runs("owner")
        place.kill(owner.partition(":")[0])
        began = time.monotonic()
        place.wait_for(lambda: place.runs("id", "attempt = 2 AND status = 'running'"))
        took = time.monotonic() - began
        print(f"with a lease of {LEASE} s, another worker went on {took:.1f} s after the first was killed")
        assert took < 30
        place.wait_for_all()
        assert place.runs("status") == [("succeeded",)]
        place.assert_same(1)


def test_a_shell_that_waits_for_a_run_says_that_nobody_works(place: Installation) -> None:
    place.map(1, 5)
    call = [sys.executable, "-m", "service.cli", "sync", "mapping 0"]
    environ = {**os.environ, **place.environment, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    said, told = place.folder / "said", place.folder / "told"
    with said.open("w") as err, told.open("w") as out:
        shell = subprocess.Popen(call, cwd=place.folder, env=environ, stdout=out, stderr=err)
    try:
        place.wait_for(lambda: "No worker is alive: no run begins" in said.read_text())
        place.start("work0")
        assert shell.wait(60) == 0
    finally:
        shell.kill()
        shell.wait()
    assert "5 inserted" in told.read_text()
    place.assert_same(1)

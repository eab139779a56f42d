"""Jobs and runs: made together, in order, one at a time for a mapping, and found again when they were lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.operations import run_groups, runs
from service.operations.run_groups import GroupRequest
from service.operations.runs import RunRequest
from service.settings.environment import read_settings
from service.settings.values import SettingsWrong
from service.store import queue, sql
from service.store import runs as run_rows
from service.store.database import connection
from service.store.models import SyncRun
from service.worker.jobs import GOING_ON, Jobs
from service.worker.parts import QueueUnavailable, part
from tests.servers import PostgresServer
from tests.service.installation import ROOT, Installation, installation


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> Iterator[tuple[Installation, list[int]]]:
    with installation(tmp_path_factory.mktemp("queue"), postgres, postgres) as place:
        yield place, place.map(3, 3)


@pytest.fixture
def place(made: tuple[Installation, list[int]]) -> Iterator[Installation]:
    """No process works here: what waits in the queue can be looked at."""
    with connection():
        sql.execute("DELETE FROM sync_runs")
        sql.execute("DELETE FROM procrastinate_jobs")
        yield made[0]


@pytest.fixture
def ids(made: tuple[Installation, list[int]]) -> list[int]:
    return made[1]


def jobs() -> list[tuple[Any, ...]]:
    """What waits, as a worker would take it: the run, its mapping's lock, its place, its queue."""
    return sql.rows(
        "SELECT (args ->> 'run_id')::int, lock, priority, queue_name, status::text FROM procrastinate_jobs"
        " ORDER BY priority DESC, id"
    )


def test_a_run_and_its_job_are_made_together_or_not_at_all(place: Installation, ids: list[int]) -> None:
    def ask_and_fail() -> None:
        with sql.transaction():
            runs.start(place.context, RunRequest(ids[0]), "test")
            assert len(jobs()) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask_and_fail()
    assert (jobs(), SyncRun.select().count()) == ([], 0)
    run = runs.start(place.context, RunRequest(ids[0]), "test")
    assert jobs() == [(run.id, f"mapping:{ids[0]}", 0, "runs", "todo")]
    assert runs.start(place.context, RunRequest(ids[0]), "test").id == run.id
    assert len(jobs()) == 1


def test_people_come_before_hints_and_those_before_schedules(place: Installation, ids: list[int]) -> None:
    for id, trigger in zip(ids, ("schedule", "change", "api"), strict=True):
        runs.start(place.context, RunRequest(id), "test", trigger=trigger)
    assert [lock for _, lock, *_ in jobs()] == [f"mapping:{id}" for id in reversed(ids)]


def test_a_queued_run_that_a_person_asks_for_goes_with_the_person(place: Installation, ids: list[int]) -> None:
    scheduled = [runs.start(place.context, RunRequest(id), "test", trigger="schedule").id for id in ids[:2]]
    assert runs.start(place.context, RunRequest(ids[1]), "test").id == scheduled[1]
    assert [(run, priority) for run, _, priority, *_ in jobs()] == [(scheduled[1], 0), (scheduled[0], -10)]
    runs.start(place.context, RunRequest(ids[1]), "test", trigger="schedule")
    assert [priority for _, _, priority, *_ in jobs()] == [0, -10], "nobody is sent back"


def test_a_job_that_a_worker_has_already_stays_with_it(place: Installation, ids: list[int]) -> None:
    run = runs.start(place.context, RunRequest(ids[0]), "test", trigger="schedule")
    sql.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    assert runs.start(place.context, RunRequest(ids[0]), "test").id == run.id
    assert [(id, status) for id, *_, status in jobs()] == [(run.id, "doing")]
    assert sql.rows("SELECT abort_requested FROM procrastinate_jobs") == [(False,)]


def test_a_cancelled_run_leaves_the_queue(place: Installation, ids: list[int]) -> None:
    run = runs.start(place.context, RunRequest(ids[0]), "test")
    runs.cancel(place.context, run.id, "test")
    assert jobs() == []


def test_a_run_that_comes_after_others_has_a_job_when_they_have_ended(place: Installation, ids: list[int]) -> None:
    first = runs.start(place.context, RunRequest(ids[0]), "test")
    second = runs.start(place.context, RunRequest(ids[1]), "test")
    sql.execute("UPDATE sync_runs SET job_id = NULL WHERE id = ?", second.id)
    sql.execute("DELETE FROM procrastinate_jobs WHERE args ->> 'run_id' = ?", str(second.id))
    sql.execute("INSERT INTO run_predecessors (run_id, after_id) VALUES (?, ?)", second.id, first.id)
    place.context.wake()
    assert [run for run, *_ in jobs()] == [first.id]
    runs.cancel(place.context, first.id, "test")
    assert [run for run, *_ in jobs()] == [second.id]


def test_all_mappings_at_once_are_as_many_jobs(place: Installation, ids: list[int]) -> None:
    started = run_groups.start(place.context, GroupRequest(), "test")
    assert [run for run, *_ in jobs()] == [run.id for run in started]
    assert len(jobs()) == len(ids)


@pytest.mark.parametrize("how", ["gone", "failed"])
def test_a_run_whose_job_was_lost_gets_another(place: Installation, ids: list[int], how: str) -> None:
    run = runs.start(place.context, RunRequest(ids[0]), "test")
    if how == "gone":
        sql.execute("DELETE FROM procrastinate_jobs")
    else:
        sql.execute("UPDATE procrastinate_jobs SET status = 'failed'")
    with sql.transaction():
        assert queue.forget_lost_jobs() == 1
        Jobs().dispatch()
    assert [(id, status) for id, *_, status in jobs() if status == "todo"] == [(run.id, "todo")]
    assert queue.forget_lost_jobs() == 0


def test_what_was_begun_goes_before_what_was_not(place: Installation, ids: list[int]) -> None:
    """A run of a dead worker whose job was lost: its lease has ended, and its mapping is busy until it has."""
    begun = runs.start(place.context, RunRequest(ids[0]), "test", trigger="schedule")
    lease = run_rows.claim_one(begun.id, "dead", place.context.now(), place.context.now() + 60_000_000)
    assert lease is not None
    sql.execute("DELETE FROM procrastinate_jobs")
    full = runs.start(place.context, RunRequest(ids[0], "full"), "test")
    assert run_rows.claim_one(full.id, "other", place.context.now(), place.context.now() + 60_000_000) is None
    with sql.transaction():
        queue.forget_lost_jobs()
        Jobs().dispatch()
    assert [run for run, *_ in jobs()] == [full.id], "its worker may live"
    run_rows.end_leases(["dead"])
    place.context.wake()
    assert [(run, priority) for run, _, priority, *_ in jobs()] == [(begun.id, GOING_ON - 10), (full.id, 0)]


def test_a_queue_needs_postgresql() -> None:
    with pytest.raises(SettingsWrong, match=r"needs a PostgreSQL in ACCORD_DATABASE_URL\.$"):
        read_settings({"ACCORD_QUEUE_URL": "procrastinate"})
    with pytest.raises(SettingsWrong, match="is not procrastinate"):
        read_settings({"ACCORD_QUEUE_URL": "amqp://", "ACCORD_DATABASE_URL": "postgresql:///x"})


def test_a_queue_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procrastinate", None)
    monkeypatch.delitem(sys.modules, "service.worker.jobs")
    with pytest.raises(QueueUnavailable, match=r"install accord-sync\[procrastinate\]"):
        part("jobs")


def test_a_queue_needs_its_tables(tmp_path: Path, postgres: PostgresServer) -> None:
    name = f"no_queue_{os.getpid()}"
    settings = {
        "ACCORD_DATABASE_URL": postgres.create_database(name),
        "ACCORD_TOKEN": "a-token-of-this-test",
        "ACCORD_SECRET_KEY": "a-key-that-only-this-test-knows",
        "PYTHONPATH": str(ROOT),
    }

    def accord(command: str, **more: str) -> subprocess.CompletedProcess[str]:
        call, environ = [sys.executable, "-m", "service.cli", command], {**os.environ, **settings, **more}
        return subprocess.run(call, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)

    try:
        assert accord("migrate").returncode == 0
        refused = accord("work", ACCORD_QUEUE_URL="procrastinate")
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert "run `accord migrate` first, with ACCORD_QUEUE_URL" in refused.stderr
        assert "applied procrastinate" in accord("migrate", ACCORD_QUEUE_URL="procrastinate").stdout
    finally:
        postgres.drop_database(name)

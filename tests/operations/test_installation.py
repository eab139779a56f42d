"""`accord check` on an installation: each thing that can be wrong with one is found, and said with what to do."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.connectors.base import Check
from service.operations import connections, installation, mappings, runs
from service.operations.context import Context, SecretBox
from service.operations.runs import RunRequest
from service.settings.environment import read_settings
from service.settings.secrets import secret_box
from service.store import processes, sql
from service.store import runs as run_rows
from service.store.database import connection, migrate, open_database
from service.wording import LANGUAGES, say
from tests.servers import PostgresServer
from tests.world import line

MINUTE = 60_000_000
KEY = "a-key-that-only-this-test-knows"


def application(file: Path) -> str:
    """A business application with one table."""
    with closing(sqlite3.connect(file)) as opened, opened:
        opened.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, at TEXT)")
    return f"sqlite:///{file}"


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """An installation where all is well: one worker, and a mapping with a schedule that is not due."""
    settings = read_settings({"ACCORD_SECRET_KEY": KEY, "ACCORD_DATABASE_URL": f"sqlite:///{tmp_path / 'state.db'}"})
    open_database(settings.database_url)
    migrate()
    made = Context(secret_box(settings), lease=20_000_000)
    with connection():
        processes.see("here:1", "worker", "0.1.0", "0004", made.now())
        ids = [
            connections.create(
                made,
                name=name,
                kind="sql",
                settings={"url": application(tmp_path / f"{name}.db")},
                credentials={"password": "secret"} if name == "erp" else None,
                enabled=True,
                actor="test",
            ).id
            for name in ("erp", "crm")
        ]
        own: dict[str, Any] = {"table": "item", "key": "id", "modified_on": "at", "caption": None, "filter": []}
        sides: dict[str, Any] = {
            side: {"connection_id": id, **own} for side, id in zip(("local", "integration"), ids, strict=True)
        }
        mappings.create(
            made,
            {
                **sides,
                "name": "items",
                "schedule": {"everyMinutes": 30},
                "field_mappings": [line(local_field="name", integration_field="name")],
            },
            "test",
        )
        yield made


def worst(context: Context) -> dict[str, Check]:
    """The findings that are not well, by code."""
    return {item.code: item for item in installation.inspect(context) if item.status in ("warn", "fail")}


def test_nothing_is_wrong_where_all_is_well(context: Context) -> None:
    assert worst(context) == {}
    assert {item.code for item in installation.inspect(context)} >= {"workers_alive", "schedules_kept", "process_clock"}


def nobody_works(context: Context) -> None:
    sql.execute("UPDATE processes SET seen_at = seen_at - ?", 2 * MINUTE)


def nobody_works_and_nothing_is_to_do(context: Context) -> None:
    nobody_works(context)
    sql.execute("UPDATE mappings SET next_due = NULL")


def another_version(context: Context) -> None:
    processes.see("there:2", "web", "0.2.0", "0005", context.now())


def a_clock_that_is_ahead(context: Context) -> None:
    sql.execute("UPDATE processes SET clock_ahead = ?", 2_000_000)


def a_clock_that_is_far_ahead(context: Context) -> None:
    sql.execute("UPDATE processes SET clock_ahead = ?", 4_000_000)


def a_key_that_does_not_fit(context: Context) -> None:
    sql.execute("UPDATE connections SET credentials = ? WHERE name = 'erp'", OTHER.seal({"password": "secret"}))


def a_schedule_that_nobody_keeps(context: Context) -> None:
    sql.execute("UPDATE mappings SET next_due = ?", context.now() - 10 * MINUTE)


def a_run_that_nobody_takes(context: Context) -> None:
    runs.start(context, RunRequest(mappings.id_of("items")), "test")
    sql.execute("UPDATE sync_runs SET created_at = ?", context.now() - 10 * MINUTE)


def a_run_of_a_dead_worker(context: Context) -> None:
    run = runs.start(context, RunRequest(mappings.id_of("items")), "test")
    run_rows.claim_one(run.id, "dead", context.now(), context.now() - MINUTE)


def a_large_log(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "LARGE_LOG", 0)


def a_full_disk(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "LEAST_ROOM", 1 << 60)


OTHER = SecretBox("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")


@pytest.mark.parametrize(
    ("what", "code", "status"),
    [
        (nobody_works, "workers_alive", "fail"),
        (nobody_works_and_nothing_is_to_do, "workers_alive", "warn"),
        (another_version, "versions_differ", "warn"),
        (a_clock_that_is_ahead, "process_clock", "warn"),
        (a_clock_that_is_far_ahead, "process_clock", "fail"),
        (a_key_that_does_not_fit, "secret_key_fits", "fail"),
        (a_schedule_that_nobody_keeps, "schedules_kept", "fail"),
        (a_run_that_nobody_takes, "runs_taken", "warn"),
        (a_run_of_a_dead_worker, "runs_gone_on_with", "fail"),
        (a_large_log, "write_ahead_log_large", "warn"),
        (a_full_disk, "disk_room", "fail"),
    ],
)
def test_what_is_wrong_is_found_and_said(
    context: Context, monkeypatch: pytest.MonkeyPatch, what: Callable[..., None], code: str, status: str
) -> None:
    what(context, monkeypatch) if "monkeypatch" in what.__annotations__ else what(context)
    found = worst(context)
    assert {name: item.status for name, item in found.items()} == {code: status}
    for language in LANGUAGES:
        said = say(code, {**found[code].params, "rule": status}, language)
        assert said.title
        assert said.message
        assert said.advice
        assert "{" not in said.message


def accord(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "ACCORD_TOKEN": "a-token-of-this-test",
            "ACCORD_SECRET_KEY": KEY,
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_tells_machines_too(tmp_path: Path, context: Context) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    a_schedule_that_nobody_keeps(context)
    checked = accord(tmp_path, "check", "--json", ACCORD_DATABASE_URL=url)
    shown = json.loads(checked.stdout)
    assert (checked.returncode, shown["status"]) == (1, "fail"), checked.stderr
    (late,) = [item for item in shown["findings"] if item["code"] == "schedules_kept"]
    assert (late["status"], late["responsibility"]) == ("fail", "administrator")
    assert "items" in late["message"]
    assert [item["name"] for item in shown["connections"]] == ["crm", "erp"]
    told = accord(tmp_path, "check", ACCORD_DATABASE_URL=url)
    assert told.returncode == 1
    assert told.stdout.startswith("fail  the installation\n")
    assert late["message"] in told.stdout


def test_what_keeps_everything_from_being_checked_is_a_finding(tmp_path: Path, postgres: PostgresServer) -> None:
    name = f"check_{os.getpid()}"
    state = {"ACCORD_DATABASE_URL": postgres.create_database(name)}
    try:
        for environ, code in (
            (state, "migrations_missing"),
            ({"ACCORD_PORT": "eighty"}, "settings_wrong"),
            ({"ACCORD_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}, "database_unusable"),
        ):
            checked = accord(tmp_path, "check", "--json", **environ)
            shown = json.loads(checked.stdout)
            assert (checked.returncode, [item["code"] for item in shown["findings"]]) == (2, [code])
            assert shown["findings"][0]["message"]
            assert shown["findings"][0]["advice"]
    finally:
        postgres.drop_database(name)


def test_a_long_transaction_on_postgresql_is_found(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "LONG_TRANSACTION", 0.0)
    name = f"check_long_{os.getpid()}"
    url = postgres.create_database(name)
    settings = read_settings({"ACCORD_SECRET_KEY": KEY, "ACCORD_DATABASE_URL": url})
    opened = open_database(url)
    try:
        migrate()
        context = Context(secret_box(settings))
        with connection():
            assert "transaction_open_long" not in worst(context)
            with psycopg.connect(url) as other:
                other.execute("SELECT 1")
                assert worst(context)["transaction_open_long"].status == "warn"
    finally:
        getattr(opened, "close_all", opened.close)()
        postgres.drop_database(name)

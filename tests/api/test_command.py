"""The command `accord`, as an operator types it; and the service as a process that starts and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.world import MAPPING, World

TOKEN = "accord_token-of-a-process"


def accord(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd()), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


COMMANDS = ("", "start", "serve", "work", "migrate", "backup", "restored", "check", "sync", "token", "token create")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_everywhere(tmp_path: Path, command: str) -> None:
    helped = accord(tmp_path, *command.split(), "--help")
    assert helped.returncode == 0
    assert "Usage:" in helped.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACCORD_PORT", "eighty"),
        ("ACCORD_DATABASE_URL", "sqlite:////no/such/folder/accord.db"),
        ("ACCORD_DATABASE_URL", "mysql://h/d"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(tmp_path: Path, name: str, value: str) -> None:
    refused = accord(tmp_path, "start", **{name: value})
    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: ")
    assert "Traceback" not in refused.stderr


def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "accord.db").write_text("a letter " * 1000)
    refused = accord(tmp_path, "start")
    assert refused.returncode == 2
    assert "ACCORD_DATABASE_URL" in refused.stderr


def test_operations_from_a_shell(world: World) -> None:
    environ = {
        "ACCORD_DATABASE_URL": f"sqlite:///{world.state}",
        "ACCORD_SECRET_KEY": "secret-of-the-tests",
        "ACCORD_TOKEN": TOKEN,
    }
    migrated = accord(world.folder, "migrate", **environ)
    assert (migrated.returncode, migrated.stdout) == (0, "The database is up to date.\n")
    made = accord(world.folder, "token", "create", "--scope", "read", "--name", "shell", **environ)
    assert world.ask("GET", "/connections", token=made.stdout.strip()).status_code == 200
    checked = accord(world.folder, "check", **environ)
    assert (checked.returncode, checked.stdout.splitlines()[-1:]) == (0, ["2 connections checked."]), checked.stderr
    world.sql("erp", "UPDATE customer SET name = 'Changed' WHERE id = 'c1'")
    dry = accord(world.folder, "sync", "customers", "--dry-run", **environ)
    assert (dry.returncode, "dry run" in dry.stdout) == (0, True)
    synced = accord(world.folder, "sync", "customers", **environ)
    assert synced.returncode == 0, synced.stderr
    assert "to integration: 1 read, 1 modified" in synced.stdout
    assert world.sql("crm", "SELECT count(*) FROM account WHERE name = 'Changed'") == [(1,)]
    reconciled = accord(world.folder, "sync", "customers", "--reconcile", **environ)
    assert "in sync: 3 of 3 pairs" in reconciled.stdout
    everything = accord(world.folder, "sync", "--all", **environ)
    assert (everything.returncode, everything.stdout.count("succeeded")) == (0, 1)
    assert accord(world.folder, "sync", "customers", "--all", **environ).returncode == 2
    unknown = accord(world.folder, "sync", "nix", **environ)
    assert (unknown.returncode, unknown.stderr) == (2, "Error: There is no mapping nix.\n")


@pytest.fixture
def process(empty: World) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "start"],
        cwd=empty.folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path.cwd()),
            "ACCORD_PORT": str(port),
            "ACCORD_TOKEN": TOKEN,
            "ACCORD_SECRET_KEY": "secret-of-the-tests",
            "ACCORD_LOG_FORMAT": "json",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield started, f"http://127.0.0.1:{port}"
    finally:
        started.kill()
        started.wait()
        assert started.stderr is not None
        started.stderr.close()


def call(url: str, body: Any = None) -> Any:
    return send(url, None if body is None else json.dumps(body).encode())


def send(url: str, data: Any) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return json.load(answer)


def until(look: Any, seconds: float = 20) -> Any:
    """Look until there is something to see."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.05)
    raise AssertionError("nothing came of it")


def test_one_process_serves_and_works_and_ends_gracefully(
    empty: World, process: tuple[subprocess.Popen[str], str]
) -> None:
    started, url = process
    until(lambda: call(f"{url}/health/ready"))
    for name in ("erp", "crm"):
        call(f"{url}/connections", empty.connection(name))
    call(f"{url}/mappings", MAPPING)
    run = call(f"{url}/sync-runs", {"mappingId": 1})
    done = until(lambda: (found := call(f"{url}/sync-runs/{run['id']}"))["finishedAt"] and found)
    assert (done["status"], done["counts"]["toIntegration"]["inserted"]) == ("succeeded", 3)
    for body, status in ((b" " * 10 * 1024 * 1024, 413), ((b" " * 65536 for _ in range(160)), 413), (b"{", 400)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            send(f"{url}/connections", body)
        assert refused.value.code == status
        assert json.load(refused.value)["status"] == status
    started.send_signal(signal.SIGTERM)
    assert started.wait(timeout=30) == 0
    assert started.stderr is not None
    lines = started.stderr.read().splitlines()
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    assert any(entry.get("path") == "/sync-runs" and entry["status"] == 202 for entry in logged)
    assert not any(TOKEN in line or "Traceback" in line for line in lines)

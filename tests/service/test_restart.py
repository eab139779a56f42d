"""A real service process is killed in the midst of a run; the next one goes on, and nothing is lost or there twice."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

TOKEN = "a-token-that-only-this-test-knows"
RECORDS = 6_000
ENDED = ("succeeded", "completedWithErrors", "failed", "cancelled")


class Service:
    """A service process whose state stays in its folder, however often it is started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self) -> None:
        environment = {
            **os.environ,
            "ACCORD_PORT": str(self.port),
            "ACCORD_TOKEN": TOKEN,
            "ACCORD_DATABASE_URL": f"sqlite:///{self.folder / 'state.db'}",
        }
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "service.cli", "start"]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.wait_for("/health/ready", lambda answer: answer == {"status": "pass"})

    def end(self, signal_number: int) -> int:
        assert self.process is not None
        self.process.send_signal(signal_number)
        code = self.process.wait(40)
        self.process = None
        return code

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        request.add_header("Authorization", f"Bearer {TOKEN}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def wait_for(self, path: str, condition: Any) -> Any:
        """Ask until the answer is as wanted, for half a minute at most."""
        until = time.monotonic() + 40
        answer = None
        while time.monotonic() < until:
            try:
                answer = self.ask(path)
                if condition(answer):
                    return answer
            except (urllib.error.URLError, ConnectionError):
                assert self.process is None or self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)
        raise AssertionError(f"{path} stayed {answer}")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    if made.process is not None:
        made.end(signal.SIGKILL)


def applications(folder: Path) -> tuple[Path, Path]:
    erp, crm = folder / "erp.db", folder / "crm.db"
    with closing(sqlite3.connect(erp)) as connection, connection:
        connection.executescript(
            "CREATE TABLE customer (id INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT, name TEXT, modified_at TEXT);"
            "CREATE INDEX by_stamp ON customer (modified_at, id);"
        )
        rows = [
            (f"C{n}", f"Customer {n}", f"2026-01-01 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}")
            for n in range(RECORDS)
        ]
        connection.executemany("INSERT INTO customer (number, name, modified_at) VALUES (?, ?, ?)", rows)
    with closing(sqlite3.connect(crm)) as connection, connection:
        # No key of our choice is taken here: an insert whose answer was lost can only be found by looking.
        connection.executescript(
            "CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT, title TEXT,"
            " modified_at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));"
            "CREATE INDEX by_stamp ON account (modified_at, id); CREATE INDEX by_code ON account (code);"
        )
    return erp, crm


def make_mapping(service: Service, files: tuple[Path, Path]) -> int:
    ids = [
        service.ask("/connections", {"name": file.stem, "kind": "sql", "settings": {"url": f"sqlite:///{file}"}})["id"]
        for file in files
    ]
    mapping = {
        "name": "customers",
        "local": {"connectionId": ids[0], "table": "customer"},
        "integration": {"connectionId": ids[1], "table": "account"},
        "fieldMappings": [
            {"localField": "number", "integrationField": "code", "matchKey": 1},
            {"localField": "name", "integrationField": "title"},
        ],
        "synchOnlyCoupledRecords": False,
    }
    return int(service.ask("/mappings", mapping)["id"])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_survives_the_end_of_its_process(service: Service, tmp_path: Path, how: signal.Signals) -> None:
    files = applications(tmp_path)
    service.start()
    mapping_id = make_mapping(service, files)
    run_id = service.ask("/sync-runs", {"mappingId": mapping_id})["id"]
    path, ends = f"/sync-runs/{run_id}", 0
    for read in (500, 2_500, 4_500):
        run = service.wait_for(
            path, lambda run, read=read: run["progress"].get("read", 0) >= read or run["status"] in ENDED
        )
        if run["status"] in ENDED:
            break
        service.end(how)
        ends += 1
        service.start()
    run = service.wait_for(path, lambda run: run["status"] in ENDED)
    assert ends, "the run was too fast to be interrupted"
    assert (run["status"], run["counts"]["toIntegration"]["failed"]) == ("succeeded", 0)
    with closing(sqlite3.connect(files[0])) as erp, closing(sqlite3.connect(files[1])) as crm:
        wanted = erp.execute("SELECT number, name FROM customer ORDER BY number").fetchall()
        assert crm.execute("SELECT code, title FROM account ORDER BY code").fetchall() == wanted
    assert service.ask(f"/mappings/{mapping_id}")["status"]["coupled"] == RECORDS
    again = service.ask("/sync-runs", {"mappingId": mapping_id, "kind": "full"})["id"]
    run = service.wait_for(f"/sync-runs/{again}", lambda run: run["status"] in ENDED)
    assert run["counts"]["toIntegration"]["unchanged"] == RECORDS
    assert service.end(signal.SIGTERM) == 0

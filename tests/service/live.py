"""A real service in a process of its own, for tests of what only a process has: its end, its threads, its output."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

TOKEN = "accord_token-of-the-live-tests"
PATIENCE = 40.0
ENDED = ("succeeded", "completedWithErrors", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; `json` is its body where that is JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Live:
    """A service whose state stays in its folder, however often it is started."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = ("service.cli", "start")
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    token: str = TOKEN

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
        environment |= {
            "ACCORD_PORT": str(self.port),
            "ACCORD_TOKEN": TOKEN,
            "ACCORD_DATABASE_URL": f"sqlite:///{self.folder / 'accord.db'}",
            "ACCORD_LOG_FORMAT": "json",
            **self.settings,
        }
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", *self.command]
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_for("/health/ready", lambda answer: answer.status == 200)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = "", **headers: str) -> Answer:
        """Send a request, with the service's first token unless said otherwise; underscores in the names of headers
        stand for hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def wait_for(self, path: str, condition: Any) -> Answer:
        """Ask until the answer is as wanted."""
        until, answer = time.monotonic() + PATIENCE, None
        while time.monotonic() < until:
            try:
                answer = self.ask("GET", path)
                if condition(answer):
                    return answer
            except (OSError, HTTPException):
                assert self.process is None or self.process.poll() is None, self.log
            time.sleep(0.03)
        raise AssertionError(f"{path} stayed {answer}\n{self.log[-3000:]}")

    def end_of_run(self, id: int) -> Any:
        """A run once it has ended."""
        return self.wait_for(f"/sync-runs/{id}", lambda answer: answer.json["status"] in ENDED).json


@contextmanager
def live(folder: Path, command: Sequence[str] = ("service.cli", "start"), **settings: str) -> Iterator[Live]:
    """A running service while the block lasts."""
    service = Live(folder, settings, command)
    service.start()
    try:
        yield service
    finally:
        if service.process is not None:
            service.end(signal.SIGKILL if service.process.poll() is not None else signal.SIGTERM)

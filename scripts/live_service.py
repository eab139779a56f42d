"""A real Accord service for a script: `accord start` in a process of its own, and short words to talk to it by HTTP."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 20.0
"""Seconds to wait for the service to be ready, or for a run to end."""

_FINISHED = ("succeeded", "completedWithErrors", "failed", "cancelled")


class Unexpected(Exception):
    """The service, or one of the two applications, is not as the script says it should be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the service; `body` is what its JSON says, None where there is none."""

    status: int
    headers: Mapping[str, str]
    body: Any

    def __str__(self) -> str:
        return f"{self.status}\n{json.dumps(self.body, indent=2, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class Service:
    """A running service. `folder` holds its state and its log."""

    url: str
    token: str
    folder: Path

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; underscores in the names of headers stand for hyphens."""
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return _answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return _answer(refusal.code, dict(refusal.headers), refusal.read())
        except OSError as error:
            raise Unexpected(f"The service does not answer: {error}") from error

    def get(self, path: str) -> Any:
        """The body of an item or a list that must be there."""
        answer = self.ask("GET", path)
        if answer.status != 200:
            raise Unexpected(f"GET {path} was answered {answer}")
        return answer.body

    def end_of_run(self, run_id: int) -> Any:
        """The run, once it has ended."""
        deadline = time.monotonic() + PATIENCE
        while (run := self.get(f"/sync-runs/{run_id}"))["status"] not in _FINISHED:
            if time.monotonic() > deadline:
                raise Unexpected(f"Run {run_id} does not end: {run}")
            time.sleep(0.05)
        return run


def _answer(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    return Answer(status, headers, json.loads(content) if content else None)


@contextmanager
def running_service(folder: Path) -> Iterator[Service]:
    """Run `accord start` on a free port of this machine while the block lasts; its state is kept in `folder`."""
    for tries_left in (2, 1, 0):  # Another program may be faster to take the port, but not every time.
        service = Service(f"http://127.0.0.1:{_free_port()}", secrets.token_urlsafe(24), folder)
        process = _start(service)
        try:
            if _becomes_ready(service, process):
                yield service
                return
        finally:
            _stop(process)
        if not tries_left:
            raise Unexpected(f"The service does not start.\n{_log(folder).read_text(encoding='utf-8')[-3000:]}")


def _start(service: Service) -> subprocess.Popen[bytes]:
    """Start the service with settings of its own: what the caller's environment says of ACCORD_... does not count."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    environment |= {
        "ACCORD_PORT": service.url.rpartition(":")[2],
        "ACCORD_DATABASE_URL": f"sqlite:///{service.folder / 'accord.db'}",
        "ACCORD_TOKEN": service.token,
        "ACCORD_SECRET_KEY": secrets.token_urlsafe(24),
        "ACCORD_LOG_FORMAT": "json",
    }
    command = [str(Path(sys.executable).with_name("accord")), "start"]
    with _log(service.folder).open("wb") as log:
        return subprocess.Popen(
            command, cwd=service.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def _becomes_ready(service: Service, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            # Somebody else's service on this port would not know the token.
            if service.ask("GET", "/health/ready").status == 200 and service.ask("GET", "/connections").status == 200:
                return True
        except Unexpected:
            pass
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _log(folder: Path) -> Path:
    return folder / "service.log"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

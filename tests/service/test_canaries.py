"""Secrets are planted wherever one can be, and everything is done at the level debug; none may be found anywhere."""

from __future__ import annotations

import base64
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from service.api.document import document
from tests.receiver import Receiver, receiving
from tests.service.live import Answer, Live, live

CANARY = "caNaRy"
SHOWN_ONCE = ("/tokens", "/webhooks", "/connections/1/notification-secret")
"""What a POST to these answers has a new secret, once; a planted one of another kind may not be in it either."""


class Watch:
    """Everything that came out, and the secrets that may not be in it."""

    def __init__(self, service: Live) -> None:
        self.service = service
        self.out: list[tuple[str, bytes]] = []
        self.secrets: set[str] = set()

    def secret(self, what: str) -> str:
        """A new secret that must not be seen again."""
        text = f"{CANARY}-{what}-{os.urandom(8).hex()}"
        self.secrets.add(text)
        return text

    def ask(self, method: str, path: str, body: Any = None, **headers: Any) -> Answer:
        answer = self.service.ask(method, path, body, **headers)
        made = answer.json.get(("secret", "token")["tokens" in path]) if path in SHOWN_ONCE and answer.body else None
        told = answer.body.replace(made.encode(), b"") if made else answer.body
        self.secrets |= {made} if made else set()
        self.out.append((f"{method} {path}", told + repr(answer.headers).encode()))
        return answer

    def command(self, *arguments: str) -> None:
        """What the command line says."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
        state = {"ACCORD_DATABASE_URL": f"sqlite:///{self.service.folder / 'accord.db'}", "ACCORD_LOG_LEVEL": "debug"}
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", *arguments],
            env={**environment, **state, **self.service.settings, "ACCORD_TOKEN": ""},
            capture_output=True,
            timeout=60,
            check=False,
        )
        self.out.append((" ".join(arguments), done.stdout + done.stderr))

    def found(self) -> list[str]:
        """Where a secret is, in whatever dress."""
        return [
            f"{secret} in {where}"
            for secret in self.secrets
            for where, content in self.out
            if any(form in content for form in forms(secret))
        ]


def forms(secret: str) -> set[bytes]:
    """A secret as it may be written: plain, for a URL, in base 64 at each of three places, in hexadecimal digits."""
    plain = secret.encode()
    encoded = {base64.b64encode(b"x" * lead + plain)[4 if lead else 0 : -4] for lead in range(3)}
    return {plain, quote(secret, safe="").encode(), quote_plus(secret).encode(), plain.hex().encode(), *encoded}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def connections(watch: Watch, folder: Path) -> None:
    """One good connection, and others with a secret in every place, that lead nowhere."""
    for name in ("erp", "crm"):
        with closing(sqlite3.connect(folder / f"{name}.db")) as made, made:
            made.executescript("CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT, stamp TEXT)")
        settings = {"url": f"sqlite:///{folder / name}.db"}
        answer = watch.ask("POST", "/connections", {"name": name, "kind": "sql", "settings": settings})
        assert answer.status == 201
    nowhere = "127.0.0.1:1/x"
    for number, (settings, credentials) in enumerate(
        (
            ({"url": f"postgresql://accord:{watch.secret('url')}@{nowhere}"}, None),
            ({"url": f"postgresql://{nowhere}?password={watch.secret('query')}"}, None),
            ({"url": f"postgresql://{nowhere}"}, {"username": "accord", "password": watch.secret("password")}),
            # Refused ones: what is wrong with them is told without them.
            ({"url": f"postgresql://{nowhere}"}, {"pasword": watch.secret("misspelt")}),
            ({"url": f"nonsense://x:{watch.secret('scheme')}@y/z"}, None),
            ({"url": f"postgresql://x:{watch.secret('port')}@y:port/z"}, None),
            ({"urls": f"postgresql://x:{watch.secret('setting')}@y/z"}, {"password": 7}),
        )
    ):
        body = {"name": f"far-{number}", "kind": "sql", "settings": settings, "credentials": credentials}
        answer = watch.ask("POST", "/connections", body, Idempotency_Key=f"connection-{number}")
        assert answer.status == (201 if number < 3 else 422), answer.body
        watch.ask("POST", "/connections", body, Idempotency_Key=f"connection-{number}")
    changes = {"credentials": {"username": "a", "password": watch.secret("changed")}}
    assert watch.ask("PATCH", "/connections/3", changes, If_Match="*").status == 200
    for id in (1, 3, 4, 5):
        watch.ask("POST", f"/connections/{id}/check")


def mappings(watch: Watch) -> None:
    """A mapping that works and one that fails, written past the check of its tables; runs of both."""
    side = {"table": "t", "key": "id", "modifiedOn": "stamp"}
    body = {
        "name": "good",
        "local": {**side, "connectionId": 1},
        "integration": {**side, "connectionId": 2},
        "fieldMappings": [{"localField": "name", "integrationField": "name"}],
        "synchOnlyCoupledRecords": False,
    }
    assert watch.ask("POST", "/mappings", body).status == 201
    watch.ask("POST", "/mappings", {**body, "name": "far", "integration": {**side, "connectionId": 3}})
    run = watch.ask("POST", "/sync-runs", {"mappingId": 1}, Prefer="wait=20")
    assert (run.status, run.json["status"]) == (200, "succeeded"), run.body
    with closing(sqlite3.connect(watch.service.folder / "accord.db", timeout=20)) as state, state:
        state.execute("UPDATE mappings SET integration_connection_id = 3")
    run = watch.ask("POST", "/sync-runs", {"mappingId": 1}, Prefer="wait=30")
    watch.service.end_of_run(run.json["id"])
    assert watch.service.ask("GET", "/errors").json["items"]


def access(watch: Watch, receiver: Receiver) -> None:
    """Tokens good and bad, webhooks, notifications."""
    assert watch.ask("POST", "/tokens", {"name": "x", "scopes": ["read"]}, Idempotency_Key="token").status == 201
    watch.ask("POST", "/tokens", {"name": "x", "scopes": [watch.secret("scope")]})
    jwt = ".".join(("eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0", watch.secret("jwt"), "AAAA"))
    for token in (watch.secret("wrong-token"), jwt, None):
        watch.ask("GET", "/tokens", token=token)
    watch.ask("GET", "/tokens", token=None, Authorization=f"Basic {watch.secret('basic')}")
    watch.ask("GET", "/tokens", Cookie=f"session={watch.secret('cookie')}")
    hook = {"url": f"{receiver.url}/{watch.secret('hook')}", "events": ["run.finished"]}
    assert watch.ask("POST", "/webhooks", hook).status == 201
    secret = watch.ask("POST", "/connections/1/notification-secret").json["secret"]
    path = "/connections/1/notifications"
    assert watch.ask("POST", f"{path}/dataverse?code={secret}", {"PrimaryEntityName": "t"}, token=None).status == 204
    watch.ask("POST", f"{path}/dataverse?code={watch.secret('code')}", {"PrimaryEntityName": "t"}, token=None)
    state = {"value": [{"clientState": watch.secret("state"), "resource": "t"}]}
    watch.ask("POST", f"{path}/business-central", state, token=None)


def everything_that_can_be_read(watch: Watch) -> None:
    for path, operations in document()["paths"].items():
        if "get" in operations:
            for id in ("1", "2", "3", "999"):
                watch.ask("GET", re.sub(r"\{\w+\}", id, path))
            watch.ask("GET", re.sub(r"\{\w+\}", "1", path) + f"?nonsense={quote('x')}")
    bodies: list[Any] = ["{", '{"name": "\ud800"}', [[[[]]]], {"name": 5}]
    for body in bodies:
        watch.ask("POST", "/connections", body)


def test_no_secret_comes_out(tmp_path: Path, receiver: Receiver) -> None:
    watch = Watch(Live(tmp_path))
    settings = {"ACCORD_LOG_LEVEL": "debug", "ACCORD_RATE_LIMIT": "off", "ACCORD_PRIVATE_NETWORKS": "127.0.0.0/8"}
    settings |= {"ACCORD_OIDC_ISSUER": f"http://127.0.0.1:{receiver.port}", "ACCORD_OIDC_AUDIENCE": "accord"}
    first, keys = watch.secret("first-token"), [watch.secret("new-key"), watch.secret("old-key")]
    for name, text in (("ACCORD_TOKEN", first), ("ACCORD_SECRET_KEY", ",".join(keys))):
        (tmp_path / name).write_text(text)
        settings |= {f"{name}_FILE": str(tmp_path / name)}
    with live(tmp_path, **{**settings, "ACCORD_TOKEN": ""}) as service:
        service.token = first
        watch.service = service
        connections(watch, tmp_path)
        access(watch, receiver)
        mappings(watch)
        everything_that_can_be_read(watch)
        service.wait_for("/webhooks/1/deliveries?status=delivered", lambda answer: answer.json["items"])
        for command in (
            ["check"],
            ["sync", "good"],
            ["secrets", "rotate"],
            ["migrate"],
            ["sync", watch.secret("name")],
        ):
            watch.command(*command)
        watch.secrets = {secret for secret in watch.secrets if f"{CANARY}-name-" not in secret}
        hook = next(secret for secret in watch.secrets if f"{CANARY}-hook-" in secret)
        assert any(hook in asked.path for asked in receiver.asked), "it did arrive where it belongs"
        log = (tmp_path / "log").read_bytes()
        assert b"DEBUG" in log
        watch.out.append(("the log", log))
    with closing(sqlite3.connect(tmp_path / "accord.db")) as state:
        # The addresses of webhooks are no secrets to the database, and administrators may read them.
        dump = [line for line in state.iterdump() if 'INTO "webhooks"' not in line]
    watch.out.append(("the dump", "\n".join(dump).encode()))
    files = [file for file in tmp_path.iterdir() if file.name not in ("ACCORD_TOKEN", "ACCORD_SECRET_KEY")]
    watch.out += [(file.name, file.read_bytes().replace(hook.encode(), b"")) for file in files]
    for number, (where, out) in enumerate(watch.out):
        if "/webhooks" in where or where == "the log":
            watch.out[number] = where, out.replace(hook.encode(), b"")
    assert watch.found() == []
    assert len(watch.secrets) > 20

"""A world to test the API in: the service on a state of its own, and two real business databases that it connects."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from service.api import events
from service.api.waiting import LONGEST
from service.app import create_app
from service.operations.context import Context
from service.operations.tokens import create, digest, ensure_first
from service.settings.environment import read_settings
from service.settings.secrets import secret_box
from service.store.connections import remember_notification
from service.store.database import connection, database, migrate, open_database
from service.store.tokens import insert
from service.worker import run_until_idle
from tests.api.contract import assert_documented

TOKEN = os.environ.setdefault("ACCORD_TEST_TOKEN", "accord_token-of-the-tests")
ROLES = {"admin": TOKEN, "operate": "accord_operator-of-the-tests", "read": "accord_reader-of-the-tests"}
"""A token for each scope, in the lively world."""

SETTINGS = read_settings(
    {"ACCORD_TOKEN": TOKEN, "ACCORD_SECRET_KEY": "secret-of-the-tests", "ACCORD_RATE_LIMIT": "off"}
)
CONTEXT = Context(secret_box(SETTINGS))

ERP = """
CREATE TABLE customer (
    id TEXT NOT NULL PRIMARY KEY, number VARCHAR(20) NOT NULL, name VARCHAR(100) NOT NULL, city VARCHAR(50),
    credit_limit DECIMAL(12, 2), blocked VARCHAR(10) NOT NULL DEFAULT '',
    modified_at TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));
CREATE TRIGGER customer_stamp AFTER UPDATE ON customer BEGIN
    UPDATE customer SET modified_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = NEW.id; END;
CREATE TABLE nameless (a TEXT, b TEXT, c BLOB);
"""
CRM = """
CREATE TABLE account (
    accountid TEXT NOT NULL PRIMARY KEY, accountnumber VARCHAR(20), name VARCHAR(100), city VARCHAR(50),
    creditlimit DECIMAL(12, 2), customertypecode INTEGER,
    modifiedon TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));
CREATE TRIGGER account_stamp AFTER UPDATE ON account BEGIN
    UPDATE account SET modifiedon = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE accountid = NEW.accountid; END;
"""
CUSTOMERS = [("c1", "10000", "Bergström & Söner"), ("c2", "20000", "Café Noir"), ("c3", "30000", "Ødegård AS")]
MAPPING: dict[str, Any] = {
    "name": "customers",
    "local": {"connectionId": 1, "table": "customer", "key": "id", "modifiedOn": "modified_at", "caption": "Customer"},
    "integration": {"connectionId": 2, "table": "account", "caption": "Account"},
    "fieldMappings": [
        {"localField": "number", "integrationField": "accountnumber", "matchKey": 1},
        {"localField": "name", "integrationField": "name"},
        {"localField": "city", "integrationField": "city"},
        {"integrationField": "customertypecode", "constant": 3, "direction": "toIntegration"},
    ],
    "synchOnlyCoupledRecords": False,
}


@dataclass
class World:
    """A folder with everything, and a client that carries a token."""

    folder: Path
    app: Flask

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def state(self) -> Path:
        return self.folder / "accord.db"

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = TOKEN, **headers: str) -> Any:
        """Send a request; underscores in the names of headers stand for hyphens. Gives werkzeug's TestResponse."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        options: dict[str, Any] = {} if body is None else {"json": body}
        answer = self.client.open(path, method=method, headers=sent, buffered=True, **options)
        assert_documented(method, path, answer)
        return answer

    def get(self, path: str, **headers: str) -> Any:
        """The body of an item or a list that must be there."""
        answer = self.ask("GET", path, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json

    def sql(self, database: str, statement: str, *parameters: Any) -> list[Any]:
        """Ask or tell a database: `erp`, `crm`, or `accord`, our own."""
        opened = sqlite3.connect(self.folder / f"{database}.db")
        try:
            with opened:
                return opened.execute(statement, parameters).fetchall()
        finally:
            opened.close()

    def work(self) -> None:
        """Carry out everything that is queued."""
        with connection():
            run_until_idle(CONTEXT)

    def run(self, **request: Any) -> Any:
        """Start a run, carry it out, and give it as it is then."""
        answer = self.ask("POST", "/sync-runs", {"mappingId": 1, **request})
        assert answer.status_code == 202, answer.text
        self.work()
        return self.get(f"/sync-runs/{answer.json['id']}")

    def token(self, *scopes: str) -> str:
        """A new token with these scopes."""
        with connection():
            return create(CONTEXT, "test", scopes, None, "test")[1]

    def connection(self, name: str) -> dict[str, Any]:
        """A request for a connection to one of the two databases."""
        return {"name": name, "kind": "sql", "settings": {"url": f"sqlite:///{self.folder}/{name}.db"}}

    def make_conflict(self) -> Any:
        """Edit both sides of a pair, synchronize, and give the skipped record."""
        self.sql("erp", "UPDATE customer SET name = 'Noir & Co' WHERE id = 'c2'")
        self.sql("crm", "UPDATE account SET name = 'Le Café Noir' WHERE accountnumber = '20000'")
        self.run()
        return self.get("/skipped?status=open")["items"][0]

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is so, for half a minute at most."""
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def contents(self) -> list[str]:
        """Everything that our own database holds and a request could change, to tell that one changed nothing.

        When a token was last used is left out.
        """
        opened = sqlite3.connect(self.state)
        try:
            return [line for line in opened.iterdump() if '"tokens"' not in line and "sqlite_sequence" not in line]
        finally:
            opened.close()


def make_empty(folder: Path, app: Flask, state: str | None = None) -> World:
    """Two filled business databases, and a service that knows nothing of them."""
    for name, script in (("erp", ERP), ("crm", CRM)):
        opened = sqlite3.connect(folder / f"{name}.db")
        opened.executescript(script)
        opened.close()
    world = World(folder, app)
    for key, number, name in CUSTOMERS:
        world.sql("erp", "INSERT INTO customer (id, number, name, city) VALUES (?, ?, ?, 'Oslo')", key, number, name)
    open_database(state or f"sqlite:///{folder}/accord.db")
    migrate()
    with connection():
        ensure_first(CONTEXT, TOKEN)
    return world


def make_mapped(world: World) -> World:
    """Connect, map and synchronize them."""
    for name in ("erp", "crm"):
        assert world.ask("POST", "/connections", world.connection(name)).status_code == 201
    answer = world.ask("POST", "/mappings", MAPPING)
    assert answer.status_code == 201, answer.text
    assert world.run()["status"] == "succeeded"
    return world


def make_lively(world: World) -> World:
    """And let everything happen to them that leaves a trace: a conflict, an error, an exclusion, a second token.

    The examples of the document fit: c9 and a9 are not coupled yet, and the connection 3 is not used.
    """
    make_mapped(world)
    world.make_conflict()
    pair = world.get("/couplings?localKey=c3")["items"][0]
    assert world.ask("DELETE", f"/couplings/{pair['id']}").status_code == 204
    with connection():
        for scope in ("operate", "read"):
            insert({"name": scope, "digest": digest(ROLES[scope]), "scopes": [scope], "created_at": CONTEXT.now()})
    with connection():
        remember_notification(1, digest("the secret"))
    assert world.ask("POST", "/connections", {**world.connection("erp"), "name": "spare"}).status_code == 201
    world.sql("erp", "INSERT INTO customer (id, number, name) VALUES ('c9', '90000', 'Zoë')")
    world.sql("crm", "INSERT INTO account (accountid, accountnumber, name) VALUES ('a9', '90000', 'Zoe')")
    return world


def save(folder: Path, kept: Path) -> None:
    """Keep the files of a world; nothing has them open between two requests."""
    shutil.copytree(folder, kept)


def restore(kept: Path, folder: Path) -> None:
    """Make the files of a world again what they were."""
    for file in folder.iterdir():
        file.unlink()
    shutil.copytree(kept, folder, dirs_exist_ok=True)


class Kept:
    """A world in a folder, and the copy it is put back from."""

    def __init__(self, root: Path, app: Flask, furnish: Callable[[World], World]) -> None:
        folder = root / "world"
        folder.mkdir()
        self._copy = root / "copy"
        self.world = furnish(make_empty(folder, app))
        self._proxied = database.obj
        save(folder, self._copy)

    def fresh(self) -> World:
        """The world as it was made."""
        database.initialize(self._proxied)
        restore(self._copy, self.world.folder)
        return self.world


def make_app() -> Flask:
    """The service's application, with its own context. Nobody works while a made-up request waits: it waits little."""
    app = create_app(SETTINGS, CONTEXT)
    app.config[LONGEST] = 0.05
    app.config[events.LONGEST] = 0.05
    return app

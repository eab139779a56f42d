"""The kinds of business applications with the customers of the kit, each with a mapping to a store of this process,
whose contents can be looked at."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from sqlalchemy import make_url

from service.connectors.kit import Application
from service.connectors.memory import STORES, MemoryStore, open_store
from service.core.records import Field, FieldType, Scalar, Selection
from service.operations import connections, mappings, runs
from service.store.models import SyncRun
from service.worker import run_until_idle
from tests.connectors.test_mariadb import MariaApplication
from tests.connectors.test_postgresql import PostgresApplication
from tests.connectors.test_tryton import TrytonApplication
from tests.connectors.two_parts import TwoPartsOnMariaDb, TwoPartsOnPostgres
from tests.mariadb import MariaServer
from tests.odata.sap import CREDENTIALS, PARTNERS, Erp, SapApplication
from tests.servers import PostgresServer
from tests.tryton import TrytonServer
from tests.world import line, new_context, tally

FIELDS = ("number", "name", "city", "credit")
"""Of an account in the store."""


@dataclass(frozen=True)
class System:
    """A business application with the customers of the kit. `settings` and `reader` lead to it as somebody who may do
    everything, or only read, once `deny` was called; `port` is where it listens; `last_words`: what a client says so
    that an insert stays. `fields`: its names for the fields of an account; `more`: further lines of a mapping."""

    app: Application
    kind: str
    settings: dict[str, str]
    credentials: dict[str, str]
    reader: dict[str, str]
    port: int
    last_words: tuple[bytes, ...]
    table: str = "customer"
    fields: Mapping[str, str] = field(default_factory=lambda: {name: name for name in FIELDS})
    more: Sequence[Mapping[str, Any]] = ()
    deny: Callable[[], None] = lambda: None

    def through(self, port: int) -> dict[str, str]:
        """The settings that lead there by way of another port."""
        return {**self.settings, "url": self.settings["url"].replace(f":{self.port}", f":{port}")}

    def known(self, **values: Scalar) -> dict[str, Any]:
        """Those of these values of a customer that there is a field for."""
        return {name: value for name, value in values.items() if name in self.fields}


def _postgresql(
    request: pytest.FixtureRequest,
    made: Callable[[str], PostgresApplication | TwoPartsOnPostgres] = PostgresApplication,
) -> Iterator[System]:
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.create_database("systems")
    app = made(url)
    app.execute("DROP ROLE IF EXISTS reader")
    app.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    app.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    given = make_url(url)
    settings = {"url": f"postgresql://127.0.0.1:{server.port}/systems"}
    reader = {"username": "reader", "password": "reader"}
    credentials = {"username": str(given.username), "password": str(given.password)}
    yield System(app, "sql", settings, credentials, reader, server.port, (b"INSERT INTO", b"COMMIT"))
    app.database.close()
    server.drop_database("systems")


def _mariadb(
    request: pytest.FixtureRequest,
    made: Callable[[MariaServer, str], MariaApplication | TwoPartsOnMariaDb] = MariaApplication,
) -> Iterator[System]:
    server: MariaServer = request.getfixturevalue("mariadb")
    server.create_database("systems")
    app = made(server, "systems")
    server.execute(
        "CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY 'reader'",
        "GRANT SELECT ON systems.* TO reader@'127.0.0.1'",
    )
    settings = {"url": f"mysql://127.0.0.1:{server.port}/systems"}
    credentials = {"username": "root", "password": server.password}
    reader = {"username": "reader", "password": "reader"}
    yield System(app, "sql", settings, credentials, reader, server.port, (b"INSERT INTO", b"COMMIT"))
    app.database.close()
    server.drop_database("systems")


def _tryton(request: pytest.FixtureRequest) -> Iterator[System]:
    server: TrytonServer = request.getfixturevalue("tryton")
    app = TrytonApplication(server)
    words = (b'"model.accord.customer.create"',)
    yield System(
        app, "tryton", server.settings, server.credentials(), server.credentials("reader"), server.port, words,
        "accord.customer",
    )  # fmt: skip
    app.database.close()


def _mock_sap(request: pytest.FixtureRequest) -> Iterator[System]:
    """It has no users who may only read: from some moment on, it refuses to write."""
    erp: Erp = request.getfixturevalue("erp")
    app = SapApplication(erp, "api_businesspartner", PARTNERS)
    fields = {name: PARTNERS.fields[name].name for name in ("number", "name", "city")}
    key = line(local_field=PARTNERS.key, integration_field="number", direction="fromIntegration")

    def deny() -> None:
        for method in ("POST", "PATCH", "DELETE"):
            rule = {"method": method, "match": r"BusinessPartner|\$batch", "scenario": "forbidden"}
            erp.sap.tell("/_mock/faults", rule)

    yield System(
        app, "odata", erp.settings(app.service), CREDENTIALS, CREDENTIALS, erp.sap.port, (b'"POST"', b'N19"'),
        PARTNERS.customer, fields, [key], deny,
    )  # fmt: skip
    erp.sap.tell("/_mock/faults", method="DELETE")


SYSTEMS: dict[str, Callable[[pytest.FixtureRequest], Iterator[System]]] = {
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "tryton": _tryton,
    "mock-sap": _mock_sap,
    "postgresql, keys of two parts": partial(_postgresql, made=TwoPartsOnPostgres),
    "mariadb, keys of two parts": partial(_mariadb, made=TwoPartsOnMariaDb),
}


@contextmanager
def new_store() -> Iterator[MemoryStore]:
    name = f"systems-{uuid.uuid4()}"
    made = open_store(name)
    fields = [Field(field, FieldType.STRING) for field in ("number", "name", "city")]
    made.create_table("account", [*fields, Field("credit", FieldType.DECIMAL)], generates_keys=True)
    made.name = name  # type: ignore[attr-defined]
    yield made
    del STORES[name]


class Job:
    """A mapping between a system and the store, and what is done with it."""

    def __init__(self, system: System, store: MemoryStore, **given: Any) -> None:
        self.system = system
        self.store = store
        self.context = new_context()
        settings: dict[str, str] = given.pop("settings", system.settings)
        credentials: dict[str, str] = given.pop("credentials", system.credentials)
        local = self.connection_id = self._connect(system.kind, settings, credentials)
        integration = self._connect("memory", {"store": store.name}, None)  # type: ignore[attr-defined]
        rest: dict[str, Any] = {"key": None, "modified_on": None, "filter": []}
        lines = [
            line(local_field=own, integration_field=name, match_key=1 if name == "number" else None)
            for name, own in system.fields.items()
        ]
        document = {
            "name": "customers",
            "synch_only_coupled_records": False,
            "local": {**rest, "connection_id": local, "table": system.table, "caption": "Customer"},
            "integration": {"connection_id": integration, "table": "account", "caption": "Account", **rest},
            "field_mappings": [*lines, *system.more],
            **given,
        }
        self.mapping_id: int = mappings.create(self.context, document, "test")["id"]

    def _connect(self, kind: str, settings: dict[str, str], credentials: dict[str, str] | None) -> int:
        made = connections.create(
            self.context, name=kind, kind=kind, settings=settings, credentials=credentials, enabled=True, actor="test"
        )
        return int(made.id)

    def close(self) -> None:
        """Close the connectors that rest."""
        self.context.kept.close_idle(0)

    def run(self, kind: str = "modified") -> SyncRun:
        run = runs.start(self.context, runs.RunRequest(self.mapping_id, kind), "test")
        run_until_idle(self.context)
        return runs.get(run.id)

    def done(self, kind: str = "modified") -> dict[str, dict[str, int]]:
        run = self.run(kind)
        return {way: tally(run, way) for way in ("toIntegration", "fromIntegration")}

    def accounts(self) -> dict[str, str]:
        """The names of all accounts, by number."""
        rows = self.store.tables["account"].rows.values()
        return {str(row.values["number"]): str(row.values["name"]) for row in rows}

    def customers(self) -> list[tuple[Scalar, ...]]:
        """Number and name of all customers, as a connector of its own sees them."""
        with closing(self.system.app.connector()) as connector:
            table = connector.describe(self.system.table)
            fields = (self.system.fields["number"], self.system.fields["name"])
            chosen = Selection(table.name, str(table.key), str(table.modified_on), fields)
            return [one.values for one in connector.read(chosen, None, None, 1000).records]

    def names(self) -> list[str]:
        return sorted(str(name) for _, name in self.customers())

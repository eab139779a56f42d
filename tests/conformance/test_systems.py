"""The main job with each kind of business application: both ways, a conflict, a deletion, few rights, a lost answer.

The other side is always a store of this process, whose contents can be looked at.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from service.connectors.kit import T0, Application
from service.connectors.memory import STORES, MemoryStore, open_store
from service.core.records import Field, FieldType, Selection
from service.operations import connections, mappings, runs, skipped
from service.store.database import connection, migrate, open_database
from service.store.models import SyncRun
from service.worker import run_until_idle
from tests.connectors.test_mariadb import MariaApplication
from tests.connectors.test_postgresql import PostgresApplication
from tests.connectors.test_tryton import TrytonApplication
from tests.connectors.two_parts import TwoPartsOnMariaDb, TwoPartsOnPostgres
from tests.cutting import Wire, wire_to
from tests.mariadb import MariaServer
from tests.servers import PostgresServer
from tests.tryton import TrytonServer
from tests.world import errors, line, new_context, tally


@dataclass(frozen=True)
class System:
    """A business application with the customers of the kit. `settings` and `reader` lead to it as somebody who may do
    everything, or only read; `port` is where it listens; `last_words`: what a client says so that an insert stays."""

    app: Application
    kind: str
    settings: dict[str, str]
    credentials: dict[str, str]
    reader: dict[str, str]
    port: int
    last_words: tuple[bytes, ...]
    table: str = "customer"

    def through(self, wire: Wire) -> dict[str, str]:
        """The settings that lead there by a wire."""
        return {**self.settings, "url": self.settings["url"].replace(f":{self.port}", f":{wire.port}")}


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


SYSTEMS: dict[str, Callable[[pytest.FixtureRequest], Iterator[System]]] = {
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "tryton": _tryton,
    "postgresql, keys of two parts": partial(_postgresql, made=TwoPartsOnPostgres),
    "mariadb, keys of two parts": partial(_mariadb, made=TwoPartsOnMariaDb),
}


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    yield from SYSTEMS[request.param](request)


@pytest.fixture
def store() -> Iterator[MemoryStore]:
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
        local = self._connect(system.kind, settings, credentials)
        integration = self._connect("memory", {"store": store.name}, None)  # type: ignore[attr-defined]
        rest: dict[str, Any] = {"key": None, "modified_on": None, "filter": []}
        lines = [line(local_field=name, integration_field=name) for name in ("name", "city", "credit")]
        lines.append(line(local_field="number", integration_field="number", match_key=1))
        document = {
            "name": "customers",
            "synch_only_coupled_records": False,
            "local": {"connection_id": local, "table": system.table, "caption": "Customer", **rest},
            "integration": {"connection_id": integration, "table": "account", "caption": "Account", **rest},
            "field_mappings": lines,
            **given,
        }
        self.mapping_id: int = mappings.create(self.context, document, "test")["id"]

    def _connect(self, kind: str, settings: dict[str, str], credentials: dict[str, str] | None) -> int:
        made = connections.create(
            self.context, name=kind, kind=kind, settings=settings, credentials=credentials, enabled=True, actor="test"
        )
        return int(made.id)

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

    def customers(self) -> list[str]:
        """The names of all customers, as a connector of its own sees them."""
        connector = self.system.app.connector()
        try:
            table = connector.describe(self.system.table)
            chosen = Selection(table.name, str(table.key), str(table.modified_on), ("name",))
            return sorted(str(one.values[0]) for one in connector.read(chosen, None, None, 1000).records)
        finally:
            connector.close()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[None]:
    open_database(f"sqlite:///{tmp_path}/accord.db")
    migrate()
    with connection():
        yield


def writes(done: dict[str, dict[str, int]]) -> int:
    return sum(
        number for counts in done.values() for name, number in counts.items() if name in ("inserted", "modified")
    )


def test_both_ways_with_a_conflict_and_a_deletion(state: None, system: System, store: MemoryStore) -> None:
    job = Job(system, store, deletion_conflict_resolution="deletePartner")
    people = system.app
    people.put("a", number="N1", name="Žluťoučký Kůň", city="Oslo", credit="12.5")
    people.put("b", number="N2", name="Bob")
    store.put("account", number="N3", name="Ærlig Ås")
    done = job.done()
    assert (done["toIntegration"]["inserted"], done["fromIntegration"]["inserted"]) == (2, 1)
    assert job.accounts() == {"N1": "Žluťoučký Kůň", "N2": "Bob", "N3": "Ærlig Ås"}
    assert job.customers() == ["Bob", "Ærlig Ås", "Žluťoučký Kůň"] or len(job.customers()) == 3
    assert writes(job.done()) == 0
    assert writes(job.done("full")) == 0

    account = next(key for key, row in store.tables["account"].rows.items() if row.values["number"] == "N1")
    people.put("a", name="Here")
    store.put("account", id=account, name="There")
    assert job.done()["toIntegration"]["skipped"] == 1
    [item] = skipped.list_skipped(mapping_id=job.mapping_id, status="open", limit=10)
    assert item.reason == "conflict"
    skipped.resolve(job.context, item.id, "keepIntegration", None, "anna")
    run_until_idle(job.context)
    assert "There" in job.customers()
    assert writes(job.done()) == 0

    people.remove("b")
    job.done("findDeleted")
    assert set(job.accounts()) == {"N1", "N3"}


def test_a_user_who_may_only_read_is_one_error_for_the_administrator(
    state: None, system: System, store: MemoryStore
) -> None:
    for number in range(5):
        store.put("account", number=f"N{number}", name=f"name {number}")
    job = Job(system, store, credentials=system.reader)
    run = job.run()
    assert run.status == "failed"
    found = errors()
    assert [(error.code, error.responsibility) for error in found] == [("permission_denied", "administrator")]
    assert skipped.list_skipped(mapping_id=job.mapping_id, status=None, limit=10) == []
    assert job.customers() == []


def test_an_answer_that_is_lost_after_an_insert_doubles_nothing(
    state: None, system: System, store: MemoryStore
) -> None:
    with wire_to(system.port) as wire:
        job = Job(system, store, settings=system.through(wire))
        for number in range(20):
            store.put("account", number=f"N{number}", name=f"name {number}")
        wire.cut_after(*system.last_words)
        run = job.run()
        assert wire.cuts == 1
        assert run.status == "succeeded", (run.code, run.params, errors())
        assert len(job.customers()) == 20
        assert writes(job.done("full")) == 0
        assert len(job.customers()) == 20


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_fifty_thousand_rows_take_a_statement_a_page_and_one_for_its_partners(
    request: pytest.FixtureRequest, name: str
) -> None:
    made = SYSTEMS[name](request)
    system = next(made)
    numbers = {
        "postgresql": "SELECT n FROM generate_series(1, 50000) AS n",
        "mariadb": "SELECT seq AS n FROM seq_1_to_50000",
    }[name]
    moment = "TIMESTAMP '2026-01-01 00:00:00'"  # One stamp for all of them, as after an import.
    assert isinstance(system.app, PostgresApplication | MariaApplication)
    system.app.execute(
        "INSERT INTO customer (id, name, modified_at)"
        f" SELECT CONCAT('k', n), CONCAT('name ', n), {moment} FROM ({numbers}) AS numbers"
    )
    connector = system.app.connector()
    session = connector._database.session
    table = connector.describe(system.table)
    chosen = Selection(table.name, str(table.key), str(table.modified_on), ("name", "city"))
    connector.read(chosen, T0, None, 1)
    counted: list[str] = []
    rows = session.rows

    def count(statement: Any, params: Any = None) -> Any:
        counted.append(statement.text)
        return rows(statement, params)

    session.rows = count  # type: ignore[method-assign]
    cursor, pages, seen = None, 0, set()
    while pages == 0 or cursor is not None:
        page = connector.read(chosen, T0, cursor, 500)
        seen |= {record.key for record in page.records}
        assert len(connector.fetch(chosen, [record.key for record in page.records], filtered=False)) == 500
        cursor, pages = page.cursor, pages + 1
    assert (len(seen), pages) == (50_000, 100)
    assert len(counted) <= 100 + 100 + 3  # The first page also asks for what has no stamp.
    connector.close()
    assert next(made, None) is None

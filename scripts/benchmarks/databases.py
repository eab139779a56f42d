"""The databases of the work items: templates with the data, and a fresh copy of both applications for every run."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from scripts.benchmarks import tables
from scripts.benchmarks.tables import CRM, ERP, SHAPES, Shape
from tests.servers import PostgresServer, postgres_server

KINDS = ("sqlite", "postgresql")

# As durable as in production, unlike in the tests; no cleaning while something is measured.
_DURABLE = (
    "fsync = on", "synchronous_commit = on", "full_page_writes = on", "autovacuum = off", "max_wal_size = '4GB'",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where the applications of one run and the state are. `server` is the process of PostgreSQL, 0 for SQLite."""

    kind: str
    erp: str
    crm: str
    state: str
    folder: str
    server: int = 0

    def document(self) -> dict[str, Any]:
        return asdict(self)


class SqliteDatabases:
    """Databases in files."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    @contextmanager
    def place(self, size: int, matching: bool) -> Iterator[Place]:
        """Fresh copies of both applications, gone afterwards."""
        here = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            with self._lock:
                templates = {side.table: self._template(size, matching, side) for side in SHAPES}
            for side in SHAPES:
                shutil.copyfile(templates[side.table], here / f"{side.table}.db")
            erp, crm, state = (here / f"{name}.db" for name in (ERP.table, CRM.table, "state"))
            yield Place(self.kind, f"sqlite:///{erp}", f"sqlite:///{crm}", f"sqlite:///{state}", str(here))
        finally:
            shutil.rmtree(here)

    def _template(self, size: int, matching: bool, side: Shape) -> Path:
        file = self._folder / f"{side.table}-{size}-{matching}.db"
        if not file.exists():
            with closing(sqlite3.connect(file)) as made, made:
                made.executescript(tables.schema(side, tables.SQLITE, 3))
                marks = ", ".join("?" * (tables.WIDTH + 2))
                made.executemany(f"INSERT INTO {side.table} VALUES ({marks})", tables.rows(size, matching, side))
                made.executescript(tables.indexes(side) + "ANALYZE;")
        return file


class PostgresDatabases:
    """Databases of a PostgreSQL of our own."""

    kind = "postgresql"

    def __init__(self, server: PostgresServer, folder: Path, durable: bool) -> None:
        self._server = server
        self._folder = folder
        self._made: set[str] = set()
        self._lock = threading.Lock()
        with psycopg.connect(server.url(), autocommit=True) as connection:
            for setting in _DURABLE if durable else ():
                _run(connection, f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
            self.process = _parent(connection.info.backend_pid)

    @contextmanager
    def place(self, size: int, matching: bool) -> Iterator[Place]:
        """Fresh copies of both applications, gone afterwards."""
        here = Path(tempfile.mkdtemp(dir=self._folder))
        mark = secrets.token_hex(4)
        with self._lock:
            templates = {side.table: self._template(size, matching, side) for side in SHAPES}
        names = {name: f"bench_{name}_{mark}" for name in (*templates, "state")}
        try:
            with self._lock, self._admin() as admin:
                for name, made in names.items():
                    _run(admin, f"CREATE DATABASE {made} TEMPLATE {templates.get(name, 'template1')}")
                admin.execute("CHECKPOINT")
            erp, crm, state = (f"{self._server.url(name)}?sslmode=disable" for name in names.values())
            yield Place(self.kind, erp, crm, state, str(here), self.process)
        finally:
            with self._admin() as admin:
                for made in names.values():
                    _run(admin, f"DROP DATABASE IF EXISTS {made} WITH (FORCE)")
            shutil.rmtree(here)

    def _template(self, size: int, matching: bool, side: Shape) -> str:
        name = f"{side.table}_{size}_{matching}".lower()
        if name not in self._made:
            self._server.create_database(name)
            with psycopg.connect(self._server.url(name), autocommit=True) as connection:
                _run(connection, tables.schema(side, tables.POSTGRESQL, 2))
                columns = ", ".join((side.key, *side.columns, side.stamp))
                with connection.cursor().copy(_literal(f"COPY {side.table} ({columns}) FROM STDIN")) as copy:
                    for row in tables.rows(size, matching, side):
                        copy.write_row((*row[:-1], f"{row[-1]}+00"))
                _run(connection, tables.indexes(side))
                _run(connection, f"VACUUM ANALYZE {side.table}")
            self._made.add(name)
        return name

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._server.url(), autocommit=True)


Databases = SqliteDatabases | PostgresDatabases


@contextmanager
def databases(kind: str, folder: Path, server: PostgresServer | None = None) -> Iterator[Databases]:
    """The databases of a kind; templates and copies are below `folder`, which is fresh. A `server` that is lent is left
    as it is, otherwise one is started that keeps what it was told."""
    folder.mkdir()
    if kind == "sqlite":
        yield SqliteDatabases(folder)
    elif server is not None:
        yield PostgresDatabases(server, folder, durable=False)
    else:
        with postgres_server() as started:
            yield PostgresDatabases(started, folder, durable=True)


def _run(connection: psycopg.Connection[Any], statement: str) -> None:
    connection.execute(_literal(statement))


def _literal(statement: Any) -> LiteralString:
    """psycopg wants statements that are written in the code; ours are put together from names in `tables`."""
    literal: LiteralString = statement
    return literal


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


class People:
    """Who edits the two applications, and looks at them in the end."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def edit(self, edits: Sequence[tables.Edit]) -> None:
        for edit in edits:
            self.execute(edit.side, edit.statement())

    def execute(self, side: Shape, *statements: str) -> None:
        with self._open(side) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def differences(self) -> int:
        """How many records only one side has in the form that it has them. Sums tell whether there are any, so that a
        million rows need no memory of the process that is measured."""
        sums = [sum(self._hashes(side)) for side in SHAPES]
        if sums[0] == sums[1]:
            return 0
        one, other = (set(self._hashes(side)) for side in SHAPES)
        return len(one ^ other)

    def count(self, side: Shape) -> int:
        with self._open(side) as connection:
            found: int = connection.execute(f"SELECT count(*) FROM {side.table}").fetchone()[0]
            return found

    def _hashes(self, side: Shape) -> Iterator[int]:
        with self._open(side) as connection:
            cursor = connection.cursor() if self._place.kind == "sqlite" else connection.cursor("rows")
            cursor.execute(f"SELECT {', '.join(side.columns)} FROM {side.table}")
            while rows := cursor.fetchmany(10_000):
                for row in rows:
                    yield hash(tuple(map(_comparable, row)))

    @contextmanager
    def _open(self, side: Shape) -> Iterator[Any]:
        url = self._place.erp if side is ERP else self._place.crm
        if self._place.kind == "sqlite":
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
                yield connection
        else:
            with closing(psycopg.connect(url)) as connection:
                yield connection


def _comparable(value: Any) -> Any:
    return float(value) if hasattr(value, "is_integer") or hasattr(value, "is_nan") else str(value)

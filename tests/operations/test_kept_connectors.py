"""Connectors that rest between runs serve the next one as new ones would."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from service.connectors.base import Connector
from service.connectors.memory import MemoryConnector
from service.connectors.sql import SqlConnector
from service.core.records import Selection, Side
from service.operations import connections
from service.operations.kept_connectors import AGE, IDLE, Kept
from service.store.database import database, migrate, open_database
from service.store.models import Connection
from tests.servers import PostgresServer
from tests.world import World, couple

ITEMS = Selection("item", "id", "stamp", ("name",))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    open_database(f"sqlite:///{tmp_path / 'state.db'}")
    migrate()
    with database.connection_context():
        yield World(tmp_path)


class Counted(MemoryConnector):
    """A connector that rests, and says when it was closed."""

    closed = 0

    def rest(self) -> bool:
        return True

    def close(self) -> None:
        self.closed += 1


def counted() -> Counted:
    return Counted({"store": "kept"}, {})


def test_the_next_borrower_gets_the_one_that_rested() -> None:
    kept = Kept()
    with kept.borrowed("a", counted) as first, kept.borrowed("a", counted) as beside:
        assert beside is not first
    with kept.borrowed("b", counted) as other:
        assert other not in (first, beside)
    with kept.borrowed("a", counted) as again:
        assert again in (first, beside)


def test_one_that_cannot_rest_is_closed() -> None:
    kept, made = Kept(), MemoryConnector({"store": "kept"}, {})
    with kept.borrowed("a", lambda: made):
        pass
    with kept.borrowed("a", counted) as other:
        assert other is not made


def test_one_that_failed_is_closed() -> None:
    kept = Kept()
    with pytest.raises(ValueError, match="wrong"), kept.borrowed("a", counted) as first:
        raise ValueError("wrong")
    assert first.closed == 1  # type: ignore[attr-defined]


def test_what_nobody_needs_is_closed() -> None:
    kept = Kept()
    with kept.borrowed("a", counted) as first:
        pass
    kept.close_idle()
    assert first.closed == 0  # type: ignore[attr-defined]
    kept.close_idle(0)
    assert first.closed == 1  # type: ignore[attr-defined]
    with kept.borrowed("a", counted) as other:
        assert other is not first


def test_what_nobody_needed_for_long_is_not_lent_even_if_nobody_closed_it() -> None:
    clock = [0.0]
    kept = Kept(lambda: clock[0])
    with kept.borrowed("a", counted) as first:
        pass
    clock[0] += IDLE
    with kept.borrowed("a", counted) as other:
        assert (other is first, first.closed) == (False, 1)  # type: ignore[attr-defined]


def test_one_that_is_always_needed_is_made_anew_when_it_is_too_old() -> None:
    clock = [0.0]
    kept = Kept(lambda: clock[0])
    with kept.borrowed("a", counted) as first:
        pass
    while clock[0] + IDLE / 2 < AGE:
        clock[0] += IDLE / 2
        with kept.borrowed("a", counted) as same:
            assert same is first
    clock[0] = AGE
    with kept.borrowed("a", counted) as other:
        assert (other is first, first.closed) == (False, 1)  # type: ignore[attr-defined]


def test_nothing_is_left_open_when_nobody_has_the_keeper_any_more() -> None:
    kept = Kept()
    with kept.borrowed("a", counted) as first:
        pass
    del kept
    assert first.closed == 1  # type: ignore[attr-defined]


def test_nobody_holds_a_connector_that_rests_to_a_lease_that_has_ended() -> None:
    kept = Kept()

    def ended() -> None:
        raise AssertionError

    with kept.borrowed("a", counted) as first:
        first.fence(ended)
    first.permit()


# Runs


def test_a_file_that_took_the_place_of_another_is_the_one_that_is_read(world: World, tmp_path: Path) -> None:
    world.map()
    couple(world, number="1", name="One")
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(world.files[Side.LOCAL])) as erp:
        erp.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(world.files[Side.LOCAL], copy)
    with closing(sqlite3.connect(copy)) as restored, restored:
        restored.execute("UPDATE customer SET name = 'In the copy'")
    copy.replace(world.files[Side.LOCAL])
    world.run()
    assert [row["name"] for row in world.all("integration")] == ["In the copy"]


def test_nobody_holds_a_file_open_between_two_runs(world: World) -> None:
    """Whoever closes a file last takes its write-ahead log with it; one that stays would be mixed with a backup."""
    world.sql("local", "PRAGMA journal_mode = WAL")
    log = world.files[Side.LOCAL].with_name("local.db-wal")
    world.map()
    couple(world, number="1", name="One")
    world.run()
    world.edit("local", "1", name="Two")
    assert not log.exists()


def test_a_backup_that_is_written_over_a_file_is_what_is_read(world: World) -> None:
    """SQLite takes a file for unchanged that tells as many changes as when it was last read."""
    world.map()
    couple(world, number="1", name="One")
    file = world.files[Side.LOCAL]
    backup = file.read_bytes()
    world.edit("local", "1", name="After the backup")
    world.run()
    file.write_bytes(backup)
    world.edit("local", "1", name="Another")  # The file tells as many changes as the last run found.
    world.run()
    assert [row["name"] for row in world.all("integration")] == ["Another"]


def test_a_table_that_was_made_anew_between_two_runs(world: World) -> None:
    world.map()
    couple(world, number="1", name="One")
    world.sql("integration", "ALTER TABLE account RENAME COLUMN name TO title")
    assert world.run().code == "field_not_found"
    world.sql("integration", "ALTER TABLE account RENAME COLUMN title TO name")
    world.add("local", number="2", name="Two")
    world.run()
    assert sorted(row["name"] for row in world.all("integration")) == ["One", "Two"]


@pytest.mark.parametrize("restored", [False, True])
def test_a_connection_that_leads_elsewhere_now(world: World, tmp_path: Path, restored: bool) -> None:
    """Somebody changed it, or it came with a state from a backup, where it has the same number and version."""
    world.map()
    couple(world, number="1", name="One")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(world.files[Side.LOCAL])) as erp:
        erp.execute("VACUUM INTO ?", (str(other),))
    with closing(sqlite3.connect(other)) as erp, erp:
        erp.execute("UPDATE customer SET name = 'Elsewhere'")
    id = world.connection_ids[Side.LOCAL]
    settings = {"url": f"sqlite:///{other}"}
    if restored:
        Connection.update(settings=settings).where(Connection.id == id).execute()
    else:
        connections.change(world.context, id, {"settings": settings}, None, "test")
    world.run()
    assert [item["name"] for item in world.all("integration")] == ["Elsewhere"]


def test_a_server_that_has_hung_up_is_called_again(postgres: PostgresServer) -> None:
    name = f"kept_{uuid.uuid4().hex[:12]}"
    url = postgres.create_database(name)
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("CREATE TABLE item (id int PRIMARY KEY, name text, stamp timestamptz DEFAULT now())")
        server.execute("INSERT INTO item VALUES (1, 'One')")
        kept = Kept()

        def make() -> Connector:
            return SqlConnector({"url": url}, {})

        with kept.borrowed("a", make) as first:
            assert len(first.read(ITEMS, None, None, 10).records) == 1
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        with kept.borrowed("a", make) as again:
            assert again is first
            assert len(again.read(ITEMS, None, None, 10).records) == 1
        kept.close_idle(0)
    postgres.drop_database(name)

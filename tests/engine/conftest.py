"""A fresh state, on each database that can hold it, and two fresh applications for every test."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store.database import database, migrate, open_database
from tests.world import World


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty state, with a connection open; the URL of its database."""
    if request.param == "sqlite":
        yield from _opened(f"sqlite:///{tmp_path / 'state.db'}")
        return
    server = request.getfixturevalue("postgres")
    name = f"state_{uuid.uuid4().hex[:12]}"
    yield from _opened(server.create_database(name))
    server.drop_database(name)


def _opened(url: str) -> Iterator[str]:
    open_database(url)
    migrate()
    with database.connection_context():
        yield url
    if hasattr(database.obj, "close_all"):
        database.obj.close_all()


@pytest.fixture
def world(state: str, tmp_path: Path) -> World:
    return World(tmp_path)

"""A fresh state and two fresh applications for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store.database import database, migrate, open_database
from tests.world import World


@pytest.fixture
def state(tmp_path: Path) -> Iterator[None]:
    """An empty state on SQLite, with a connection open."""
    open_database(f"sqlite:///{tmp_path / 'state.db'}")
    migrate()
    with database.connection_context():
        yield


@pytest.fixture
def world(state: None, tmp_path: Path) -> World:
    return World(tmp_path)

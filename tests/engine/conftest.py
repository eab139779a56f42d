"""A fresh state, on each database that can hold it, and two fresh applications for every test."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.store.database import database, migrate, open_database
from tests.sites import Sites
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


# What only a full comparison finds

FOUND = pytest.StashKey[dict[str, int]]()


@pytest.fixture
def compared(request: pytest.FixtureRequest) -> Callable[[Sites], None]:
    """Compare two applications record by record. How many records only that found is printed, and there are none."""

    def compare(sites: Sites) -> None:
        found = sites.differences()
        print(f"found by a full comparison only: {len(found)}")
        numbers = request.config.stash.setdefault(FOUND, {})
        name = request.node.name.partition("[")[0]
        numbers[name] = numbers.get(name, 0) + len(found)
        assert found == []

    return compare


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How many late records the runs had missed, for each way in which records are late."""
    numbers = config.stash.get(FOUND, {})
    if numbers:
        terminalreporter.section("records that only a full comparison found")
        for name, number in sorted(numbers.items()):
            terminalreporter.line(f"{number:>6}  {name}")

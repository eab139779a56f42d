"""Worlds for the tests of the API. Each is made once and put back before every test: the same paths, fresh files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from service.store.database import database
from tests.api import cases
from tests.api.world import World, make_app, make_empty, make_lively, make_mapped, restore, save


@pytest.fixture(scope="session")
def app() -> Flask:
    """The application; it opens nothing by itself."""
    return make_app()


class _Kept:
    """A world in a folder, and the copy it is put back from."""

    def __init__(self, root: Path, app: Flask, furnish: Callable[[World], World]) -> None:
        folder = root / "world"
        folder.mkdir()
        self._copy = root / "copy"
        self.world = furnish(make_empty(folder, app))
        self._proxied = database.obj
        save(folder, self._copy)

    def fresh(self) -> World:
        """The world as it was made."""
        database.initialize(self._proxied)
        restore(self._copy, self.world.folder)
        return self.world


@pytest.fixture(scope="session")
def kept_empty(tmp_path_factory: pytest.TempPathFactory, app: Flask) -> _Kept:
    return _Kept(tmp_path_factory.mktemp("empty"), app, lambda world: world)


@pytest.fixture(scope="session")
def kept_mapped(tmp_path_factory: pytest.TempPathFactory, app: Flask) -> _Kept:
    return _Kept(tmp_path_factory.mktemp("mapped"), app, make_mapped)


@pytest.fixture(scope="session")
def kept_lively(tmp_path_factory: pytest.TempPathFactory, app: Flask) -> _Kept:
    return _Kept(tmp_path_factory.mktemp("lively"), app, make_lively)


@pytest.fixture
def empty(kept_empty: _Kept) -> World:
    """A service that knows of nothing yet, and two business databases."""
    return kept_empty.fresh()


@pytest.fixture
def world(kept_mapped: _Kept) -> World:
    """Connections 1 (erp) and 2 (crm), mapping 1 between them, three coupled records."""
    return kept_mapped.fresh()


@pytest.fixture
def lively(kept_lively: _Kept) -> World:
    """The same with a conflict, an error, an exclusion and a second token."""
    return kept_lively.fresh()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases schemathesis made."""
    if cases.MADE:
        total = sum(cases.MADE.values())
        terminalreporter.write_line(f"schemathesis: {total} cases over {len(cases.MADE)} operations")

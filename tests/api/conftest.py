"""Worlds for the tests of the API. Each is made once and put back before every test: the same paths, fresh files."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests import outgoing
from tests.api.world import Kept, World, make_app, make_lively, make_mapped


@pytest.fixture(scope="session")
def app() -> Flask:
    """The application; it opens nothing by itself."""
    return make_app()


@pytest.fixture(scope="session")
def kept_empty(tmp_path_factory: pytest.TempPathFactory, app: Flask) -> Kept:
    return Kept(tmp_path_factory.mktemp("empty"), app, lambda world: world)


@pytest.fixture(scope="session")
def kept_mapped(tmp_path_factory: pytest.TempPathFactory, app: Flask) -> Kept:
    return Kept(tmp_path_factory.mktemp("mapped"), app, make_mapped)


@pytest.fixture(scope="session")
def kept_lively(tmp_path_factory: pytest.TempPathFactory, app: Flask) -> Kept:
    return Kept(tmp_path_factory.mktemp("lively"), app, make_lively)


@pytest.fixture
def empty(kept_empty: Kept) -> World:
    """A service that knows of nothing yet, and two business databases."""
    return kept_empty.fresh()


@pytest.fixture
def world(kept_mapped: Kept) -> World:
    """Connections 1 (erp) and 2 (crm), mapping 1 between them, three coupled records."""
    return kept_mapped.fresh()


@pytest.fixture
def lively(kept_lively: Kept) -> World:
    """The same with a conflict, an error, an exclusion and a second token."""
    return kept_lively.fresh()


@pytest.fixture
def connected() -> list[Any]:
    """The addresses that this process connects to during the test."""
    outgoing.CONNECTED.clear()
    return outgoing.CONNECTED

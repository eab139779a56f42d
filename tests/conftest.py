"""What every test may ask for, and how hard the tests with made-up cases try."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.api import cases
from tests.mariadb import MariaServer, mariadb_server
from tests.odata.sap import Erp, erp_server
from tests.servers import PostgresServer, postgres_server
from tests.tryton import TrytonServer, tryton_server

# HYPOTHESIS_PROFILE=nightly, or --hypothesis-profile nightly, tries new cases each time, and many more of them.
# How long one case takes is no reason to fail: machines differ.
_patient = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", _patient, max_examples=200, derandomize=True)
settings.register_profile("nightly", _patient, max_examples=20_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL, started when the first test asks for it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaServer]:
    """A real MariaDB, started when the first test asks for it."""
    with mariadb_server() as server:
        yield server


@pytest.fixture(scope="session")
def tryton() -> Iterator[TrytonServer]:
    """A real Tryton, started when the first test asks for it."""
    with tryton_server() as server:
        yield server


@pytest.fixture(scope="session")
def erp() -> Iterator[Erp]:
    """A real mock-sap, started when the first test asks for it."""
    with erp_server() as running:
        yield running


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that gave out the tests what schemathesis did in this one."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["schemathesis"] = dict(cases.MADE)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add up what the processes did."""
    cases.MADE.update(getattr(node, "workeroutput", {}).get("schemathesis", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases schemathesis made."""
    if cases.MADE:
        terminalreporter.write_line(f"schemathesis: {cases.MADE.total()} cases")

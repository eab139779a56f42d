"""Every operation under every check that schemathesis has, alone and in sequences along the declared links, as whoever
may do everything, operate, or only read."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.api import cases
from tests.api.preconditions import good_precondition
from tests.api.test_access import OPERATIONS
from tests.api.world import ROLES, World, make_app
from tests.docs.pages import ROOT

APP = make_app()
NIGHTLY = settings.get_current_profile_name() == "nightly"
MANY, FEW = (150, 75) if NIGHTLY else (50, 10)
"""Made-up requests for each operation, and for each one as somebody who may do less."""


def schema_for(token: str, *, coverage: bool = True) -> Any:
    """The API as somebody with this token sees it; without `coverage`, wrong values are not tried one by one."""
    text = (ROOT / "schemathesis.toml").read_text().replace("${ACCORD_TEST_TOKEN}", token)
    text += f"\n[phases.coverage]\nenabled = {str(coverage).lower()}\n"
    config = schemathesis.Config.from_str(text)
    return schemathesis.openapi.from_wsgi("/openapi.json", APP, config=config)


schema = schema_for(ROLES["admin"], coverage=False)
operator_schema = schema_for(ROLES["operate"], coverage=NIGHTLY)
reader_schema = schema_for(ROLES["read"], coverage=NIGHTLY)
STEADY = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Bodies and paths are tried together with a good `If-Match`."""
    good_precondition(case)


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Count."""
    cases.MADE[case.operation.label] += 1


def test_everything_as_admin() -> None:
    """All phases, by schemathesis' own command: no failure, and no operation that was only ever refused."""
    command = [sys.executable, "-m", "tests.api.st_program", f"--max-examples={MANY}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNINGS" not in done.stdout, done.stdout
    (made,) = re.findall(r"^  (\d+) generated, \1 passed", done.stdout, re.MULTILINE)
    (operations,) = re.findall(r"^  Tested: (\d+)$", done.stdout, re.MULTILINE)
    cases.MADE["as admin"] += int(made)
    assert int(operations) == len(OPERATIONS)


@operator_schema.parametrize()
@settings(STEADY, max_examples=FEW)
def test_operation_as_operator(case: Any, lively: World) -> None:
    case.call_and_validate()


@reader_schema.parametrize()
@settings(STEADY, max_examples=FEW)
def test_operation_as_reader(case: Any, lively: World) -> None:
    case.call_and_validate()


class Machine(schema.as_state_machine()):  # type: ignore[misc]
    """Sequences of requests, each in a world of its own."""

    kept: Any = None

    def setup(self) -> None:
        """What one sequence left behind must not be met by the next."""
        self.world = type(self).kept.fresh()

    def after_call(self, response: Any, case: Any) -> None:
        """Runs that were started are carried out, so that later requests meet what they did."""
        super().after_call(response, case)
        if case.path in ("/sync-runs", "/skipped/{skippedId}/resolve") and response.status_code == 202:
            self.world.work()


@pytest.fixture
def _machine(kept_lively: Any) -> None:
    Machine.kept = kept_lively


@pytest.mark.usefixtures("_machine")
class TestSequences(Machine.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(STEADY, max_examples=300 if NIGHTLY else 100, stateful_step_count=8)


def test_there_were_enough() -> None:
    """A night has time for ten thousand cases. Comes after the others."""
    assert not NIGHTLY or sum(cases.MADE.values()) >= 10_000

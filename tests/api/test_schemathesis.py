"""Every operation under every check that schemathesis has, alone and in sequences along the declared links, as whoever
may do everything, operate, or only read."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

from tests.api import cases
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


schema = schema_for(ROLES["admin"])
operator_schema = schema_for(ROLES["operate"], coverage=NIGHTLY)
reader_schema = schema_for(ROLES["read"], coverage=NIGHTLY)
STEADY = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Bodies and paths are tried together with a good `If-Match`.

    The coverage phase tries all of them with its first wrong value of a required header, so that every answer would be
    about the header.
    """
    phase = case.meta.phase if case.meta is not None else None
    if phase is None or phase.name is not TestPhase.COVERAGE or "If-Match" not in (case.headers or {}):
        return
    if phase.data.parameter_location is not ParameterLocation.HEADER:
        case.headers["If-Match"] = "*"


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Count."""
    cases.MADE[case.operation.label] += 1


@schema.parametrize()
@settings(STEADY, max_examples=MANY)
def test_operation(case: Any, lively: World) -> None:
    case.call_and_validate()


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

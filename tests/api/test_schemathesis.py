"""Every operation under every check that schemathesis has, alone and in sequences along the declared links."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

from tests.api import cases
from tests.api.world import World, make_app

schema = schemathesis.openapi.from_wsgi("/openapi.json", make_app())
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
@settings(STEADY, max_examples=50)
def test_operation(case: Any, lively: World) -> None:
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
    settings = settings(STEADY, max_examples=100, stateful_step_count=8)

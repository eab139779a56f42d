"""What schemathesis cannot know of our API."""

from __future__ import annotations

from typing import Any

from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase


def good_precondition(case: Any) -> None:
    """Try bodies and paths together with a good `If-Match`.

    The coverage phase tries all of them with its first wrong value of a required header, so that every answer would be
    about the header.
    """
    phase = case.meta.phase if case.meta is not None else None
    if phase is None or phase.name is not TestPhase.COVERAGE or "If-Match" not in (case.headers or {}):
        return
    if phase.data.parameter_location is not ParameterLocation.HEADER:
        case.headers["If-Match"] = "*"

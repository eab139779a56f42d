"""What became of a record in a run, and the counters that add up (semantics.md, section 6)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeAlias


class Outcome(StrEnum):
    """Exactly one for every record that a run read as a candidate."""

    INSERTED = "inserted"
    MODIFIED = "modified"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"
    DELETED = "deleted"
    COUPLED = "coupled"
    UNCOUPLED = "uncoupled"
    IGNORED = "ignored"


Counts: TypeAlias = dict[str, int]


def no_counts() -> Counts:
    """Zero for every outcome, and for `read`, which is their sum."""
    return {"read": 0, **{outcome.value: 0 for outcome in Outcome}}


def count(counts: Counts, outcomes: Iterable[Outcome]) -> None:
    """Add outcomes to `counts`, in place; `read` grows with each."""
    for outcome in outcomes:
        counts[outcome] += 1
        counts["read"] += 1

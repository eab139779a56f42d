"""What the setup checks of every kind must fulfil: all of the list, each with an answer or with the reason for none."""

from __future__ import annotations

from collections.abc import Sequence

from service import wording
from service.connectors.base import Check

OF_CONNECTION = {
    "reachable",
    "credentials",
    "password_change",
    "user_is_administrator",
    "exchange_rates",
    "clock_distance",
    "rate_limits",
}
OF_TABLE = {"read_access", "write_access", "modified_on_precision", "conditional_updates"}


def assert_complete(found: Sequence[Check], unknown: set[str]) -> None:
    """Every check is there, those in `unknown` with a sentence that says why, and the others with an answer."""
    assert {one.code for one in found} >= OF_CONNECTION | OF_TABLE
    assert {one.code for one in found if one.status == "unknown"} == unknown
    for one in (one for one in found if one.status == "unknown"):
        assert wording.known(f"check_not_made.{one.params['why']}"), one

"""Setup checks: what would keep tables of a database from being synchronized."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from math import gcd

from service.connectors.base import Check
from service.connectors.check_list import completed
from service.connectors.sql.database import Database
from service.connectors.sql.failures import Refused
from service.connectors.sql.plan import Plan
from service.connectors.sql.read import read_page
from service.core.failures import SideFailed
from service.core.records import Selection

_SAMPLE = 200
_CLOCK_LIMIT = 5_000_000
"""Microseconds by which the clocks of two machines may differ before it is worth a warning."""

_OF_CONNECTION = (
    "credentials",
    "user_is_administrator",
    "password_change",
    "clock_distance",
    "exchange_rates",
    "rate_limits",
)
_OF_TABLE = ("read_access", "write_access", "modified_on_index", "modified_on_precision", "conditional_updates")
_REASONS: Mapping[str, str] = {
    "exchange_rates": "no_currencies",
    "rate_limits": "no_limits",
    "user_is_administrator": "no_user_told",
    "modified_on_precision": "no_stamps",
    "write_access": "no_rights_told",
}
"""Why a database cannot tell."""


def check(database: Database, plan: Callable[[Selection], Plan], selections: Collection[Selection]) -> list[Check]:
    """Every check, `unknown` where it could not be made. Never raises for what the database says."""
    found = list(_made(database, plan, selections))
    return completed(found, selections, _OF_CONNECTION, _OF_TABLE, {**_REASONS, **database.REASONS})


def _made(database: Database, plan: Callable[[Selection], Plan], selections: Collection[Selection]) -> Iterator[Check]:
    """The checks that can be made, until the database fails."""
    try:
        before = time.time_ns() // 1_000
        clock = database.clock()
        after = time.time_ns() // 1_000
    except (SideFailed, Refused) as failed:
        yield from _unreachable(failed)
        return
    yield Check("reachable", "pass", "none")
    distance = max(before - clock.now, clock.now - after, 0)
    status = "pass" if distance <= _CLOCK_LIMIT else "warn"
    yield Check("clock_distance", status, "administrator", {"seconds": round(distance / 1_000_000, 3)})
    with suppress(SideFailed, Refused):  # What was not told is added as unknown.
        yield from database.checks(selections)
    for selection in selections:
        yield from _table(database, plan, selection)


def _unreachable(failed: SideFailed | Refused) -> Iterator[Check]:
    """The connection fails, or it stands and the login is refused."""
    failure = failed.failure
    if failure.code in ("credentials_rejected", "password_change_required"):
        known = failure.code == "password_change_required"
        yield Check("reachable", "pass", "none")
        yield Check("credentials", "pass" if known else "fail", "none" if known else "administrator", failure.params)
        if known:
            yield Check("password_change", "fail", "administrator", failure.params)
    else:
        yield Check("reachable", "fail", "administrator", {"code": failure.code, **failure.params})


def _table(database: Database, plan: Callable[[Selection], Plan], selection: Selection) -> Iterator[Check]:
    """The checks of one table, by reading a little of it."""
    params = {"table": selection.table}
    try:
        prepared = plan(selection)
        page = read_page(database.session, prepared, None, None, _SAMPLE)
    except (SideFailed, Refused) as failed:
        yield Check("read_access", "fail", "administrator", {**params, "code": failed.failure.code})
        return
    if not database.KNOWS_RIGHTS:
        yield Check("read_access", "pass", "none", params)
    yield Check("modified_on_index", "pass" if prepared.stamp_column.indexed else "warn", "administrator", params)
    yield Check("conditional_updates", "pass", "none", params)
    stamps = [record.modified_on for record in page.records if record.modified_on is not None]
    if stamps:
        precision = gcd(*stamps, 86_400_000_000)
        status = "warn" if precision >= 1_000_000 else "pass"
        yield Check("modified_on_precision", status, "none", {**params, "microseconds": precision})

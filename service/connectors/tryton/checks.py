"""Setup checks: what would keep models of a Tryton server from being synchronized."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from service.connectors.base import Check, Clock
from service.connectors.check_list import completed
from service.connectors.tryton.rpc import Refused, Rpc
from service.core.failures import SideFailed
from service.core.records import Selection

_CLOCK_LIMIT = 5_000_000
"""Microseconds by which the clocks of two machines may differ before it is worth a warning."""

_OF_CONNECTION = ("credentials", "user_is_administrator", "password_change", "clock_distance", "exchange_rates")
_OF_TABLE = ("read_access", "write_access", "modified_on_precision", "conditional_updates")
_REASONS: Mapping[str, str] = {
    "rate_limits": "no_limits",
    "exchange_rates": "no_currency_told",
    "user_is_administrator": "no_user_told",
    "read_access": "no_rights_told",
    "write_access": "no_rights_told",
}
"""Why a server cannot tell."""

_FIRST_USER = 1
"""The id of the user that Tryton makes first, an administrator."""


def check(rpc: Rpc, clock: Callable[[Selection], Clock], selections: Collection[Selection]) -> Sequence[Check]:
    """Every check, `unknown` where it could not be made. Never raises for what the server says."""
    found = list(_made(rpc, clock, selections))
    return completed(found, selections, (*_OF_CONNECTION, "rate_limits"), _OF_TABLE, _REASONS)


def rights(rpc: Rpc, models: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the user may do with models: read, write, create, delete. Empty where the server does not tell."""
    try:
        found: dict[str, dict[str, Any]] = rpc.call("ir.model.access", "get_access", list(models))
    except Refused:
        return {}
    return found


def _made(rpc: Rpc, clock: Callable[[Selection], Clock], selections: Collection[Selection]) -> Iterator[Check]:
    try:
        before = time.time_ns() // 1_000
        now = clock(Selection("res.user", "id", "write_date", ())).now
        after = time.time_ns() // 1_000
    except SideFailed as failed:
        failure = failed.failure
        if failure.code == "credentials_rejected":
            yield Check("reachable", "pass", "none")
            yield Check("credentials", "fail", "administrator", failure.params)
        else:
            yield Check("reachable", "fail", "administrator", {"code": failure.code, **failure.params})
        return
    yield Check("reachable", "pass", "none")
    yield Check("credentials", "pass", "none")
    yield Check("password_change", "pass", "none")  # Tryton has none that must be changed before it is used.
    distance = max(before - now, now - after, 0)
    status = "pass" if distance <= _CLOCK_LIMIT else "warn"
    yield Check("clock_distance", status, "administrator", {"seconds": round(distance / 1_000_000, 3)})
    for part in (_administrator, _exchange_rates):
        try:
            yield from part(rpc)
        except (Refused, SideFailed):
            continue  # What was not told is added as unknown.
    told = rights(rpc, [selection.table for selection in selections])
    for selection in selections:
        yield from _table(told.get(selection.table), selection.table)


def _administrator(rpc: Rpc) -> Iterator[Check]:
    preferences = rpc.call("res.user", "get_preferences", True)
    administrator = rpc.user() == _FIRST_USER or bool(preferences.get("administrator"))
    yield Check("user_is_administrator", "fail" if administrator else "pass", "administrator")


def _exchange_rates(rpc: Rpc) -> Iterator[Check]:
    """Currencies that are in use and have no rate, where the server has the module for them."""
    rows = rpc.call("currency.currency", "search_read", [["active", "=", True]], 0, None, None, ["code", "rates"])
    missing = sorted(row["code"] for row in rows if not row["rates"])
    yield Check("exchange_rates", "fail" if missing else "pass", "administrator", {"currencies": missing})


def _table(may: dict[str, Any] | None, table: str) -> Iterator[Check]:
    params = {"table": table}
    yield Check("conditional_updates", "pass", "none", params)
    yield Check("modified_on_precision", "pass", "none", {**params, "microseconds": 1})
    if may is not None:
        missing = [right for right in ("create", "write", "delete") if not may.get(right)]
        yield Check("read_access", "pass" if may.get("read") else "fail", "administrator", params)
        yield Check("write_access", "warn" if missing else "pass", "administrator", {**params, "missing": missing})

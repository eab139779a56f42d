"""Setup checks of an OData service: what would keep its tables from being synchronized."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from email.utils import parsedate_to_datetime
from math import gcd

from service.connectors.base import Check, Clock
from service.connectors.check_list import completed
from service.connectors.odata.failures import Context, Refused
from service.connectors.odata.plan import Plan, etag_of
from service.connectors.odata.service import Service, address
from service.core.failures import Failure, SideFailed
from service.core.records import Selection, Stamp

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
_OF_TABLE = ("read_access", "write_access", "modified_on_precision", "conditional_updates")
_LEFT = ("x-ms-ratelimit-burst-remaining-xrm-requests", "ratelimit-remaining", "x-ratelimit-remaining")
"""Headers that say how many requests are left for now."""

_REASONS: Mapping[str, str] = {
    "credentials": "no_credentials",
    "password_change": "no_credentials",
    "user_is_administrator": "no_user_told",
    "exchange_rates": "no_currency_told",
    "rate_limits": "no_limits",
    "write_access": "no_rights_told",
    "modified_on_precision": "no_stamps",
}
"""Why the standard cannot tell."""

_FEW_LEFT = 100
_BY_CREDENTIALS = ("credentials_rejected", "password_change_required")


def check(
    service: Service,
    plan: Callable[[Selection], Plan],
    selections: Collection[Selection],
) -> list[Check]:
    """Every check, `unknown` where it could not be made. Never raises for what the service says."""
    found = list(_made(service, plan, selections))
    return completed(found, selections, _OF_CONNECTION, _OF_TABLE, {**_REASONS, **service.dialect.reasons})


def _made(service: Service, plan: Callable[[Selection], Plan], selections: Collection[Selection]) -> Iterator[Check]:
    """The checks that can be made, until the service fails."""
    try:
        service.schema(anew=True)
        _, distance, headers = look_at_clock(service)
    except SideFailed as failed:
        yield from _unreachable(failed.failure)
        return
    yield Check("reachable", "pass", "none")
    if service.settings.auth.identity:
        yield Check("credentials", "pass", "none")
        yield Check("password_change", "pass", "none")  # One that has to be changed lets nobody in.
    status = "pass" if abs(distance) <= _CLOCK_LIMIT else "warn"
    yield Check("clock_distance", status, "administrator", {"seconds": round(abs(distance) / 1_000_000, 3)})
    left = next((headers[name] for name in _LEFT if headers.get(name, "").isdigit()), None)
    if left is not None:
        status = "pass" if int(left) > _FEW_LEFT else "warn"
        yield Check("rate_limits", status, "administrator", {"left": int(left)})
    try:
        yield from service.dialect.checks(service.ask, service.gather, list(selections))
    except (SideFailed, Refused) as failed:
        yield Check(failed.failure.code, "fail", failed.failure.responsibility.value, failed.failure.params)
    for selection in selections:
        yield from _table(service, plan, selection)


def _unreachable(failure: Failure) -> Iterator[Check]:
    """The service does not answer, or it answers and refuses the user."""
    if failure.code in _BY_CREDENTIALS:
        yield Check("reachable", "pass", "none")
        if failure.code == "password_change_required":
            yield Check("credentials", "pass", "none")
            yield Check("password_change", "fail", "administrator", failure.params)
        else:
            yield Check("credentials", "fail", "administrator", failure.params)
    else:
        yield Check("reachable", "fail", "administrator", {"code": failure.code, **failure.params})


def _table(service: Service, plan: Callable[[Selection], Plan], selection: Selection) -> Iterator[Check]:
    """The checks of one table, by reading a little of it."""
    params = {"table": selection.table}
    try:
        prepared = plan(selection)
        target = address(prepared.place, prepared.query(top=_SAMPLE))
        context = Context(selection.table)
        rows = service.collect(target, context, _SAMPLE, headers=service.dialect.row_headers, exact=prepared.exact)
    except (SideFailed, Refused) as failed:
        yield Check("read_access", "fail", "administrator", {**params, "code": failed.failure.code})
        return
    yield Check("read_access", "pass", "none", params)
    yield from service.dialect.table_checks(prepared.table)
    guarded = all(etag_of(row) is not None for row in rows)
    yield Check("conditional_updates", "pass" if guarded else "warn", "administrator", params)
    records = prepared.records(rows, filtered=False)
    stamps = [record.modified_on for record in records if record.modified_on is not None]
    if stamps:
        precision = gcd(*stamps, 86_400_000_000)
        status = "warn" if precision >= 1_000_000 else "pass"
        yield Check("modified_on_precision", status, "none", {**params, "microseconds": precision})


def look_at_clock(service: Service) -> tuple[Clock, Stamp, Mapping[str, str]]:
    """The service's clock, how far it is from ours, and the headers that came with it.

    The header `Date` has whole seconds. Inside that second our own clock tells the rest, where the two agree; where
    they do not, it is the nearer end of the second. What is surely over is the second that `Date` names.
    """
    answer = service.client.send("GET", "", headers={"Accept": "application/json"})
    own = time.time_ns() // 1_000
    try:
        second = int(parsedate_to_datetime(answer.headers["date"]).timestamp()) * 1_000_000
    except (KeyError, ValueError, TypeError):
        return Clock(own, own), 0, answer.headers
    now = min(max(own, second), second + 999_999)
    return Clock(now, min(now, second)), now - own, answer.headers

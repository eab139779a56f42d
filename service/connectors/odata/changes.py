"""Delta links: what a service tells of changes and deletions when it was asked with `odata.track-changes`.

The token of the engine is the link itself: the one to the next part, or the one that tells what came after. No filter
goes with it, for Dataverse takes none, and one token serves however the mapping's filter changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from service.connectors.base import Changes
from service.connectors.odata.failures import failure_of
from service.connectors.odata.keys import sources
from service.connectors.odata.plan import Plan
from service.connectors.odata.read import context_of
from service.connectors.odata.service import address, key_in, next_link, opened, rows_of, said
from service.connectors.odata.values import stamp_in
from service.core.failures import SideFailed

PART = 5_000
"""Records of a part, of which two fields are told: as many as Dataverse gives at most."""

_PASSING = (408, 429, 502, 503, 504)


def changes(plan: Plan, token: str | None) -> Changes | None:
    """A part of the feed; None where the table has none, or where the service does not know the link any more: 410, a
    code of its own such as Dataverse's 0x80044352, or whatever else it refuses a link for. SideFailed in passing."""
    if not plan.table.table.tells_changes or plan.own_key is not plan.key:
        return None  # What is deleted is told by the key of the service.
    link = token if token is not None else address(plan.place, {"$select": _fields(plan)})
    headers = {"Prefer": f"odata.track-changes,odata.maxpagesize={PART}"}
    try:
        url = plan.service.client.locate(link)
    except SideFailed:
        return None  # The service is somewhere else now.
    answer = plan.service.client.send("GET", url, headers=headers)
    if answer.status in _PASSING:
        raise SideFailed(failure_of(said(answer), context_of(plan)))
    if not answer.ok:
        return None
    page = opened(answer, exact=False)
    more, then = next_link(page), page.get("@odata.deltaLink", page.get("@deltaLink"))
    following = more or then
    if not isinstance(following, str) or following == token == more:
        return None
    return _part(plan, page, following, more=more is not None)


def _fields(plan: Plan) -> str:
    return ",".join(dict.fromkeys([*sources(plan.key), *([plan.stamp.source] if plan.stamp else [])]))


def _part(plan: Plan, page: Mapping[str, Any], following: str, *, more: bool) -> Changes:
    """Deleted records are told in the form of OData 4.0, an entry of its own kind whose `id` is the address, or in that
    of 4.01, `@removed`."""
    changed, deleted = [], []
    for row in rows_of(page):
        context = str(row.get("@odata.context", row.get("@context", "")))
        if context.endswith("/$deletedEntity"):
            deleted.append(_key_at(plan, str(row.get("id") or "")))
        elif "@removed" in row or "@odata.removed" in row:
            place = row.get("@id") or row.get("@odata.id")
            deleted.append(plan.key_of(row) if place is None else _key_at(plan, str(place)))
        elif not context.endswith(("/$link", "/$deletedLink")):
            changed.append((plan.key_of(row), None if plan.stamp is None else stamp_in(row.get(plan.stamp.source))))
    return Changes(changed, deleted, following, more)


def _key_at(plan: Plan, place: str) -> str:
    """The key in a record's address; Dataverse says a bare GUID instead."""
    segment = key_in(place)
    return plan.key_said(unquote(place if segment is None else segment))

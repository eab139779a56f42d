"""The errors list: reading it, with links to the records, and cleaning it up."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from service.connectors.base import Connector
from service.core.errors import AccordError, NotFound
from service.core.failures import SideFailed
from service.core.records import Stamp
from service.operations import audit
from service.operations.connections import borrowed_connector
from service.operations.context import Context
from service.store import connections
from service.store import errors as store
from service.store.models import SyncError
from service.store.sql import transaction

AGE_PATTERN = (
    r"^(?:[1-9][0-9]{0,3}[smhdw]|P(?=[0-9T])(?:[0-9]{1,4}W)?(?:[0-9]{1,4}D)?"
    r"(?:T(?=[0-9])(?:[0-9]{1,4}H)?(?:[0-9]{1,4}M)?(?:[0-9]{1,4}S)?)?)$"
)
"""An age: `<n>s|m|h|d|w`, or a duration of ISO 8601 in weeks, days, hours, minutes and seconds."""

DAYS = 14
"""So many days are in a trend."""

_DAY = 86_400_000_000
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"([0-9]+)([A-Za-z])")


class SelectionRequired(AccordError):
    """Errors are deleted only when somebody says which."""

    def __init__(self) -> None:
        super().__init__("selection_required")


def microseconds(age: str) -> int:
    """How long an age is that matches AGE_PATTERN."""
    return sum(int(number) * _SECONDS[unit.lower()] for number, unit in _PART.findall(age)) * 1_000_000


def get(context: Context, id: int) -> SyncError:
    """One error."""
    found = store.get(id)
    if found is None:
        raise NotFound("error", id)
    return _linked(context, [found])[0]


def list_errors(
    context: Context, *, occurred_after: Stamp | None = None, before: int | None, limit: int, **equals: Any
) -> list[SyncError]:
    """Up to `limit` + 1 errors, newest first."""
    return _linked(context, store.page(equals, occurred_after, before, limit))


def list_groups(
    context: Context, *, mapping_id: int | None = None, status: str | None = None, before: int | None, limit: int
) -> list[store.Group]:
    """Up to `limit` + 1 causes that have errors, newest first."""
    groups = store.groups(mapping_id, status, before, limit)
    _linked(context, [error for group in groups for error in group.samples])
    return groups


def trends(context: Context, group_ids: Collection[int]) -> dict[int, list[int]]:
    """How many errors each of these causes has had on each of the last DAYS days, the last of which ends now."""
    since = context.now() - DAYS * _DAY
    found = store.trend(group_ids, since, _DAY)
    return {id: [found.get(id, {}).get(place, 0) for place in range(DAYS)] for id in group_ids}


def what_would_go(
    context: Context, *, older_than: str | None, mapping_id: int | None
) -> list[tuple[str, int, int, int]]:
    """What `clean_up` would do, by code: how many errors go, how many are kept because they explain why a record is set
    aside, and how many because one waits for its retry."""
    until = None if older_than is None else context.now() - microseconds(older_than)
    found = store.reasons(until, mapping_id)
    return [(code, number - aside - waiting, aside, waiting) for code, number, aside, waiting in found]


def delete(context: Context, id: int, actor: str) -> None:
    """Delete one error."""
    with transaction():
        found = store.get(id)
        if found is None or not store.delete(id):
            raise NotFound("error", id)
        audit.record(context, actor, "delete", "error", id, before={"mappingId": found.mapping_id, "code": found.code})


def clean_up(
    context: Context,
    *,
    older_than: str | None,
    all: bool,
    mapping_id: int | None,
    include_open: bool,
    dry_run: bool,
    actor: str,
) -> tuple[int, int]:
    """Delete errors; how many went, and how many were kept because they still explain why a record waits."""
    if older_than is None and not all:
        raise SelectionRequired
    until = None if older_than is None else context.now() - microseconds(older_than)
    with transaction():
        deleted, kept = store.clean_up(until, mapping_id, not include_open, dry_run)
        if deleted and not dry_run:
            chosen = {"olderThan": older_than, "mappingId": mapping_id, "includeOpen": include_open}
            audit.record(context, actor, "delete", "errors", after={**chosen, "deleted": deleted, "kept": kept})
    return deleted, kept


def _linked(context: Context, errors: list[SyncError]) -> list[SyncError]:
    """Put the link that opens it in its own application at each record of these errors."""
    with _connectors(context, errors) as opened:
        for error in errors:
            for record in _records(error):
                connector = opened.get(record.get("connectionId"))
                key, table = record.get("key"), record.get("table")
                record["url"] = connector.link(table, key) if connector and key and table else None
    return errors


def _records(error: SyncError) -> list[dict[str, Any]]:
    return [record for record in (error.source, error.destination) if record is not None]


@contextmanager
def _connectors(context: Context, errors: Iterable[SyncError]) -> Iterator[dict[Any, Connector]]:
    """A connector for each connection that these errors name; one that is new reaches nothing for a link."""
    ids = {id for error in errors for record in _records(error) if (id := record.get("connectionId")) is not None}
    with ExitStack() as stack:
        opened: dict[Any, Connector] = {}
        for id, row in connections.among(ids).items():
            with suppress(SideFailed):
                opened[id] = stack.enter_context(borrowed_connector(context, row))
        yield opened

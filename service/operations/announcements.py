"""What is told to webhooks: events are written to the outbox in the transaction in which a run ends.

A run tells at most one event of each kind, whatever happened to how many records: with a number, and the first ids.
They are made from what is written down about the run, so that a run which several workers shared tells everything.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import orjson

from service.core.records import moment_of
from service.operations.context import Context
from service.store import mappings, runs, sql, webhooks
from service.store.models import SyncRun

SAMPLE = 10
"""So many ids stand in one event; the API lists the others."""

GUARDS = ("mass_deletion", "side_is_empty", "side_went_back")
"""The codes of runs that a guard has stopped."""


class Event(StrEnum):
    """The kinds of events."""

    RUN_FINISHED = "run.finished"
    GROUP_OPENED = "errorGroup.opened"
    RECORD_SKIPPED = "record.skipped"
    GUARD_TRIPPED = "guard.tripped"


@contextmanager
def ending(context: Context, run_id: int) -> Iterator[None]:
    """The transaction in which a run ends."""
    with sql.transaction():
        yield
        run_ended(context, run_id)


def run_ended(context: Context, run_id: int) -> None:
    """Announce a run that has ended, inside the transaction of its end."""
    wanted = webhooks.subscribers()
    run = runs.get(run_id) if wanted else None
    if run is None:
        return
    kinds = {kind for events in wanted.values() for kind in events}
    about = _about(run)
    for event, data in _events(run, kinds):
        ids = [id for id, events in wanted.items() if event in events]
        body = {"type": event, "timestamp": _moment(context.now()), "data": {**about, **data}}
        message = f"msg_{secrets.token_urlsafe(18)}"
        webhooks.announce(message, event, orjson.dumps(body).decode(), ids, context.now())


def _about(run: SyncRun) -> dict[str, Any]:
    row = mappings.get(run.mapping_id)
    return {"runId": run.id, "mappingId": run.mapping_id, "mapping": row.name if row else None}


def _events(run: SyncRun, wanted: set[str]) -> Iterator[tuple[Event, Mapping[str, Any]]]:
    if Event.RUN_FINISHED in wanted:
        names = ("kind", "direction", "trigger", "status", "code", "counts")
        yield Event.RUN_FINISHED, {**{name: getattr(run, name) for name in names}, "dryRun": run.dry_run}
    if run.code in GUARDS and Event.GUARD_TRIPPED in wanted:
        yield Event.GUARD_TRIPPED, {"code": run.code, "params": run.params}
    if Event.GROUP_OPENED in wanted:
        groups = webhooks.new_groups(run.id, SAMPLE)
        if groups:
            yield (
                Event.GROUP_OPENED,
                {"groups": [dict(zip(("id", "code", "errors"), group, strict=True)) for group in groups]},
            )
    if Event.RECORD_SKIPPED in wanted:
        number, ids = webhooks.new_skipped(run.mapping_id, run.id, SAMPLE)
        if number:
            yield Event.RECORD_SKIPPED, {"count": number, "skippedIds": ids}


def _moment(stamp: int) -> str:
    return moment_of(stamp).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

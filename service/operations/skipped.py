"""Skipped records: what a person sees of them, and what a person says is done about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.core.compare import shown
from service.core.conflicts import FieldView, Resolution, compare_fields, fitting
from service.core.errors import AccordError, Conflict, Invalid, NotFound, Problem, Stale, Unavailable
from service.core.failures import SideFailed
from service.core.flow import Coupled
from service.core.mapping import MappedSide
from service.core.records import Record, Scalar, Side, state_of
from service.engine.references import look_up
from service.operations import audit, runs
from service.operations.context import Context
from service.operations.idempotency import effect
from service.operations.mapping_binding import Bound, bound
from service.store import couplings, mappings, retries, sql
from service.store import skipped as store
from service.store.models import Exclusion, SkippedRecord, SyncRun
from service.store.models import Mapping as MappingRow
from service.store.retries import Postponed


@dataclass(frozen=True, slots=True)
class SkippedView:
    """A skipped record with both sides as they are now (None: deleted), by field name, and the state of each field."""

    record: SkippedRecord
    local: Mapping[str, Scalar] | None
    integration: Mapping[str, Scalar] | None
    fields: Sequence[FieldView]
    resolutions: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Live:
    """Both records of a skipped record, read just now."""

    parts: Bound
    coupled: Coupled | None
    records: Mapping[Side, Record | None]

    @property
    def seen(self) -> dict[str, str | None]:
        return {side.value: state_of(self.records[side]) for side in Side}


@dataclass(frozen=True, slots=True)
class _Look:
    """Skipped records of one mapping; those that are still open with both sides as they are now, by id."""

    row: MappingRow
    items: Sequence[SkippedRecord]
    live: Mapping[int, _Live]


def list_skipped(
    *,
    mapping_id: int | None = None,
    reason: str | None = None,
    status: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[SkippedRecord]:
    """Up to `limit` + 1 skipped records, newest first."""
    return store.list_skipped(mapping_id=mapping_id, reason=reason, status=status, before=before, limit=limit)


def list_open(*, mapping_id: int | None, reason: str | None, after: int | None, limit: int) -> list[SkippedRecord]:
    """Up to `limit` + 1 open skipped records, oldest first."""
    return store.list_open(mapping_id, reason, after, limit)


def get(id: int) -> SkippedRecord:
    """One skipped record, without its two sides."""
    item = store.get(id)
    if item is None:
        raise NotFound("skipped", id)
    return item


def show(context: Context, id: int) -> SkippedView:
    """One skipped record, side by side as both records are now. What is shown here is what a resolution is good for.

    Raises NotFound and Unavailable.
    """
    item = get(id)
    live = _read(context, _mapping(item), [item])[item.id]
    if item.status == "open" and item.seen != live.seen:
        store.change(item.id, item.version, seen=live.seen)
        item = get(id)
    mapping = live.parts.mapping
    values = {side: _values(mapping.side(side), live.records[side]) for side in Side}
    fields = compare_fields(mapping, live.parts.flows, live.coupled, live.records)
    fits = fitting(live.records, live.coupled is not None) if item.status == "open" else frozenset()
    return SkippedView(item, values[Side.LOCAL], values[Side.INTEGRATION], fields, sorted(fits))


def _values(side: MappedSide, record: Record | None) -> dict[str, Scalar] | None:
    """The mapped values of a record by field name, as people read them."""
    if record is None:
        return None
    named = zip(side.selection.fields, record.values, strict=True)
    return {name: shown(value, side.fields[name].type) for name, value in named}


def _mapping(item: SkippedRecord) -> MappingRow:
    row = mappings.get(item.mapping_id)
    if row is None:
        raise NotFound("mapping", item.mapping_id)
    return row


def _read(context: Context, row: MappingRow, items: Sequence[SkippedRecord]) -> dict[int, _Live]:
    """Both records of every item, in one call per side."""
    try:
        with bound(context, row) as parts:
            pairs = {
                pair.id: pair for pair in couplings.by_ids(row.id, [i.coupling_id for i in items if i.coupling_id])
            }
            found = {side: _fetch(parts, side, items) for side in Side}
            flows = look_up(parts.flows, {side: list(records.values()) for side, records in found.items()})
            parts = replace(parts, flows=flows)
            return {
                item.id: _Live(
                    parts,
                    pairs.get(item.coupling_id or 0),
                    {side: found[side].get(_key(item, side) or "") for side in Side},
                )
                for item in items
            }
    except SideFailed as error:
        raise Unavailable(error.failure) from error


def _fetch(parts: Bound, side: Side, items: Sequence[SkippedRecord]) -> dict[str, Record]:
    keys = [key for item in items if (key := _key(item, side))]
    return parts.connectors[side].fetch(parts.mapping.side(side).selection, keys, filtered=False) if keys else {}


def _key(item: SkippedRecord, side: Side) -> str | None:
    return item.local_key if side is Side.LOCAL else item.integration_key


def resolve(
    context: Context,
    id: int,
    resolution: str,
    choices: Mapping[str, Any] | None,
    actor: str,
    expected_version: int | None = None,
) -> tuple[SkippedRecord, SyncRun | None]:
    """Say what is to be done about a skipped record; a run of trigger `resolution` does it.

    Raises NotFound, Stale, Invalid (it does not fit), Unavailable, and Conflict: `already_resolved`, or `moved_on`
    when a side is not any more what was last shown; the record is then offered again as it is now.
    """
    item = get(id)
    if expected_version is not None and item.version != expected_version:
        raise Stale("skipped", id)
    look = _look(context, _mapping(item), [item])
    _, _, error = _resolve_all(context, look, Resolution(resolution), choices, actor)[0]
    if error is not None:
        raise error
    resolved = get(id)
    return resolved, runs.get(resolved.run_id) if resolved.run_id else None


def resolve_many(
    context: Context,
    ids: Sequence[int] | None,
    mapping_id: int | None,
    reason: str | None,
    resolution: str,
    choices: Mapping[str, Any] | None,
    actor: str,
) -> list[tuple[int, SkippedRecord | None, int | None, AccordError | None]]:
    """The same for many: those named, or (at most 500 at a time) all open ones of a mapping or a reason.

    One result each, as (id, the record, the run, or why it was refused): one refusal does not stop the others.
    """
    wanted = list(dict.fromkeys(ids)) if ids is not None else store.open_ids(mapping_id, reason, 500)
    items = {item.id: item for item in store.by_ids(wanted)}
    errors: dict[int, AccordError | None] = {id: NotFound("skipped", id) for id in wanted if id not in items}
    looks = []
    for own in {item.mapping_id for item in items.values()}:
        some = [item for item in items.values() if item.mapping_id == own]
        try:
            looks.append(_look(context, _mapping(some[0]), some))
        except (NotFound, Unavailable, Conflict) as refusal:
            errors |= dict.fromkeys((item.id for item in some), refusal)
    # Every application has been asked before the first record is taken: no transaction is open meanwhile.
    for look in looks:
        results = _resolve_all(context, look, Resolution(resolution), choices, actor)
        errors |= {id: error for id, _, error in results}
    now = {item.id: item for item in store.by_ids(wanted)}
    return [
        (id, now.get(id), now[id].run_id if id in now and errors[id] is None else None, errors[id]) for id in wanted
    ]


def _look(context: Context, row: MappingRow, items: Sequence[SkippedRecord]) -> _Look:
    """Look at both sides of records of one mapping. Raises Conflict (`mapping_disabled`) and Unavailable."""
    if not row.enabled:
        raise Conflict("mapping_disabled", mapping=row.name)
    open_ones = [item for item in items if item.status == "open"]
    return _Look(row, items, _read(context, row, open_ones) if open_ones else {})


def _resolve_all(
    context: Context,
    look: _Look,
    resolution: Resolution,
    choices: Mapping[str, Any] | None,
    actor: str,
) -> list[tuple[int, int | None, AccordError | None]]:
    """Resolve records of one mapping in one run; (id, run, refusal) for each."""
    row, items, live = look.row, look.items, look.live
    open_ones = [item for item in items if item.id in live]
    refused: dict[int, AccordError] = {
        item.id: Conflict("already_resolved", status=item.status) for item in items if item.status != "open"
    }
    for item in open_ones:
        error = _refusal(item, live[item.id], resolution, choices)
        if error is not None:
            refused[item.id] = error
    accepted = [item for item in open_ones if item.id not in refused]
    taken = take(context, row, accepted, resolution, choices, actor, refused) if accepted else None
    return [(item.id, None if item.id in refused else taken, refused.get(item.id)) for item in items]


def _refusal(
    item: SkippedRecord, live: _Live, resolution: Resolution, choices: Mapping[str, Any] | None
) -> AccordError | None:
    fits = fitting(live.records, live.coupled is not None)
    if resolution not in fits:
        params = {"resolution": resolution, "reason": item.reason, "fitting": sorted(fits)}
        return Invalid([Problem("/resolution", "resolution_does_not_fit", params)])
    problems = _choice_problems(live, resolution, choices)
    if problems:
        return Invalid(problems)
    if resolution is not Resolution.RETRY and item.seen is not None and item.seen != live.seen:
        store.change(item.id, item.version, seen=live.seen)
        return Conflict("moved_on", id=item.id)
    return None


def _choice_problems(live: _Live, resolution: Resolution, choices: Mapping[str, Any] | None) -> list[Problem]:
    if resolution in (Resolution.KEEP_LOCAL, Resolution.KEEP_INTEGRATION):
        side = Side.LOCAL if resolution is Resolution.KEEP_LOCAL else Side.INTEGRATION
        if not live.parts.flows[side].lines:
            return [Problem("/resolution", "direction_not_allowed", {"direction": live.parts.mapping.direction})]
    if resolution is not Resolution.MERGE:
        return [Problem("/fields", "choices_unexpected", {"resolution": resolution})] if choices else []
    names = {line.local_field or line.integration_field for line in live.parts.mapping.field_mappings}
    problems = [
        Problem(f"/fields/{name}", "field_not_mapped", {"field": name}) for name in choices or {} if name not in names
    ]
    views = compare_fields(live.parts.mapping, live.parts.flows, live.coupled, live.records)
    # A field that flows one way leaves nothing to choose.
    both_ways = {line.id for line in live.parts.flows[Side.LOCAL].lines if line.returns}
    open_ones = [line.local_field for line in live.parts.mapping.field_mappings if str(line.id) in both_ways]
    return problems + [
        Problem(f"/fields/{view.local_field}", "choice_missing", {"field": view.local_field})
        for view in views
        if view.state == "changedInBoth" and view.local_field in open_ones and view.local_field not in (choices or {})
    ]


def take(
    context: Context,
    row: MappingRow,
    items: Sequence[SkippedRecord],
    resolution: Resolution,
    choices: Mapping[str, Any] | None,
    actor: str,
    refused: dict[int, AccordError],
) -> int | None:
    """Queue the run and bind the records to it, in one transaction; somebody faster is told apart by the version."""
    request = runs.RunRequest(row.id, kind="records")
    with effect():
        run = runs.enqueue(context, request, row, actor, "resolution", {"skipped": [item.id for item in items]})
        for item in items:
            columns = {"status": "resolving", "resolution": resolution, "choices": dict(choices or {}) or None}
            if not store.change(item.id, item.version, **columns, resolved_by=actor, run_id=run.id):
                refused[item.id] = Conflict("already_resolved", status="resolving")
            else:
                audit.record(context, actor, "resolve", "skipped", item.id, after={"resolution": resolution})
        context.dispatch()
    context.wake()
    return run.id


def list_exclusions(*, mapping_id: int | None = None, before: int | None = None, limit: int) -> list[Exclusion]:
    """Up to `limit` + 1 records that are left alone, newest first."""
    return store.list_exclusions(mapping_id=mapping_id, before=before, limit=limit)


def delete_exclusion(context: Context, id: int, actor: str) -> None:
    """Let runs see a record again, the next one at once, wherever its stamp is."""
    with sql.transaction():
        removed = store.remove_exclusion(id)
        if removed is None:
            raise NotFound("exclusion", id)
        waiting = Postponed(Side(removed["side"]), removed["key"])
        retries.save(removed["mappingId"], context.now(), [waiting])
        audit.record(context, actor, "delete", "exclusion", id, before=removed)

"""Mappings: saved only when they can work, with all that is wrong with them said at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.core.errors import Conflict, Invalid, NotFound, Problem, Stale
from service.core.mapping import ConflictDetection, DeletionResolution, UpdateResolution
from service.core.records import Direction, Side, Stamp
from service.operations import audit, mapping_references, schedules
from service.operations.context import Context
from service.operations.idempotency import effect
from service.operations.mapping_drafts import (
    SIDE_COLUMNS,
    STORED_LINE_COLUMNS,
    Document,
    columns_of,
    document_of,
    draft_of,
    head_of,
    line_columns,
    line_document,
    meaning,
    merged,
)
from service.operations.mapping_rules import STORED, Surroundings, live_problems, standing_problems
from service.store import figures
from service.store import mappings as store
from service.store.integrity import refusals
from service.store.models import FieldMapping
from service.store.models import Mapping as MappingRow
from service.store.sql import transaction


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mapping without problems that is about to be saved. `row`: the one that it replaces, None for a new one.
    `optional` as in `Checked`: None where the connections have no say in what changes, and were not asked."""

    row: MappingRow | None
    document: Document
    optional: Sequence[bool] | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with a mapping. `optional`: for each field mapping, whether a new record can do without it for a
    while; None where the connections were not asked, or there are problems."""

    problems: list[Problem]
    optional: list[bool] | None


DEFAULTS: Mapping[str, Any] = {
    "direction": Direction.BIDIRECTIONAL.value,
    "synch_only_coupled_records": True,
    "conflict_detection": ConflictDetection.RECORD.value,
    "update_conflict_resolution": UpdateResolution.NONE.value,
    "deletion_conflict_resolution": DeletionResolution.NONE.value,
    "max_delete_percent": 20,
    "max_delete_count": None,
    "depends_on": [],
    "templates": [],
    "schedule": None,
    "enabled": True,
}
"""What a mapping is where it does not say."""

# The records of a mapping are known by these; a change makes strangers of all of them.
_IDENTITY = ("connection_id", "table", "key")
# What decides which records and values flow, besides the field mappings.
_SCOPE = ("direction", "synch_only_coupled_records")


def get(id: int) -> Document:
    """One mapping, with its standing."""
    return _documents([_row(id)])[0]


def get_standing(id: int) -> Document:
    """One mapping with its standing, and with the list of field mappings left empty."""
    return _documents([_row(id)], with_lines=False)[0]


def list_mappings(*, before: int | None, limit: int) -> list[Document]:
    """Up to `limit` + 1 mappings, newest first."""
    return _documents(store.page(before, limit))


def list_standings(*, before: int | None, limit: int) -> list[Document]:
    """The same with the list of field mappings left empty, for those who want to know how the mappings are."""
    return _documents(store.page(before, limit), with_lines=False)


def lines(ids: Collection[int], names: Mapping[int, str]) -> dict[int, list[Document]]:
    """The field mappings of these mappings, by mapping. `names`: what `names` gives."""
    found: dict[int, list[Document]] = {id: [] for id in ids}
    for mapping_id, columns in store.line_columns(ids, STORED_LINE_COLUMNS):
        found[mapping_id].append(line_document(columns, names))
    return found


def names() -> dict[int, str]:
    """The name of every mapping."""
    return store.names()


def unsynchronized_since() -> dict[str, Stamp]:
    """Since when a change of each enabled mapping, by name, may be waiting to be synchronized."""
    return figures.fresh_until()


def id_of(name: str) -> int:
    """The mapping with this name."""
    found = store.id_of(name)
    if found is None:
        raise NotFound("mapping", name)
    return found


def create(context: Context, given: Document, actor: str) -> Document:
    """A new mapping. Raises Invalid with every problem, Conflict for a name that is taken."""
    return save(context, prepared_new(context, given), None, actor)


def replace(context: Context, id: int, given: Document, expected: int | None, actor: str) -> Document:
    """Make a mapping what is given, and the default where nothing is given."""
    return save(context, prepared_replacement(context, id, given), expected, actor)


def change(context: Context, id: int, changes: Mapping[str, Any], expected: int | None, actor: str) -> Document:
    """Change some of a mapping; its field mappings as a list, its sides one level deep."""
    return save(context, prepared_change(context, id, changes), expected, actor)


def prepared_new(context: Context, given: Document) -> Prepared:
    """A new mapping. Raises Invalid with every problem."""
    document = {**DEFAULTS, **given}
    return Prepared(None, document, _assert_valid(check(context, document, None, live=True)))


def prepared_replacement(context: Context, id: int, given: Document) -> Prepared:
    """A mapping as it is given, and the default where nothing is given. Raises Invalid, NotFound."""
    return _prepared(context, _row(id), {**DEFAULTS, **given})


def prepared_change(context: Context, id: int, changes: Mapping[str, Any]) -> Prepared:
    """A mapping with some of it changed. Raises Invalid, NotFound."""
    row = _row(id)
    return _prepared(context, row, merged(present(row), changes))


def _prepared(context: Context, row: MappingRow, document: Document) -> Prepared:
    # A mapping can be disabled, renamed or given another schedule while its applications cannot be reached.
    live = works_otherwise(present(row), document)
    return Prepared(row, document, _assert_valid(check(context, document, row.id, live=live)))


def save(context: Context, prepared: Prepared, expected: int | None, actor: str) -> Document:
    """Write down what was prepared. Raises Conflict, Stale."""
    row, document = prepared.row, prepared.document
    if row is None:
        return get(_create(context, document, prepared.optional, actor))
    write_over(context, row, document, prepared.optional, expected, actor)
    return get(row.id)


def delete(context: Context, id: int, expected: int | None, actor: str) -> None:
    """Delete a mapping with its couplings, runs and errors. The records themselves stay where they are."""
    row = _row(id)
    with transaction():
        _assert_not_running(id)
        others = store.referring(id)
        if others:
            raise Conflict("mapping_referenced", mappings=others)
        if not store.delete(id, expected or row.version):
            raise Stale("mapping", id)
        store.forget_dependency(id)
        audit.record(context, actor, "delete", "mapping", id, before={"name": row.name})


def reset(context: Context, id: int, sides: Collection[Side], actor: str) -> Document:
    """Forget how far these sides have been read, so that the next run reads them from the beginning."""
    _row(id)
    with transaction():
        # A running run would write its own watermark over this at its end.
        _assert_not_running(id)
        store.forget_watermarks(id, [side.value for side in sides])
        audit.record(context, actor, "reset", "mapping", id, after={"sides": sorted(sides)})
    return get(id)


def _row(id: int) -> MappingRow:
    found = store.get(id)
    if found is None:
        raise NotFound("mapping", id)
    return found


def _documents(rows: Sequence[MappingRow], with_lines: bool = True) -> list[Document]:
    ids = [row.id for row in rows]
    standings = store.standings(ids)
    found = lines(ids, store.names()) if with_lines else {}
    return [_document(row, found.get(row.id, []), standings[row.id]) for row in rows]


def _document(row: MappingRow, lines: list[Document], standing: store.Standing) -> Document:
    return head_of(row) | {
        "field_mappings": lines,
        "id": row.id,
        "version": row.version,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "watermarks": {side.value: standing.watermarks.get(side) for side in Side},
        "status": {
            "last_run": standing.last_run,
            "next_run_at": row.next_due if row.enabled else None,
            "open_errors": standing.open_errors,
            "open_skipped": standing.open_skipped,
            "oldest_skipped_at": standing.oldest_skipped_at,
            "waiting": standing.waiting,
            "oldest_waiting_at": standing.oldest_waiting_at,
            "coupled": standing.coupled,
            "in_sync": row.reconciled,
            "restored_at": row.restored_at,
        },
    }


def present(row: MappingRow) -> Document:
    """A mapping as it is stored, with its field mappings."""
    return document_of(row, store.lines([row.id])[row.id], store.names())


def check(
    context: Context, document: Document, own_id: int | None, around: Surroundings = STORED, *, live: bool
) -> Checked:
    """Everything that keeps a mapping from working. `own_id`: None for one that is not there yet. `live`: ask the
    connections."""
    draft = draft_of(document)
    problems = standing_problems(draft, own_id, around)
    if not live:
        return Checked(problems, None)
    found, bound = live_problems(context, draft, around)
    problems += found + mapping_references.problems(draft, document["name"], own_id, bound, around)
    if problems:
        return Checked(problems, None)
    return Checked([], [mapping_references.is_optional(draft, line, bound) for line in draft.field_mappings])


def _assert_valid(checked: Checked) -> Sequence[bool] | None:
    if checked.problems:
        raise Invalid(checked.problems)
    return checked.optional


def _line_rows(document: Document, id: int, optional: Sequence[bool] | None) -> list[dict[str, Any]]:
    """The columns of the field mappings; what the connections were not asked for stays as it is."""
    ids = {name: id for id, name in store.names().items()} | {document["name"]: id}
    rows = [line_columns(line, ids) for line in document["field_mappings"]]
    if optional is None:
        return rows
    return [{**row, "reference_optional": free} for row, free in zip(rows, optional, strict=True)]


def _assert_not_running(id: int) -> None:
    run = store.running(id)
    if run is not None:
        raise Conflict("run_in_progress", run=run)


def insert(context: Context, document: Document) -> int:
    """A row for a mapping without problems; `fill` gives it its field mappings."""
    now = context.now()
    columns = {**columns_of(document), "next_due": schedules.next_due(document["schedule"], now)}
    with refusals(noun="mapping", name=document["name"]):
        return store.insert({**columns, "created_at": now, "updated_at": now})


def fill(context: Context, id: int, document: Document, optional: Sequence[bool] | None, actor: str) -> None:
    """Give a new row its field mappings."""
    store.replace_lines(id, {}, _line_rows(document, id, optional))
    audit.record(context, actor, "create", "mapping", id, after=document)


def _create(context: Context, document: Document, optional: Sequence[bool] | None, actor: str) -> int:
    with effect():
        id = insert(context, document)
        fill(context, id, document, optional, actor)
    return id


def write_over(
    context: Context,
    row: MappingRow,
    document: Document,
    optional: Sequence[bool] | None,
    expected: int | None,
    actor: str,
) -> None:
    """Write down a change without problems. Raises Conflict, Stale."""
    lines = store.lines([row.id])[row.id]
    current = document_of(row, lines, store.names())
    rows = _line_rows(document, row.id, optional)
    kept = _kept(lines, rows)
    otherwise = [side for side in Side if _read_otherwise(current[side], document[side])]
    with transaction(), refusals(noun="mapping", name=document["name"]):
        assert_allowed(row.id, current, document)
        if otherwise:
            # A running run would write its own watermarks and tokens down at its end.
            _assert_not_running(row.id)
        columns = {**columns_of(document), **_consequences(context, current, document)}
        if not store.update(row.id, expected or row.version, columns):
            raise Stale("mapping", row.id)
        store.replace_lines(row.id, kept, rows)
        store.forget_watermarks(row.id, otherwise)
        audit.record_change(context, actor, "mapping", row.id, current, document)


def works_otherwise(current: Document, document: Document) -> bool:
    """Whether anything changed that the connections have a say in."""
    parts = (*_SCOPE, "field_mappings", "depends_on", "templates")
    sides = [name for name in SIDE_COLUMNS if name != "caption"]
    return any(current[name] != document[name] for name in parts) or any(
        current[side][name] != document[side][name] for side in Side for name in sides
    )


def _read_otherwise(current: Mapping[str, Any], side: Mapping[str, Any]) -> bool:
    """Whether the stamps that were read before mean nothing any more."""
    return any(current[name] != side[name] for name in ("connection_id", "table", "modified_on"))


def assert_allowed(id: int, current: Document, document: Document) -> None:
    """Raise Conflict where what is coupled, or in conflict, does not allow a change."""
    if any(current[side][name] != document[side][name] for side in Side for name in _IDENTITY):
        coupled = store.couplings(id)
        if coupled:
            raise Conflict("mapping_has_couplings", coupled=coupled)
    if document["direction"] != Direction.BIDIRECTIONAL and store.open_conflicts(id):
        raise Conflict("open_conflicts")


def _consequences(context: Context, current: Document, document: Document) -> dict[str, Any]:
    """What else changes: when the mapping is due, and whether the next run must look at everything once."""
    now = context.now()
    columns: dict[str, Any] = {"updated_at": now}
    if current["schedule"] != document["schedule"] or "slowestMinutes" in (document["schedule"] or {}):
        columns |= {"next_due": schedules.next_due(document["schedule"], now), "idle_runs": 0}
    filters = any(current[side]["filter"] != document[side]["filter"] for side in Side)
    opened = current["synch_only_coupled_records"] and not document["synch_only_coupled_records"]
    if filters or opened or current["field_mappings"] != document["field_mappings"]:
        columns["full_read_due"] = True
    return columns


def _kept(lines: Sequence[FieldMapping], wanted: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """The rows that stay, by the place they get: those whose meaning is still wanted."""
    waiting: dict[tuple[Any, ...], list[int]] = {}
    for line in lines:
        waiting.setdefault(meaning(line.__data__), []).append(line.id)
    kept: dict[int, int] = {}
    for position, columns in enumerate(wanted):
        ids = waiting.get(meaning(columns))
        if ids:
            kept[position] = ids.pop(0)
    return kept

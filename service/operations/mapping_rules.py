"""What a mapping must fulfil to work: everything that is wrong with one, all at once, as JSON pointers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from service.core.errors import Problem
from service.core.ordering import Need
from service.core.records import Side
from service.operations import mapping_order, schedules
from service.operations.context import Context
from service.operations.mapping_drafts import MappingDraft, draft_of_row
from service.operations.mapping_line_rules import flow_problems, line_problems
from service.operations.mapping_side_rules import Bound, bind
from service.operations.mapping_template_rules import template_problems
from service.store import connections as connection_rows
from service.store import mappings as mapping_rows
from service.store.models import Connection
from service.store.models import Mapping as MappingRow


def stored_drafts() -> Iterator[tuple[int, str, MappingDraft]]:
    """Every enabled mapping as the rules look at it."""
    rows = [row for row in mapping_rows.everything() if row.enabled]
    lines, names = mapping_rows.lines([row.id for row in rows]), mapping_rows.names()
    yield from ((row.id, row.name, draft_of_row(row, lines[row.id], names)) for row in rows)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else there is, or is about to be: connections by id, mappings by name, what each mapping needs, and every
    enabled mapping with its id and name."""

    connection: Callable[[int], Connection | None] = connection_rows.get
    mapping: Callable[[str], MappingRow | None] = mapping_rows.by_name
    names: Callable[[], Mapping[int, str]] = mapping_rows.names
    dependencies: Callable[[], Mapping[int, list[int]]] = mapping_rows.dependencies
    needs: Callable[[], list[Need]] = mapping_order.needs
    drafts: Callable[[], Iterable[tuple[int, str, MappingDraft]]] = stored_drafts


STORED = Surroundings()
"""What there is now."""


def standing_problems(draft: MappingDraft, own_id: int | None, around: Surroundings = STORED) -> list[Problem]:
    """What can be told without asking a business application."""
    return [*_dependency_problems(draft, own_id, around), *schedules.problems(draft.schedule)]


def live_problems(
    context: Context, draft: MappingDraft, around: Surroundings = STORED
) -> tuple[list[Problem], dict[Side, Bound | None]]:
    """What is wrong with the tables, the fields and what flows between them, as the connections tell it now; and the
    two sides, None where they are not known."""
    problems: list[Problem] = []
    bound: dict[Side, Bound | None] = {}
    with ExitStack() as opened:
        for side in Side:
            own = draft.side(side)
            bound[side], found = bind(context, own, f"/{side}", opened, around.connection(own.connection_id))
            problems += found
    if _same_place(draft):
        problems.append(Problem("/integration/table", "same_table_twice"))
    problems += line_problems(draft, bound)
    problems += flow_problems(draft, bound)
    problems += template_problems(draft, bound)
    return problems, bound


def _dependency_problems(draft: MappingDraft, own_id: int | None, around: Surroundings) -> Iterator[Problem]:
    known = around.dependencies()
    for index, id in enumerate(draft.depends_on):
        pointer = f"/dependsOn/{index}"
        if id not in known:
            yield Problem(pointer, "depends_on_unknown", {"id": id})
        elif own_id is not None and own_id in _reachable(id, known):
            yield Problem(pointer, "depends_on_itself")


def _reachable(start: int, edges: Mapping[int, list[int]]) -> set[int]:
    """Everything that `start` depends on, itself included."""
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        id = waiting.pop()
        if id not in seen:
            seen.add(id)
            waiting += edges.get(id, [])
    return seen


def _same_place(draft: MappingDraft) -> bool:
    local, integration = draft.local, draft.integration
    return (local.connection_id, local.table) == (integration.connection_id, integration.table)

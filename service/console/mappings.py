"""Mappings: the list, and one with its rules, how it is, and what the linter says about it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from service.console.findings import Findings
from service.console.pages import PAGE, actor, context, go, may, number, said, show, view
from service.core.errors import AccordError
from service.core.records import Side
from service.operations import connections, linter, mappings, runs, schedules
from service.operations.mapping_drafts import Document
from service.operations.tokens import Scope

_TIMES = 5
"""So many coming times of a schedule are shown."""

_RUNS = 5


def install(blueprint: Blueprint) -> None:
    """Add the pages."""
    blueprint.add_url_rule("/mappings", "mappings", listing)
    blueprint.add_url_rule("/mappings/<int:id>", "mapping", one)
    blueprint.add_url_rule("/mappings/<int:id>/delete", "delete_mapping_form", preview_deletion)
    blueprint.add_url_rule("/mappings/<int:id>/delete", "delete_mapping", delete, methods=["POST"])


@view(Scope.READ)
def listing() -> Any:
    """Mappings, newest first."""
    found = mappings.list_mappings(before=number("before"), limit=PAGE)
    return show("mappings", mappings=found[:PAGE], before=found[PAGE - 1]["id"] if len(found) > PAGE else None)


@view(Scope.READ)
def one(id: int) -> Any:
    """A mapping; with `findings`, what the linter says stands beside what it is about."""
    mapping = mappings.get(id)
    findings = None
    if request.args.get("findings") == "yes" and may(Scope.OPERATE):
        findings = Findings.of_linter(linter.lint(context(), stated(mapping), id))
    return show(
        "mapping",
        mapping=mapping,
        connections={side: connections.get(mapping[side]["connection_id"]) for side in Side},
        names=mappings.names(),
        times=coming(mapping["schedule"]) if mapping["enabled"] else [],
        since=mappings.unsynchronized_since().get(mapping["name"]),
        runs=runs.list_runs(mapping_id=id, limit=_RUNS)[:_RUNS],
        findings=findings,
    )


@view(Scope.ADMIN)
def preview_deletion(id: int) -> Any:
    """What goes with a mapping."""
    return show("mapping_delete", mapping=mappings.get(id), sentences=[])


@view(Scope.ADMIN)
def delete(id: int) -> Any:
    """Delete a mapping, if it still is as it was looked at."""
    mapping = mappings.get(id)
    try:
        mappings.delete(context(), id, number("version") or -1, actor())
    except AccordError as error:
        return show("mapping_delete", 409, mapping=mapping, sentences=said(error))
    return go("/console/mappings")


def stated(mapping: Document) -> Document:
    """What somebody has written down of a mapping, without what has become of it."""
    sides = [side.value for side in Side]
    return {name: mapping[name] for name in ("name", *mappings.DEFAULTS, *sides, "field_mappings")}


def coming(schedule: Any) -> list[int]:
    """The next times of a schedule; none where it is wrong."""
    return [] if schedules.problems(schedule) else schedules.upcoming(schedule, context().now(), _TIMES)

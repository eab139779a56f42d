"""Runs: the list, one run as it goes with what it did record by record, starting and cancelling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, request

from service.console.pages import PAGE, actor, context, go, number, said, show, view
from service.core.errors import Conflict, Invalid
from service.core.outcomes import no_counts
from service.core.records import Direction
from service.operations import mappings, runs
from service.operations.runs import RunRequest
from service.operations.tokens import Scope

_AT_ONCE = 500
"""So many records can be chosen in the form."""


def install(blueprint: Blueprint) -> None:
    """Add the pages."""
    blueprint.add_url_rule("/runs", "runs", listing)
    blueprint.add_url_rule("/runs", "start", start, methods=["POST"])
    blueprint.add_url_rule("/runs/new", "start_form", choose)
    blueprint.add_url_rule("/runs/<int:id>/carry-out", "carry_out", carry_out, methods=["POST"])
    blueprint.add_url_rule("/runs/<int:id>", "run", one)
    blueprint.add_url_rule("/runs/<int:id>/cancel", "cancel", cancel, methods=["POST"])


@view(Scope.READ)
def listing() -> Any:
    """Runs, newest first, of all mappings or of one, which can be started from here."""
    mapping_id = number("mapping")
    found = runs.list_runs(mapping_id=mapping_id, before=number("before"), limit=PAGE)
    return show(
        "runs",
        runs=found[:PAGE],
        names=mappings.names(),
        mapping_id=mapping_id,
        before=found[PAGE - 1].id if len(found) > PAGE else None,
    )


@view(Scope.OPERATE)
def choose() -> Any:
    """Everything that one can say of a run before it is started."""
    return _choosing()


@view(Scope.OPERATE)
def start() -> Any:
    """Queue a run and show it; where that is refused, say why beside the form."""
    try:
        run = runs.start(context(), _wanted(), actor(), trigger="console")
    except (Conflict, Invalid) as error:
        return _choosing(422, said(error))
    return go(f"/console/runs/{run.id}")


def _wanted() -> RunRequest:
    form = request.form
    direction = form.get("direction", "")
    return RunRequest(
        number("mapping") or 0,
        form.get("kind", "modified"),
        Direction(direction) if direction in {*Direction} else None,
        _keys("local_keys"),
        _keys("integration_keys"),
        dry_run=form.get("dry_run") == "yes",
        allow_mass_delete=form.get("allow_mass_delete") == "yes",
        synchronize=form.get("synchronize") == "yes",
        create_unmatched=form.get("create_unmatched") == "yes",
    )


def _keys(name: str) -> tuple[str, ...]:
    """The keys of a field, one in each line."""
    lines = request.form.get(name, "").replace("\0", "").splitlines()
    return tuple(key for line in lines if (key := line.strip()))[:_AT_ONCE]


def _choosing(status: int = 200, sentences: list[str] | None = None) -> Any:
    return show(
        "run_start", status, names=mappings.names(), kinds=runs.KINDS, sentences=sentences or [], given=request.values
    )


@view(Scope.OPERATE)
def carry_out(id: int) -> Any:
    """Do what a dry run has told: the same run, and now it writes. Records that moved meanwhile are decided anew."""
    wanted = replace(runs.request_of(runs.get(id)), dry_run=False)
    return go(f"/console/runs/{runs.start(context(), wanted, actor(), trigger='console').id}")


@view(Scope.READ)
def one(id: int) -> Any:
    """A run with its counters, and the records that it did not just find unchanged."""
    run = runs.get(id)
    found = runs.list_records(id, before=number("before"), limit=PAGE)
    return show(
        "run",
        run=run,
        name=mappings.names().get(run.mapping_id, ""),
        outcomes=list(no_counts()),
        records=found[:PAGE],
        going=run.status not in runs.FINISHED,
        repeatable=run.kind in runs.KINDS and run.dry_run and run.status in ("succeeded", "completedWithErrors"),
        before=found[PAGE - 1].id if len(found) > PAGE else None,
    )


@view(Scope.OPERATE)
def cancel(id: int) -> Any:
    """Stop a run at its next page."""
    runs.cancel(context(), id, actor())
    return go(f"/console/runs/{id}")

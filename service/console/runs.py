"""Runs: the list, one run as it goes with what it did record by record, starting and cancelling."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from service.console.pages import PAGE, actor, context, go, number, show, view
from service.core.outcomes import no_counts
from service.operations import mappings, runs
from service.operations.runs import RunRequest
from service.operations.tokens import Scope

STARTABLE = ("modified", "full", "match", "findDeleted", "reconcile")


def install(blueprint: Blueprint) -> None:
    """Add the pages."""
    blueprint.add_url_rule("/runs", "runs", listing)
    blueprint.add_url_rule("/runs", "start", start, methods=["POST"])
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
        kinds=STARTABLE,
        mapping_id=mapping_id,
        before=found[PAGE - 1].id if len(found) > PAGE else None,
    )


@view(Scope.OPERATE)
def start() -> Any:
    """Queue a run and show it."""
    wanted = RunRequest(
        number("mapping") or 0, kind=request.form.get("kind", "modified"), dry_run=request.form.get("dry_run") == "yes"
    )
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
        before=found[PAGE - 1].id if len(found) > PAGE else None,
    )


@view(Scope.OPERATE)
def cancel(id: int) -> Any:
    """Stop a run at its next page."""
    runs.cancel(context(), id, actor())
    return go(f"/console/runs/{id}")

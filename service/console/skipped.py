"""Skipped records: the list, one record side by side to decide, and many at once with a look before."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from service.console import differences
from service.console.pages import PAGE, actor, context, go, number, said, show, view
from service.core.conflicts import Resolution
from service.core.errors import Conflict, Invalid, NotFound, Stale
from service.operations import mappings, skipped
from service.operations.skipped import SkippedView
from service.operations.tokens import Scope

REASONS = ("conflict", "deleted", "repeatedFailure", "ambiguous")
BULK = (Resolution.KEEP_LOCAL, Resolution.KEEP_INTEGRATION, Resolution.RETRY, Resolution.UNCOUPLE)
"""What can be said of many records without looking at each."""
_AT_ONCE = 500


def install(blueprint: Blueprint) -> None:
    """Add the pages."""
    blueprint.add_url_rule("/skipped", "skipped", listing)
    blueprint.add_url_rule("/skipped/<int:id>", "skipped_one", one)
    blueprint.add_url_rule("/skipped/<int:id>", "resolve", resolve, methods=["POST"])
    blueprint.add_url_rule("/skipped/many", "many", many)
    blueprint.add_url_rule("/skipped/many", "resolve_many", resolve_many, methods=["POST"])


@view(Scope.READ)
def listing() -> Any:
    """Open skipped records, those that wait the longest on the first page."""
    chosen = _chosen()
    found = skipped.list_open(**chosen, after=number("after"), limit=PAGE)
    shown = found[:PAGE]
    return show(
        "skipped_list",
        items=shown,
        names=mappings.names(),
        reasons=REASONS,
        resolutions=BULK,
        after=shown[-1].id if len(found) > PAGE else None,
        **chosen,
    )


@view(Scope.READ)
def one(id: int) -> Any:
    """A skipped record as both sides are now."""
    return _side_by_side(skipped.show(context(), id))


@view(Scope.OPERATE)
def resolve(id: int) -> Any:
    """Carry out what somebody decided; if a record has moved, it is shown again as it is now."""
    resolution = request.form.get("resolution", "")
    try:
        if resolution not in {*Resolution}:
            raise Conflict("bad_request")
        choices = _choices() if resolution == Resolution.MERGE else None
        _, run = skipped.resolve(context(), id, resolution, choices, actor(), number("version"))
    except (Conflict, Stale, Invalid) as error:
        return _side_by_side(skipped.show(context(), id), 409, said(error))
    return go("/console/skipped" if run is None else f"/console/runs/{run.id}")


@view(Scope.READ)
def many() -> Any:
    """What would be done to which records, before anything is."""
    chosen, resolution = _chosen(), request.args.get("resolution", "")
    if resolution not in BULK or not any(chosen.values()):
        return go("/console/skipped")
    found = skipped.list_open(**chosen, after=None, limit=_AT_ONCE)
    shown = found[:_AT_ONCE]
    return show(
        "many", items=shown, more=len(found) > _AT_ONCE, names=mappings.names(), resolution=resolution, **chosen
    )


@view(Scope.OPERATE)
def resolve_many() -> Any:
    """Resolve exactly those that were looked at; a refusal of one does not stop the others."""
    ids = [int(text) for text in request.form.getlist("id")[:_AT_ONCE] if text.isascii() and text.isdecimal()]
    resolution = request.form.get("resolution", "")
    if resolution not in BULK:
        return go("/console/skipped")
    results = skipped.resolve_many(context(), ids, None, None, resolution, None, actor())
    refused = [(id, said(error)) for id, _, _, error in results if error is not None]
    run_ids = sorted({run_id for _, _, run_id, error in results if run_id is not None and error is None})
    return show("many_done", done=len(results) - len(refused), refused=refused, run_ids=run_ids, resolution=resolution)


def _chosen() -> dict[str, Any]:
    reason = request.args.get("reason", "")
    return {"mapping_id": number("mapping"), "reason": reason if reason in REASONS else None}


def _choices() -> dict[str, Any]:
    """What the form says for each field: a side, or a value of its own."""
    choices: dict[str, Any] = {}
    for name, choice in request.form.items():
        if name.startswith("choice:"):
            field = name.removeprefix("choice:")
            if choice in ("local", "integration"):
                choices[field] = choice
            elif choice == "value":
                choices[field] = {"value": request.form.get(f"value:{field}", "")}
    return choices


def _side_by_side(found: SkippedView, status: int = 200, sentences: list[str] | None = None) -> Any:
    try:
        name = mappings.get(found.record.mapping_id)["name"]
    except NotFound:
        name = ""
    return show(
        "skipped", status, found=found, rows=differences.rows(found.fields), name=name, sentences=sentences or []
    )

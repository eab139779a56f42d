"""Couplings: the search, one pair with both records and its history, coupling by hand, and the end of a coupling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, request

from service.console import differences
from service.console.pages import PAGE, actor, context, go, number, said, show, view
from service.core.errors import AccordError, NotFound, Stale
from service.core.records import Direction, Side
from service.operations import coupling_story, couplings, mappings, runs
from service.operations.couplings import STATES
from service.operations.tokens import Scope
from service.store.couplings import Found

_NAMED_BY = 2
"""So many of its values say what a record is, in the list."""

_LONGEST_KEY = 1000


def install(blueprint: Blueprint) -> None:
    """Add the pages."""
    blueprint.add_url_rule("/couplings", "couplings", listing)
    blueprint.add_url_rule("/couplings/new", "couple_form", choose)
    blueprint.add_url_rule("/couplings/new", "couple", couple, methods=["POST"])
    blueprint.add_url_rule("/couplings/<int:id>", "coupling", one)
    blueprint.add_url_rule("/couplings/<int:id>/synchronize", "synchronize", synchronize, methods=["POST"])
    blueprint.add_url_rule("/couplings/<int:id>/uncouple", "uncouple_form", preview_end)
    blueprint.add_url_rule("/couplings/<int:id>/uncouple", "uncouple", end, methods=["POST"])


@view(Scope.READ)
def listing() -> Any:
    """Pairs by mapping, key, value and state, newest first."""
    text, state = request.args.get("text", "").strip()[:_LONGEST_KEY], request.args.get("state", "")
    chosen: dict[str, Any] = {
        "mapping_id": number("mapping"),
        "text": text,
        "state": state if state in STATES else None,
    }
    found, before = couplings.search(**chosen, before=number("before"), limit=PAGE)
    items = [(pair, {side: _named(pair, side) for side in Side}) for pair in found]
    return show("couplings", items=items, before=before, names=mappings.names(), states=STATES, **chosen)


def _named(pair: Found, side: Side) -> str:
    """What the record is, by the first texts among its values of the last synchronization."""
    values = (pair.bases[side] or {}).values()
    texts = [value for value in values if isinstance(value, str) and value and value != pair.keys[side]]
    return " · ".join(texts[:_NAMED_BY])


@view(Scope.READ)
def one(id: int) -> Any:
    """A pair as both records are now, why it is as it is, and what runs did to it."""
    return _page(id)


def _page(id: int, status: int = 200, sentences: list[str] | None = None) -> Any:
    coupling = couplings.get(id)
    explained, pair = coupling_story.examine(context(), id)
    episodes = coupling_story.history(id, before=number("before"), limit=PAGE)
    return show(
        "coupling",
        status,
        coupling=coupling,
        name=mappings.names().get(coupling.mapping_id, ""),
        # What a run would say in both directions is told once.
        reasons=list({reason.code: reason for reason in reversed(explained.reasons)}.values())[::-1],
        would=explained.would,
        pair=pair,
        rows=differences.rows(pair.fields) if pair else [],
        episodes=episodes[:PAGE],
        before=episodes[PAGE - 1].id if len(episodes) > PAGE else None,
        sentences=sentences or [],
    )


@view(Scope.OPERATE)
def synchronize(id: int) -> Any:
    """Start a run for this pair alone."""
    coupling = couplings.get(id)
    wanted = runs.RunRequest(
        coupling.mapping_id, "records", coupling_ids=(id,), dry_run=request.form.get("dry_run") == "yes"
    )
    return go(f"/console/runs/{runs.start(context(), wanted, actor(), trigger='console').id}")


@view(Scope.OPERATE)
def preview_end(id: int) -> Any:
    """What would become of the pair and its two records if it were uncoupled."""
    return show("uncouple", coupling=couplings.get(id), names=mappings.names(), sentences=[])


@view(Scope.OPERATE)
def end(id: int) -> Any:
    """Uncouple a pair, if it still is the one that was looked at."""
    coupling = couplings.get(id)
    if number("version") != coupling.version:
        return show("uncouple", 409, coupling=coupling, names=mappings.names(), sentences=said(Stale("coupling", id)))
    couplings.delete(context(), id, actor())
    return go(f"/console/couplings?mapping={coupling.mapping_id}")


@view(Scope.OPERATE)
def choose() -> Any:
    """Choose two records, and see them side by side before they are coupled."""
    form = _given(request.args)
    if not (form["mapping_id"] and form["local_key"] and form["integration_key"]):
        return _choosing(form)
    try:
        pair = couplings.preview(context(), form["mapping_id"], form["local_key"], form["integration_key"])
    except AccordError as error:
        return _choosing(form, 422, said(error))
    return _choosing(form, pair=pair, rows=differences.rows(pair.fields, based=False))


@view(Scope.OPERATE)
def couple() -> Any:
    """Couple two records. Whose values come first is said by a person, or left to the next run."""
    form = _given(request.form)
    first = request.form.get("first", "")
    try:
        made = couplings.create(
            context(),
            form["mapping_id"] or 0,
            form["local_key"],
            form["integration_key"],
            actor(),
            Side(first) if first in {*Side} else None,
        )
    except AccordError as error:
        return _choosing(form, 409, said(error))
    return go(f"/console/couplings/{made.id}")


def _given(values: Mapping[str, str]) -> dict[str, Any]:
    keys = {name: values.get(name, "").replace("\0", "")[:_LONGEST_KEY] for name in ("local_key", "integration_key")}
    return {"mapping_id": number("mapping"), **keys}


def _choosing(form: dict[str, Any], status: int = 200, sentences: list[str] | None = None, **found: Any) -> Any:
    names = mappings.names()
    bidirectional, captions = False, {}
    if form["mapping_id"] in names:
        try:
            mapping = mappings.get(form["mapping_id"])
        except NotFound:
            mapping = {}
        bidirectional = mapping.get("direction") == Direction.BIDIRECTIONAL
        captions = {side: mapping[side]["caption"] or mapping[side]["table"] for side in Side if side in mapping}
    shown = {"pair": None, "rows": [], **found}
    return show(
        "couple",
        status,
        names=names,
        captions=captions,
        bidirectional=bidirectional,
        sentences=sentences or [],
        **form,
        **shown,
    )

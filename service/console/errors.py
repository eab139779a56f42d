"""Errors by cause, and the clean-up of their list with a look before at what would go and what is kept."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, request

from service.console.pages import PAGE, actor, context, number, show, view
from service.core.failures import FAILURES
from service.operations import errors, mappings
from service.operations.tokens import Scope

_AGES = ("1d", "7d", "30d", "all")


def install(blueprint: Blueprint) -> None:
    """Add the pages."""
    blueprint.add_url_rule("/errors", "errors", listing)
    blueprint.add_url_rule("/errors/clean-up", "clean_up", clean_up, methods=["POST"])


@view(Scope.READ)
def listing() -> Any:
    """Causes that have errors, with advice and samples."""
    found = errors.list_groups(context(), mapping_id=number("mapping"), before=number("before"), limit=PAGE)
    groups = found[:PAGE]
    return show(
        "errors",
        groups=groups,
        trends={id: _bars(counts) for id, counts in errors.trends(context(), [one.id for one in groups]).items()},
        kinds=FAILURES,
        names=mappings.names(),
        ages=_AGES,
        mapping_id=number("mapping"),
        before=groups[-1].id if len(found) > PAGE else None,
    )


@view(Scope.OPERATE)
def clean_up() -> Any:
    """Say what would go; with `confirmed`, let it go."""
    age = request.form.get("age", "7d")
    if age != "all" and not re.match(errors.AGE_PATTERN, age):
        age = "7d"
    confirmed = request.form.get("confirmed") == "yes"
    older_than = None if age == "all" else age
    # Before it is done: afterwards there is nothing left to be told about.
    rows = errors.what_would_go(context(), older_than=older_than, mapping_id=number("mapping"))
    deleted, kept = errors.clean_up(
        context(),
        older_than=older_than,
        all=age == "all",
        mapping_id=number("mapping"),
        include_open=False,
        dry_run=not confirmed,
        actor=actor(),
    )
    return show(
        "clean_up",
        age=age,
        deleted=deleted,
        kept=kept,
        rows=rows,
        confirmed=confirmed,
        mapping_id=number("mapping"),
        names=mappings.names(),
    )


def _bars(counts: list[int]) -> list[tuple[int, int]]:
    """For each day how many errors there were, and how high its bar is of 24: by its share of the worst day."""
    most = max(counts, default=0)
    return [(count, max(2, round(24 * count / most)) if count else 0) for count in counts]

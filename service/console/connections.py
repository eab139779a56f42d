"""Connections: what each leads to, and a check of it with advice, where the application itself is asked."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from service import wording
from service.connectors.base import Check
from service.console.pages import PAGE, context, language, number, show, view
from service.operations import checks, connections
from service.operations.tokens import Scope


def install(blueprint: Blueprint) -> None:
    """Add the pages."""
    blueprint.add_url_rule("/connections", "connections", listing)
    blueprint.add_url_rule("/connections/<int:id>/check", "check", check, methods=["POST"])


@view(Scope.READ)
def listing() -> Any:
    """Connections, newest first."""
    found = connections.list_connections(before=number("before"), limit=PAGE)
    return show("connections", connections=found[:PAGE], before=found[PAGE - 1].id if len(found) > PAGE else None)


@view(Scope.OPERATE)
def check(id: int) -> Any:
    """Ask the application what would keep its tables from being synchronized; what is not well comes first."""
    row = connections.get(id)
    status, found = checks.check(context(), id)
    order = ("fail", "warn", "unknown", "pass")
    items = [(item, _words(item)) for item in sorted(found, key=lambda item: order.index(item.status))]
    return show("connection_check", connection=row, worst=status, items=items)


def _words(item: Check) -> wording.Said:
    said = wording.say(item.code, {**item.params, "rule": item.status}, language())
    if item.status == "unknown":
        return wording.say("check_not_made", {"check": said.title, "rule": item.params.get("why")}, language())
    if item.status == "fail" and "code" in item.params:
        return wording.say(item.params["code"], item.params, language())
    return said

"""What a connection leads to: its tables, and the fields of one, as the application declares them now."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from service.console.pages import context, show, view
from service.operations import connections
from service.operations.tokens import Scope

_PAGE = 200
_MOST = 5000
"""So many tables are looked through for a name at most."""


def install(blueprint: Blueprint) -> None:
    """Add the pages."""
    blueprint.add_url_rule("/connections/<int:id>/tables", "tables", listing)
    blueprint.add_url_rule("/connections/<int:id>/tables/<path:name>", "table", one)


@view(Scope.READ)
def listing(id: int) -> Any:
    """The tables of a connection, by name, those with a text in them where one is given."""
    text, after = request.args.get("text", "").strip(), request.args.get("after") or None
    row = connections.get(id)
    found = connections.list_tables(context(), id, before=after, limit=_MOST if text else _PAGE)
    if text:
        wanted = text.casefold()
        found = [table for table in found if wanted in f"{table.name} {table.caption}".casefold()]
    more = found[_PAGE - 1].name if len(found) > _PAGE else None
    return show("tables", connection=row, tables=found[:_PAGE], after=more, text=text)


@view(Scope.READ)
def one(id: int, name: str) -> Any:
    """A table with its fields."""
    row = connections.get(id)
    return show("table", connection=row, table=connections.get_table(context(), id, name))

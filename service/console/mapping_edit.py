"""Making and changing a mapping by a form, with suggested field mappings to accept, and findings in their places.

Each button sends the whole form, and every answer is the form again with all that was typed, until it is saved. What
somebody else has saved meanwhile is shown beside what one has typed oneself, and never written over unseen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import available_timezones

import orjson
from flask import Blueprint, request

from service.console import mapping_form
from service.console.findings import Findings
from service.console.mapping_form import MOST_LINES, NEW_LINE, Given
from service.console.mappings import coming, stated
from service.console.pages import actor, context, go, number, said, show, view
from service.core.errors import AccordError, Invalid, Stale
from service.core.mapping import ConflictDetection, DeletionResolution, UpdateResolution
from service.core.records import FILTER_OPERATORS, Direction, Side, Table
from service.core.suggestions import Suggestion
from service.core.transforms import TRANSFORMS
from service.operations import connections, linter, mapping_suggestions, mappings
from service.operations.mapping_drafts import Document
from service.operations.mapping_suggestions import Place
from service.operations.tokens import Scope

_CONNECTIONS = 500
_TABLES = 2000
_SPARE = 3
"""Empty lines at the end of the form, to be filled in."""


def install(blueprint: Blueprint) -> None:
    """Add the pages."""
    blueprint.add_url_rule("/mappings/new", "new_mapping", choose)
    blueprint.add_url_rule("/mappings/new", "create_mapping", create, methods=["POST"])
    blueprint.add_url_rule("/mappings/<int:id>/edit", "edit_mapping", edit)
    blueprint.add_url_rule("/mappings/<int:id>/edit", "change_mapping", change, methods=["POST"])


# A new one: two connections, then two tables, then the form


@view(Scope.ADMIN)
def choose() -> Any:
    """Choose two connections and two tables of them; then the form, with suggestions."""
    places = {side: (number(f"{side}_connection"), request.args.get(f"{side}_table", "").strip()) for side in Side}
    if all(id and table for id, table in places.values()):
        document = _fresh(places)
        return _form(Given(document, [], {}), None, suggesting=True)
    return _choosing(places)


def _choosing(places: Mapping[Side, tuple[int | None, str]]) -> Any:
    sentences: list[str] = []
    tables: dict[Side, list[str]] = {}
    for side, (id, _) in places.items():
        if id is not None:
            try:
                tables[side] = [one.name for one in connections.list_tables(context(), id, before=None, limit=_TABLES)]
            except AccordError as error:
                sentences += said(error)
    every = connections.list_connections(before=None, limit=_CONNECTIONS)
    return show("mapping_places", places=places, tables=tables, connections=every, sentences=sentences)


def _fresh(places: Mapping[Side, tuple[int | None, str]]) -> Document:
    none: dict[str, Any] = {"key": None, "modified_on": None, "caption": None, "filter": []}
    sides = {side.value: {"connection_id": id, "table": table, **none} for side, (id, table) in places.items()}
    names = [table.rpartition(".")[2] for _, table in places.values()]
    return {**mappings.DEFAULTS, **sides, "name": " – ".join(names), "field_mappings": []}


@view(Scope.ADMIN)
def create() -> Any:
    """Whatever a button of the form for a new mapping asks for."""
    places = {side: (number(f"{side}_connection"), request.form.get(f"{side}_table", "").strip()) for side in Side}
    if not all(id and table for id, table in places.values()):
        return _choosing(places)
    base = _fresh(places)
    given = mapping_form.read(request.form, base, _tables(base))
    if request.form.get("action") != "save":
        return _answer(given, None)
    try:
        _refuse_wrong(given, None)
        made = mappings.create(context(), given.document, actor())
    except AccordError as error:
        return _refused(given, None, error)
    return go(f"/console/mappings/{made['id']}")


# One that is there


@view(Scope.ADMIN)
def edit(id: int) -> Any:
    """The form of a mapping as it is stored."""
    mapping = mappings.get(id)
    return _form(Given(stated(mapping), [], {}), mapping)


@view(Scope.ADMIN)
def change(id: int) -> Any:
    """Whatever a button of the form asks for."""
    mapping = mappings.get(id)
    base = stated(mapping)
    given = mapping_form.read(request.form, base, _tables(base))
    if request.form.get("action") != "save":
        return _answer(given, mapping)
    try:
        if number("version") != mapping["version"]:
            raise Stale("mapping", id)
        _refuse_wrong(given, id)
        mappings.replace(context(), id, given.document, mapping["version"], actor())
    except AccordError as error:
        return _refused(given, mappings.get(id), error)
    return go(f"/console/mappings/{id}")


def _refuse_wrong(given: Given, id: int | None) -> None:
    """Raise Invalid with everything that is wrong, where what was typed is."""
    if given.problems:
        raise Invalid([*given.problems, *mappings.check(context(), given.document, id, live=True).problems])


def _answer(given: Given, mapping: Document | None) -> Any:
    """The form again: with a suggestion accepted, with suggestions, or with findings."""
    action, accepted = request.form.get("action", ""), request.form.getlist("accept")
    lines = given.document["field_mappings"]
    added = [line for text in accepted if (line := _accepted(text)) is not None]
    document = {**given.document, "field_mappings": (lines + added)[:MOST_LINES]}
    given = Given(document, given.problems, given.typed)
    findings = None
    if action == "check":
        if given.problems:
            findings = Findings.of_problems(given.problems)
        else:
            findings = Findings.of_linter(linter.lint(context(), document, mapping["id"] if mapping else None))
    suggesting = action == "suggest" or request.form.get("suggesting") == "yes"
    return _form(given, mapping, findings=findings, suggesting=suggesting)


def _accepted(text: str) -> dict[str, Any] | None:
    """A suggested field mapping, as its button carries it."""
    try:
        local, integration, direction, match_key = orjson.loads(text)
    except (ValueError, TypeError):
        return None
    if not isinstance(local, str) or not isinstance(integration, str) or direction not in {*Direction}:
        return None
    key = match_key if isinstance(match_key, int) else None
    return {
        **NEW_LINE,
        "local_field": local,
        "integration_field": integration,
        "direction": direction,
        "match_key": key,
    }


def _refused(given: Given, mapping: Document | None, error: AccordError) -> Any:
    if isinstance(error, Invalid):
        return _form(given, mapping, 422, findings=Findings.of_problems(error.problems))
    others = _others(given.document, mapping) if isinstance(error, Stale) and mapping else []
    return _form(given, mapping, 409, sentences=said(error), others=others)


def _others(mine: Document, mapping: Document) -> list[tuple[str, str, str]]:
    """What is stored now and differs from what was typed: what it is called, what is stored, and what was typed."""
    theirs = stated(mapping)
    lines = [_by_fields(document["field_mappings"]) for document in (theirs, mine)]
    found = _differences("", *({**one, "field_mappings": None} for one in (theirs, mine)))
    for fields in dict.fromkeys([*lines[0], *lines[1]]):
        stored, typed = lines[0].get(fields), lines[1].get(fields)
        if stored is None or typed is None:
            found.append((fields, "" if stored is None else "✓", "" if typed is None else "✓"))
        else:
            found += _differences(f"{fields}: ", stored, typed)
    return found


def _by_fields(lines: Sequence[Document]) -> dict[str, Document]:
    return {f"{one['local_field'] or ''} – {one['integration_field'] or ''}": one for one in lines}


def _differences(place: str, stored: Document, typed: Document) -> list[tuple[str, str, str]]:
    """The members that differ, those inside the two sides for themselves."""
    found: list[tuple[str, str, str]] = []
    for name in dict.fromkeys([*stored, *typed]):
        here, there = stored.get(name), typed.get(name)
        if here != there:
            inside = name in {*Side} and isinstance(here, dict) and isinstance(there, dict)
            found += _differences(f"{name}: ", here, there) if inside else [(place + name, _plain(here), _plain(there))]  # type: ignore[arg-type]
    return found


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()


# The form


def _form(
    given: Given,
    mapping: Document | None,
    status: int = 200,
    *,
    findings: Findings | None = None,
    suggesting: bool = False,
    sentences: Sequence[str] = (),
    others: Sequence[tuple[str, str, str]] = (),
) -> Any:
    document = given.document
    suggestions: list[Suggestion] = []
    sentences = list(sentences)
    if suggesting:
        try:
            suggestions = _suggested(document)
        except AccordError as error:
            sentences += said(error)
    return show(
        "mapping_edit",
        status,
        document=document,
        typed=given.typed,
        mapping=mapping,
        version=mapping["version"] if mapping else None,
        tables=_tables(document),
        connections={side: connections.get(document[side]["connection_id"]).name for side in Side},
        names={id: name for id, name in mappings.names().items() if mapping is None or id != mapping["id"]},
        all_names=sorted({*mappings.names().values(), document["name"]}),
        findings=findings or Findings(()),
        checked=findings is not None,
        suggesting=suggesting,
        suggestions=suggestions,
        accept=_accept,
        sentences=sentences,
        others=others,
        times=coming(document["schedule"]),
        spare=_SPARE,
        steps=mapping_form.shown_steps,
        plain=mapping_form.shown_value,
        operators=FILTER_OPERATORS,
        transforms=sorted(TRANSFORMS),
        zones=sorted(available_timezones()),
        choices={
            "direction": list(Direction),
            "conflict_detection": list(ConflictDetection),
            "update_conflict_resolution": list(UpdateResolution),
            "deletion_conflict_resolution": list(DeletionResolution),
        },
    )


def _tables(document: Document) -> dict[Side, Table | None]:
    """Both tables as their applications declare them now; None where that cannot be told."""
    found: dict[Side, Table | None] = {}
    for side in Side:
        try:
            found[side] = connections.get_table(context(), document[side]["connection_id"], document[side]["table"])
        except AccordError:
            found[side] = None
    return found


def _suggested(document: Document) -> list[Suggestion]:
    """Proposals for fields that no line has yet."""
    places = {side: Place(document[side]["connection_id"], document[side]["table"]) for side in Side}
    taken = {side: {line[f"{side}_field"] for line in document["field_mappings"]} for side in Side}
    return [
        one
        for one in mapping_suggestions.suggest(context(), places).suggestions
        if one.local_field not in taken[Side.LOCAL] and one.integration_field not in taken[Side.INTEGRATION]
    ]


def _accept(one: Suggestion) -> str:
    return orjson.dumps([one.local_field, one.integration_field, one.direction, one.match_key]).decode()

"""Ready-made mapping sets: mappings for two applications that are well known, applied to two connections as a plan.

What is there already and is otherwise than the set says was changed by somebody, or made by hand: it is kept, and told
with every difference, unless whoever applies the set says that it is to be written over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.core.errors import Invalid, Problem
from service.core.records import Side
from service.operations import applying, planning
from service.operations.context import Context
from service.operations.idempotency import effect
from service.operations.mapping_drafts import Document
from service.operations.planning import Change
from service.store import connections as connection_rows
from service.store import mappings as mapping_rows
from service.store.models import Connection
from service.store.models import Mapping as MappingRow

_INSIDE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a set has to be told. `default` is None where there is none."""

    name: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class MappingSet:
    """A set as its file says. `kinds`: of the connections that it is for, by side. In `mappings` a side's connection is
    the name of the side, and `${name}` stands for a parameter."""

    name: str
    kinds: Mapping[Side, Sequence[str]]
    parameters: Sequence[Parameter]
    mappings: Sequence[Document]


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen of a set: the two connections by id, values of parameters, other names for mappings, and which
    mappings (none: all); those that they need come along."""

    connections: Mapping[Side, int]
    parameters: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    mappings: Sequence[str] = ()
    overwrite: bool = False


def apply(context: Context, set: MappingSet, choice: Choice, actor: str, *, dry_run: bool) -> list[Change]:
    """What becomes of every chosen mapping, in the order of the set: `create`, `change`, `unchanged`, or `kept` where
    it is there and otherwise. Raises Invalid with every problem; then, and in a dry run, nothing is written."""
    rows = _connections(set, choice)
    chosen = _chosen(set, choice)
    documents = _documents(set, choice, chosen, rows)
    present = {row.name: row for row in mapping_rows.everything()}
    documents = [_as_bound(one, present.get(one["name"])) for one in documents]
    kept = [] if choice.overwrite else [one for one in documents if one["name"] in present]
    plan = _plan(context, [one for one in documents if one not in kept])
    if not dry_run and not plan.empty:
        with effect():
            applying.carry_out(context, plan, actor)
        context.wake()
    changes = {change.name: change for change in [*plan.changes, *planning.held_against(kept)]}
    return [changes[one["name"]] for one in documents]


def _as_bound(document: Document, row: MappingRow | None) -> Document:
    """A mapping with the keys and stamps of the one that is there, where the set leaves them to the connections."""
    if row is None:
        return document
    filled = dict(document)
    for side in Side:
        own = {name: document[side][name] or getattr(row, f"{side}_{name}") for name in ("key", "modified_on")}
        filled[side.value] = {**document[side], **own}
    return filled


def needed(set: MappingSet, chosen: Sequence[str]) -> dict[str, Document]:
    """The chosen mappings of a set and those that they need, in its order; all of them where none is named."""
    known = {one["name"]: one for one in set.mappings}
    waiting = list(chosen or known)
    taken: dict[str, Document] = {}
    while waiting:
        name = waiting.pop()
        if name not in taken:
            taken[name] = known[name]
            waiting += [other for other in _needs(known[name]) if other in known]
    return {name: one for name, one in known.items() if name in taken}


def _needs(mapping: Document) -> list[str]:
    references = [line["reference"]["mapping"] for line in mapping["field_mappings"] if line.get("reference")]
    return [*references, *mapping["depends_on"]]


def parameters_of(mapping: Document) -> set[str]:
    """The names of the parameters that a mapping of a set has places for."""
    return set(_INSIDE.findall(repr(mapping)))


def _connections(set: MappingSet, choice: Choice) -> dict[Side, Connection]:
    """The two connections. Raises Invalid where there is none, or one of another kind."""
    problems: list[Problem] = []
    found: dict[Side, Connection] = {}
    for side, id in choice.connections.items():
        row = connection_rows.get(id)
        if row is None:
            problems.append(Problem(f"/{side}ConnectionId", "connection_unknown", {"id": id}))
        elif row.kind not in set.kinds[side]:
            params = {"kind": row.kind, "kinds": list(set.kinds[side])}
            problems.append(Problem(f"/{side}ConnectionId", "set_for_other_kinds", params))
        else:
            found[side] = row
    if problems:
        raise Invalid(problems)
    return found


def _chosen(set: MappingSet, choice: Choice) -> dict[str, Document]:
    """The chosen mappings as the set has them. Raises Invalid for names that it does not have, for parameters that it
    does not know, and for those that are missing."""
    known, parameters = {one["name"] for one in set.mappings}, {one.name: one for one in set.parameters}
    told = sorted(known)
    problems = [
        Problem(f"/mappings/{place}", "set_has_no_mapping", {"name": name, "names": told})
        for place, name in enumerate(choice.mappings)
        if name not in known
    ]
    problems += [
        Problem(f"/names/{name}", "set_has_no_mapping", {"name": name, "names": told})
        for name in choice.names
        if name not in known
    ]
    problems += [
        Problem(f"/parameters/{name}", "set_has_no_parameter", {"name": name, "names": sorted(parameters)})
        for name in choice.parameters
        if name not in parameters
    ]
    chosen = {} if problems else needed(set, choice.mappings)
    given = {**{name: one.default for name, one in parameters.items() if one.default}, **choice.parameters}
    for name in sorted(parameters.keys() - given.keys()):
        places = [mapping for mapping, one in chosen.items() if name in parameters_of(one)]
        if places:
            problems.append(Problem(f"/parameters/{name}", "set_parameter_missing", {"name": name, "names": places}))
    if problems:
        raise Invalid(problems)
    return chosen


def _documents(
    set: MappingSet, choice: Choice, chosen: Mapping[str, Document], rows: Mapping[Side, Connection]
) -> list[Document]:
    """The chosen mappings as a setup file would have them."""
    given = {**{one.name: one.default for one in set.parameters}, **choice.parameters}
    made = []
    for one in chosen.values():
        document = _filled(one, given)
        renamed = {**document, "name": _named(document["name"], choice)}
        renamed["depends_on"] = [_named(name, choice) for name in document["depends_on"]]
        renamed["field_mappings"] = [_line(line, choice) for line in document["field_mappings"]]
        for side, row in rows.items():
            renamed[side.value] = {**document[side], "connection": row.name}
        made.append(renamed)
    return made


def _line(line: Document, choice: Choice) -> Document:
    reference = line.get("reference")
    return {**line, "reference": {"mapping": _named(reference["mapping"], choice)}} if reference else line


def _named(name: str, choice: Choice) -> str:
    return choice.names.get(name, name)


def _filled(value: Any, given: Mapping[str, str | None]) -> Any:
    match value:
        case str():
            return _INSIDE.sub(lambda found: str(given.get(found[1])), value)
        case dict():
            return {name: _filled(one, given) for name, one in value.items()}
        case list():
            return [_filled(one, given) for one in value]
        case _:
            return value


def _plan(context: Context, documents: Sequence[Document]) -> planning.Plan:
    """The plan for mappings. Raises Invalid with problems whose places begin with the mapping's name."""
    try:
        return planning.plan(context, {"connections": [], "mappings": list(documents)}, lambda _: None)
    except Invalid as error:
        raise Invalid([_placed(one, documents) for one in error.problems]) from error


def _placed(problem: Problem, documents: Sequence[Document]) -> Problem:
    _, _, place, *rest = problem.pointer.split("/")
    return Problem("/".join(["", "mappings", documents[int(place)]["name"], *rest]), problem.code, problem.params)

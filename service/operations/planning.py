"""What it takes to make connections and mappings what a file says, and every problem in the way. Nothing is written.

The file is compared with what is stored, and the applications are asked what they would be asked by the API.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.core.errors import Conflict, Invalid, Problem
from service.core.ordering import Need
from service.core.records import Side
from service.operations import mapping_order, mappings
from service.operations.connections import Secrets, secrets_of, settled
from service.operations.context import Context, SecretLost
from service.operations.exports import by_name
from service.operations.mapping_drafts import Document, MappingDraft, columns_of, draft_of
from service.operations.mapping_references import needs_of
from service.operations.mapping_rules import STORED, Surroundings, stored_drafts
from service.operations.placeholders import Environment, filled
from service.store import connections as connection_rows
from service.store import mappings as mapping_rows
from service.store.models import Connection
from service.store.models import Mapping as MappingRow


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is to change; `path` leads to it. A secret is shown as None on both sides."""

    path: tuple[str, ...]
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one connection or mapping: `create`, `change`, `unchanged`, `kept` or `delete`."""

    action: str
    noun: str
    name: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A mapping that is to be written: its row or None, its id, and how it is to be (`optional` as in `Checked`)."""

    row: MappingRow | None
    id: int
    document: Document
    optional: list[bool] | None


@dataclass(slots=True)
class Plan:
    """What is to be done. What is not there yet has a negative id, which is exchanged for a real one when it is made.

    `connections`: by name, the row as it is to be, and as it is or None. `deleted`: the rows that go. `around`: what
    there is once it is done.
    """

    changes: list[Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    connections: dict[str, tuple[Connection, Connection | None]] = field(default_factory=dict)
    mappings: dict[str, Wanted] = field(default_factory=dict)
    deleted: list[tuple[str, Connection | MappingRow]] = field(default_factory=list)
    around: Surroundings = STORED

    @property
    def empty(self) -> bool:
        return all(change.action == "unchanged" for change in self.changes)


def plan(context: Context, setup: Document, environment: Environment, *, prune: bool = False) -> Plan:
    """What it takes to make everything what `setup` says; `prune` deletes what it does not name.

    Raises Invalid with every problem of the whole file.
    """
    made = Plan()
    made.problems += [*_repeated(setup, "connections"), *_repeated(setup, "mappings")]
    rows = {row.name: row for row in connection_rows.everything()}
    for place, given in enumerate(setup["connections"]):
        _plan_connection(context, made, given, rows.get(given["name"]), f"/connections/{place}", environment)
    known = {**rows, **{name: row for name, (row, _) in made.connections.items()}}
    stored = {row.name: row for row in mapping_rows.everything()}
    if prune:
        _plan_deletions(made, setup, rows, stored)
        for noun, row in made.deleted:
            (known if noun == "connection" else stored).pop(row.name)
    _plan_mappings(context, made, setup["mappings"], known, stored)
    if made.problems:
        raise Invalid(made.problems)
    return made


def _repeated(setup: Document, nouns: str) -> Iterator[Problem]:
    times = Counter(item["name"] for item in setup[nouns])
    seen: set[str] = set()
    for place, item in enumerate(setup[nouns]):
        if times[item["name"]] > 1 and item["name"] in seen:
            yield Problem(f"/{nouns}/{place}/name", "name_twice", {"name": item["name"]})
        seen.add(item["name"])


# Connections


def _plan_connection(
    context: Context, made: Plan, given: Document, row: Connection | None, pointer: str, environment: Environment
) -> None:
    if row is not None and row.kind != given["kind"]:
        params = {"name": row.name, "kind": row.kind}
        made.problems.append(Problem(f"{pointer}/kind", "kind_cannot_change", params))
        return
    known = _known(context, row)
    missing: list[Problem] = []
    settings = filled(given["settings"], environment, lambda name: missing.append(_unset(pointer, "settings", name)))
    credentials = _credentials(given, known, environment, pointer, missing)
    try:
        columns = settled(context, given["kind"], settings, Secrets(credentials, known.settings))
    except Invalid as error:
        # A password that is not in the environment is told by the name of its variable.
        masked = [one for one in error.problems if one.code == "password_masked"]
        made.problems += missing if masked else []
        made.problems += [_moved(pointer, one) for one in error.problems if one not in masked or not missing]
        return
    made.problems += [one for one in missing if "/credentials" in one.pointer]
    wanted = {"name": given["name"], "kind": given["kind"], "enabled": given["enabled"], **columns}
    id = -1 - len(made.connections) if row is None else row.id
    made.connections[given["name"]] = (Connection(**{**wanted, "id": id}), row)
    _note(made, "connection", given["name"], row is None, _connection_differences(context, row, wanted, known))
    if row is not None and made.changes[-1].action == "unchanged":
        del made.connections[given["name"]]


def _known(context: Context, row: Connection | None) -> Secrets:
    try:
        return Secrets({}, {}) if row is None else secrets_of(context, row)
    except SecretLost:
        return Secrets({}, {})


def _credentials(
    given: Document, known: Secrets, environment: Environment, pointer: str, missing: list[Problem]
) -> Mapping[str, Any]:
    """Credentials with their variables; those that the file leaves out, or whose variables are not set, stay."""
    if "credentials" not in given:
        return known.credentials
    found: dict[str, Any] = {}
    for name, value in (given["credentials"] or {}).items():
        unset: list[str] = []
        content = filled(value, environment, unset.append)
        if not unset:
            found[name] = content
        elif name in known.credentials:
            found[name] = known.credentials[name]
        else:
            missing += [_unset(pointer, f"credentials/{name}", variable) for variable in unset]
    return found


def _unset(pointer: str, place: str, variable: str) -> Problem:
    return Problem(f"{pointer}/{place}", "variable_not_set", {"variable": variable})


def _connection_differences(
    context: Context, row: Connection | None, wanted: Mapping[str, Any], known: Secrets
) -> list[Difference]:
    if row is None:
        return []
    opened = context.secrets.open(wanted["credentials"])
    found = list(_differences({"settings": row.settings, "enabled": row.enabled}, wanted, ()))
    if (opened.get("credentials", {}), opened.get("settings", {})) != (known.credentials, known.settings):
        found.append(Difference(("credentials",), None, None))
    return found


# Mappings


@dataclass(slots=True)
class _Scene:
    """What there is once the file is applied, as far as it was looked at. What a mapping of the file needs counts from
    when it was found to be without problems, as if they were saved one by one."""

    connections: Mapping[str, Connection]
    mappings: dict[str, MappingRow]
    needs: list[Need]
    drafts: Sequence[tuple[int, str, MappingDraft]] = ()

    @property
    def ids(self) -> dict[str, int]:
        return {name: row.id for name, row in self.mappings.items()}

    def around(self) -> Surroundings:
        by_id = {row.id: row for row in self.connections.values()}
        edges: dict[int, list[int]] = {row.id: row.depends_on for row in self.mappings.values()}
        return Surroundings(
            by_id.get,
            self.mappings.get,
            lambda: {row.id: name for name, row in self.mappings.items()},
            lambda: edges,
            lambda: self.needs,
            lambda: self.drafts,
        )


def _plan_mappings(
    context: Context,
    made: Plan,
    given: Sequence[Document],
    known: Mapping[str, Connection],
    stored: Mapping[str, MappingRow],
) -> None:
    ids = {name: row.id for name, row in stored.items()}
    ids |= {item["name"]: -1 - place for place, item in enumerate(given) if item["name"] not in stored}
    documents: dict[int, Document] = {}
    rows = dict(stored)
    for place, item in enumerate(given):
        document, problems = _with_ids(item, known, ids)
        made.problems += [_moved(f"/mappings/{place}", one) for one in problems]
        rows[item["name"]] = MappingRow(**{**columns_of(document), "id": ids[item["name"]]})
        if not problems:
            documents[place] = document
    changing = {ids[item["name"]] for item in given}
    scene = _Scene(known, rows, [need for need in mapping_order.needs() if need.owner not in changing])
    scene.drafts = [*_drafts(documents.values(), ids), *_drafts_besides(given, stored)]
    made.around = scene.around()
    for place, document in documents.items():
        _plan_mapping(context, made, document, stored.get(document["name"]), scene, f"/mappings/{place}")


def _drafts(documents: Iterable[Document], ids: Mapping[str, int]) -> Iterator[tuple[int, str, MappingDraft]]:
    """The enabled mappings of the file."""
    for one in documents:
        if one["enabled"]:
            yield ids[one["name"]], one["name"], draft_of(one)


def _drafts_besides(
    given: Sequence[Document], stored: Mapping[str, MappingRow]
) -> Iterator[tuple[int, str, MappingDraft]]:
    """The stored mappings that the file says nothing of, and that stay."""
    named = {item["name"] for item in given}
    yield from (one for one in stored_drafts() if one[1] in stored and one[1] not in named)


def _plan_mapping(
    context: Context, made: Plan, document: Document, row: MappingRow | None, scene: _Scene, pointer: str
) -> None:
    id = scene.mappings[document["name"]].id
    problems: list[Problem] = []
    differences: list[Difference] = []
    live = True
    if row is not None:
        current = mappings.present(row)
        live = mappings.works_otherwise(current, document)
        differences = list(_differences(_shown(current, scene), _shown(document, scene), ()))
        try:
            mappings.assert_allowed(row.id, current, document)
        except Conflict as error:
            problems.append(Problem("", error.code, error.params))
    checked = mappings.check(context, document, id, scene.around(), live=live)
    made.problems += [_moved(pointer, one) for one in problems + checked.problems]
    if checked.optional is not None:
        scene.needs += needs_of(draft_of(document), id, scene.ids, checked.optional)
    elif not live:
        scene.needs += [need for need in mapping_order.needs() if need.owner == id]
    _note(made, "mapping", document["name"], row is None, differences)
    if made.changes[-1].action != "unchanged":
        made.mappings[document["name"]] = Wanted(row, id, document, checked.optional)


def held_against(given: Sequence[Document]) -> list[Change]:
    """In what mappings that are there differ from what is said of them: `unchanged` or `kept`. Nothing is checked."""
    connections = {row.name: row for row in connection_rows.everything()}
    stored = {row.name: row for row in mapping_rows.everything()}
    coming = {name for item in given for name in item["depends_on"]} - stored.keys()
    rows = {name: MappingRow(id=-1 - place, name=name) for place, name in enumerate(sorted(coming))}
    scene = _Scene(connections, {**stored, **rows}, [])
    found = []
    for item in given:
        document, _ = _with_ids(item, connections, scene.ids)
        current = mappings.present(stored[item["name"]])
        differences = tuple(_differences(_shown(current, scene), _shown(document, scene), ()))
        found.append(Change("kept" if differences else "unchanged", "mapping", item["name"], differences))
    return found


def _shown(document: Document, scene: _Scene) -> Document:
    names = {row.id: name for name, row in scene.mappings.items()}
    return by_name(document, {row.id: name for name, row in scene.connections.items()}, names)


def _with_ids(
    item: Document, known: Mapping[str, Connection], ids: Mapping[str, int]
) -> tuple[Document, list[Problem]]:
    """A mapping of the file with ids instead of names, and the names that lead nowhere."""
    problems = []
    document: dict[str, Any] = {**mappings.DEFAULTS, **item}
    for side in Side:
        held = dict(item[side])
        name = held.pop("connection")
        if name not in known:
            problems.append(Problem(f"/{side}/connection", "connection_unknown", {"id": name}))
        document[side.value] = {"connection_id": known[name].id if name in known else 0, **held}
    for index, name in enumerate(document["depends_on"]):
        if name not in ids:
            problems.append(Problem(f"/dependsOn/{index}", "depends_on_unknown", {"id": name}))
    document["depends_on"] = [ids.get(name, 0) for name in document["depends_on"]]
    return document, problems


# Deletions


def _plan_deletions(
    made: Plan, setup: Document, rows: Mapping[str, Connection], stored: Mapping[str, MappingRow]
) -> None:
    kept = {noun: {item["name"] for item in setup[f"{noun}s"]} for noun in ("mapping", "connection")}
    made.deleted += [("mapping", row) for name, row in stored.items() if name not in kept["mapping"]]
    made.deleted += [("connection", row) for name, row in rows.items() if name not in kept["connection"]]
    made.changes += [Change("delete", noun, row.name) for noun, row in made.deleted]


# What differs


def _note(made: Plan, noun: str, name: str, new: bool, differences: Sequence[Difference]) -> None:
    action = "create" if new else "change" if differences else "unchanged"
    made.changes.append(Change(action, noun, name, tuple(differences)))


def _differences(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[Difference]:
    """Where two documents differ, as deep as both have the same shape. What `after` does not name is not compared."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = before.keys() if path == () else before.keys() | after.keys()
        for name in sorted(names, key=str):
            yield from _differences(before.get(name), after.get(name), (*path, str(name)))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(one, other, (*path, str(index)))
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield Difference(path, before, after)


def _moved(pointer: str, problem: Problem) -> Problem:
    """A problem of one item, as one of the whole file."""
    return Problem(pointer + problem.pointer.replace("/connectionId", "/connection"), problem.code, problem.params)

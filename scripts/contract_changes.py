"""What a caller of the last release would notice: `openapi/released.json` against `openapi/accord.json`.

Additions are welcome: operations, optional parameters and members, statuses of errors. What a caller may rely on stays:
every operation, its parameters, what it takes, what it answers, and who may ask. Ends with 1 where something broke.
At a release, `openapi/accord.json` is copied to `openapi/released.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "openapi"
METHODS = ("get", "post", "put", "patch", "delete")
SCOPES = ("read", "operate", "admin")
NARROWING = ("minimum", "minLength", "minItems", "exclusiveMinimum"), ("maximum", "maxLength", "maxItems")
"""Limits that refuse more when they grow, and those that do when they shrink."""


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Everything that breaks a promise, a sentence each."""
    for path, operations in before["paths"].items():
        for method in METHODS:
            if method not in operations:
                continue
            where = f"{method.upper()} {path}"
            now = after["paths"].get(path, {}).get(method)
            if now is None:
                yield f"{where} is gone"
            else:
                yield from _operation(where, operations[method], now, before, after)


def _operation(where: str, old: Any, new: Any, before: Any, after: Any) -> Iterator[str]:
    if old["operationId"] != new["operationId"]:
        yield f"{where} is called {new['operationId']} and was {old['operationId']}: generated clients have that name"
    if _rank(new) > _rank(old):
        yield f"{where} needs the scope {new['x-scope']}"
    yield from _parameters(where, old, new)
    old_body, new_body = old.get("requestBody"), new.get("requestBody")
    if new_body and new_body.get("required", False) and not (old_body and old_body.get("required", False)):
        yield f"{where} needs a body"
    if old_body and new_body:
        yield from _taken(f"{where} body", _schema(old_body), _schema(new_body), before, after, frozenset())
    for status, response in old["responses"].items():
        if not status.startswith("2"):
            continue
        if status not in new["responses"]:
            yield f"{where} does not answer {status} any more"
            continue
        answer = new["responses"][status]
        yield from _answered(f"{where} {status}", _schema(response), _schema(answer), before, after, frozenset())
        for header in response.get("headers", {}):
            if header not in answer.get("headers", {}):
                yield f"{where} {status} lacks the header {header}"


def _rank(operation: Any) -> int:
    return SCOPES.index(operation["x-scope"]) + 1 if operation.get("security") else 0


def _parameters(where: str, old: Any, new: Any) -> Iterator[str]:
    known = {(item["in"], item["name"]): item for item in old.get("parameters", [])}
    now = {(item["in"], item["name"]): item for item in new.get("parameters", [])}
    for (place, name), item in known.items():
        if (place, name) not in now:
            yield f"{where} does not take the {place} parameter {name} any more"
        elif now[place, name].get("required", False) and not item.get("required", False):
            yield f"{where} needs the {place} parameter {name}"
        else:
            yield from _narrowed(f"{where} {name}", item.get("schema", {}), now[place, name].get("schema", {}))
    for (place, name), item in now.items():
        if (place, name) not in known and item.get("required", False):
            yield f"{where} needs the new {place} parameter {name}"


def _schema(part: Any) -> Any:
    content = part.get("content", {})
    return next((one.get("schema", {}) for one in content.values()), {})


def _resolved(schema: Any, document: Any, seen: frozenset[str]) -> tuple[Any, frozenset[str] | None]:
    """The schema behind a reference; None for one that is being looked at already."""
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    if reference is None:
        return schema, seen
    if reference in seen:
        return {}, None
    return document["components"]["schemas"][reference.rpartition("/")[2]], seen | {reference}


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("type", [])
    return {kind} if isinstance(kind, str) else {*kind}


def _taken(where: str, old: Any, new: Any, before: Any, after: Any, seen: frozenset[str]) -> Iterator[str]:
    """What was good in a request must still be."""
    old, inside = _resolved(old, before, seen)
    new, _ = _resolved(new, after, frozenset())
    if inside is None:
        return
    yield from _narrowed(where, old, new)
    known, now = old.get("properties", {}), new.get("properties", {})
    for name in known:
        if name not in now and new.get("additionalProperties") is False:
            yield f"{where} does not take {name} any more"
        elif name in now:
            yield from _taken(f"{where}/{name}", known[name], now[name], before, after, inside)
    for name in {*new.get("required", [])} - {*old.get("required", [])}:
        yield f"{where} needs {name}"
    if "items" in old and "items" in new:
        yield from _taken(f"{where}[]", old["items"], new["items"], before, after, inside)


def _narrowed(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if _kinds(new) and (_kinds(old) or {"anything"}) - _kinds(new):
        yield f"{where} takes only {sorted(_kinds(new))}"
    if "enum" in new and (lost := [word for word in old.get("enum", ["anything"]) if word not in new["enum"]]):
        yield f"{where} does not take {lost} any more"
    for grow, names in zip((True, False), NARROWING, strict=True):
        for name in names:
            was, now = old.get(name), new.get(name)
            if now is not None and (was is None or (now > was if grow else now < was)):
                yield f"{where} has a {name} of {now}, and had {was}"
    if new.get("pattern") is not None and new.get("pattern") != old.get("pattern"):
        yield f"{where} has another pattern"


def _answered(where: str, old: Any, new: Any, before: Any, after: Any, seen: frozenset[str]) -> Iterator[str]:
    """What was in an answer must still be, of the same kind."""
    old, inside = _resolved(old, before, seen)
    new, _ = _resolved(new, after, frozenset())
    if inside is None:
        return
    if _kinds(old) and (not _kinds(new) or _kinds(new) - _kinds(old)):
        yield f"{where} may be {sorted(_kinds(new) - _kinds(old)) or 'anything'}"
    known, now = old.get("properties", {}), new.get("properties", {})
    for name in known:
        if name not in now:
            yield f"{where} lacks {name}"
        else:
            yield from _answered(f"{where}/{name}", known[name], now[name], before, after, inside)
    for name in {*old.get("required", [])} - {*new.get("required", [])}:
        yield f"{where} may lack {name}"
    if "items" in old and "items" in new:
        yield from _answered(f"{where}[]", old["items"], new["items"], before, after, inside)


def main(folder: Path = FOLDER) -> int:
    released = folder / "released.json"
    if not released.exists():
        print("Nothing was released yet: there is no promise to break.")
        return 0
    found = list(changes(json.loads(released.read_text()), json.loads((folder / "accord.json").read_text())))
    for sentence in found:
        print(sentence)
    print(f"{len(found)} changes break callers of the last release.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

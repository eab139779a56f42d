"""Every answer that a test gets is held against the document: status, media type, headers, and body."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator
from werkzeug.test import TestResponse

from service.api.document import document

_ANYWHERE = {405, 500}
"""Statuses that no operation lists: another method, and a mistake of ours."""


def assert_documented(method: str, path: str, answer: TestResponse) -> None:
    """Fail when the document does not say that this can be the answer."""
    operation = _operation(method, path.partition("?")[0])
    if operation is None or answer.status_code in _ANYWHERE:
        return
    described = operation["responses"].get(str(answer.status_code))
    assert described is not None, f"{method} {path} answered {answer.status_code}, which is not documented"
    described = _resolved(described)
    for name, header in described.get("headers", {}).items():
        assert name in answer.headers or not header.get("required"), f"{method} {path} lacks {name}"
    if "content" in described:
        content = described["content"].get(answer.content_type)
        assert content is not None, f"{method} {path} answered {answer.content_type}, which is not documented"
        if str(answer.content_type).endswith("json"):
            _validator(str(content["schema"]["$ref"])).validate(answer.json)
    else:
        assert answer.data == b"", f"{method} {path} answered a body that is not documented"


@cache
def _document() -> dict[str, Any]:
    strict: dict[str, Any] = _strict(document())
    return strict


def _strict(part: Any) -> Any:
    """A schema of our answers that refuses what it does not name, so that nothing undocumented slips in."""
    if isinstance(part, dict):
        closed = {"additionalProperties": False} if part.get("type") == "object" and "properties" in part else {}
        return {**closed, **{name: _strict(value) for name, value in part.items()}}
    return [_strict(item) for item in part] if isinstance(part, list) else part


@cache
def _paths() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Fixed paths come before those with a place for an id."""
    paths = sorted(_document()["paths"].items(), key=lambda item: item[0].count("{"))
    return [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), operations) for path, operations in paths]


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for pattern, operations in _paths():
        if pattern.fullmatch(path):
            found: dict[str, Any] | None = operations.get(method.lower())
            return found
    return None


def _resolved(described: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in described:
        return described
    found: dict[str, Any] = _document()["components"]["responses"][described["$ref"].rpartition("/")[2]]
    return found


@cache
def _validator(reference: str) -> Draft202012Validator:
    schema = {"$ref": reference, "components": _document()["components"]}
    return Draft202012Validator(schema, validate_formats=True)

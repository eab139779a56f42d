"""What is too much, and what must not leave: bodies, nesting, lists, pages; headers for browsers; mistakes of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.operations import mappings
from service.operations import tokens as token_operations
from tests.api.test_access import OPERATIONS, named
from tests.api.world import TOKEN, World

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def posted(world: World, path: str, body: bytes) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    return world.client.post(path, data=body, headers=headers)


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_headers_for_browsers_are_everywhere(lively: World, operation: tuple[str, str, Any]) -> None:
    method, path, _ = operation
    filled = "/".join("1" if part.startswith("{") else part for part in path.split("/"))
    for token in (TOKEN, None):
        answer = lively.ask(method, filled, token=token)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Cache-Control"].startswith("private") or token is None


@pytest.mark.parametrize("path", ["/connections", "/mappings", "/sync-runs", "/tokens", "/skipped/resolve"])
def test_bodies_that_are_too_much(world: World, path: str) -> None:
    before = world.contents()
    assert posted(world, path, b" " * (1024 * 1024 + 1)).status_code == 413
    assert posted(world, path, b"[" * 100_000).status_code == 400
    assert posted(world, path, b'{"a":' * 5_000 + b"1" + b"}" * 5_000).status_code in (400, 422)
    assert posted(world, path, b'{"name": ' + b"9" * 5_000 + b"}").status_code in (400, 422)
    assert world.contents() == before


def test_free_settings_are_not_nested_without_end(world: World) -> None:
    deep: Any = "x"
    for _ in range(9):
        deep = {"a": deep}
    answer = world.ask("POST", "/connections", {"name": "x", "kind": "sql", "settings": {"url": deep}})
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "nested_too_deep")


def test_lists_are_bounded(world: World) -> None:
    many = [str(number) for number in range(1001)]
    for path, body in (
        ("/sync-runs", {"mappingId": 1, "kind": "records", "records": {"local": many}}),
        ("/skipped/resolve", {"resolution": "retry", "ids": [*range(1, 1002)]}),
        ("/connections/1/changes", {"tables": many}),
    ):
        answer = world.ask("POST", path, body)
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "list_length"), path
    assert world.ask("GET", "/audit?limit=501").status_code == 422


def test_a_mistake_of_ours_leaves_no_trace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("SELECT secret FROM vault; at 0xdeadbeef")

    monkeypatch.setattr(mappings, "list_standings", broken)
    monkeypatch.setattr(token_operations, "list_tokens", broken)
    for path in ("/mappings", "/tokens"):
        answer = world.ask("GET", path)
        assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
        assert answer.json["code"] == "internal_error"
        text = json.dumps(answer.json) + str(answer.headers)
        assert not any(word in text for word in ("vault", "0xdead", "RuntimeError", "Traceback", ".py"))
        assert len(answer.json["traceId"]) == 32


def test_nothing_is_said_of_what_runs_here(world: World) -> None:
    for path in ("/health/live", "/nowhere", "/openapi.json"):
        answer = world.client.get(path)
        assert "Werkzeug" not in answer.text
        assert "X-Powered-By" not in answer.headers

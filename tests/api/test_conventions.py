"""What holds for all operations: problems, pages, repeated requests, bad input, headers."""

from __future__ import annotations

import gzip
import os
import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from service.api import MAX_BODY
from service.store import idempotency as idempotency_rows
from service.store.database import connection
from tests.api.world import CONTEXT, MAPPING, TOKEN, World

JSON = {"Content_Type": "application/json"}


def raw(world: World, path: str, data: bytes, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in {**JSON, **headers}.items()}
    return world.client.post(path, data=data, headers={"Authorization": f"Bearer {TOKEN}", **sent})


def nested(depth: int) -> bytes:
    return b'{"name": ' + b"[" * depth + b"]" * depth + b"}"


BAD_BODIES: list[tuple[str, bytes, int, str]] = [
    ("no JSON", b"{name: 1}", 400, "invalid_json"),
    ("nothing", b"", 400, "invalid_json"),
    ("no UTF-8", b'{"name": "\xff"}', 400, "invalid_json"),
    ("half a surrogate", b'{"name": "a\\ud800"}', 400, "invalid_json"),
    ("NaN", b'{"mappingId": NaN}', 400, "invalid_json"),
    ("endless nesting", nested(100_000), 400, "invalid_json"),
    ("no object", b"[]", 422, "validation_failed"),
    ("a huge number", b'{"mappingId": ' + b"9" * 5000 + b"}", 400, "invalid_json"),
    ("one above 64 bits", b'{"mappingId": 9223372036854775808}', 422, "validation_failed"),
    ("a fraction", b'{"mappingId": 1.5}', 422, "validation_failed"),
    ("a text", b'{"mappingId": "1"}', 422, "validation_failed"),
    ("true", b'{"mappingId": true}', 422, "validation_failed"),
]


@pytest.mark.parametrize(
    ("body", "status", "code"), [row[1:] for row in BAD_BODIES], ids=[row[0] for row in BAD_BODIES]
)
def test_bad_bodies(world: World, body: bytes, status: int, code: str) -> None:
    before = world.contents()
    answer = raw(world, "/sync-runs", body)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"
    assert world.contents() == before


def test_nul_is_refused_wherever_text_is(world: World) -> None:
    before = world.contents()
    nul = "a\x00b"
    bodies: list[tuple[str, Any, str]] = [
        ("/connections", {"name": nul, "kind": "sql", "settings": {"url": nul}}, "/name"),
        ("/connections", {"name": "x", "kind": "sql", "settings": {"url": nul}}, "/settings"),
        ("/connections", {"name": "x", "kind": "sql", "settings": {nul: 1}}, "/settings"),
        ("/sync-runs", {"mappingId": 1, "kind": "records", "records": {"local": [nul]}}, "/records/local/0"),
        ("/couplings", {"mappingId": 1, "localKey": nul, "integrationKey": "x"}, "/localKey"),
        ("/mappings", {**MAPPING, "name": "y", "local": {**MAPPING["local"], "table": nul}}, "/local/table"),
    ]
    for path, body, pointer in bodies:
        answer = world.ask("POST", path, body)
        assert answer.status_code == 422, path
        assert answer.json["errors"][0]["pointer"] == pointer
        assert answer.json["errors"][0]["code"] == "forbidden_character"
    assert world.ask("GET", "/couplings?localKey=a%00b").status_code == 422
    assert world.ask("GET", "/connections/1/tables/a%00b").status_code == 404
    assert world.contents() == before


def test_a_large_body_is_refused_unread(world: World) -> None:
    before = world.contents()
    answer = raw(world, "/connections", b" " * (10 * 1024 * 1024))
    assert (answer.status_code, answer.json["code"]) == (413, "payload_too_large")
    assert f"{MAX_BODY:,}" in answer.json["detail"]
    assert world.contents() == before


@pytest.mark.parametrize("kind", ["text/plain", "", "application/xml", "application/x-www-form-urlencoded"])
def test_only_json_is_read(world: World, kind: str) -> None:
    answer = raw(world, "/sync-runs", b'{"mappingId": 1}', Content_Type=kind)
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def test_a_compressed_body_is_no_json(world: World) -> None:
    answer = raw(world, "/sync-runs", gzip.compress(b'{"mappingId": 1}'), Content_Encoding="gzip")
    assert answer.status_code == 400


@pytest.mark.parametrize("id", ["0", "-1", "01", "9223372036854775808", "9" * 30, "1.0", "x", "%D9%A3"])
def test_ids_that_cannot_be_are_not_found(world: World, id: str) -> None:
    answer = world.ask("GET", f"/connections/{id}")
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("nonsense=1", "nonsense"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=%2B1", "limit"),
        ("limit=1_0", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=1&limit=2", "limit"),
        ("mappingId=9223372036854775808", "mappingId"),
        ("status=sleeping", "status"),
        ("createdAfter=yesterday", "createdAfter"),
        ("createdAfter=2026-02-30T00:00:00Z", "createdAfter"),
        ("createdAfter=2026-02-03", "createdAfter"),
    ],
)
def test_bad_parameters(world: World, query: str, parameter: str) -> None:
    answer = world.ask("GET", f"/sync-runs?{query}")
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json["errors"]] == [parameter]


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-21T10:00:00Z",
        "2026-11-21t10:00:00.123456789+02:00",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:60-23:59",
    ],
)
def test_every_moment_of_the_standard_is_read(world: World, moment: str) -> None:
    assert world.ask("GET", f"/sync-runs?createdAfter={quote(moment)}").status_code == 200


def test_a_problem_has_all_its_parts(world: World) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = world.ask("GET", "/connections/99", traceparent=f"00-{trace}-b7ad6b7169203331-01")
    assert answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": "/problems/not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no connection 99.",
        "instance": "/connections/99",
        "code": "not_found",
        "traceId": trace,
    }
    assert world.get("/problems/not_found")["code"] == "not_found"
    assert world.ask("GET", "/problems/nonsense").status_code == 404


def test_methods_and_media_types(world: World) -> None:
    answer = world.ask("PUT", "/connections")
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    answer = world.ask("GET", "/connections", Accept="application/xml")
    assert (answer.status_code, answer.json["code"]) == (406, "not_acceptable")
    assert world.ask("GET", "/connections", Accept="text/html, */*;q=0.1").status_code == 200
    assert world.ask("HEAD", "/connections/1").data == b""
    assert world.ask("GET", "/nix").json["code"] == "path_not_found"


def test_pages_are_stable_under_inserts(world: World) -> None:
    for number in range(5):
        world.ask("POST", "/tokens", {"name": f"t{number}", "scopes": ["read"]})
    seen, cursor = [], ""
    while True:
        answer = world.ask("GET", f"/tokens?limit=2{cursor}")
        seen += [item["name"] for item in answer.json["items"]]
        world.ask("POST", "/tokens", {"name": "late", "scopes": ["read"]})
        if answer.json["nextCursor"] is None:
            assert "Link" not in answer.headers
            break
        assert answer.headers["Link"] == f'</tokens?limit=2&cursor={answer.json["nextCursor"]}>; rel="next"'
        cursor = f"&cursor={answer.json['nextCursor']}"
    assert seen == ["t4", "t3", "t2", "t1", "t0", "first"]


def test_a_cursor_belongs_to_its_list(world: World) -> None:
    world.run()
    cursor = world.get("/sync-runs?limit=1&mappingId=1")["nextCursor"]
    assert world.ask("GET", f"/sync-runs?limit=9&mappingId=1&cursor={cursor}").status_code == 200
    flipped = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    for query in (
        f"cursor={cursor}",
        f"mappingId=2&cursor={cursor}",
        f"mappingId=1&cursor={flipped}",
        "cursor=%00",
        "cursor=x",
        "cursor=é",
    ):
        answer = world.ask("GET", f"/sync-runs?{query}")
        assert answer.status_code in (400, 422)
        assert answer.json["errors"][0]["parameter"] == "cursor"
    assert world.ask("GET", f"/couplings?mappingId=1&cursor={cursor}").json["code"] == "invalid_cursor"


# Repeated requests


def test_a_repeated_post_is_carried_out_once(world: World) -> None:
    body = {"name": "again", "kind": "sql", "settings": {"url": "sqlite:///x.db"}}
    first = world.ask("POST", "/connections", body, Idempotency_Key="key-1")
    again = world.ask("POST", "/connections", body, Idempotency_Key="key-1")
    assert (again.status_code, again.json, again.headers["Location"]) == (201, first.json, first.headers["Location"])
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert len(world.get("/connections")["items"]) == 3
    other = world.ask("POST", "/connections", {**body, "name": "b"}, Idempotency_Key="key-1")
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
    elsewhere = world.ask("POST", "/tokens", body, Idempotency_Key="key-1")
    assert elsewhere.status_code == 422


def test_keys_belong_to_who_uses_them(world: World) -> None:
    token = world.token("operate")
    first = world.ask("POST", "/sync-runs", {"mappingId": 1}, Idempotency_Key="k")
    other = world.ask("POST", "/sync-runs", {"mappingId": 1, "kind": "full"}, token=token, Idempotency_Key="k")
    assert (first.status_code, other.status_code) == (202, 202)


def test_a_refused_request_is_judged_anew(world: World) -> None:
    body = {"name": "erp", "kind": "sql", "settings": {"url": "sqlite:///x.db"}}
    assert world.ask("POST", "/connections", body, Idempotency_Key="k").status_code == 409
    world.ask("PATCH", "/connections/1", {"name": "renamed"}, If_Match="*")
    assert world.ask("POST", "/connections", body, Idempotency_Key="k").status_code == 201


def reserve(world: World, owner: str, age: int) -> None:
    """Leave a request behind that was begun `age` microseconds ago and never answered."""
    world.ask("POST", "/mappings/1/reset", Idempotency_Key="k")
    world.sql(
        "accord",
        "UPDATE idempotency_keys SET response_status = NULL, response_body = NULL, owner = ?,"
        " created_at = created_at - ?",
        owner,
        age,
    )


def test_a_request_that_is_still_running_is_not_repeated(world: World) -> None:
    reserve(world, "elsewhere/1/x", 0)
    answer = world.ask("POST", "/mappings/1/reset", Idempotency_Key="k")
    assert (answer.status_code, answer.json["code"]) == (409, "idempotency_key_in_use")


@pytest.mark.parametrize("minutes", [11])
def test_a_request_that_nobody_finished_is_taken_over(world: World, minutes: int) -> None:
    reserve(world, "elsewhere/1/x", minutes * 60_000_000)
    assert world.ask("POST", "/mappings/1/reset", Idempotency_Key="k").status_code == 200
    assert world.ask("POST", "/mappings/1/reset", Idempotency_Key="k").headers["Idempotency-Replayed"] == "true"


def test_a_request_of_a_dead_process_is_taken_over_at_once(world: World) -> None:
    reserve(world, f"{socket.gethostname()}/{os.getpid()}/an-earlier-life", 0)
    assert world.ask("POST", "/mappings/1/reset", Idempotency_Key="k").status_code == 200


def test_an_answer_is_forgotten_after_a_day(world: World) -> None:
    world.ask("POST", "/mappings/1/reset", Idempotency_Key="k")
    with connection():
        assert idempotency_rows.forget_before(CONTEXT.now()) == 1


def test_the_same_request_from_many_at_once(world: World) -> None:
    body = {"name": "racer", "kind": "sql", "settings": {"url": "sqlite:///x.db"}}
    answers: list[int] = []
    ask: Callable[[], None] = lambda: answers.append(  # noqa: E731
        world.ask("POST", "/connections", body, Idempotency_Key="race").status_code
    )
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {201, 409}
    assert 201 in answers
    assert len([c for c in world.get("/connections")["items"] if c["name"] == "racer"]) == 1


@pytest.mark.parametrize("key", ["", "with blank", "x" * 256, "é"])
def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    answer = world.ask("POST", "/sync-runs", {"mappingId": 1}, Idempotency_Key=key)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_header")


# The rest


def test_every_answer_is_guarded(world: World) -> None:
    for path in ("/connections", "/nix", "/openapi.json", "/docs"):
        headers = world.ask("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert len(headers["X-Trace-Id"]) == 32


def test_figures_for_a_prometheus(lively: World) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    text = lively.ask("GET", "/metrics", Accept=accept).text
    assert 'accord_skipped_records{status="open"} 1.0' in text
    assert 'accord_runs{status="succeeded"} 1.0' in text
    assert 'accord_requests_total{operation="GET /couplings",status="200"}' in text
    assert lively.ask("GET", "/metrics", token=None).status_code == 401


def test_the_interactive_page_needs_nobody_else(world: World) -> None:
    page = world.ask("GET", "/docs", token=None)
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "//" not in page.text
    assert "<script>" not in page.text
    for asset in ("/docs/assets/swagger-ui-bundle.js", "/docs/assets/swagger-ui.css", "/docs/start.js"):
        assert asset in page.text
        assert world.ask("GET", asset, token=None).status_code == 200
    assert world.ask("GET", "/docs/assets/../../app.py", token=None).status_code == 404


def test_not_ready_while_migrations_are_pending(world: World) -> None:
    assert world.ask("GET", "/health/ready", token=None).status_code == 200
    world.sql("accord", "DELETE FROM schema_migration")
    ready = world.ask("GET", "/health/ready", token=None)
    assert (ready.status_code, ready.json["code"]) == (503, "migrations_pending")
    assert "accord migrate" in ready.json["advice"]


def test_not_ready_without_a_database(world: World) -> None:
    for file in world.folder.glob("accord.db*"):
        file.unlink()
    world.state.mkdir()
    try:
        for path in ("/health/ready", "/connections"):
            answer = world.ask("GET", path)
            assert (answer.status_code, answer.json["code"]) == (503, "database_unreachable")
        assert world.ask("GET", "/health/live", token=None).status_code == 200
    finally:
        world.state.rmdir()


def test_a_mistake_of_ours_is_a_problem_without_details(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("service.operations.connections.list_connections", broken)
    answer = world.ask("GET", "/connections")
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert "secret" not in answer.text

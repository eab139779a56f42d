"""Who may do what: every operation of the document with every scope."""

from __future__ import annotations

from typing import Any

import pytest

from service.api.document import document
from service.operations.tokens import Scope
from tests.api.world import TOKEN, World

ORDER = [scope.value for scope in Scope]
OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in document()["paths"].items()
    for method, operation in operations.items()
    if method in ("get", "post", "put", "patch", "delete")
]
CLOSED = [(method, path, operation) for method, path, operation in OPERATIONS if operation["security"]]


def named(operation: tuple[str, str, Any]) -> str:
    return str(operation[2]["operationId"])


def sent(world: World, method: str, path: str, token: str | None) -> Any:
    """A request that is refused by nothing but the token before it is looked at: for an item that does not exist."""
    filled = "/".join("999" if part.startswith("{") else part for part in path.split("/"))
    return world.ask(method, filled, {} if method in ("POST", "PUT", "PATCH") else None, token=token, If_Match="*")


@pytest.fixture(scope="module")
def matrix(kept_mapped: Any) -> dict[str, Any]:
    """Every kind of token, in one world for the whole matrix: nothing here changes anything."""
    world = kept_mapped.fresh()
    made = {scope: world.token(scope) for scope in ORDER}
    body = {"name": "was", "scopes": ["admin"]}
    past = world.ask("POST", "/tokens", {**body, "expiresAt": "2001-01-01T00:00:00Z"}).json
    gone = world.ask("POST", "/tokens", body).json
    assert world.ask("DELETE", f"/tokens/{gone['id']}").status_code == 204
    bad = {"no token": None, "wrong token": "accord_wrong", "expired": past["token"], "revoked": gone["token"]}
    return {"world": world, **bad, **made}


REFUSED = {"no token": "token_missing", "wrong token": "token_invalid"} | dict.fromkeys(
    ("expired", "revoked"), "token_invalid"
)


@pytest.mark.parametrize("whose", [*REFUSED, *ORDER])
@pytest.mark.parametrize("operation", CLOSED, ids=named)
def test_matrix(matrix: dict[str, Any], operation: tuple[str, str, Any], whose: str) -> None:
    """Exactly the documented answer, for a new operation too: `ask` holds each against the document."""
    method, path, described = operation
    world, required = matrix["world"], described["x-scope"]
    before = world.contents()
    answer = sent(world, method, path, matrix[whose])
    if whose in REFUSED:
        challenge = 'Bearer realm="accord"' + (', error="invalid_token"' if whose != "no token" else "")
        assert (answer.status_code, answer.json["code"]) == (401, REFUSED[whose])
        assert answer.headers["WWW-Authenticate"] == challenge
    elif ORDER.index(whose) < ORDER.index(required):
        assert (answer.status_code, answer.json["code"]) == (403, "scope_missing")
        wanted = f'Bearer realm="accord", error="insufficient_scope", scope="{required}"'
        assert answer.headers["WWW-Authenticate"] == wanted
    else:
        assert str(answer.status_code) in described["responses"]
        assert answer.status_code not in (401, 403)
        return
    assert world.contents() == before


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_what_is_open_says_so(operation: tuple[str, str, Any]) -> None:
    """Only what answers without a token may leave 401 out, and the other way round."""
    _, path, described = operation
    assert ("401" in described["responses"]) is bool(described["security"])
    assert bool(described["security"]) is not (path.startswith("/health/") or "/notifications/" in path)


def test_what_needs_which_scope() -> None:
    """The contract's own list, so that the document is not its only witness."""
    scopes = {operation["operationId"]: operation["x-scope"] for _, _, operation in CLOSED}
    operate = {name for name, scope in scopes.items() if scope == "operate"}
    assert operate >= {"startRun", "cancelRun", "resolveSkipped", "resolveManySkipped", "deleteError", "cleanUpErrors"}
    assert operate >= {"createCoupling", "deleteCoupling", "deleteExclusion", "announceChanges"}
    admin = {name for name, scope in scopes.items() if scope == "admin"}
    assert admin >= {"createConnection", "updateConnection", "deleteConnection", "createToken", "revokeToken"}
    assert admin >= {"createMapping", "replaceMapping", "updateMapping", "deleteMapping", "resetMapping"}
    assert all(scopes[name] == "read" for name in scopes if name.startswith(("get", "list")) and name not in admin)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/openapi.json", "/docs", "/problems/not_found"])
def test_what_everybody_may_see(world: World, path: str) -> None:
    assert world.ask("GET", path, token=None).status_code == 200


def test_a_token_is_shown_once_and_kept_as_a_digest(world: World) -> None:
    body = {"name": "monitor", "scopes": ["read"], "expiresAt": "2999-01-01T00:00:00Z"}
    made = world.ask("POST", "/tokens", body, Idempotency_Key="k")
    assert made.status_code == 201
    text = made.json["token"]
    assert world.ask("GET", "/connections", token=text).status_code == 200
    shown = world.get("/tokens")["items"][0]
    assert "token" not in shown
    assert (shown["name"], shown["scopes"], shown["expiresAt"]) == ("monitor", ["read"], "2999-01-01T00:00:00.000000Z")
    assert shown["lastUsedAt"] is not None
    assert world.ask("POST", "/tokens", body, Idempotency_Key="k").json == made.json
    held = b"".join(file.read_bytes() for file in world.folder.glob("accord.db*"))
    assert text.encode() not in held


def test_a_token_ends_when_it_is_revoked_or_expires(world: World) -> None:
    made = world.ask("POST", "/tokens", {"name": "x", "scopes": ["admin"]}).json
    own = world.ask("DELETE", f"/tokens/{made['id']}", token=made["token"])
    assert (own.status_code, own.json["code"]) == (409, "token_in_use")
    assert world.ask("DELETE", f"/tokens/{made['id']}").status_code == 204
    assert world.ask("GET", "/tokens", token=made["token"]).status_code == 401
    assert world.ask("DELETE", f"/tokens/{made['id']}").status_code == 404
    past = world.ask("POST", "/tokens", {"name": "x", "scopes": ["read"], "expiresAt": "2001-01-01T00:00:00Z"}).json
    assert world.ask("GET", "/connections", token=past["token"]).status_code == 401


def test_other_schemes_are_no_tokens(world: World) -> None:
    for header in (f"Basic {TOKEN}", "Bearer", f"bearer  {TOKEN}x", "Bearer \x80"):
        answer = world.ask("GET", "/tokens", token=None, Authorization=header)
        assert answer.status_code == 401


def test_every_change_is_in_the_audit(lively: World) -> None:
    lively.ask("PATCH", "/connections/1", {"name": "ERP"}, If_Match="*")
    entries = lively.get("/audit?limit=500")["items"]
    assert entries[0]["before"] == {"name": "erp"}
    assert entries[0]["after"] == {"name": "ERP"}
    assert len(entries[0]["requestId"]) == 32
    actions = {(entry["action"], entry["noun"]) for entry in entries}
    assert actions >= {("create", "connection"), ("create", "mapping"), ("start", "sync_run"), ("delete", "coupling")}
    assert {entry["noun"] for entry in lively.get("/audit?noun=mapping&itemId=1")["items"]} == {"mapping"}

"""Tokens of an OpenID Connect provider: a real one on loopback, its keys, and all that can be wrong with a token."""

from __future__ import annotations

import base64
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jwk, jws, jwt

from service.api.access import OIDC
from service.app import create_app
from service.operations.oidc import KEYS_LIVE, PAUSE, Oidc, Provider
from service.operations.tokens import Scope
from service.settings.environment import read_settings
from service.settings.values import SettingsWrong
from tests.api.world import CONTEXT, SETTINGS, World
from tests.receiver import receiving

SCOPES = {Scope.READ: "accord:read", Scope.OPERATE: "accord:operate", Scope.ADMIN: "accord:admin"}


class Issuer:
    """A provider with keys that can be exchanged; `asked` counts the requests for them."""

    def __init__(self) -> None:
        self.published: list[Any] = []
        self.asked = 0
        self.broken = False
        self.named: str | None = None
        self.keys_at: str | None = None
        self.moved_to: dict[str, str] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys_at = issuer.keys_at or f"{issuer.url}/keys"
                told: Mapping[str, Any] = {"issuer": issuer.named or issuer.url, "jwks_uri": keys_at}
                if self.path == "/keys":
                    issuer.asked += 1
                    told = {"keys": [key.as_dict(private=key.key_type == "oct") for key in issuer.published]}
                body = json.dumps(told).encode()
                moved_to = issuer.moved_to.get(self.path)
                self.send_response(500 if issuer.broken else 200 if moved_to is None else 307)
                if moved_to is not None:
                    self.send_header("Location", moved_to)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def publish(self, kid: str, kind: str = "RSA", size: Any = 2048) -> Any:
        """One more key."""
        key = jwk.generate_key(kind, size, {"kid": kid, "use": "sig"})  # type: ignore[call-overload]
        self.published.append(key)
        return key

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What a good token says; None leaves a claim out."""
        now = int(time.time())
        good = {"iss": self.url, "aud": "accord", "sub": "u1", "exp": now + 300, "iat": now, "scope": "accord:admin"}
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def token(self, key: Any, algorithm: str = "RS256", **changes: Any) -> str:
        """A signed token."""
        header = {"alg": algorithm, "kid": key.kid}
        return jwt.encode(header, self.claims(**changes), key, algorithms=[algorithm])


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def issuing() -> Iterator[Issuer]:
    issuer = Issuer()
    issuer.first, issuer.second = (issuer.publish(kid) for kid in ("k1", "k2"))  # type: ignore[attr-defined]
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()


@pytest.fixture
def issuer(issuing: Issuer) -> Issuer:
    """With the first key published, and nothing asked yet."""
    issuing.published = [issuing.first]  # type: ignore[attr-defined]
    issuing.asked, issuing.broken, issuing.named, issuing.keys_at, issuing.moved_to = 0, False, None, None, {}
    return issuing


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(world: World, issuer: Issuer, clock: Clock) -> World:
    """The world behind an application that takes the issuer's tokens."""
    app = create_app(SETTINGS, CONTEXT)
    app.extensions[OIDC] = Oidc(Provider(issuer.url, "accord", "scope", SCOPES), clock=clock)
    return World(world.folder, app)


def status(world: World, token: str, path: str = "/connections") -> int:
    answer = world.ask("GET", path, token=token)
    assert answer.status_code != 401 or answer.json["code"] == "token_invalid"
    return int(answer.status_code)


def test_a_good_token_is_as_good_as_ours(known: World, issuer: Issuer) -> None:
    token = issuer.token(issuer.published[0], preferred_username="ada")
    body = {"name": "x", "scopes": ["read"]}
    made = known.ask("POST", "/tokens", body, token=token, Idempotency_Key="k")
    assert made.status_code == 201
    again = known.ask("POST", "/tokens", body, token=token, Idempotency_Key="k")
    assert again.json == made.json
    entry = known.get("/audit?limit=1")["items"][0]
    assert (entry["actor"], entry["tokenId"]) == ("oidc:ada", None)
    assert issuer.asked == 1
    assert known.ask("GET", "/connections").status_code == 200, "our own tokens are still good"


@pytest.mark.parametrize(
    ("scope", "answers"),
    [
        ("accord:read", (200, 403, 403)),
        ("openid accord:operate", (200, 422, 403)),
        (["accord:admin"], (200, 422, 200)),
        ("openid admin read", (403, 403, 403)),
        (None, (403, 403, 403)),
        (7, (403, 403, 403)),
    ],
)
def test_scopes(known: World, issuer: Issuer, scope: Any, answers: tuple[int, int, int]) -> None:
    token = issuer.token(issuer.published[0], scope=scope)
    read = known.ask("GET", "/connections", token=token).status_code
    operate = known.ask("POST", "/sync-runs", {}, token=token).status_code
    admin = known.ask("GET", "/tokens", token=token).status_code
    assert (read, operate, admin) == answers


def test_roles_inside_objects(world: World, issuer: Issuer) -> None:
    provider = Provider(issuer.url, "accord", "realm_access.roles", {Scope.READ: "reader"})
    found = Oidc(provider).authenticate(issuer.token(issuer.published[0], realm_access={"roles": ["reader", 5]}))
    assert found is not None
    assert found.scopes == ("read",)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "other"},
        {"aud": None},
        {"aud": ["other", "another"]},
        {"iss": "https://elsewhere.example.com"},
        {"iss": None},
        {"exp": 1_600_000_000},
        {"exp": None},
        {"exp": "tomorrow"},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"sub": None},
        {"sub": 5},
    ],
    ids=str,
)
def test_claims_that_are_not_right(known: World, issuer: Issuer, changes: Any) -> None:
    assert status(known, issuer.token(issuer.published[0], **changes)) == 401


def test_one_audience_of_several_will_do(known: World, issuer: Issuer) -> None:
    assert status(known, issuer.token(issuer.published[0], aud=["other", "accord"])) == 200


def test_a_secret_that_is_public_signs_nothing(known: World, issuer: Issuer) -> None:
    """The confusion of algorithms: the public key as the secret of an HMAC; a symmetric key that is published; none."""
    public = issuer.published[0]
    claims = json.dumps(issuer.claims()).encode()
    for secret in (public.as_pem(private=False), json.dumps(public.as_dict(private=False)).encode()):
        parts = _encoded(b'{"alg":"HS256","kid":"k1"}') + b"." + _encoded(claims)
        signed = parts + b"." + _encoded(hmac.digest(secret, parts, "sha256"))
        assert status(known, signed.decode()) == 401
    shared = issuer.publish("shared", "oct", 256)
    forged = jws.serialize_compact({"alg": "HS256", "kid": "shared"}, claims, shared, algorithms=["HS256"])
    assert status(known, forged) == 401
    header, body, _ = issuer.token(public).split(".")
    none = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ"  # {"alg":"none","kid":"k1"}
    for text in (f"{none}.{body}.", f"{header}.{body}.", f"{header}.{body}.AAAA", "a.b.c", "..", f"{none}.{body}.x"):
        assert status(known, text) == 401


def _encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def test_a_key_of_another_kind_or_for_another_algorithm(known: World, issuer: Issuer) -> None:
    curve = issuer.publish("ec", "EC", "P-256")
    assert status(known, issuer.token(curve, "ES256")) == 200
    assert status(known, issuer.token(issuer.published[0], "PS256")) == 200
    other = jwk.generate_key("RSA", 2048, {"kid": "k1"})
    assert status(known, issuer.token(other)) == 401, "another's key under a known id"


def test_keys_are_rotated_in_the_midst(known: World, issuer: Issuer, clock: Clock) -> None:
    first, second = issuer.published[0], issuer.second  # type: ignore[attr-defined]
    assert status(known, issuer.token(first)) == 200
    issuer.published = [first, second]
    clock.now += PAUSE
    assert status(known, issuer.token(second)) == 200
    assert issuer.asked == 2
    issuer.published = [second]
    assert status(known, issuer.token(first)) == 200, "withdrawn, and known for no longer than an hour"
    clock.now += KEYS_LIVE
    assert status(known, issuer.token(first)) == 401
    assert status(known, issuer.token(second)) == 200
    assert issuer.asked == 3


def test_made_up_keys_do_not_become_requests(known: World, issuer: Issuer, clock: Clock) -> None:
    stranger = jwk.generate_key("RSA", 2048)
    claims = json.dumps(issuer.claims()).encode()
    oidc = known.app.extensions[OIDC]
    for number in range(200):
        header = {"alg": "RS256", "kid": f"made-up-{number}"}
        assert oidc.authenticate(jws.serialize_compact(header, claims, stranger, algorithms=["RS256"])) is None
    assert issuer.asked == 1
    clock.now += PAUSE
    assert oidc.authenticate(jws.serialize_compact(header, claims, stranger, algorithms=["RS256"])) is None
    assert issuer.asked == 2


def test_a_provider_that_does_not_answer(known: World, issuer: Issuer, clock: Clock) -> None:
    token = issuer.token(issuer.published[0])
    issuer.broken = True
    answer = known.ask("GET", "/connections", token=token)
    assert (answer.status_code, answer.json["code"]) == (503, "identity_provider_unreachable")
    assert answer.headers["Retry-After"] == "30"
    issuer.broken = False
    clock.now += PAUSE
    assert status(known, token) == 200
    issuer.broken = True
    clock.now += 2 * KEYS_LIVE
    assert status(known, token) == 200, "what is known is still good"


def test_a_configuration_of_another_issuer_is_not_believed(known: World, issuer: Issuer) -> None:
    issuer.named = "https://elsewhere.example.com"
    assert known.ask("GET", "/connections", token=issuer.token(issuer.published[0])).status_code == 503


# Where it never goes


DISCOVERY = "/.well-known/openid-configuration"


@pytest.mark.parametrize("path", [DISCOVERY, "/keys"])
def test_a_redirect_is_not_followed(known: World, issuer: Issuer, connected: list[Any], path: str) -> None:
    with receiving() as elsewhere:
        issuer.moved_to = {path: elsewhere.url}
        assert known.ask("GET", "/connections", token=issuer.token(issuer.published[0])).status_code == 503
        assert elsewhere.asked == []
    assert {port for _, port in connected} == {issuer.server.server_port}


@pytest.mark.parametrize(
    "keys_at",
    ["http://169.254.169.254/keys", "http://[fd00:ec2::254]/keys", "http://metadata.google.internal/keys"],
)
def test_keys_at_an_address_of_a_machines_metadata(
    known: World, issuer: Issuer, connected: list[Any], keys_at: str
) -> None:
    issuer.keys_at = keys_at
    assert known.ask("GET", "/connections", token=issuer.token(issuer.published[0])).status_code == 503
    assert {port for _, port in connected} == {issuer.server.server_port}


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.5", "169.254.169.254", "::ffff:169.254.169.254"])
def test_keys_at_a_name_that_leads_inside(
    known: World, issuer: Issuer, connected: list[Any], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """The address that a name has is checked, and no private network is reached that no setting allows."""
    port = issuer.server.server_port
    issuer.keys_at = f"http://keys.example.com:{port}/keys"
    real = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **more: Any) -> list[Any]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if host == "keys.example.com":
            return [(family, socket.SOCK_STREAM, 6, "", (address, port))]
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert known.ask("GET", "/connections", token=issuer.token(issuer.published[0])).status_code == 503
    assert len(connected) == 1, "only the configuration was asked for"
    assert issuer.asked == 0


def test_settings(issuer: Issuer, world: World) -> None:
    told = {"ACCORD_OIDC_ISSUER": issuer.url, "ACCORD_OIDC_AUDIENCE": "accord", "ACCORD_OIDC_SCOPES": "read=r,admin=a"}
    settings = read_settings(told)
    assert settings.provider == Provider(issuer.url, "accord", "scope", {Scope.READ: "r", Scope.ADMIN: "a"})
    app = create_app(replace(settings, secret_key="secret-of-the-tests"), CONTEXT)
    assert status(World(world.folder, app), issuer.token(issuer.published[0], scope="r")) == 200


@pytest.mark.parametrize(
    "told",
    [
        {"ACCORD_OIDC_ISSUER": "https://id.example.com"},
        {"ACCORD_OIDC_AUDIENCE": "accord"},
        {"ACCORD_OIDC_ISSUER": "http://id.example.com", "ACCORD_OIDC_AUDIENCE": "accord"},
        {"ACCORD_OIDC_ISSUER": "id.example.com", "ACCORD_OIDC_AUDIENCE": "accord"},
        {"ACCORD_OIDC_SCOPES": "everything=x"},
        {"ACCORD_OIDC_SCOPES": "read"},
        {"ACCORD_OIDC_SCOPES": "read=a,read=b"},
    ],
    ids=str,
)
def test_settings_that_are_not_right(told: dict[str, str]) -> None:
    with pytest.raises(SettingsWrong, match="ACCORD_OIDC"):
        read_settings(told)

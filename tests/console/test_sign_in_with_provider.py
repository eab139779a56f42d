"""Signing in to the console with an OpenID Connect provider, and all that can be wrong on the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwk

from service.app import create_app
from service.console.session import ATTEMPT, COOKIE, LONGEST_KNOWN
from service.settings.environment import read_settings
from service.settings.values import SettingsWrong
from tests.api.world import CONTEXT, SETTINGS, World
from tests.console.provider import CLIENT, SECRET, SignInProvider


@pytest.fixture
def provider() -> Iterator[SignInProvider]:
    opened = SignInProvider()
    yield opened
    opened.close()


def settings_of(provider: SignInProvider, **more: Any) -> Any:
    known = {"oidc_issuer": provider.url, "oidc_audience": "accord", "oidc_client_id": CLIENT}
    return replace(SETTINGS, **{**known, "oidc_client_secret": provider.secret, **more})


class Visitor:
    """Somebody with a browser that keeps cookies."""

    def __init__(self, world: World, provider: SignInProvider, **settings: Any) -> None:
        self.provider = provider
        self.client = create_app(settings_of(provider, **settings), CONTEXT).test_client()

    def ask(self, wanted: str = "/console/runs?mapping=1") -> dict[str, str]:
        """What the provider is asked, when somebody follows the link of the sign-in page."""
        answer = self.client.get("/console/oidc/start", query_string={"next": wanted})
        assert answer.status_code == 303
        assert answer.location.startswith(f"{self.provider.url}/authorize?")
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}

    def come_back(self, address: str) -> Any:
        parts = urlsplit(address)
        return self.client.get(f"{parts.path}?{parts.query}")


def test_who_signs_in_comes_back_to_where_they_wanted(lively: World, provider: SignInProvider) -> None:
    visitor = Visitor(lively, provider)
    page = visitor.client.get("/console/sign-in?next=/console/runs")
    assert "Sign in with 127.0.0.1" in page.text
    assert 'href="/console/oidc/start?next=/console/runs"' in page.text
    question = visitor.ask()
    assert question["response_type"] == "code"
    assert question["code_challenge_method"] == "S256"
    assert question["redirect_uri"] == "http://localhost/console/oidc/back"
    back = visitor.come_back(provider.allow(question))
    assert back.status_code == 200
    assert 'content="0; url=/console/runs?mapping=1"' in back.text
    cookie = back.headers.getlist("Set-Cookie")[0]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", f"Max-Age={LONGEST_KNOWN}"))
    shown = visitor.client.get("/console").text
    assert "oidc:ada" in shown
    assert "Synchronize now" in shown, "the scope operate was granted"
    assert "New mapping" not in visitor.client.get("/console/mappings").text, "the scope admin was not"
    assert visitor.client.get("/console/mappings/1/edit").status_code == 403


def test_what_they_do_is_written_down_under_their_name_and_signing_out_ends_it(
    lively: World, provider: SignInProvider
) -> None:
    visitor = Visitor(lively, provider)
    visitor.come_back(provider.allow(visitor.ask()))
    csrf = visitor.client.get("/console").text.split('name="csrf" value="')[1].split('"')[0]
    started = visitor.client.post("/console/runs", data={"csrf": csrf, "mapping": "1", "kind": "full"})
    assert started.status_code == 303
    assert lively.get("/sync-runs?limit=1")["items"][0]["requestedBy"] == "oidc:ada"
    visitor.client.post("/console/sign-out", data={"csrf": csrf})
    assert visitor.client.get("/console").status_code == 303


def test_a_session_ends_after_an_hour(lively: World, provider: SignInProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = Visitor(lively, provider)
    visitor.come_back(provider.allow(visitor.ask()))
    assert visitor.client.get("/console").status_code == 200
    monkeypatch.setattr("service.console.session.LONGEST_KNOWN", -1)
    assert visitor.client.get("/console").status_code == 303


@pytest.mark.parametrize(
    ("claims", "access", "granted", "scopes"),
    [
        ({}, None, "accord:read", {"read"}),
        ({"scope": "accord:admin"}, None, "accord:read", {"admin"}),
        ({}, {"scope": "accord:admin"}, "openid", {"admin"}),
        ({}, {"scope": "accord:admin", "sub": "u2"}, "accord:read", {"read"}),
        ({}, {"scope": "accord:admin", "aud": "another"}, "accord:read", {"read"}),
    ],
)
def test_what_they_may_do(
    lively: World, provider: SignInProvider, claims: Any, access: Any, granted: str, scopes: set[str]
) -> None:
    provider.claims, provider.access, provider.granted = claims, access, granted
    visitor = Visitor(lively, provider)
    assert visitor.come_back(provider.allow(visitor.ask())).status_code == 200
    assert visitor.client.get("/console").status_code == 200
    assert (visitor.client.get("/console/runs/new").status_code == 200) == bool(scopes & {"operate", "admin"})
    assert (visitor.client.get("/console/mappings/new").status_code == 200) == ("admin" in scopes)


@pytest.mark.parametrize(
    "claims",
    [{"nonce": "another"}, {"nonce": None}, {"aud": "accord"}, {"iss": "https://elsewhere.example"}, {"exp": 1},
     {"sub": None}, {"iat": None}, {"azp": "another"}],
    ids=str,
)  # fmt: skip
def test_an_identity_that_is_not_right_lets_nobody_in(lively: World, provider: SignInProvider, claims: Any) -> None:
    provider.claims = claims
    visitor = Visitor(lively, provider)
    refused = visitor.come_back(provider.allow(visitor.ask()))
    assert refused.status_code == 403
    assert "let nobody in" in refused.text
    assert 'id="token"' in refused.text
    assert visitor.client.get_cookie(COOKIE, path="/console") is None


def test_a_signature_of_another_lets_nobody_in(lively: World, provider: SignInProvider) -> None:
    visitor = Visitor(lively, provider)
    address = provider.allow(visitor.ask())
    # The keys were fetched with the first question; what is signed from now on is signed by a stranger.
    provider.key = jwk.generate_key("RSA", 2048, {"kid": "k1", "use": "sig"})
    assert visitor.come_back(address).status_code == 403


def test_an_answer_to_a_question_that_this_browser_did_not_ask(lively: World, provider: SignInProvider) -> None:
    ada, eve = Visitor(lively, provider), Visitor(lively, provider)
    eves = provider.allow(eve.ask())
    ada.ask()
    refused = ada.come_back(eves)
    assert refused.status_code == 403
    assert "does not belong to a sign-in that this browser began" in refused.text
    assert Visitor(lively, provider).come_back(eves).status_code == 403
    assert ada.client.get_cookie(ATTEMPT, path="/console/oidc") is None, "each attempt is good once"


def test_an_answer_of_another_provider_is_refused(lively: World, provider: SignInProvider) -> None:
    visitor = Visitor(lively, provider)
    address = provider.answer(visitor.ask(), code="x", iss="https://elsewhere.example")
    assert visitor.come_back(address).status_code == 403


def test_the_reason_of_the_provider_is_told_as_text(lively: World, provider: SignInProvider) -> None:
    visitor = Visitor(lively, provider)
    said = "<script>alert(1)</script>"
    refused = visitor.come_back(provider.answer(visitor.ask(), error="access_denied", error_description=said))
    assert refused.status_code == 403
    assert "&lt;script&gt;alert(1)" in refused.text
    assert said not in refused.text
    refused = visitor.come_back(provider.answer(visitor.ask(), error="access_denied"))
    assert "let nobody in: access_denied" in refused.text


def test_who_may_do_nothing_here_is_told_so(lively: World, provider: SignInProvider) -> None:
    provider.granted = "openid profile"
    visitor = Visitor(lively, provider)
    refused = visitor.come_back(provider.allow(visitor.ask()))
    assert refused.status_code == 403
    assert "knows oidc:ada, and says of nothing here" in refused.text


def test_a_provider_that_does_not_answer(lively: World, provider: SignInProvider) -> None:
    visitor = Visitor(lively, provider)
    address = provider.allow(visitor.ask())
    provider.broken = True
    assert "let nobody in" in visitor.come_back(address).text
    away = Visitor(lively, provider).client.get("/console/oidc/start")
    assert away.status_code == 503
    assert "identity provider does not answer" in away.text or "cannot be fetched" in away.text


def test_a_code_is_good_once_and_a_wrong_secret_never(lively: World, provider: SignInProvider) -> None:
    visitor = Visitor(lively, provider)
    address = provider.allow(visitor.ask())
    cookie = visitor.client.get_cookie(ATTEMPT, path="/console/oidc")
    assert cookie is not None
    assert visitor.come_back(address).status_code == 200
    visitor.client.set_cookie(ATTEMPT, cookie.value, path="/console/oidc")
    assert "invalid_grant" in visitor.come_back(address).text
    liar = Visitor(lively, provider, oidc_client_secret="wrong")
    assert "invalid_client" in liar.come_back(provider.allow(liar.ask())).text


def test_a_public_client_and_an_address_behind_a_proxy(lively: World) -> None:
    provider = SignInProvider(secret=None)
    visitor = Visitor(lively, provider, oidc_redirect_url="https://localhost/console/oidc/back")
    asked = visitor.client.get("/console/oidc/start", base_url="https://localhost")
    question = {name: values[0] for name, values in parse_qs(urlsplit(asked.location).query).items()}
    assert question["redirect_uri"] == "https://localhost/console/oidc/back"
    assert "Secure" in asked.headers["Set-Cookie"]
    back = visitor.client.get(provider.allow(question).removeprefix("https://localhost"), base_url="https://localhost")
    assert back.status_code == 200
    assert "Secure" in back.headers.getlist("Set-Cookie")[0]
    provider.close()


def test_where_nobody_has_set_it_up_there_is_none(lively: World) -> None:
    client = lively.app.test_client()
    assert "/console/oidc/start" not in client.get("/console/sign-in").text
    assert client.get("/console/oidc/start").status_code == 404


def test_a_token_of_the_provider_begins_no_session(lively: World, provider: SignInProvider) -> None:
    visitor = Visitor(lively, provider)
    visitor.ask()
    provider.access = {"scope": "accord:admin"}
    text = provider.signed(
        {"iss": provider.url, "aud": "accord", "sub": "u1", "exp": 4_000_000_000, "scope": "accord:admin"}
    )
    assert visitor.client.get("/connections", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    refused = visitor.client.post("/console/sign-in", data={"token": text})
    assert refused.status_code == 403
    assert visitor.client.get_cookie(COOKIE, path="/console") is None


def test_settings() -> None:
    told = {
        "ACCORD_OIDC_ISSUER": "https://id.example.com",
        "ACCORD_OIDC_AUDIENCE": "accord",
        "ACCORD_OIDC_CLIENT_ID": CLIENT,
        "ACCORD_OIDC_CLIENT_SECRET": SECRET,
        "ACCORD_OIDC_SIGN_IN_SCOPE": "openid  accord:read",
        "ACCORD_OIDC_REDIRECT_URL": "https://accord.example.com/console/oidc/back",
    }
    client = read_settings(told).client
    assert client is not None
    assert (client.id, client.secret, client.scope) == (CLIENT, SECRET, "openid accord:read")
    assert SECRET not in repr(read_settings(told))
    assert read_settings({}).client is None
    wrong = (
        {"ACCORD_OIDC_CLIENT_ID": CLIENT},
        {**told, "ACCORD_OIDC_SIGN_IN_SCOPE": "profile"},
        {**told, "ACCORD_OIDC_REDIRECT_URL": "https://accord.example.com/"},
        {**told, "ACCORD_OIDC_REDIRECT_URL": "accord.example.com/console/oidc/back"},
    )
    for one in wrong:
        with pytest.raises(SettingsWrong, match="ACCORD_OIDC"):
            read_settings(one)

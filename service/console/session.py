"""Sessions: a signed cookie that names a token, or somebody whom an identity provider knows, and the word that each of
its forms carries.

A token itself is not in it. Whatever happens to the token (revoked, expired) holds for its sessions at once. What a
provider said of somebody holds for an hour; then it is asked again.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, g, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer

from service.console.pages import context, go, own_address, said, show
from service.core.errors import AccordError
from service.operations import tokens
from service.operations.oidc_sign_in import Attempt, SignIn, SignInRefused
from service.operations.tokens import Principal
from service.store.database import connection

COOKIE = "accord_session"
LONGEST = 12 * 3600
"""Seconds after which one has to sign in again."""

LONGEST_KNOWN = 3600
"""Seconds for which what a provider said of somebody is good."""

ATTEMPT = "accord_sign_in"
"""The cookie with what has to be remembered while somebody is at the provider."""

_ATTEMPT_PATH = "/console/oidc"
_LONGEST_ATTEMPT = 600


class Session:
    """What the cookie of a request says; nothing, when there is none that is good."""

    def __init__(self, token_id: int | None = None, csrf: str = "", known: Principal | None = None) -> None:
        self.token_id = token_id
        self.csrf = csrf
        self._known = known

    def principal(self) -> Principal | None:
        """Who is signed in."""
        return self._known if self.token_id is None else tokens.recognize(context(), self.token_id)

    def own_form(self, given: str) -> bool:
        """Whether a form was made by a page of this session."""
        return bool(self.csrf) and hmac.compare_digest(self.csrf.encode(), given.encode())


def install(
    blueprint: Blueprint, secret_key: str, authenticate: Callable[[str], Principal], provider: SignIn | None
) -> None:
    """Know who is signed in, and let people sign in and out."""
    # The last key signs; ours is the first, and the others still hold until they are dropped.
    keys = list(reversed(secret_key.split(",")))
    signer = URLSafeTimedSerializer(keys, salt="accord console")
    if provider is not None:
        _install_provider(blueprint, provider, signer, URLSafeTimedSerializer(keys, salt="accord sign-in"))

    @blueprint.before_request
    def read() -> None:
        g.console_session = _read(signer, request.cookies.get(COOKIE, ""))
        g.console_provider = provider.provider if provider is not None else None

    @blueprint.get("/sign-in")
    def sign_in() -> Any:
        return show("sign_in", next=own_address(request.args.get("next", "")), sentences=[])

    @blueprint.post("/sign-in")
    def signed_in() -> Any:
        wanted = own_address(request.form.get("next", ""))
        # A form of another site must not sign somebody in as somebody else.
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return show("sign_in", 403, next=wanted, sentences=[])
        try:
            with connection():
                who = authenticate(request.form.get("token", "").strip())
            if who.token_id is None:
                # A token of the provider is for the API: it may end at any time, and would not be asked again.
                raise SignInRefused("token_invalid")
        except AccordError as error:
            return show("sign_in", 403, next=wanted, sentences=said(error))
        answer = go(wanted)
        _begin(answer, signer, who)
        return answer

    @blueprint.post("/sign-out")
    def sign_out() -> Any:
        answer = go("/console/sign-in")
        if g.console_session.own_form(request.form.get("csrf", "")):
            answer.delete_cookie(COOKIE, path="/console")
        return answer


def _install_provider(
    blueprint: Blueprint, provider: SignIn, signer: URLSafeTimedSerializer, attempts: URLSafeTimedSerializer
) -> None:
    """Let people sign in with an identity provider. A link leads there, since a form may not lead to another site."""

    def back() -> str:
        return provider.client.redirect_url or url_for("console.oidc_back", _external=True)

    def secure() -> bool:
        return request.is_secure or urlsplit(back()).scheme == "https"

    @blueprint.get("/oidc/start")
    def oidc_start() -> Any:
        wanted = own_address(request.args.get("next", ""))
        try:
            address, attempt = provider.begin(back())
        except AccordError as error:
            return show("sign_in", 503, next=wanted, sentences=said(error))
        answer = go(address)
        answer.set_cookie(
            ATTEMPT,
            attempts.dumps([asdict(attempt), wanted]),
            max_age=_LONGEST_ATTEMPT,
            path=_ATTEMPT_PATH,
            httponly=True,
            # Strict would keep it from coming along when the provider sends somebody back.
            samesite="Lax",
            secure=secure(),
        )
        return answer

    @blueprint.get("/oidc/back")
    def oidc_back() -> Any:
        wanted = "/console"
        try:
            attempt, wanted = _attempt(attempts, request.cookies.get(ATTEMPT, ""))
            who = provider.finish(attempt, _code(attempt, provider.provider), back())
        except AccordError as error:
            answer = show("sign_in", 403, next=wanted, sentences=said(error))
        else:
            # Who comes from another site does not bring along a cookie for our own pages alone: this page leads on.
            answer = show("signed_in", next=wanted)
            _begin(answer, signer, who, secure=secure())
        answer.delete_cookie(ATTEMPT, path=_ATTEMPT_PATH)
        return answer


def _attempt(attempts: URLSafeTimedSerializer, text: str) -> tuple[Attempt, str]:
    try:
        remembered, wanted = attempts.loads(text, max_age=_LONGEST_ATTEMPT)
        return Attempt(**remembered), own_address(wanted)
    except (BadSignature, ValueError, TypeError):
        raise SignInRefused("sign_in_expired") from None


def _code(attempt: Attempt, issuer: str) -> str:
    """The code that the provider sent along, to the question that this browser has asked it and nobody else."""
    given = request.args
    if given.get("iss", issuer) != issuer or not hmac.compare_digest(
        given.get("state", "").encode(), attempt.state.encode()
    ):
        raise SignInRefused("sign_in_expired")
    if "code" not in given:
        detail = given.get("error_description") or given.get("error") or "?"
        raise SignInRefused("sign_in_refused", detail=detail[:200])
    return given["code"]


def _read(signer: URLSafeTimedSerializer, text: str) -> Session:
    try:
        held, csrf = signer.loads(text, max_age=LONGEST)
        if isinstance(held, int):
            return Session(held, csrf)
        identity, name, scopes = signer.loads(text, max_age=LONGEST_KNOWN)[0]
        return Session(None, csrf, Principal(identity, name, tuple(scopes)))
    except (BadSignature, ValueError, TypeError):
        return Session()


def _begin(answer: Any, signer: URLSafeTimedSerializer, who: Principal, secure: bool = False) -> None:
    held = who.token_id if who.token_id is not None else [who.identity, who.name, who.scopes]
    answer.set_cookie(
        COOKIE,
        signer.dumps([held, secrets.token_urlsafe(16)]),
        max_age=LONGEST if who.token_id is not None else LONGEST_KNOWN,
        path="/console",
        httponly=True,
        samesite="Strict",
        secure=secure or request.is_secure,
    )

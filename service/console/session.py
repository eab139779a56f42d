"""Sessions: a signed cookie that names a token, and the word that each of its forms carries.

The token itself is not in it. Whatever happens to the token (revoked, expired) holds for its sessions at once.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Any

from flask import Blueprint, g, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from service.console.pages import context, go, own_address, said, show
from service.core.errors import AccordError
from service.operations import tokens
from service.operations.tokens import Principal
from service.store.database import connection

COOKIE = "accord_session"
LONGEST = 12 * 3600
"""Seconds after which one has to sign in again."""


class Session:
    """What the cookie of a request says; nothing, when there is none that is good."""

    def __init__(self, token_id: int | None = None, csrf: str = "") -> None:
        self.token_id = token_id
        self.csrf = csrf

    def principal(self) -> Principal | None:
        """Who is signed in."""
        return None if self.token_id is None else tokens.recognize(context(), self.token_id)

    def own_form(self, given: str) -> bool:
        """Whether a form was made by a page of this session."""
        return bool(self.csrf) and hmac.compare_digest(self.csrf.encode(), given.encode())


def install(blueprint: Blueprint, secret_key: str, authenticate: Callable[[str], Principal]) -> None:
    """Know who is signed in, and let people sign in and out."""
    # The last key signs; ours is the first, and the others still hold until they are dropped.
    signer = URLSafeTimedSerializer(list(reversed(secret_key.split(","))), salt="accord console")

    @blueprint.before_request
    def read() -> None:
        g.console_session = _read(signer, request.cookies.get(COOKIE, ""))

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
        except AccordError as error:
            return show("sign_in", 403, next=wanted, sentences=said(error))
        answer = go(wanted)
        if who.token_id is not None:
            _set(answer, signer.dumps([who.token_id, secrets.token_urlsafe(16)]))
        return answer

    @blueprint.post("/sign-out")
    def sign_out() -> Any:
        answer = go("/console/sign-in")
        if g.console_session.own_form(request.form.get("csrf", "")):
            answer.delete_cookie(COOKIE, path="/console")
        return answer


def _read(signer: URLSafeTimedSerializer, text: str) -> Session:
    try:
        token_id, csrf = signer.loads(text, max_age=LONGEST)
    except (BadSignature, ValueError, TypeError):
        return Session()
    return Session(token_id, csrf)


def _set(answer: Any, value: str) -> None:
    answer.set_cookie(
        COOKIE, value, max_age=LONGEST, path="/console", httponly=True, samesite="Strict", secure=request.is_secure
    )

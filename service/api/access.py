"""Who asks, and whether they may: bearer tokens with scopes."""

from __future__ import annotations

import structlog
from flask import current_app, g, request

from service.api.limiting import address, count_request, counters
from service.core.errors import AccordError
from service.operations import tokens
from service.operations.audit import ASKED_WITH
from service.operations.context import Context
from service.operations.oidc import Oidc
from service.operations.tokens import Principal, Scope

OIDC = "accord-oidc"
"""Where the app keeps the provider of tokens that are not our own, if there is one."""

REALM = 'Bearer realm="accord"'


class NotSignedIn(AccordError):
    """No token, or none that is good."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.challenge = REALM if code == "token_missing" else f'{REALM}, error="invalid_token"'


class NotAllowed(AccordError):
    """The token lacks a scope."""

    def __init__(self, scope: Scope) -> None:
        super().__init__("scope_missing", scope=scope.value)
        self.challenge = f'{REALM}, error="insufficient_scope", scope="{scope.value}"'


def context() -> Context:
    """What operations are handed."""
    found: Context = current_app.extensions["accord"]
    return found


def principal() -> Principal:
    """Who asks; only inside an operation that needs a token."""
    found: Principal = g.accord_principal
    return found


def actor() -> str:
    """Who asks, as runs and audit entries name them."""
    return principal().actor


def authenticated(token: str) -> Principal:
    """Whose token this is. Raises NotSignedIn, and TooMany for who guesses."""
    counters().refuse_guessers(address(), token)
    oidc: Oidc | None = current_app.extensions.get(OIDC)
    # Our own tokens have no dots, and a JWT has two.
    found = oidc.authenticate(token) if oidc and token.count(".") == 2 else tokens.authenticate(context(), token)
    if found is None:
        counters().count_wrong(address(), token)
        raise NotSignedIn("token_invalid")
    counters().remember_good(address(), token)
    return found


def assert_may(scope: Scope) -> None:
    """Refuse a request without a good token that has this scope."""
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        raise NotSignedIn("token_missing")
    found = authenticated(given.token)
    count_request(found.identity)
    g.accord_principal = found
    structlog.contextvars.bind_contextvars(**{ASKED_WITH: found.token_id})
    if not found.may(scope):
        raise NotAllowed(scope)

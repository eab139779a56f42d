"""Who may ask for what: tokens with scopes. A token is shown once; only its digest is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from service.core.errors import Conflict, NotFound
from service.core.records import Stamp
from service.operations import audit
from service.operations.context import Context
from service.store import tokens as store
from service.store.models import Token
from service.store.sql import Clash, transaction

FIRST = "first"
"""The name of the token that the settings name."""

_PREFIX = "accord_"
_REMEMBER_USE_EVERY = 60_000_000


class Scope(StrEnum):
    """What a token allows; each scope includes those before it."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


_ORDER = tuple(Scope)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `identity` is the same for two requests of one caller, and of nobody else."""

    identity: str
    name: str
    scopes: tuple[str, ...]
    token_id: int | None = None

    @property
    def actor(self) -> str:
        """How runs and audit entries name them."""
        return self.name

    def may(self, scope: Scope) -> bool:
        """Whether one of the scopes includes this one."""
        return any(_ORDER.index(Scope(own)) >= _ORDER.index(scope) for own in self.scopes)


def make_text() -> str:
    """A new token: 256 random bits, with a prefix by which scanners for leaked secrets can tell it."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest(text: str) -> str:
    """What is kept of a token. Tokens are random and long, so that a plain hash cannot be reversed by guessing."""
    return hashlib.sha256(text.encode()).hexdigest()


def authenticate(context: Context, text: str) -> Principal | None:
    """Whose token this is; None when it is unknown, expired or revoked."""
    token = store.by_digest(digest(text))
    now = context.now()
    if token is None or not _good(token, now):
        return None
    if token.last_used_at is None or now - token.last_used_at >= _REMEMBER_USE_EVERY:
        store.used(token.id, now)
    return Principal(f"token:{token.id}", token.name, tuple(token.scopes), token.id)


def _good(token: Token, now: Stamp) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def recognize(context: Context, id: int) -> Principal | None:
    """Whose token this is, for a session that was begun with it; None when it is revoked or expired."""
    token = store.by_id(id)
    if token is None or not _good(token, context.now()):
        return None
    return Principal(f"token:{token.id}", token.name, tuple(token.scopes), token.id)


def create(
    context: Context, name: str, scopes: Collection[str], expires_at: Stamp | None, actor: str
) -> tuple[Token, str]:
    """A new token, and its text, which cannot be read again."""
    text = make_text()
    ordered = [scope.value for scope in _ORDER if scope in scopes]
    columns = {"name": name, "digest": digest(text), "scopes": ordered, "expires_at": expires_at}
    with transaction():
        token = store.insert({**columns, "created_at": context.now()})
        shown = {"name": name, "scopes": ordered, "expiresAt": expires_at}
        audit.record(context, actor, "create", "token", token.id, after=shown)
    return token, text


def ensure_first(context: Context, text: str) -> None:
    """Let the token of the settings in, with all scopes. One that was revoked stays revoked."""
    if store.by_digest(digest(text)) is None:
        columns = {"name": FIRST, "digest": digest(text), "scopes": [Scope.ADMIN.value], "expires_at": None}
        # Several processes may start at once; one of them lets it in.
        with suppress(Clash), transaction():
            token = store.insert({**columns, "created_at": context.now()})
            audit.record(context, "settings", "create", "token", token.id, after={"name": FIRST})


def list_tokens(*, before: int | None, limit: int) -> list[Token]:
    """Up to `limit` + 1 tokens that are not revoked, newest first."""
    return store.page(before, limit)


def revoke(context: Context, id: int, principal: Principal) -> None:
    """End a token at once. Nobody revokes the token they are using."""
    if id == principal.token_id:
        raise Conflict("token_in_use")
    with transaction():
        ended = store.revoke(id, context.now())
        if ended is None:
            raise NotFound("token", id)
        audit.record(context, principal.actor, "delete", "token", id, before={"name": ended.name})

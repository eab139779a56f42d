"""Queries on tokens. A revoked token stays, so that nobody else's can ever be taken for it, but is not listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.core.records import Stamp
from service.store.models import Token


def by_digest(digest: str) -> Token | None:
    """The token with this digest, revoked or not."""
    # Asked for by each request: Peewee would take ten times as long to write the statement.
    found = Token.listed("WHERE digest = ?", digest)
    return found[0] if found else None


def by_id(id: int) -> Token | None:
    """The token with this id, revoked or not."""
    return Token.of_id(id)


def page(before: int | None, limit: int) -> list[Token]:
    """Up to `limit` + 1 tokens that are not revoked, newest first."""
    return Token.newest({}, before, limit, ("revoked_at IS NULL", ()))


def insert(columns: Mapping[str, Any]) -> Token:
    """A new token."""
    made: Token = Token.create(**columns)
    return made


def revoke(id: int, now: Stamp) -> Token | None:
    """End a token; the token, or None where there is none to end."""
    query = Token.update(revoked_at=now).where((Token.id == id) & Token.revoked_at.is_null())
    return Token.get_by_id(id) if query.execute() else None


def used(id: int, now: Stamp) -> None:
    """Remember when a token was used last."""
    Token.update(last_used_at=now).where(Token.id == id).execute()

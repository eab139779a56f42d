"""Idempotency keys: which POST is being answered, and what the answer was."""

from __future__ import annotations

from typing import Any

from service.core.records import Stamp
from service.store.models import IdempotencyKey


def reserve(principal: str, key: str, digest: str, owner: str, now: Stamp) -> int | None:
    """Take a key for a request that starts now; None when it is taken already."""
    made = (
        IdempotencyKey.insert(principal=principal, key=key, request_digest=digest, owner=owner, created_at=now)
        .on_conflict_ignore()
        .returning(IdempotencyKey.id)
    )
    rows = list(made.execute())
    return rows[0].id if rows else None


def find(principal: str, key: str) -> IdempotencyKey | None:
    """The row of a key."""
    own = (IdempotencyKey.principal == principal) & (IdempotencyKey.key == key)
    found: IdempotencyKey | None = IdempotencyKey.get_or_none(own)
    return found


def take_over(id: int, old_owner: str, owner: str, now: Stamp) -> bool:
    """Take an unanswered request from an owner who is gone; only one taker succeeds."""
    unanswered = IdempotencyKey.response_status.is_null() & (IdempotencyKey.owner == old_owner)
    query = IdempotencyKey.update(owner=owner, created_at=now).where((IdempotencyKey.id == id) & unanswered)
    return bool(query.execute())


def finish(id: int, status: int, headers: list[list[str]], body: str) -> None:
    """Keep the answer."""
    answer: dict[str, Any] = {"response_status": status, "response_headers": headers, "response_body": body}
    IdempotencyKey.update(answer).where(IdempotencyKey.id == id).execute()


def release(id: int) -> None:
    """Forget a request that changed nothing."""
    IdempotencyKey.delete().where(IdempotencyKey.id == id).execute()


def forget_before(moment: Stamp) -> int:
    """Forget answers that were given before `moment`."""
    return int(IdempotencyKey.delete().where(IdempotencyKey.created_at < moment).execute())

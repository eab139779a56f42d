"""Exchanging the keys of what is encrypted at rest."""

from __future__ import annotations

from service.operations import audit
from service.operations.context import Context
from service.store import secrets as store
from service.store.sql import transaction


def rotate(context: Context, actor: str) -> tuple[int, list[tuple[str, int]]]:
    """Encrypt everything anew with the first key.

    Returns how many texts that were, and the tables and ids of those that no present key opens: they stay as they are.
    """
    with transaction():
        done, lost = store.rewrite(context.secrets.renewed)
        audit.record(context, actor, "rotate", "secrets", after={"encrypted": done, "lost": len(lost)})
    return done, lost

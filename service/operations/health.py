"""Whether the service can do its work."""

from __future__ import annotations

from service.core.errors import AccordError
from service.store.database import database, pending_migrations
from service.store.integrity import BROKEN_RULE, MISTAKES, UNREACHABLE

__all__ = ["BROKEN_RULE", "MISTAKES", "UNREACHABLE", "NotReady", "assert_ready"]


class NotReady(AccordError):
    """The service cannot work now; the code says why: `database_unreachable`, `migrations_pending`."""


def assert_ready() -> None:
    """Raise NotReady while the database cannot be used."""
    try:
        with database.connection_context() if database.is_closed() else database.atomic():
            pending = pending_migrations()
    except UNREACHABLE as error:
        raise NotReady("database_unreachable") from error
    if pending:
        raise NotReady("migrations_pending", count=len(pending))

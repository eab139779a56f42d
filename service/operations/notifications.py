"""Applications that say themselves that something changed. Each connection has a secret for that; what is said is a
hint and nothing more: the runs that it starts look for themselves."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection

from service.core.errors import AccordError, NotFound
from service.operations import audit, changes, connections
from service.operations.context import Context
from service.operations.tokens import digest
from service.store import connections as store
from service.store.models import Connection, SyncRun
from service.store.sql import transaction

_ENTITY = re.compile(r"([\w.]+)(?:\([^)]*\))?(?:\?.*)?$")


class NotificationRefused(AccordError):
    """It does not carry the secret of its connection, or there is no such connection: nobody is told which."""

    def __init__(self) -> None:
        super().__init__("notification_refused")


def make_secret(context: Context, connection_id: int, actor: str) -> str:
    """A new secret for notifications of a connection, which cannot be read again; the old one is no good any more."""
    connections.get(connection_id)
    text = secrets.token_urlsafe(32)
    with transaction():
        store.remember_notification(connection_id, digest(text))
        audit.record(context, actor, "update", "connection", connection_id, after={"notificationSecret": True})
    return text


def assert_takes(connection_id: int) -> None:
    """Raise NotificationRefused for a connection that takes no notifications."""
    _taking(connection_id)


def notify(context: Context, connection_id: int, given: Collection[str], entities: Collection[str]) -> list[SyncRun]:
    """Start the runs of the mappings that use one of these entities; every secret that was given must be the right one.

    Raises NotificationRefused.
    """
    row = _taking(connection_id)
    right = [hmac.compare_digest(digest(one), row.notification_digest or "") for one in given]
    if not right or not all(right):
        raise NotificationRefused
    names = {name for entity in entities for name in _names(entity)}
    return changes.announce(context, connection_id, names, f"notification of {row.name}")


def _taking(connection_id: int) -> Connection:
    try:
        row = connections.get(connection_id)
    except NotFound:
        raise NotificationRefused from None
    if row.notification_digest is None:
        raise NotificationRefused
    return row


def _names(entity: str) -> set[str]:
    """The names that the table of an entity may have: Dataverse says `account` where the table is `accounts`, Business
    Central says `companies(...)/customers(...)`."""
    found = _ENTITY.search(entity.rstrip("/").rpartition("/")[2])
    if found is None:
        return set()
    name = found[1]
    plural = (
        re.sub(r"y$", "ies", name) if re.search(r"[^aeiou]y$", name) else re.sub(r"(s|x|z|ch|sh)$", r"\1e", name) + "s"
    )
    return {name, plural}

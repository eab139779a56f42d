"""Webhooks: whom we tell what happened. `announcements` says what is told, `webhook_delivery` tells it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from service.connectors.http.addresses import Reach, refusal
from service.core.errors import Conflict, Invalid, NotFound, Problem, Stale
from service.operations import audit
from service.operations.context import Context, SecretLost
from service.store import webhooks as store
from service.store.models import Webhook
from service.store.sql import transaction

MOST = 50
"""So many webhooks at most: each event is sent to all that want it."""

OVERLAP = 86_400 * 1_000_000
"""Microseconds for which messages are signed with the secret before the last one, too."""

DELIVERY_STATUSES = store.STATUSES


def get(id: int) -> Webhook:
    """One webhook."""
    found = store.get(id)
    if found is None:
        raise NotFound("webhook", id)
    return found


def list_webhooks(*, before: int | None, limit: int) -> list[Webhook]:
    """Up to `limit` + 1 webhooks, newest first."""
    return store.page(before, limit)


def list_deliveries(id: int, *, status: str | None = None, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` + 1 deliveries to a webhook, newest first."""
    get(id)
    return store.deliveries(id, status, before, limit)


def create(context: Context, given: Mapping[str, Any], actor: str) -> tuple[Webhook, str]:
    """A new webhook, and the secret that its messages are signed with, which cannot be read again."""
    _assert_address(context, given["url"])
    text = _new_secret()
    now = context.now()
    sealed = {"secret": context.secrets.seal({"secret": text}), "created_at": now, "updated_at": now}
    with transaction():
        if store.count() >= MOST:
            raise Conflict("too_many_webhooks", most=MOST)
        id = store.insert({**given, **sealed})
        audit.record(context, actor, "create", "webhook", id, after=_shown(given))
    return get(id), text


def change(context: Context, id: int, changes: Mapping[str, Any], expected: int | None, actor: str) -> Webhook:
    """Change some of a webhook; enabling it forgets why it was disabled."""
    row = get(id)
    if "url" in changes:
        _assert_address(context, changes["url"])
    cleared = {"disabled_code": None} if "enabled" in changes else {}
    before = _shown({name: getattr(row, name) for name in ("url", "description", "events", "enabled")})
    with transaction():
        if not store.update(id, expected or row.version, {**changes, **cleared, "updated_at": context.now()}):
            raise Stale("webhook", id)
        audit.record_change(context, actor, "webhook", id, before, _shown(changes))
    return get(id)


def renew_secret(context: Context, id: int, expected: int | None, actor: str) -> tuple[Webhook, str]:
    """A new secret, which cannot be read again. For a day messages are signed with the one before, too, so that the
    receiver can be told the new one meanwhile; one whose key was lost just ends."""
    row = get(id)
    text, now = _new_secret(), context.now()
    held: dict[str, Any] = {"secret": text}
    with suppress(SecretLost):
        held |= {"before": context.secrets.open(row.secret)["secret"], "until": now + OVERLAP}
    with transaction():
        if not store.update(id, expected or row.version, {"secret": context.secrets.seal(held), "updated_at": now}):
            raise Stale("webhook", id)
        audit.record(context, actor, "update", "webhook", id, after={"secret": "renewed"})
    return get(id), text


def signing_secrets(context: Context, sealed: str) -> list[str]:
    """The secrets that a message is signed with now. Raises SecretLost."""
    held = context.secrets.open(sealed)
    return [held["secret"], *([held["before"]] if held.get("until", 0) > context.now() else [])]


def delete(context: Context, id: int, expected: int | None, actor: str) -> None:
    """Delete a webhook with what waits for it."""
    row = get(id)
    with transaction():
        if not store.delete(id, expected or row.version):
            raise Stale("webhook", id)
        audit.record(context, actor, "delete", "webhook", id, before=_shown({"url": row.url}))


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _assert_address(context: Context, url: str) -> None:
    """Refuse what cannot be an address, or names one that is never reached; names are looked up when it is used."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("http", "https") or parts.username or parts.fragment or port == 0:
        raise Invalid([Problem("/url", "webhook_url_wrong")])
    try:
        literal = str(ip_address(host))
    except ValueError:
        return
    refused = refusal(host, literal, Reach(context.private_networks, literals=False))
    if refused is not None:
        raise Invalid([Problem("/url", refused.code, refused.params)])


def _shown(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as an audit entry may hold them. Addresses of webhooks often have a secret in their path."""
    shown = {name: value for name, value in columns.items() if name != "url"}
    return shown | ({"origin": _origin(columns["url"])} if "url" in columns else {})


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

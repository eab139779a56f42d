"""Telling webhooks what happened: signed, bounded, and again and again over days until it arrives.

No transaction is open while a webhook is asked. Each webhook is told one event at a time, several webhooks at once, so
that a slow one does not keep the others waiting for long.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from standardwebhooks import Webhook as Signer

from service.connectors.http import HttpClient, NoAuth, Reach, Shared, Timeouts
from service.core.failures import SideFailed
from service.core.records import Stamp, moment_of
from service.operations import audit
from service.operations.context import Context, SecretLost
from service.operations.webhooks import signing_secrets
from service.store import webhooks as store
from service.store.sql import transaction
from service.store.webhooks import Due

PAUSES = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds between one attempt and the next: the schedule that the Standard Webhooks specification recommends. With the
first attempt that is ten over three days."""

JITTER = 0.2
"""Each pause is up to so much longer: what failed together shall not come back together."""

KEPT = 14 * 86_400 * 1_000_000
"""Microseconds that events and what came of them can be looked at."""

_AT_ONCE = 8
_CLAIMED = 60_000_000
_TIMEOUTS = Timeouts(connect=5.0, read=10.0, total=15.0)
_LONGEST_WISH = 86_400.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Told:
    """What came of an attempt: a status of HTTP, or the code of why there was none. `wish`: seconds to wait."""

    status: int | None = None
    code: str | None = None
    wish: float = 0.0

    @property
    def arrived(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def deliver_due(context: Context) -> int:
    """Attempt what is due now, and write down what came of it; returns how many attempts that were."""
    due = store.claim(context.now(), context.now() + _CLAIMED, _AT_ONCE)
    for delivery, told in zip(due, _all_told(context, due), strict=True):
        _record(context, delivery, told)
    return len(due)


def forget_old(context: Context) -> int:
    """Forget events that nobody will look at any more."""
    return store.forget_before(context.now() - KEPT)


def _all_told(context: Context, due: Sequence[Due]) -> list[Told]:
    if not due:
        return []
    with ThreadPoolExecutor(len(due), thread_name_prefix="webhook") as several:
        return list(several.map(lambda delivery: tell(context, delivery), due))


def tell(context: Context, delivery: Due) -> Told:
    """One attempt. Redirects are not followed, and addresses are checked as they are resolved."""
    try:
        headers = _signed(context, delivery)
    except SecretLost:
        return Told(code="secret_lost")
    reach = Reach(context.private_networks, literals=False)
    client = HttpClient(
        delivery.url, shared=Shared(), auth=NoAuth(), reach=reach, timeouts=_TIMEOUTS, refuses=False, largest=65_536
    )
    try:
        answer = client.send("POST", headers=headers, body=delivery.payload.encode())
    except SideFailed as error:
        return Told(code=error.failure.code)
    finally:
        client.close()
    return Told(answer.status, wish=min(answer.retry_after or 0.0, _LONGEST_WISH))


def _signed(context: Context, delivery: Due) -> dict[str, str]:
    """The headers of the Standard Webhooks specification; every attempt has a time of its own."""
    now = moment_of(context.now())
    signers = [Signer(secret) for secret in signing_secrets(context, delivery.secret)]
    return {
        "Content-Type": "application/json",
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(one.sign(delivery.message_id, now, delivery.payload) for one in signers),
    }


def _record(context: Context, delivery: Due, told: Told) -> None:
    now = context.now()
    last = delivery.attempt > len(PAUSES)
    status = "delivered" if told.arrived else "failed" if last or told.status == 410 else "waiting"
    why = None
    if told.status == 410:
        why = "gone"
    elif status == "failed" and not store.delivered_since(delivery.webhook_id, delivery.created_at):
        why = "failing"
    with transaction():
        store.record(delivery.id, status, _next(delivery, told, now), told.status, told.code)
        if why is not None and store.disable(delivery.webhook_id, why, now):
            after = {"enabled": False, "disabledCode": why}
            audit.record(context, "webhooks", "update", "webhook", delivery.webhook_id, {"enabled": True}, after)
    seen = {"webhook_id": delivery.webhook_id, "message_id": delivery.message_id, "attempt": delivery.attempt}
    log.info("webhook_told", outcome=status, status=told.status, code=told.code, **seen)


def _next(delivery: Due, told: Told, now: Stamp) -> Stamp:
    """When it is attempted again: by the schedule, and not before the receiver wishes."""
    pause = PAUSES[min(delivery.attempt, len(PAUSES)) - 1] * (1 + JITTER * random.random())  # noqa: S311
    return now + int(max(pause, told.wish) * 1_000_000)

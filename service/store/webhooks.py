"""Webhooks, the events they are told, and each event on its way: an outbox that is written with what it tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.core.records import Stamp
from service.store import sql
from service.store.models import Webhook, WebhookDelivery, WebhookEvent

STATUSES = ("waiting", "delivered", "failed")

MOST_WAITING = 10_000
"""Deliveries that may wait for one webhook; what comes beyond that is not told to it."""


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that was claimed, with everything that is needed to send it. `attempt` counts from 1."""

    id: int
    webhook_id: int
    url: str
    secret: str
    message_id: str
    payload: str
    attempt: int
    created_at: Stamp


def get(id: int) -> Webhook | None:
    """One webhook."""
    return Webhook.of_id(id)


def page(before: int | None, limit: int) -> list[Webhook]:
    """Up to `limit` + 1 webhooks, newest first."""
    return Webhook.newest({}, before, limit)


def count() -> int:
    """How many there are."""
    return int(sql.rows("SELECT count(*) FROM webhooks")[0][0])


def insert(columns: Mapping[str, Any]) -> int:
    """A new webhook; its id."""
    return int(Webhook.insert(**columns).execute())


def update(id: int, version: int, columns: Mapping[str, Any]) -> bool:
    """Change it if it still has this version, and count the version up."""
    query = Webhook.update({**columns, "version": version + 1})
    return bool(query.where((Webhook.id == id) & (Webhook.version == version)).execute())


def delete(id: int, version: int) -> bool:
    """Delete it with its deliveries, if it still has this version."""
    return bool(Webhook.delete().where((Webhook.id == id) & (Webhook.version == version)).execute())


def deliveries(webhook_id: int, status: str | None, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` + 1 deliveries to a webhook with what they tell, newest first."""
    query = (
        WebhookDelivery.select(WebhookDelivery, WebhookEvent.message_id, WebhookEvent.type, WebhookEvent.created_at)
        .join(WebhookEvent, on=(WebhookEvent.id == WebhookDelivery.event_id))
        .where(WebhookDelivery.webhook_id == webhook_id)
    )
    if status is not None:
        query = query.where(WebhookDelivery.status == status)
    if before is not None:
        query = query.where(WebhookDelivery.id < before)
    found: Any = query.order_by(WebhookDelivery.id.desc()).limit(limit + 1).dicts()
    return [dict(row) for row in found]


# The outbox


def subscribers() -> dict[int, list[str]]:
    """The kinds of events that each enabled webhook wants."""
    return {row.id: row.events for row in Webhook.select(Webhook.id, Webhook.events).where(Webhook.enabled)}


def announce(message_id: str, type: str, payload: str, webhook_ids: Sequence[int], now: Stamp) -> None:
    """Write down an event and its deliveries, inside the transaction of what happened."""
    event = WebhookEvent.insert(message_id=message_id, type=type, payload=payload, created_at=now).execute()
    sql.execute(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, status, attempts, next_due)"
        f" SELECT id, ?, 'waiting', 0, ? FROM webhooks WHERE {sql.among('id')} AND (SELECT count(*) FROM"
        " webhook_deliveries AS other WHERE other.webhook_id = webhooks.id AND other.status = 'waiting') < ?",
        int(event),
        now,
        sql.values(webhook_ids),
        MOST_WAITING,
    )


def claim(now: Stamp, until: Stamp, limit: int) -> list[Due]:
    """Take the oldest delivery that is due for each webhook; nobody else takes it before `until`."""
    found = sql.rows(
        "SELECT min(delivery.id) FROM webhook_deliveries AS delivery JOIN webhooks ON webhooks.id = webhook_id"
        " WHERE delivery.status = 'waiting' AND next_due <= ? AND webhooks.enabled = ? GROUP BY webhook_id LIMIT ?",
        now,
        True,
        limit,
    )
    taken = [id for (id,) in found if _take(id, now, until)]
    rows = sql.rows(
        "SELECT delivery.id, webhook_id, url, secret, message_id, payload, attempts, event.created_at"
        " FROM webhook_deliveries AS delivery JOIN webhooks ON webhooks.id = webhook_id"
        f" JOIN webhook_events AS event ON event.id = event_id WHERE {sql.among('delivery.id')}",
        sql.values(taken),
    )
    return [Due(*row) for row in rows] if taken else []


def _take(id: int, now: Stamp, until: Stamp) -> bool:
    return bool(
        sql.execute(
            "UPDATE webhook_deliveries SET next_due = ?, attempts = attempts + 1, last_attempt_at = ?"
            " WHERE id = ? AND status = 'waiting' AND next_due <= ?",
            until,
            now,
            id,
            now,
        )
    )


def record(id: int, status: str, next_due: Stamp, answer: int | None, code: str | None) -> None:
    """What came of an attempt."""
    sql.execute(
        "UPDATE webhook_deliveries SET status = ?, next_due = ?, last_status = ?, last_code = ? WHERE id = ?",
        status,
        next_due,
        answer,
        code,
        id,
    )


def disable(id: int, code: str, now: Stamp) -> bool:
    """Tell a webhook nothing more; whether it was told until now."""
    return bool(
        sql.execute(
            "UPDATE webhooks SET enabled = ?, disabled_code = ?, updated_at = ?, version = version + 1"
            " WHERE id = ? AND enabled = ?",
            False,
            code,
            now,
            id,
            True,
        )
    )


def delivered_since(webhook_id: int, moment: Stamp) -> bool:
    """Whether anything arrived there since then."""
    return bool(
        sql.rows(
            "SELECT 1 FROM webhook_deliveries WHERE webhook_id = ? AND status = 'delivered' AND last_attempt_at >= ?"
            " LIMIT 1",
            webhook_id,
            moment,
        )
    )


def forget_before(moment: Stamp) -> int:
    """Forget events of that time, with their deliveries."""
    return sql.execute("DELETE FROM webhook_events WHERE created_at < ?", moment)


# What is to be told of a run


def new_skipped(mapping_id: int, run_id: int, sample: int) -> tuple[int, list[int]]:
    """How many records a run set aside that still are, and the ids of the first of them."""
    where = (
        "FROM skipped_records AS item JOIN errors ON errors.id = item.error_id"
        " WHERE item.mapping_id = ? AND item.status = 'open' AND errors.run_id = ?"
    )
    ((number,),) = sql.rows(f"SELECT count(*) {where}", mapping_id, run_id)
    found = sql.rows(f"SELECT item.id {where} ORDER BY item.id LIMIT ?", mapping_id, run_id, sample)
    return int(number), [id for (id,) in found]


def new_groups(run_id: int, sample: int) -> list[tuple[int, str, int]]:
    """The causes that a run met and of which no older error was open: group, code, how many errors of the run."""
    return [
        (group, code, number)
        for group, code, number in sql.rows(
            "SELECT own.group_id, own.code, own.number FROM (SELECT group_id, min(code) AS code, count(*) AS number,"
            " min(id) AS first FROM errors WHERE run_id = ? GROUP BY group_id) AS own WHERE NOT EXISTS (SELECT 1 FROM"
            " errors AS older WHERE older.group_id = own.group_id AND older.id < own.first AND older.status = 'open')"
            " ORDER BY own.first LIMIT ?",
            run_id,
            sample,
        )
    ]

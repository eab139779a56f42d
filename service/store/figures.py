"""Figures on the whole state, for whoever watches the service. A constant number of queries, however much there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.core.records import Stamp
from service.store import sql

_STANDING = {
    ("accord_runs", ("status",)): "SELECT status, count(*) FROM sync_runs GROUP BY status",
    ("accord_errors", ("status",)): "SELECT status, count(*) FROM errors GROUP BY status",
    ("accord_skipped_records", ("status",)): "SELECT status, count(*) FROM skipped_records GROUP BY status",
    ("accord_open_errors", ("mapping", "category", "code")): (
        "SELECT mapping.name, category, code, count(*) FROM errors JOIN mappings AS mapping"
        " ON mapping.id = errors.mapping_id WHERE status = 'open' GROUP BY mapping.name, category, code"
    ),
    ("accord_webhook_deliveries", ("status",)): "SELECT status, count(*) FROM webhook_deliveries GROUP BY status",
    ("accord_webhooks_disabled", ("code",)): (
        "SELECT disabled_code, count(*) FROM webhooks WHERE disabled_code IS NOT NULL GROUP BY disabled_code"
    ),
}

_SINCE = {
    ("accord_skipped_oldest_seconds", ("mapping",)): (
        "SELECT mapping.name, min(item.created_at) FROM skipped_records AS item JOIN mappings AS mapping"
        " ON mapping.id = item.mapping_id WHERE item.status <> 'resolved' GROUP BY mapping.name"
    ),
    ("accord_queue_oldest_seconds", ()): "SELECT min(created_at) FROM sync_runs WHERE status = 'queued'",
    ("accord_webhook_oldest_seconds", ()): (
        "SELECT min(event.created_at) FROM webhook_deliveries AS delivery JOIN webhook_events AS event"
        " ON event.id = delivery.event_id JOIN webhooks ON webhooks.id = delivery.webhook_id"
        " WHERE delivery.status = 'waiting' AND webhooks.enabled"
    ),
    # The last run that read all that the mapping reads, and succeeded: what changed since it began may not have been
    # seen yet. A record that waits for its retry was seen, and is older still.
    ("accord_mapping_freshness_seconds", ("mapping",)): (
        "SELECT name, min(since) FROM (SELECT mapping.name AS name, retries.since AS since FROM retries"
        " JOIN mappings AS mapping ON mapping.id = retries.mapping_id WHERE mapping.enabled UNION ALL"
        " SELECT mapping.name, coalesce((SELECT started_at FROM sync_runs AS run WHERE run.mapping_id = mapping.id"
        " AND run.direction = mapping.direction AND run.kind IN ('modified', 'full', 'reconcile') AND NOT run.dry_run"
        " AND run.status IN ('succeeded', 'completedWithErrors') ORDER BY run.id DESC LIMIT 1),"
        " mapping.created_at) FROM mappings AS mapping WHERE mapping.enabled) AS waiting GROUP BY name"
    ),
}

_SUMS = {
    ("accord_run_seconds", ("kind", "status")): (
        "SELECT kind, status, count(*), sum(finished_at - started_at) FROM sync_runs"
        " WHERE finished_at IS NOT NULL AND started_at IS NOT NULL GROUP BY kind, status"
    ),
    ("accord_run_wait_seconds", ("trigger",)): (
        "SELECT trigger_, count(*), sum(started_at - created_at) FROM sync_runs WHERE started_at IS NOT NULL"
        " GROUP BY trigger_"
    ),
}

Named = tuple[str, tuple[str, ...]]


def standing() -> dict[Named, list[tuple[Any, ...]]]:
    """How many there are of each: by the figure's name and labels, rows of the labels' values and the number."""
    return {name: sql.rows(query) for name, query in _STANDING.items()}


def ages(now: Stamp) -> dict[Named, list[tuple[Any, ...]]]:
    """How many seconds ago something began: rows of the labels' values and the seconds; none where nothing did."""
    return {name: [_aged(row, now) for row in sql.rows(query) if row[-1] is not None] for name, query in _SINCE.items()}


def fresh_until() -> dict[str, Stamp]:
    """Since when a change of each enabled mapping, by name, may be waiting to be synchronized."""
    return dict(sql.rows(_SINCE["accord_mapping_freshness_seconds", ("mapping",)]))


def sums() -> dict[Named, list[tuple[Any, ...]]]:
    """How often something happened, and the seconds that it took together: rows of the labels' values and the two."""
    return {
        name: [(*row[:-1], max(float(row[-1]), 0.0) / 1_000_000) for row in sql.rows(query)]
        for name, query in _SUMS.items()
    }


def _aged(row: Sequence[Any], now: Stamp) -> tuple[Any, ...]:
    return (*row[:-1], max(now - int(row[-1]), 0) / 1_000_000)

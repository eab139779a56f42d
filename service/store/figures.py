"""Figures on the whole state, for whoever watches the service."""

from __future__ import annotations

from service.store import sql

_COUNTS = {
    ("accord_runs", "status"): "SELECT status, count(*) FROM sync_runs GROUP BY status",
    ("accord_errors", "status"): "SELECT status, count(*) FROM errors GROUP BY status",
    ("accord_skipped_records", "status"): "SELECT status, count(*) FROM skipped_records GROUP BY status",
}


def counts() -> dict[tuple[str, str], dict[str, int]]:
    """How many there are of each: by the figure's name and label, then by the label's value."""
    return {name: dict(sql.rows(query)) for name, query in _COUNTS.items()}

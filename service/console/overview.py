"""The first page: every mapping with how it is, those that need a person first."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from service.console.pages import number, show, view
from service.operations import mappings, runs
from service.operations.tokens import Scope
from service.store.models import SyncRun

_MAPPINGS = 500
"""Mappings of a page: nearly always all of them, so that what needs a person is not on another one."""

_CHARTED = 12
"""Runs in the small chart of a mapping."""


def install(blueprint: Blueprint) -> None:
    """Add the page."""
    blueprint.add_url_rule("", "overview", overview, strict_slashes=False)


@view(Scope.READ)
def overview() -> Any:
    """Mappings, and for each what its last runs did."""
    found = mappings.list_standings(before=number("before"), limit=_MAPPINGS)
    shown = found[:_MAPPINGS]
    charts = {id: chart(latest) for id, latest in runs.latest([item["id"] for item in shown], _CHARTED).items()}
    return show(
        "overview",
        mappings=sorted(shown, key=_urgency),
        charts=charts,
        since=mappings.unsynchronized_since(),
        before=shown[-1]["id"] if len(found) > _MAPPINGS else None,
    )


def _urgency(mapping: dict[str, Any]) -> tuple[bool, bool, bool, str]:
    status = mapping["status"]
    last = status["last_run"]
    failed = last is not None and last.status == "failed"
    return not failed, not status["open_skipped"], not status["open_errors"], mapping["name"].casefold()


def chart(latest: list[SyncRun]) -> list[dict[str, Any]]:
    """Bars for runs, oldest first: how high of 24, and how each ended. The height is by the order of magnitude."""
    bars = []
    for place, run in enumerate(reversed(latest)):
        done = sum(
            count
            for counts in run.counts.values()
            for outcome, count in counts.items()
            if outcome not in ("read", "unchanged", "ignored")
        )
        bars.append({"x": place * 6, "height": min(24, 3 + 4 * len(str(done)) if done else 3), "run": run})
    return bars

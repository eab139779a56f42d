"""The examples of alerts and of a dashboard are proper, and name figures that there are, with labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from tests.api.world import World
from tests.docs.pages import ROOT

FOLDER = ROOT / "docs" / "monitoring"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
BOARD = json.loads((FOLDER / "dashboard.json").read_text())
EXPRESSIONS = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{panel["title"]: target["expr"] for panel in BOARD["panels"] for target in panel["targets"]},
}


def series(app: Any) -> dict[str, set[str]]:
    """Every name that a Prometheus can ask for, with its labels, once everything has happened."""
    found: dict[str, set[str]] = {}
    for family in app.extensions["accord-metrics"].collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.fixture(scope="module")
def known(kept_lively: Any) -> dict[str, set[str]]:
    from service.store.database import connection

    world: World = kept_lively.fresh()
    world.ask("POST", "/webhooks", {"url": "https://example.com/x"})
    world.ask("PATCH", "/webhooks/1", {"enabled": False})
    world.ask("POST", "/sync-runs", {"mappingId": 1})
    world.sql("accord", "UPDATE webhooks SET disabled_code = 'gone'")
    world.sql("accord", "INSERT INTO webhook_events VALUES (1, 'm', 'run.finished', '{}', 0)")
    world.sql(
        "accord",
        "INSERT INTO webhook_deliveries (id, webhook_id, event_id, status, attempts, next_due)"
        " VALUES (1, 1, 1, 'waiting', 0, 0)",
    )
    world.ask("POST", "/webhooks", {"url": "https://example.com/x"})
    world.sql("accord", "UPDATE webhook_deliveries SET webhook_id = 2")
    with connection():
        return {**series(world.app), "up": {"job", "instance"}}


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The names of figures in an expression, with the labels that their selectors ask for."""

    def visit(part: Any) -> Iterator[tuple[str, set[str]]]:
        if isinstance(part, promql_parser.VectorSelector):
            yield part.name or "", {matcher.name for matcher in part.matchers.matchers}
        for name in ("expr", "lhs", "rhs", "vector_selector", "vs"):
            inner = getattr(part, name, None)
            if inner is not None:
                yield from visit(inner)
        for inner in getattr(part, "args", None) or []:
            yield from visit(inner)

    yield from visit(promql_parser.parse(expression))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_the_figures_of_an_expression_exist(known: dict[str, set[str]], name: str) -> None:
    expression = EXPRESSIONS[name]
    found = list(selectors(expression))
    assert found, expression
    labels: set[str] = set()
    for figure, asked in found:
        assert figure in known, f"there is no {figure}"
        assert asked <= known[figure], f"{figure} has no {asked - known[figure]}"
        labels |= known[figure]
    for group in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in group.split(",")} <= labels


def test_alerts_say_what_is_wrong() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len({*names})
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert {"summary", "description"} == rule["annotations"].keys()
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


def test_what_an_operator_would_watch_is_watched(known: dict[str, set[str]]) -> None:
    """Every figure of ours is in the dashboard or in an alert."""
    asked = {figure for expression in EXPRESSIONS.values() for figure, _ in selectors(expression)}
    ours = {re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in known if name.startswith("accord_")}
    told = {re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in asked}
    assert ours - told <= {"accord_runs", "accord_errors"}


def test_the_dashboard_is_one() -> None:
    assert {"title", "panels", "schemaVersion", "templating"} <= BOARD.keys()
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]]
    assert len(places) == len({*places})

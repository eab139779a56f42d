"""What the figures say when something is so: how old a change may be, what waits, what is called and how it ends."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.world import World

AGO = "(CAST(strftime('%s', 'now') AS INTEGER) - ?) * 1000000"


def figures(world: World) -> dict[str, float]:
    """Every sample by its name with its labels."""
    text = world.ask("GET", "/metrics").text
    lines = re.findall(r"^([a-z]\S*?(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in lines}


def about(found: float, wanted: float) -> bool:
    return wanted <= found < wanted + 60


def test_how_old_a_change_may_be(world: World) -> None:
    name = 'accord_mapping_freshness_seconds{mapping="customers"}'
    world.run()  # The world may have been made some minutes ago.
    assert about(figures(world)[name], 0)
    world.sql("accord", f"UPDATE sync_runs SET started_at = {AGO}", 3600)
    assert about(figures(world)[name], 3600)
    # What does not read everything, or does not succeed, brings nothing up to date.
    world.sql("erp", "UPDATE customer SET name = 'x'")
    world.run(dryRun=True)
    world.run(kind="records", records={"local": ["c1"]})
    world.run(direction="toIntegration")
    assert about(figures(world)[name], 3600)
    world.run()
    assert about(figures(world)[name], 0)
    # A record that waits for its retry is as old as its waiting.
    insert = "INSERT INTO retries (mapping_id, side, key, attempts, since) VALUES (1, 'local', 'c1', 1, "
    world.sql("accord", f"{insert}{AGO})", 7200)
    assert about(figures(world)[name], 7200)
    world.ask("PATCH", "/mappings/1", {"enabled": False}, If_Match="*")
    assert name not in figures(world)


def test_a_mapping_that_never_ran(world: World) -> None:
    world.sql("accord", "DELETE FROM sync_runs")
    world.sql("accord", f"UPDATE mappings SET created_at = {AGO}", 500)
    assert about(figures(world)['accord_mapping_freshness_seconds{mapping="customers"}'], 500)


def test_what_waits(lively: World) -> None:
    assert "accord_queue_oldest_seconds" not in figures(lively)
    lively.ask("POST", "/sync-runs", {"mappingId": 1})
    lively.sql("accord", f"UPDATE sync_runs SET created_at = {AGO} WHERE status = 'queued'", 100)
    lively.sql("accord", f"UPDATE skipped_records SET created_at = {AGO}", 200)
    found = figures(lively)
    assert about(found["accord_queue_oldest_seconds"], 100)
    assert about(found['accord_skipped_oldest_seconds{mapping="customers"}'], 200)
    cause = '{category="conflict",code="destination_modified_later",mapping="customers"}'
    assert found[f"accord_open_errors{cause}"] == 1


def test_how_long_runs_took_and_waited(world: World) -> None:
    world.sql("accord", "UPDATE sync_runs SET created_at = 0, started_at = 2000000, finished_at = 5500000")
    found = figures(world)
    assert found['accord_run_seconds_count{kind="modified",status="succeeded"}'] == 1
    assert found['accord_run_seconds_sum{kind="modified",status="succeeded"}'] == 3.5
    assert found['accord_run_wait_seconds_sum{trigger="api"}'] == 2


@pytest.mark.parametrize(("break_it", "outcome"), [("DROP TABLE account", "table_not_found"), ("SELECT 1", "ok")])
def test_calls_are_counted_with_their_end(world: World, break_it: str, outcome: str) -> None:
    def calls() -> dict[Any, float]:
        found = figures(world)
        return {name: found[name] for name in found if name.startswith("accord_connector_calls_total")}

    before = calls()
    world.sql("crm", break_it)
    world.run()
    name = f'accord_connector_calls_total{{call="describe",connection="crm",outcome="{outcome}"}}'
    assert calls()[name] > before.get(name, 0)
    assert figures(world)['accord_connector_call_seconds_count{call="describe",connection="crm"}'] > 0


def test_values_of_records_are_no_labels(lively: World) -> None:
    text = lively.ask("GET", "/metrics").text
    assert "Noir" not in text
    assert "c2" not in text

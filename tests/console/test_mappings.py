"""Mappings in the console: the list, one with its rules and findings, runs of every kind, tables and fields."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from service.operations.schedules import upcoming
from tests.api.world import World
from tests.console.conftest import Person


def change(world: World, id: int = 1, **changes: Any) -> None:
    """Change a mapping by the API."""
    answer = world.ask("PATCH", f"/mappings/{id}", changes, If_Match="*")
    assert answer.status_code == 200, answer.text


def test_the_list_tells_how_each_is(lively: World) -> None:
    text = Person(lively).look("/console/mappings")
    assert "completed with errors" in text
    assert re.search(r'data-label="Skipped records"><a href="/console/skipped\?mapping=1">1</a>', text)
    assert re.search(r'data-label="Coupled"><a href="/console/couplings\?mapping=1">2</a>', text)


def test_a_mapping_shows_its_rules_and_fields(lively: World) -> None:
    lines = [
        {"localField": "number", "integrationField": "accountnumber", "matchKey": 1, "normalize": ["case"]},
        {
            "localField": "name",
            "integrationField": "name",
            "transforms": {"toIntegration": ["trim", {"replace": {"from": "<", "to": "Ø"}}]},
        },
        {"integrationField": "customertypecode", "constant": 3, "direction": "toIntegration"},
    ]
    filter = [{"field": "blocked", "op": "eq", "value": "<b>"}, {"field": "city", "op": "in", "value": ["Oslo", "Ø"]}]
    change(lively, fieldMappings=lines, local={"filter": filter}, updateConflictResolution="newestWins")
    text = html.unescape(Person(lively).look("/console/mappings/1"))
    assert "the newest record wins" in text
    assert "<bdi>blocked</bdi> is <bdi><b></bdi>" in text
    assert 'is one of <bdi>["Oslo","Ø"]</bdi>' in text
    assert '<code>trim</code> <code>{"replace":{"from":"<","to":"Ø"}}</code>' in text
    assert "always <bdi>3</bdi>" in text
    assert '1 <span class="hint">case</span>' in text


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ({"everyMinutes": 1}, "Every 1 min."),
        ({"everyMinutes": 30, "slowestMinutes": 120}, "Every 30 min. While nothing happens, down to every 120 min."),
        ({"cron": "0 6 * * 1-5", "timeZone": "Europe/Oslo"}, "<code>0 6 * * 1-5</code> Europe/Oslo"),
        (None, "Runs when asked."),
    ],
)
def test_a_schedule_with_its_next_five_times(lively: World, schedule: Any, says: str) -> None:
    change(lively, schedule=schedule)
    text = Person(lively).look("/console/mappings/1")
    assert says in text
    assert len(re.findall(r"<li><time datetime=", text)) == (5 if schedule else 0)
    change(lively, enabled=False)
    assert "<li><time" not in Person(lively).look("/console/mappings/1")


def test_the_next_times_follow_the_clock_of_the_zone() -> None:
    start = 1_793_404_800_000_000  # 2026-10-31T00:00:00Z, before the clocks of New York are set back.
    times = upcoming({"cron": "0 6 * * *", "timeZone": "America/New_York"}, start, 3)
    assert [time - start for time in times] == [
        10 * 3_600_000_000,
        (24 + 11) * 3_600_000_000,
        (48 + 11) * 3_600_000_000,
    ]


def test_findings_stand_beside_what_they_are_about(lively: World) -> None:
    person = Person(lively)
    assert '<tr class="said">' not in person.look("/console/mappings/1?findings=yes")
    lines = lively.get("/mappings/1")["fieldMappings"]
    lines[1]["transforms"] = {"toIntegration": [{"truncate": {"length": 5}}]}
    never = [{"field": "city", "op": "isNull", "value": True}, {"field": "city", "op": "eq", "value": "Oslo"}]
    change(lively, fieldMappings=lines, local={"filter": never})
    text = person.look("/console/mappings/1?findings=yes")
    assert re.search(
        r'<bdi>name</bdi></td>.*?</tr>\s*<tr class="said"><td colspan="5"><p class="remark warning">', text
    )
    assert len(re.findall(r'<tr class="said">', text)) == 1
    local = text[text.index('id="local"') : text.index('id="integration"')]
    assert "they contradict each other" in local
    reader = Person(lively, lively.token("read"))
    assert 'class="remark' not in reader.look("/console/mappings/1?findings=yes")


def test_a_mapping_is_deleted_after_a_look(lively: World) -> None:
    person = Person(lively)
    look = person.look("/console/mappings/1/delete")
    assert "2 couplings are forgotten" in look
    version = re.search(r'name="version" value="(\d+)"', look)
    assert version is not None
    change(lively, name="customers and more")
    refused = person.send("/console/mappings/1/delete", version=version[1])
    assert refused.status_code == 409
    assert "changed since" in refused.text
    again = re.search(r'name="version" value="(\d+)"', refused.text)
    assert again is not None
    assert person.send("/console/mappings/1/delete", version=again[1]).status_code == 303
    assert "There are no mappings yet" in person.look("/console/mappings")


# Runs


@pytest.mark.parametrize(
    ("form", "asked"),
    [
        ({"kind": "modified", "direction": "toIntegration"}, {"kind": "modified", "direction": "toIntegration"}),
        ({"kind": "full", "allow_mass_delete": "yes"}, {"kind": "full", "direction": "bidirectional"}),
        ({"kind": "match", "synchronize": "yes", "create_unmatched": "yes"}, {"kind": "match"}),
        ({"kind": "findDeleted"}, {"kind": "findDeleted"}),
        ({"kind": "reconcile"}, {"kind": "reconcile"}),
        ({"kind": "uncouple", "local_keys": "c1"}, {"kind": "uncouple"}),
        ({"kind": "records", "local_keys": "c1\r\n c2 \r\n", "integration_keys": ""}, {"kind": "records"}),
    ],
)
def test_every_kind_of_run_is_told_first_and_then_carried_out(
    lively: World, form: dict[str, str], asked: dict[str, str]
) -> None:
    person = Person(lively)
    started = person.send("/console/runs", mapping="1", dry_run="yes", **form)
    assert started.status_code == 303, started.text
    assert "Do it now" not in person.look(started.location)
    lively.work()
    text = person.look(started.location)
    assert "What would happen" in text
    assert "Do it now" in text
    path = started.location.removeprefix("/console").replace("runs", "sync-runs")
    dry = lively.get(path)
    assert {name: dry[name] for name in asked} == asked
    real = person.send(started.location + "/carry-out")
    assert real.status_code == 303
    done = lively.get(real.location.removeprefix("/console").replace("runs", "sync-runs"))
    assert not done["dryRun"]
    same = ("mappingId", "kind", "direction")
    assert [done[name] for name in same] == [dry[name] for name in same]
    request, again = lively.sql("accord", "SELECT request FROM sync_runs ORDER BY id DESC LIMIT 2")
    assert request == again


def test_what_cannot_be_started_is_said_beside_the_form(lively: World) -> None:
    person = Person(lively)
    refused = person.send("/console/runs", mapping="1", kind="full", synchronize="yes", local_keys="c7")
    assert refused.status_code == 422
    assert "c7</textarea>" in refused.text
    assert re.search(r'value="full" checked', refused.text)
    change(lively, enabled=False)
    assert "disabled" in person.send("/console/runs", mapping="1", kind="full").text


def test_the_plan_is_read_before_it_is_applied(lively: World) -> None:
    person = Person(lively)
    lively.sql("erp", "UPDATE customer SET name = 'Bergström AB' WHERE id = 'c1'")
    started = person.send("/console/runs", mapping="1", dry_run="yes")
    lively.work()
    plan = person.look(started.location)
    assert "<bdi>Bergström &amp; Söner</bdi>" in plan
    assert "<bdi>Bergström AB</bdi>" in plan
    assert lively.sql("crm", "SELECT name FROM account WHERE accountnumber = '10000'") == [("Bergström & Söner",)]
    person.send(started.location + "/carry-out")
    lively.work()
    assert lively.sql("crm", "SELECT name FROM account WHERE accountnumber = '10000'") == [("Bergström AB",)]


# Tables


def test_tables_and_fields_are_looked_at(lively: World) -> None:
    person = Person(lively)
    tables = person.look("/console/connections/1/tables")
    assert "<bdi>customer</bdi>" in tables
    assert "<bdi>nameless</bdi>" not in person.look("/console/connections/1/tables?text=CUST")
    assert "There is no such table" in person.look("/console/connections/1/tables?text=nix")
    fields = person.look("/console/connections/1/tables/customer")
    number = re.search(r"<tr><td><bdi>number</bdi>.*?</tr>", fields)
    assert number is not None
    assert ">20<" in number[0]
    assert "required" in number[0]
    assert "12,2" in fields
    assert re.search(r'<bdi>id</bdi> <span class="badge">key', fields)
    assert "There is no table" in person.look("/console/connections/1/tables/nix", 404)
    (lively.folder / "crm.db").write_text("this is no database, and never was one")
    assert "is not a database" in person.look("/console/connections/2/tables", 424)

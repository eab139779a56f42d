"""The same service with its state on PostgreSQL: every query of the API runs there once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from service.operations.secrets import rotate
from service.store import webhooks
from service.store.database import connection, database
from tests.api.test_command import accord
from tests.api.world import CONTEXT, World, make_empty, make_lively
from tests.console.conftest import Person
from tests.console.test_console import EVERY
from tests.servers import PostgresServer

LISTS = (
    "/connections?limit=1",
    "/mappings",
    "/couplings?skipped=true&mappingId=1&localKey=c2",
    "/couplings?skipped=false",
    "/sync-runs?mappingId=1&createdAfter=2000-01-01T00:00:00Z",
    "/errors?mappingId=1&status=open",
    "/errors/groups?mappingId=1&status=open",
    "/skipped?mappingId=1&reason=conflict&status=open",
    "/exclusions",
    "/tokens",
    "/audit?noun=mapping&itemId=1",
)


@pytest.fixture
def distant(tmp_path: Path, app: Flask, postgres: PostgresServer) -> Iterator[World]:
    """The lively world, with its state on PostgreSQL."""
    before = database.obj
    url = postgres.create_database("accord_api")
    try:
        yield make_lively(make_empty(tmp_path, app, url))
    finally:
        database.obj.close_all()
        postgres.drop_database("accord_api")
        if before is not None:
            database.initialize(before)


def test_only_migrate_and_start_change_its_schema(tmp_path: Path, postgres: PostgresServer) -> None:
    url = postgres.create_database("accord_bare")
    environ = {"ACCORD_DATABASE_URL": url, "ACCORD_SECRET_KEY": "secret-of-the-tests"}
    refused = accord(tmp_path, "serve", **environ)
    assert refused.returncode == 2
    assert "run `accord migrate` first" in refused.stderr
    assert "applied 0001_state" in accord(tmp_path, "migrate", **environ).stdout
    assert accord(tmp_path, "token", "create", "--scope", "read", **environ).returncode == 0
    postgres.drop_database("accord_bare")


def test_the_whole_story(distant: World) -> None:
    for path in LISTS:
        assert distant.get(path)["items"], path
    person = Person(distant)
    for page in EVERY:
        assert "<h1>" in person.look(page), page
    assert distant.get("/mappings/1")["status"]["openSkipped"] == 1
    assert 'accord_mapping_freshness_seconds{mapping="customers"}' in distant.ask("GET", "/metrics").text
    cursor = distant.get("/connections?limit=1")["nextCursor"]
    assert distant.get(f"/connections?limit=1&cursor={cursor}")["items"][0]["id"] == 2
    refused = distant.ask("PATCH", "/mappings/1", {"direction": "toIntegration"}, If_Match="*")
    assert (refused.status_code, refused.json["code"]) == (409, "open_conflicts")
    refused = distant.ask("POST", "/connections", distant.connection("erp"), Idempotency_Key="k")
    assert (refused.status_code, refused.json["code"]) == (409, "name_taken")
    for replayed in (None, "true"):
        answer = distant.ask("POST", "/sync-runs", {"mappingId": 1}, Idempotency_Key="k")
        assert (answer.status_code, answer.headers.get("Idempotency-Replayed")) == (202, replayed)
    lines = distant.get("/mappings/1")["fieldMappings"]
    changed = distant.ask("PATCH", "/mappings/1", {"fieldMappings": [lines[1], lines[0]]}, If_Match="*")
    assert changed.status_code == 200, changed.text
    assert distant.get("/skipped/1")["status"] == "open"
    resolved = distant.ask("POST", "/skipped/1/resolve", {"resolution": "keepLocal"})
    assert resolved.status_code == 202
    distant.work()
    assert distant.get("/skipped/1")["status"] == "resolved"
    assert distant.ask("DELETE", "/errors?all=true").json == {"deleted": 1, "kept": 1}
    assert distant.ask("DELETE", "/tokens/2").status_code == 204
    assert distant.ask("DELETE", "/mappings/1").status_code == 204
    assert distant.ask("DELETE", "/connections/3").status_code == 204
    assert distant.ask("GET", "/health/ready", token=None).status_code == 200


def test_webhooks_are_told_from_there(distant: World) -> None:
    distant.ask("POST", "/webhooks", {"url": "https://example.com/x"})
    distant.sql("erp", "UPDATE customer SET name = 'Ø1' WHERE id = 'c1'")
    distant.sql("crm", "UPDATE account SET name = 'Ø2' WHERE accountnumber = '10000'")
    assert distant.run()["status"] == "completedWithErrors"
    waiting = distant.get("/webhooks/1/deliveries?status=waiting")["items"]
    assert [one["type"] for one in waiting] == ["record.skipped", "run.finished"], "the cause of the error was known"
    now = CONTEXT.now()
    with connection():
        (due,) = webhooks.claim(now, now + 1_000_000, 8)
        webhooks.record(due.id, "failed", now, 410, None)
        assert not webhooks.delivered_since(1, 0)
        assert webhooks.disable(1, "gone", now)
        assert webhooks.claim(now, now, 8) == []
        assert webhooks.forget_before(now + 1_000_000) == 2
    assert distant.get("/webhooks/1")["disabledCode"] == "gone"


def test_keys_at_rest_are_exchanged_there(distant: World) -> None:
    distant.ask("POST", "/webhooks", {"url": "https://example.com/x"})
    with connection():
        done, lost = rotate(CONTEXT, "test")
    assert (done, lost) == (1, [])

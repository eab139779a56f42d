"""Dataverse and Business Central say that something changed: handshakes, secrets, and runs that look for themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.app import create_app
from tests.api.world import CONTEXT, SETTINGS, World

DATAVERSE = "/connections/2/notifications/dataverse"
CENTRAL = "/connections/1/notifications/business-central"


@pytest.fixture
def secrets(world: World) -> list[str]:
    """The secrets of both connections."""
    return [world.ask("POST", f"/connections/{id}/notification-secret").json["secret"] for id in (1, 2)]


def triggers(world: World) -> list[tuple[str, str]]:
    found = world.get("/sync-runs?status=queued")["items"]
    return [(run["trigger"], run["requestedBy"]) for run in found]


def say(world: World, path: str, body: Any = None, **headers: str) -> Any:
    return world.ask("POST", path, body, token=None, **headers)


def central(*items: tuple[str, str]) -> dict[str, Any]:
    """A message of Business Central, with what it has besides."""
    return {
        "value": [
            {
                "subscriptionId": "b3f0",
                "clientState": secret,
                "expirationDateTime": "2026-11-24T07:00:00Z",
                "resource": resource,
                "changeType": "updated",
                "lastModifiedDateTime": "2026-11-21T07:00:00.1Z",
            }
            for secret, resource in items
        ]
    }


def test_a_message_of_dataverse_wakes_the_mapping(world: World, secrets: list[str]) -> None:
    body = {"PrimaryEntityName": "account", "MessageName": "Update", "InputParameters": [{"key": "Target"}]}
    assert say(world, f"{DATAVERSE}?code={secrets[1]}", body).status_code == 204
    assert triggers(world) == [("change", "notification of crm")]
    assert say(world, DATAVERSE, body, X_Accord_Key=secrets[1]).status_code == 204
    assert len(triggers(world)) == 1, "the run that waits will do"
    world.work()
    assert triggers(world) == []


def test_a_notification_of_business_central_wakes_the_mapping(world: World, secrets: list[str]) -> None:
    message = central((secrets[0], "api/v2.0/companies(b1f0-00)/customer(5d11-00)"), (secrets[0], "x/items(1)"))
    assert say(world, CENTRAL, message).status_code == 204
    assert triggers(world) == [("change", "notification of erp")]


@pytest.mark.parametrize(
    ("entity", "table", "wakes"),
    [
        ("account", "account", True),
        ("account", "accounts", True),
        ("opportunity", "opportunities", True),
        ("process", "processes", True),
        ("companies(1)/customers(2)", "customers", True),
        ("companies(1)/customers?$filter=lastDateTimeModified ge 2026", "customers", True),
        ("account", "contact", False),
        ("((", "x", False),
    ],
)
def test_how_a_table_is_found(world: World, secrets: list[str], entity: str, table: str, wakes: bool) -> None:
    world.sql("accord", "UPDATE mappings SET local_table = ?", table)
    assert say(world, CENTRAL, central((secrets[0], entity))).status_code == 204
    assert bool(triggers(world)) is wakes


def test_the_handshake_of_business_central(world: World, secrets: list[str]) -> None:
    token = "3b6c6-42<b>&"
    for headers in ({}, {"Accept": "text/plain"}, {"Accept": "application/json"}):
        answer = say(world, f"{CENTRAL}?validationToken=3b6c6-42%3Cb%3E%26", **headers)
        assert (answer.status_code, answer.text) == (200, token)
        assert answer.content_type == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert triggers(world) == []
    long = say(world, f"{CENTRAL}?validationToken={'x' * 501}")
    assert long.status_code == 422


@pytest.mark.parametrize(
    "message",
    [
        {"value": []},
        {},
        None,
        central(("wrong", "x/customer(1)")),
        central(("", "x/customer(1)")),
        {"value": [{"resource": "customer"}]},
    ],
    ids=str,
)
def test_without_the_secret_nothing_is_taken(world: World, secrets: list[str], message: Any) -> None:
    refused = say(world, CENTRAL, message)
    assert (refused.status_code, refused.json["code"]) == (403, "notification_refused")
    assert triggers(world) == []


def test_one_wrong_secret_spoils_all(world: World, secrets: list[str]) -> None:
    assert say(world, CENTRAL, central((secrets[0], "customer"), ("wrong", "customer"))).status_code == 403
    body = {"PrimaryEntityName": "account"}
    assert say(world, f"{DATAVERSE}?code={secrets[1]}", body, X_Accord_Key="wrong").status_code == 403
    assert say(world, DATAVERSE, body).status_code == 403
    assert say(world, f"{DATAVERSE}?code={secrets[0]}", body).status_code == 403, "another connection's"
    assert triggers(world) == []


def test_where_no_secret_was_made_nothing_is_answered(world: World) -> None:
    """A connection that takes none, and one that is not there, look the same."""
    answers = [say(world, f"/connections/{id}/notifications/business-central?validationToken=x") for id in ("1", "999")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].json["detail"] == answers[1].json["detail"]


def test_a_new_secret_ends_the_old(world: World, secrets: list[str]) -> None:
    world.ask("POST", "/connections/1/notification-secret")
    assert say(world, CENTRAL, central((secrets[0], "customer"))).status_code == 403
    held = b"".join(file.read_bytes() for file in world.folder.glob("accord.db*"))
    assert secrets[0].encode() not in held


def test_a_flood_is_refused(world: World, secrets: list[str]) -> None:
    world = World(world.folder, create_app(replace(SETTINGS, rate_limit="9999/hour"), CONTEXT))
    answers = [say(world, CENTRAL, central((secrets[0], "customer"))).status_code for _ in range(200)]
    assert answers.count(204) <= 120
    assert answers[-1] == 429
    assert len(triggers(world)) == 1

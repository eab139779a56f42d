"""Runs for several mappings over the API, and the review that comes before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.world import MAPPING, World

SECOND: dict[str, Any] = {
    **MAPPING,
    "name": "cities",
    "fieldMappings": [
        {"localField": "number", "integrationField": "accountnumber", "matchKey": 1},
        {"localField": "name", "integrationField": "name"},
    ],
    "synchOnlyCoupledRecords": True,
}


@pytest.fixture
def two(world: World) -> World:
    """A second mapping, which the first one depends on."""
    made = world.ask("POST", "/mappings", SECOND)
    assert made.status_code == 201, made.text
    world.ask("PATCH", "/mappings/1", {"dependsOn": [made.json["id"]]}, If_Match="*")
    return world


def test_all_mappings_in_the_order_of_their_needs(two: World) -> None:
    started = two.ask("POST", "/sync-runs", {"all": True})
    assert started.status_code == 202
    items = started.json["items"]
    assert [run["mappingId"] for run in items] == [2, 1]
    assert started.headers["Location"] == f"/sync-runs/{items[0]['id']}"
    assert started.json["id"] == started.json["groupId"] == items[0]["groupId"] == items[1]["groupId"] == items[0]["id"]
    two.work()
    found = two.get(f"/sync-runs?groupId={started.json['groupId']}")["items"]
    assert [(run["mappingId"], run["status"]) for run in found] == [(1, "succeeded"), (2, "succeeded")]
    assert found[1]["finishedAt"] <= found[0]["startedAt"]


def test_some_mappings_and_a_single_one(two: World) -> None:
    some = two.ask("POST", "/sync-runs", {"mappingIds": [1, 2, 1], "kind": "full", "dryRun": True}).json
    assert [(run["mappingId"], run["kind"], run["dryRun"]) for run in some["items"]] == [
        (2, "full", True),
        (1, "full", True),
    ]
    one = two.ask("POST", "/sync-runs", {"mappingId": 1}).json
    assert (one["groupId"], [run["id"] for run in one["items"]]) == (None, [one["id"]])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/mappingId"),
        ({"mappingId": 1, "all": True}, "/all"),
        ({"mappingId": 1, "mappingIds": [1]}, "/mappingIds"),
        ({"mappingIds": []}, "/mappingIds"),
        ({"mappingIds": [1, 99]}, "/mappingIds/1"),
        ({"all": True, "kind": "uncouple"}, "/kind"),
        ({"all": True, "records": {"local": ["c1"]}}, "/records"),
    ],
)
def test_what_cannot_be_asked_for(two: World, body: Any, pointer: str) -> None:
    answer = two.ask("POST", "/sync-runs", body)
    assert answer.status_code == 422
    assert [problem["pointer"] for problem in answer.json["errors"]] == [pointer]
    assert two.get("/sync-runs?status=queued")["items"] == []


def test_a_caller_may_wait_for_all_of_them(two: World) -> None:
    answer = two.ask("POST", "/sync-runs", {"all": True}, Prefer="wait=0")
    assert answer.status_code == 202
    assert [run["status"] for run in answer.json["items"]] == ["queued", "queued"]


def test_the_review_says_what_to_do_first(two: World) -> None:
    first = two.get("/mappings/review")["items"]
    assert [(one["name"], one["recommendation"], one["reason"]) for one in first] == [
        ("cities", "matchFirst", "both_sides_filled"),
        ("customers", "nothingToDo", "read_and_coupled"),
    ]
    assert first[0]["records"]["local"] == first[0]["uncoupled"]["local"] == 3
    assert first[1]["needs"] == [2]
    assert first[0]["message"]
    two.sql("erp", "INSERT INTO customer (id, number, name) VALUES ('c9', '90000', 'New')")
    again = two.get("/mappings/review")["items"]
    assert (again[1]["recommendation"], again[1]["reason"]) == ("fullSynchronization", "uncoupled_records")
    two.ask("POST", "/sync-runs", {"mappingId": 2, "kind": "match"})
    two.work()
    last = two.get("/mappings/review")["items"]
    assert (last[0]["coupled"], last[0]["recommendation"]) == (3, "fullSynchronization")
    assert last[0]["reason"] == "never_read"


def test_the_review_of_what_cannot_be_reached(two: World) -> None:
    two.sql("crm", "ALTER TABLE account RENAME TO elsewhere")
    found = two.get("/mappings/review")["items"]
    assert {(one["recommendation"], one["reason"]) for one in found} == {("lookIntoIt", "table_not_found")}
    assert found[0]["records"] == {"local": None, "integration": None}

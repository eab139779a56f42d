"""The errors list: filters, groups, clean-up."""

from __future__ import annotations

import pytest

from tests.api.world import World


@pytest.fixture
def aged(lively: World) -> World:
    """One error that explains an open conflict, and three old ones of another cause that explain nothing any more."""
    group = "INSERT INTO error_groups (id, mapping_id, fingerprint, code, first_seen) VALUES (77, 1, 'f', 'timeout', 1)"
    lively.sql("accord", group)
    for day in (1, 2, 3):
        lively.sql(
            "accord",
            "INSERT INTO errors (mapping_id, group_id, code, category, responsibility, params, status, occurred_at)"
            " VALUES (1, 77, 'timeout', 'transient', 'none', '{}', 'resolved', ?)",
            day * 86_400_000_000,
        )
    return lively


def clean_up(world: World, query: str) -> tuple[int, int]:
    answer = world.ask("DELETE", f"/errors?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json["deleted"], answer.json["kept"]


def count(world: World) -> int:
    return len(world.get("/errors")["items"])


def test_old_errors_go_and_new_ones_stay(aged: World) -> None:
    assert clean_up(aged, "olderThan=7d&dryRun=true") == (3, 0)
    assert count(aged) == 4
    assert clean_up(aged, "olderThan=P7D") == (3, 0)
    assert count(aged) == 1


def test_what_is_still_needed_is_kept_and_counted(aged: World) -> None:
    assert clean_up(aged, "all=true&mappingId=2") == (0, 0)
    assert clean_up(aged, "all=true") == (3, 1)
    assert clean_up(aged, "all=true&includeOpen=true") == (1, 0)
    assert count(aged) == 0
    assert aged.get("/skipped/1")["errorId"] is None


@pytest.mark.parametrize("query", ["", "?mappingId=1", "?dryRun=true", "?all=false"])
def test_somebody_must_say_which(aged: World, query: str) -> None:
    answer = aged.ask("DELETE", f"/errors{query}")
    assert (answer.status_code, answer.json["code"]) == (400, "selection_required")
    assert count(aged) == 4


@pytest.mark.parametrize("age", ["7", "d", "-1d", "0d", "10000d", "858574x", "P", "PT", "7 d", "1e3d", "٣d"])
def test_an_age_that_is_none_is_refused(aged: World, age: str) -> None:
    answer = aged.ask("DELETE", f"/errors?olderThan={age}")
    assert (answer.status_code, answer.json["errors"][0]["parameter"]) == (422, "olderThan")
    assert count(aged) == 4


def test_filters(aged: World) -> None:
    assert len(aged.get("/errors?code=timeout&category=transient&responsibility=none&status=resolved")["items"]) == 3
    assert len(aged.get("/errors?occurredAfter=1970-01-03T00:00:00Z")["items"]) == 2
    assert len(aged.get("/errors?runId=2")["items"]) == 1
    assert aged.get("/errors?mappingId=9")["items"] == []


def test_groups(aged: World) -> None:
    groups = aged.get("/errors/groups")["items"]
    assert [(group["code"], group["count"], group["open"]) for group in groups] == [
        ("timeout", 3, 0),
        ("destination_modified_later", 1, 1),
    ]
    assert [sample["occurredAt"][:10] for sample in groups[0]["samples"]] == ["1970-01-04", "1970-01-03", "1970-01-02"]
    assert groups[1]["samples"][0] == aged.get("/errors/1")
    assert [group["code"] for group in aged.get("/errors/groups?status=open")["items"]] == [
        "destination_modified_later"
    ]


def test_a_link_opens_the_record_in_its_own_application(lively: World) -> None:
    link = {"settings": {"linkTemplate": "https://erp.example.com/{table}/{key}"}}
    lively.ask("PATCH", "/connections/1", link, If_Match="*")
    error = lively.get("/errors/1")
    local = next(record for record in (error["source"], error["destination"]) if record["side"] == "local")
    assert local["url"] == "https://erp.example.com/customer/c2"


def test_one_error_is_deleted(aged: World) -> None:
    assert aged.ask("DELETE", "/errors/2").status_code == 204
    assert aged.ask("GET", "/errors/2").status_code == 404

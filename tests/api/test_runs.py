"""Runs over the API."""

from __future__ import annotations

import pytest

from tests.api.world import World


def test_a_run_from_start_to_end(world: World) -> None:
    world.sql("erp", "UPDATE customer SET name = 'New' WHERE id = 'c1'")
    started = world.ask("POST", "/sync-runs", {"mappingId": 1})
    assert started.status_code == 202
    assert started.headers["Location"] == f"/sync-runs/{started.json['id']}"
    assert started.json["status"] == "queued"
    assert started.json["finishedAt"] is None
    world.work()
    run = world.get(started.headers["Location"])
    assert (run["status"], run["kind"], run["trigger"], run["requestedBy"]) == ("succeeded", "modified", "api", "first")
    assert run["counts"]["toIntegration"]["modified"] == 1
    for counts in run["counts"].values():
        assert counts["read"] == sum(number for name, number in counts.items() if name != "read")
    records = world.get(f"/sync-runs/{run['id']}/records?outcome=modified")["items"]
    assert [(record["side"], record["sourceKey"]) for record in records] == [("local", "c1")]


def test_the_same_run_is_queued_once(world: World) -> None:
    first = world.ask("POST", "/sync-runs", {"mappingId": 1})
    second = world.ask("POST", "/sync-runs", {"mappingId": 1})
    assert second.status_code == 202
    assert second.json["id"] == first.json["id"]


def test_a_run_for_a_disabled_mapping_is_refused(world: World) -> None:
    world.ask("PATCH", "/mappings/1", {"enabled": False}, If_Match="*")
    before = world.contents()
    answer = world.ask("POST", "/sync-runs", {"mappingId": 1})
    assert (answer.status_code, answer.json["code"]) == (409, "mapping_disabled")
    assert world.contents() == before


def test_a_reconcile_run_says_how_many_pairs_are_in_step(world: World) -> None:
    assert world.ask("GET", "/mappings/1").json["status"]["inSync"] is None
    run = world.ask("POST", "/sync-runs", {"mappingId": 1, "kind": "reconcile"})
    assert run.status_code == 202
    world.work()
    run = world.ask("GET", f"/sync-runs/{run.json['id']}")
    status = world.ask("GET", "/mappings/1").json["status"]
    assert status["inSync"] == {
        "asOf": run.json["startedAt"],
        "runId": run.json["id"],
        "coupled": status["coupled"],
        "inSync": status["coupled"] - status["openSkipped"],
        "slipped": {"local": 0, "integration": 0},
        "drifted": 0,
        "outOfFilter": 0,
        "uncoupled": {"local": 0, "integration": 0},
    }


@pytest.mark.parametrize(
    ("request_", "pointer"),
    [
        ({"kind": "records"}, "/records"),
        ({"kind": "modified", "records": {"local": ["c1"]}}, "/records"),
        ({"kind": "records", "couplingIds": [99]}, "/couplingIds/0"),
        ({"all": True}, "/all"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(world: World, request_: dict[str, object], pointer: str) -> None:
    answer = world.ask("POST", "/sync-runs", {"mappingId": 1, **request_})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == pointer


def test_chosen_records(world: World) -> None:
    world.sql("erp", "UPDATE customer SET name = 'New' WHERE id IN ('c1', 'c2')")
    run = world.run(kind="records", records={"local": ["c1"]})
    assert run["counts"]["toIntegration"]["modified"] == 1
    assert world.sql("crm", "SELECT count(*) FROM account WHERE name = 'New'") == [(1,)]


def test_a_dry_run_writes_nothing(world: World) -> None:
    world.sql("erp", "UPDATE customer SET name = 'New' WHERE id = 'c1'")
    run = world.run(dryRun=True)
    assert (run["dryRun"], run["counts"]["toIntegration"]["modified"]) == (True, 1)
    assert world.sql("crm", "SELECT count(*) FROM account WHERE name = 'New'") == [(0,)]


def test_cancelling(world: World) -> None:
    id = world.ask("POST", "/sync-runs", {"mappingId": 1}).json["id"]
    answer = world.ask("POST", f"/sync-runs/{id}/cancel")
    assert (answer.status_code, answer.json["status"]) == (202, "cancelled")
    again = world.ask("POST", f"/sync-runs/{id}/cancel")
    assert (again.status_code, again.json["code"]) == (409, "already_finished")


def test_filters(world: World) -> None:
    first = world.get("/sync-runs")["items"][0]
    world.run(kind="full")
    assert [run["kind"] for run in world.get("/sync-runs")["items"]] == ["full", "modified"]
    assert [run["kind"] for run in world.get("/sync-runs?kind=full")["items"]] == ["full"]
    assert len(world.get("/sync-runs?status=succeeded&mappingId=1")["items"]) == 2
    assert world.get("/sync-runs?mappingId=2")["items"] == []
    after = first["createdAt"]
    assert [run["kind"] for run in world.get(f"/sync-runs?createdAfter={after}")["items"]] == ["full"]


def test_a_key_may_be_the_number_that_it_is(world: World) -> None:
    by_number = world.ask("POST", "/sync-runs", {"mappingId": 1, "kind": "records", "records": {"local": [1]}})
    assert by_number.status_code == 202
    wrong: object
    for wrong in (1.5, True, None, 2**63, "", {}):
        body = {"mappingId": 1, "kind": "records", "records": {"local": [wrong]}}
        assert world.ask("POST", "/sync-runs", body).status_code == 422, wrong

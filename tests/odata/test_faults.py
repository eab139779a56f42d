"""Trouble between a connector and its service: nothing is lost, nothing is done twice, and the run says what it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.core.records import Side
from service.operations import connections
from service.store.models import SyncRun
from tests.odata.servers import Counterpart, Faults, counterpart, faults_before
from tests.odata.world import FIELDS, USERS, ODataWorld, tables
from tests.world import errors

pytestmark = pytest.mark.usefixtures("state")

SHAPES = ("dataverse", "businessCentral")
RECORDS = 12


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, Counterpart]]:
    with (
        counterpart("dataverse", tables("dataverse"), users=USERS, stampDigits=0) as dataverse,
        counterpart("businessCentral", tables("businessCentral"), users=USERS, stampDigits=3) as central,
    ):
        yield {"dataverse": dataverse, "businessCentral": central}


@pytest.fixture(scope="module")
def faults(services: dict[str, Counterpart]) -> Iterator[Faults]:
    with faults_before(*services.values()) as proxy:
        yield proxy


@pytest.fixture(params=SHAPES)
def world(
    request: pytest.FixtureRequest, services: dict[str, Counterpart], faults: Faults, tmp_path: Path
) -> Iterator[ODataWorld]:
    """Customers that the service lacks, accounts that the ERP lacks, and pairs that were edited on one side each."""
    made = ODataWorld(tmp_path, services[request.param], port=faults.port)
    made.map_service()
    number, name, _, _ = FIELDS[made.service.shape]
    pairs = [made.add("local", number=f"P{n}", name="n") for n in range(4)]
    made.run()
    keys = [made.partner("local", key) for key in pairs]
    made.edit("local", pairs[0], city="Oslo")
    made.edit("local", pairs[1], city="Bergen")
    made.edit_remote(str(keys[2]), **{name: "edited there"})
    for n in range(RECORDS):
        made.add("local", number=f"L{n}", name=f"ours {n}")
        made.add_remote(**{number: f"R{n}", name: f"theirs {n}"})
    yield made
    faults.plan()


def assert_all_is_well(world: ODataWorld) -> None:
    """Every record is there once on both sides, with the same values, and another run has nothing to do."""
    fields = FIELDS[world.service.shape][:3]
    remote = sorted(tuple(row[field] for field in fields) for row in world.service.control("all", table=world.table))
    local = sorted((row["number"], row["name"], row["city"]) for row in world.all("local"))
    assert len({row[0] for row in local}) == len(local) == 4 + 2 * RECORDS
    assert local == remote
    stamps = world.sql("local", "SELECT id, modified_at FROM customer ORDER BY id")
    world.service.requests()
    assert world.run().status == "succeeded"
    assert all(method == "GET" for method, target, _ in world.service.requests() if "batch" not in target)
    assert world.sql("local", "SELECT id, modified_at FROM customer ORDER BY id") == stamps
    assert world.skips() == []


def run_through(world: ODataWorld, faults: Faults, *plan: dict[str, Any]) -> SyncRun:
    faults.plan(*plan)
    run = world.run()
    assert all(faults.plan()), "a fault that nobody met"
    return run


_PASSING: dict[str, list[dict[str, Any]]] = {
    "429 with a time": [{"fault": "answer", "status": 429, "headers": {"Retry-After": "1"}, "times": 2}],
    "429 without": [{"fault": "answer", "status": 429, "times": 2}],
    "429 to a batch": [{"fault": "answer", "status": 429, "headers": {"Retry-After": "1"}, "path": "$batch"}],
    "503": [{"fault": "answer", "status": 503, "headers": {"Retry-After": "1"}, "times": 2}],
    "reset": [{"fault": "reset", "times": 2}],
    "reset of a batch": [{"fault": "reset", "path": "$batch", "times": 2}],
    "an answer that is lost": [{"fault": "drop", "path": "$batch"}],
    "three answers that are lost": [{"fault": "drop", "path": "$batch", "times": 3}],
    "every answer to a batch is lost": [{"fault": "drop", "path": "$batch", "times": 10_000}],
    "half of a batch's answer": [{"fault": "truncate", "path": "$batch"}],
    "half of a page": [{"fault": "truncate", "method": "GET", "times": 2}],
    "a page of HTML": [{"fault": "html", "method": "GET", "times": 2}],
    "HTML for a batch": [{"fault": "html", "path": "$batch", "times": 2}],
}


@pytest.mark.parametrize("plan", _PASSING.values(), ids=list(_PASSING))
def test_trouble_that_passes_is_not_noticed(world: ODataWorld, faults: Faults, plan: list[dict[str, Any]]) -> None:
    run = run_through(world, faults, *plan)
    assert run.status == "succeeded"
    assert errors() == []
    assert_all_is_well(world)


_LASTING: dict[str, tuple[dict[str, Any], str]] = {
    "429": ({"fault": "answer", "status": 429, "headers": {"Retry-After": "1"}}, "rate_limited"),
    "503": ({"fault": "answer", "status": 503, "headers": {"Retry-After": "1"}}, "connection_failed"),
    "reset": ({"fault": "reset"}, "connection_failed"),
    "html": ({"fault": "html"}, "connection_failed"),
    "an endless reading": ({"fault": "endless", "method": "GET", "path": "?"}, "connection_failed"),
}


@pytest.mark.parametrize(("fault", "code"), _LASTING.values(), ids=list(_LASTING))
def test_trouble_that_lasts_ends_the_run_and_says_what_it_was(
    world: ODataWorld, faults: Faults, fault: dict[str, Any], code: str
) -> None:
    run = run_through(world, faults, {**fault, "times": 10_000})
    assert (run.status, run.code) == ("failed", code)
    assert [one.code for one in errors()] == [code]
    assert world.skips() == []
    assert world.run().status == "succeeded"
    assert_all_is_well(world)


@pytest.mark.parametrize(("fault", "code"), [({"path": "$batch"}, None), ({"method": "GET"}, "timeout")])
def test_answers_that_come_too_late(world: ODataWorld, faults: Faults, fault: dict[str, Any], code: str | None) -> None:
    """The service does its work, and its answers take five seconds where one is waited for. Writes are found done."""
    settings = {"settings": {"timeoutSeconds": 1}}
    connections.change(world.context, world.connection_ids[Side.INTEGRATION], settings, None, "test")
    run = run_through(world, faults, {"fault": "late", "seconds": 5, "times": 10_000, **fault})
    assert (run.status, run.code) == ("failed" if code else "succeeded", code)
    connections.change(
        world.context, world.connection_ids[Side.INTEGRATION], {"settings": {"timeoutSeconds": 60}}, None, "test"
    )
    assert world.run().status == "succeeded"
    assert_all_is_well(world)

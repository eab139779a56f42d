"""Trouble between a connector and its application, for those that tests/odata/test_faults.py leaves out: nothing is
lost, nothing is done twice, and the run says what it was. What speaks HTTP is met through mitmproxy, the databases
through a wire of our own, which knows when a transaction is committed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.connectors.memory import MemoryStore
from service.operations import connections, execution, runs, skipped
from service.store.database import connection, migrate, open_database
from service.store.models import SyncRun
from tests.conformance.systems import SYSTEMS, Job, System, new_store
from tests.cutting import Wire, wire_to
from tests.odata.sap import Erp
from tests.odata.servers import Faults, faults_at
from tests.tryton import TrytonServer
from tests.world import errors, tally

PAIRS, NEW = 4, 12
ALWAYS = 10_000

READS: Mapping[str, dict[str, Any]] = {
    "mock-sap": {"method": "GET"},
    "tryton": {"body": '.search_read"'},
}
WRITES: Mapping[str, dict[str, Any]] = {
    "mock-sap": {"path": "$batch", "header": "X-CSRF-Token", "body": '"POST"'},
    "tryton": {"body": '.create"'},
}
CHANGES: Mapping[str, dict[str, Any]] = {
    "mock-sap": {"path": "$batch", "header": "X-CSRF-Token", "body": '"PATCH"'},
    "tryton": {"body": '.write"'},
}
"""How requests of a kind are known. Without a CSRF token a write is refused before it is looked at."""


@pytest.fixture(scope="module")
def faults(erp: Erp, tryton: TrytonServer) -> Iterator[Faults]:
    with faults_at({"/sap": erp.sap.port, "/erp": tryton.port}) as proxy:
        yield proxy


@dataclass
class World:
    """An application and a store, each with records that the other lacks, and pairs that were edited on one side."""

    name: str
    system: System
    store: MemoryStore
    job: Job
    faults: Faults | Wire

    def __post_init__(self) -> None:
        """The pairs come to be without trouble; then the connection is led through where it can be made."""
        people = self.system.app
        for n in range(PAIRS):
            people.put(f"p{n}", **self.system.known(number=f"P{n}", name="n", city="Oslo"))
        assert self.run().status == "succeeded"
        keys = {str(row.values["number"]): key for key, row in self.store.tables["account"].rows.items()}
        people.put("p0", name="edited there")
        self.store.put("account", id=keys["P1"], name="edited here")
        settings = {"settings": self.system.through(self.faults.port)}
        connections.change(self.job.context, self.job.connection_id, settings, None, "test")
        for n in range(NEW):
            people.put(f"t{n}", **self.system.known(number=f"T{n}", name=f"theirs {n}"))
            self.store.put("account", number=f"H{n}", name=f"ours {n}")

    def run(self, *plan: dict[str, Any], kind: str = "modified") -> SyncRun:
        """A run with trouble, all of which is met. Its patience is that of a run, but that it does not wait so long."""
        self.faults.plan(*plan)
        run = runs.start(self.job.context, runs.RunRequest(self.job.mapping_id, kind), "test")
        lease = execution.claim(self.job.context, "test")
        assert lease is not None
        execution.carry_out(self.job.context, lease, lambda: None, lambda seconds: time.sleep(min(seconds, 0.1)))
        assert all(self.faults.plan()), "a fault that nobody met"
        return runs.get(run.id)

    def customers(self) -> dict[str, str]:
        """The names of all customers, by number, as the application itself has them."""
        rows = self.job.customers()
        assert len({number for number, _ in rows}) == len(rows)
        return {str(number): str(name) for number, name in rows}

    def assert_all_is_well(self) -> None:
        """Every record is there once on both sides, with the same values, and another run has nothing to do."""
        expected = {f"P{n}": "n" for n in range(PAIRS)} | {"P0": "edited there", "P1": "edited here"}
        expected |= {f"T{n}": f"theirs {n}" for n in range(NEW)} | {f"H{n}": f"ours {n}" for n in range(NEW)}
        assert self.customers() == expected == self.job.accounts()
        assert len(self.store.tables["account"].rows) == len(expected)
        run = self.run(kind="full")
        assert (run.status, run.params, errors(status="open")) == ("succeeded", None, [])
        for way in ("toIntegration", "fromIntegration"):
            assert tally(run, way).keys() <= {"read", "unchanged"}
        assert self.customers() == expected


@pytest.fixture
def state(tmp_path: Path) -> Iterator[None]:
    database = open_database(f"sqlite:///{tmp_path}/accord.db")
    migrate()
    with connection():
        yield
    database.close()


@contextmanager
def world_of(name: str, system: System, faults: Faults | Wire) -> Iterator[World]:
    with new_store() as store, closing(Job(system, store)) as job:
        yield World(name, system, store, job, faults)
    faults.plan()


@pytest.fixture(params=WRITES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(request: pytest.FixtureRequest, state: None, name: str, faults: Faults) -> Iterator[World]:
    with contextmanager(SYSTEMS[name])(request) as system, world_of(name, system, faults) as made:
        yield made


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, state: None) -> Iterator[World]:
    made = contextmanager(SYSTEMS[request.param])
    with made(request) as system, wire_to(system.port) as wire, world_of(request.param, system, wire) as world:
        yield world


def _refusal(status: int, seconds: int) -> dict[str, Any]:
    return {"fault": "answer", "status": status, "headers": {"Retry-After": str(seconds)}}


_PASSING: dict[str, tuple[Mapping[str, Any], dict[str, Any]]] = {
    "429 with a time": ({}, {**_refusal(429, 1), "times": 2}),
    "429 without": ({}, {"fault": "answer", "status": 429}),
    "429 to a write": (WRITES, _refusal(429, 1)),
    "503": ({}, {**_refusal(503, 1), "times": 2}),
    "503 to a write": (WRITES, {"fault": "answer", "status": 503}),
    "reset": ({}, {"fault": "reset", "times": 2}),
    "reset of a write": (WRITES, {"fault": "reset", "times": 2}),
    "an answer to inserts that is lost": (WRITES, {"fault": "drop"}),
    "three answers to inserts that are lost": (WRITES, {"fault": "drop", "times": 3}),
    "an answer to updates that is lost": (CHANGES, {"fault": "drop"}),
    "an answer to a reading that is lost": (READS, {"fault": "drop", "times": 2}),
    "half of an answer to inserts": (WRITES, {"fault": "truncate"}),
    "half of an answer to updates": (CHANGES, {"fault": "truncate"}),
    "half of a page": (READS, {"fault": "truncate", "times": 2}),
    "a page of HTML": (READS, {"fault": "html", "times": 2}),
    "HTML for inserts": (WRITES, {"fault": "html", "times": 2}),
    "an answer after five seconds": (WRITES, {"fault": "late", "seconds": 5}),
}


@pytest.mark.parametrize(("requests", "fault"), _PASSING.values(), ids=list(_PASSING))
def test_trouble_that_passes_is_not_noticed(
    world: World, requests: Mapping[str, dict[str, Any]], fault: dict[str, Any]
) -> None:
    began = time.monotonic()
    run = world.run({**fault, **requests.get(world.name, {})})
    assert (run.status, errors()) == ("succeeded", [])
    assert time.monotonic() - began >= fault.get("seconds", 0)
    world.assert_all_is_well()


_LASTING: dict[str, tuple[dict[str, Any], str]] = {
    "429": (_refusal(429, 0), "rate_limited"),
    "503": (_refusal(503, 0), "connection_failed"),
    "reset": ({"fault": "reset"}, "connection_failed"),
    "half of every answer": ({"fault": "truncate"}, "connection_failed"),
    "html": ({"fault": "html"}, "connection_failed"),
}


@pytest.mark.parametrize(("fault", "code"), _LASTING.values(), ids=list(_LASTING))
def test_trouble_that_lasts_ends_the_run_and_says_what_it_was(world: World, fault: dict[str, Any], code: str) -> None:
    run = world.run({**fault, "times": ALWAYS})
    assert (run.status, run.code) == ("failed", code)
    assert [one.code for one in errors(status="open")] == [code]
    assert skipped.list_skipped(status=None, limit=10) == []
    assert world.run().status == "succeeded"
    world.assert_all_is_well()


def test_every_answer_to_a_write_is_lost(world: World) -> None:
    """What was made is found, and what was written is seen to be there."""
    plan = [{"fault": "drop", "times": ALWAYS, **kind[world.name]} for kind in (WRITES, CHANGES)]
    run = world.run(*plan)
    assert (run.status, errors()) == ("succeeded", [])
    world.assert_all_is_well()


@pytest.mark.parametrize("name", ["mock-sap"])  # Tryton's pages have no links.
def test_pages_without_end(world: World) -> None:
    """Each page of a service leads to another one."""
    run = world.run({"fault": "endless", "times": ALWAYS, "method": "GET", "path": "?"})
    assert (run.status, run.code) == ("failed", "connection_failed")
    assert world.run().status == "succeeded"
    world.assert_all_is_well()


_READING = (b"ORDER BY",)
_INSERTS = (b"INSERT INTO",)
_INSERTED = (b"INSERT INTO", b"COMMIT")
_UPDATED = (b"UPDATE ", b"COMMIT")

_PASSING_ON_A_WIRE: dict[str, dict[str, Any]] = {
    "a connection that is not to be had": {"fault": "reset", "times": 2},
    "a page of HTML instead of a database": {"fault": "html", "times": 2},
    "reset of a reading": {"fault": "reset", "words": _READING, "times": 2},
    "reset of inserts": {"fault": "reset", "words": _INSERTS, "times": 2},
    "reset of their commit": {"fault": "reset", "words": _INSERTED, "times": 2},
    "reset of the commit of updates": {"fault": "reset", "words": _UPDATED, "times": 2},
    "an answer to a reading that is lost": {"fault": "drop", "words": _READING, "times": 2},
    "an answer to inserts that is lost": {"fault": "drop", "words": _INSERTS},
    "an answer to their commit that is lost": {"fault": "drop", "words": _INSERTED},
    "an answer to the commit of updates that is lost": {"fault": "drop", "words": _UPDATED},
    "half of a page": {"fault": "half", "words": _READING, "times": 2},
    "half of an answer to inserts": {"fault": "half", "words": _INSERTS},
    "an answer after five seconds": {"fault": "late", "words": _INSERTED, "seconds": 5},
}


@pytest.mark.parametrize("fault", _PASSING_ON_A_WIRE.values(), ids=list(_PASSING_ON_A_WIRE))
def test_trouble_with_a_database_that_passes_is_not_noticed(database: World, fault: dict[str, Any]) -> None:
    began = time.monotonic()
    run = database.run(fault)
    assert (run.status, errors()) == ("succeeded", [])
    assert time.monotonic() - began >= fault.get("seconds", 0)
    database.assert_all_is_well()


@pytest.mark.parametrize("fault", ["reset", "html", "half", "drop"])
def test_trouble_with_a_database_that_lasts_ends_the_run_and_says_what_it_was(database: World, fault: str) -> None:
    run = database.run({"fault": fault, "times": ALWAYS})
    assert (run.status, run.code) == ("failed", "connection_failed")
    assert [one.code for one in errors(status="open")] == ["connection_failed"]
    assert skipped.list_skipped(status=None, limit=10) == []
    assert database.run().status == "succeeded"
    database.assert_all_is_well()


def test_every_answer_to_a_commit_is_lost(database: World) -> None:
    """What was made is found, and what was written is seen to be there."""
    plan = [{"fault": "drop", "words": words, "times": ALWAYS} for words in (_INSERTED, _UPDATED)]
    run = database.run(*plan)
    assert (run.status, errors()) == ("succeeded", [])
    database.assert_all_is_well()

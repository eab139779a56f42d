"""The main job with each kind of business application: both ways, a conflict, a deletion, few rights, a lost answer.

The other side is always a store of this process, whose contents can be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from service.connectors.kit import T0
from service.connectors.memory import MemoryStore
from service.core.records import Selection
from service.operations import skipped
from service.store.database import connection, migrate, open_database
from service.worker import run_until_idle
from tests.conformance.systems import SYSTEMS, Job, System, new_store
from tests.connectors.test_mariadb import MariaApplication
from tests.connectors.test_postgresql import PostgresApplication
from tests.cutting import wire_to
from tests.world import errors


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    yield from SYSTEMS[request.param](request)


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    with new_store() as made:
        yield made


Starting = Callable[..., Job]


@pytest.fixture
def start(state: None, system: System, store: MemoryStore) -> Iterator[Starting]:
    """Makes a mapping between the system and the store."""
    with ExitStack() as opened:
        yield lambda **given: opened.enter_context(closing(Job(system, store, **given)))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[None]:
    open_database(f"sqlite:///{tmp_path}/accord.db")
    migrate()
    with connection():
        yield


def writes(done: dict[str, dict[str, int]]) -> int:
    return sum(
        number for counts in done.values() for name, number in counts.items() if name in ("inserted", "modified")
    )


def test_both_ways_with_a_conflict_and_a_deletion(start: Starting, system: System, store: MemoryStore) -> None:
    job = start(deletion_conflict_resolution="deletePartner")
    people = system.app
    people.put("a", **system.known(number="N1", name="Žluťoučký Kůň", city="Oslo", credit="12.5"))
    people.put("b", number="N2", name="Bob")
    store.put("account", number="N3", name="Ærlig Ås")
    done = job.done()
    assert (done["toIntegration"]["inserted"], done["fromIntegration"]["inserted"]) == (2, 1)
    assert job.accounts() == {"N1": "Žluťoučký Kůň", "N2": "Bob", "N3": "Ærlig Ås"}
    assert job.names() == ["Bob", "Ærlig Ås", "Žluťoučký Kůň"] or len(job.names()) == 3
    assert writes(job.done()) == 0
    assert writes(job.done("full")) == 0

    account = next(key for key, row in store.tables["account"].rows.items() if row.values["number"] == "N1")
    people.put("a", name="Here")
    store.put("account", id=account, name="There")
    assert job.done()["toIntegration"]["skipped"] == 1
    [item] = skipped.list_skipped(mapping_id=job.mapping_id, status="open", limit=10)
    assert item.reason == "conflict"
    skipped.resolve(job.context, item.id, "keepIntegration", None, "anna")
    run_until_idle(job.context)
    assert "There" in job.names()
    assert writes(job.done()) == 0

    people.remove("b")
    job.done("findDeleted")
    assert set(job.accounts()) == {"N1", "N3"}


def test_a_user_who_may_only_read_is_one_error_for_the_administrator(
    start: Starting, system: System, store: MemoryStore
) -> None:
    for number in range(5):
        store.put("account", number=f"N{number}", name=f"name {number}")
    system.deny()
    job = start(credentials=system.reader)
    run = job.run()
    assert run.status == "failed"
    found = errors()
    assert [(error.code, error.responsibility) for error in found] == [("permission_denied", "administrator")]
    assert skipped.list_skipped(mapping_id=job.mapping_id, status=None, limit=10) == []
    assert job.names() == []


def test_an_answer_that_is_lost_after_an_insert_doubles_nothing(
    start: Starting, system: System, store: MemoryStore
) -> None:
    with wire_to(system.port) as wire:
        job = start(settings=system.through(wire.port))
        for number in range(20):
            store.put("account", number=f"N{number}", name=f"name {number}")
        wire.cut_after(*system.last_words)
        run = job.run()
        assert wire.cuts == 1
        assert run.status == "succeeded", (run.code, run.params, errors())
        assert len(job.names()) == 20
        assert writes(job.done("full")) == 0
        assert len(job.names()) == 20


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_fifty_thousand_rows_take_a_statement_a_page_and_one_for_its_partners(
    request: pytest.FixtureRequest, name: str
) -> None:
    made = SYSTEMS[name](request)
    system = next(made)
    numbers = {
        "postgresql": "SELECT n FROM generate_series(1, 50000) AS n",
        "mariadb": "SELECT seq AS n FROM seq_1_to_50000",
    }[name]
    moment = "TIMESTAMP '2026-01-01 00:00:00'"  # One stamp for all of them, as after an import.
    assert isinstance(system.app, PostgresApplication | MariaApplication)
    system.app.execute(
        "INSERT INTO customer (id, name, modified_at)"
        f" SELECT CONCAT('k', n), CONCAT('name ', n), {moment} FROM ({numbers}) AS numbers"
    )
    connector = system.app.connector()
    session = connector._database.session
    table = connector.describe(system.table)
    chosen = Selection(table.name, str(table.key), str(table.modified_on), ("name", "city"))
    connector.read(chosen, T0, None, 1)
    counted: list[str] = []
    rows = session.rows

    def count(statement: Any, params: Any = None) -> Any:
        counted.append(statement.text)
        return rows(statement, params)

    session.rows = count  # type: ignore[method-assign]
    cursor, pages, seen = None, 0, set()
    while pages == 0 or cursor is not None:
        page = connector.read(chosen, T0, cursor, 500)
        seen |= {record.key for record in page.records}
        assert len(connector.fetch(chosen, [record.key for record in page.records], filtered=False)) == 500
        cursor, pages = page.cursor, pages + 1
    assert (len(seen), pages) == (50_000, 100)
    assert len(counted) <= 100 + 100 + 3  # The first page also asks for what has no stamp.
    connector.close()
    assert next(made, None) is None

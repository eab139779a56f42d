"""Whole pages of the state: written by few statements, with the same promises as single rows."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playhouse.migrations import Runner

from service.core.flow import NOTHING_KNOWN, Coupled, Known
from service.core.records import Side
from service.store import couplings, intents, pending, sql
from service.store.couplings import Saved
from service.store.database import MIGRATIONS, connection, database, migrate, open_database
from service.store.intents import Intent
from service.store.pending import Pending
from service.store.runs import Done, Lease

LOCAL, INTEGRATION = Side.LOCAL, Side.INTEGRATION
LEASE = Lease(1, "nobody", 0, 0)
STRANGE = "tab\t line\n back\\slash \"quoted\" 'single' \\N ð"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """An empty database, with a connection open."""
    if request.param == "sqlite":
        open_database(f"sqlite:///{tmp_path / 'state.db'}")
        with connection():
            yield
        return
    server = request.getfixturevalue("postgres")
    name = f"pages_{uuid.uuid4().hex[:12]}"
    open_database(server.create_database(name))
    with connection():
        yield
    database.obj.close_all()
    server.drop_database(name)


@pytest.fixture
def mapping_id(empty: None) -> int:
    """A mapping that a page may be about."""
    database.close()
    migrate()
    database.connect()
    return a_mapping()


def a_mapping() -> int:
    """A row of `mappings`, written by hand."""
    given = {
        "connections": "id, name, kind, settings, enabled, version, created_at, updated_at",
        "mappings": "id, name, direction, local_connection_id, local_table, local_filter, integration_connection_id,"
        " integration_table, integration_filter, synch_only_coupled_records, conflict_detection,"
        " update_conflict_resolution, deletion_conflict_resolution, depends_on, templates, enabled, full_read_due,"
        " idle_runs, version, created_at, updated_at",
    }
    sql.execute(f"INSERT INTO connections ({given['connections']}) VALUES (1, 'c', 'sql', '{{}}', true, 1, 1, 1)")
    sql.execute(
        f"INSERT INTO mappings ({given['mappings']}) VALUES (1, 'm', 'bidirectional', 1, 'a', '[]', 1, 'b', '[]', true,"
        " 'record', 'none', 'none', '[]', '[]', true, false, 0, 1, 1, 1)"
    )
    return 1


def pair(local: str, integration: str, id: int = 0, **base: str | None) -> Saved:
    known = Known(1_700_000_000_000_000, "v1", base, echo=True)
    keys = {LOCAL: local, INTEGRATION: integration}
    return Saved(Coupled(id, keys, {LOCAL: known, INTEGRATION: NOTHING_KNOWN}), None)


def test_couplings_of_a_page_are_read_as_they_were_saved(mapping_id: int) -> None:
    with sql.transaction():
        first = couplings.save(mapping_id, None, [pair(f"l{n}", f"i{n}", a=STRANGE, b=None) for n in range(3)])
    with sql.transaction():
        again = couplings.save(mapping_id, 7, [pair("new", STRANGE, c="1"), pair("l1", "other", first[1], a="x")])
    assert again[1] == first[1]
    assert again[0] > max(first)
    held = couplings.by_keys(mapping_id, LOCAL, ["l0", "l1", "new"])
    assert {key: one.id for key, one in held.items()} == {"l0": first[0], "l1": first[1], "new": again[0]}
    assert held["l0"].known[LOCAL].base == {"a": STRANGE, "b": None}
    assert held["l1"].keys[INTEGRATION] == "other"
    assert held["l1"].known == {LOCAL: Known(1_700_000_000_000_000, "v1", {"a": "x"}, echo=True), INTEGRATION: Known()}
    assert couplings.by_keys(mapping_id, INTEGRATION, [STRANGE]) == {STRANGE: held["new"]}


@pytest.mark.parametrize("id", [0, 1])
def test_a_record_coupled_twice_is_a_clash(mapping_id: int, id: int) -> None:
    with sql.transaction():
        couplings.save(mapping_id, None, [pair("one", "1"), pair("two", "2")])
    taken = couplings.by_keys(mapping_id, LOCAL, ["one"])["one"].id
    with pytest.raises(sql.Clash), sql.transaction():
        couplings.save(mapping_id, None, [pair("three", "3"), pair("one", "2", taken if id else 0)])
    assert couplings.count(mapping_id) == 2


def test_a_page_of_inserts_is_noted_and_forgotten_as_a_whole(mapping_id: int) -> None:
    noted = [
        Intent("a", None, {"name": STRANGE, "city": None}),
        Intent("b", "chosen", {"name": "B", "city": "Oslo"}),
        Intent("c", None, {"city": "Oslo", "visits": 3}),
    ]
    intents.save(mapping_id, LEASE, INTEGRATION, 5, noted)
    assert intents.open_ones(mapping_id, None) == {INTEGRATION: noted}
    intents.remove(mapping_id, INTEGRATION, None)
    assert intents.open_ones(mapping_id, None) == {}


def test_changes_noted_by_an_older_version_are_still_known(empty: None) -> None:
    """A crash, then an update of the service: what was open then is settled by the new one."""
    runner = Runner(database.obj, str(MIGRATIONS))
    runner.up("0006_lists")
    mapping_id = a_mapping()
    sql.execute(
        "INSERT INTO sync_runs (id, mapping_id, kind, direction, trigger_, dry_run, allow_mass_delete, request,"
        " request_key, priority, status, counts, progress, created_at, attempt, cancel_requested, version) VALUES"
        " (1, 1, 'modified', 'bidirectional', 'api', false, false, '{}', '', 1, 'running', '{}', '{}', 1, 1, false, 1)"
    )
    for number in (1, 2):
        sql.execute(
            "INSERT INTO intents (run_id, mapping_id, side, source_key, chosen_key, written, created_at)"
            " VALUES (1, 1, 'local', ?, ?, ?, 5)", f"k{number}", None, json.dumps({"name": f"n{number}"})
        )  # fmt: skip
    done = Done(3, "toIntegration", "local", "a", "b", "modified", None, None, None)
    told = {name: getattr(done, name) for name in Done.__dataclass_fields__}
    sql.execute(
        "INSERT INTO pending_changes (run_id, mapping_id, side, key, before, written, told)"
        " VALUES (1, 1, 'integration', 'b', ?, ?, ?)", '{"name": "old"}', '{"name": "new"}', json.dumps(told)
    )  # fmt: skip
    runner.up()
    assert intents.open_ones(mapping_id, None) == {LOCAL: [Intent(f"k{n}", None, {"name": f"n{n}"}) for n in (1, 2)]}
    left = Pending(INTEGRATION, "b", {"name": "old"}, {"name": "new"}, done)
    assert pending.open_ones(mapping_id, None) == [(1, left)]


def test_what_was_refused_is_not_pending(mapping_id: int) -> None:
    sql.execute(
        "INSERT INTO sync_runs (id, mapping_id, kind, direction, trigger_, dry_run, allow_mass_delete, request,"
        " request_key, priority, status, counts, progress, created_at, attempt, cancel_requested, version) VALUES"
        " (1, 1, 'modified', 'bidirectional', 'api', false, false, '{}', '', 1, 'running', '{}', '{}', 1, 1, false, 1)"
    )
    done = Done(None, "toIntegration", "local", "a", None, "deleted", None, "rule", None)
    noted = [Pending(INTEGRATION, key, None, {}, done) for key in "abc"]
    pending.save(mapping_id, LEASE, INTEGRATION, noted)
    pending.remove(mapping_id, INTEGRATION, ["b"], None)
    assert pending.open_ones(mapping_id, None) == [(1, noted[0]), (1, noted[2])]

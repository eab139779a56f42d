"""Whole pages of the state: written by few statements, with the same promises as single rows."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playhouse.migrations import Runner

from service.core.failures import Failure
from service.core.flow import NOTHING_KNOWN, Coupled, Known
from service.core.records import Direction, Record, Side
from service.store import couplings, intents, pending, problems, retries, runs, skipped, sql
from service.store.couplings import Half, Saved
from service.store.database import MIGRATIONS, connection, database, migrate, open_database
from service.store.intents import Intent
from service.store.pending import Pending
from service.store.problems import Problem
from service.store.retries import Postponed
from service.store.runs import Done, Lease
from service.store.skipped import Skip

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


def a_mapping(id: int = 1) -> int:
    """A row of `mappings`, written by hand."""
    given = {
        "connections": "id, name, kind, settings, enabled, version, created_at, updated_at",
        "mappings": "id, name, direction, local_connection_id, local_table, local_filter, integration_connection_id,"
        " integration_table, integration_filter, synch_only_coupled_records, conflict_detection,"
        " update_conflict_resolution, deletion_conflict_resolution, depends_on, templates, enabled, full_read_due,"
        " idle_runs, version, created_at, updated_at",
    }
    connection = f"VALUES ({id}, 'c{id}', 'sql', '{{}}', true, 1, 1, 1)"
    sql.execute(f"INSERT INTO connections ({given['connections']}) {connection}")
    sql.execute(
        f"INSERT INTO mappings ({given['mappings']}) VALUES ({id}, 'm{id}', 'bidirectional', 1, 'a', '[]', 1, 'b',"
        " '[]', true, 'record', 'none', 'none', '[]', '[]', true, false, 0, 1, 1, 1)"
    )
    return id


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


BASES: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
    "alike": ({"1": STRANGE, "2": None, "3": 1}, {"1": STRANGE, "2": None, "3": 1}),
    "different": ({"1": "one", "3": 1}, {"1": "one", "3": 2}),
    "of other types": ({"3": 1}, {"3": True}),
    "never": (None, None),
    "half": ({"3": 1}, None),
    "other half": (None, {"3": 1}),
    "without lines": ({}, {}),
}
"""What is remembered of the local and of the integration side."""


def of_bases(key: str, bases: tuple[dict[str, Any] | None, dict[str, Any] | None], id: int = 0) -> Saved:
    known = {side: Known(1, None, base) for side, base in zip(Side, bases, strict=True)}
    return Saved(Coupled(id, dict.fromkeys(Side, key), known), None)


def test_what_both_sides_hold_alike_is_kept_once_and_read_from_both(mapping_id: int) -> None:
    with sql.transaction():
        ids = couplings.save(mapping_id, None, [of_bases(key, bases) for key, bases in BASES.items()])
    expect_bases(mapping_id, BASES)
    lengths = "SELECT local_key, length(integration_base) FROM couplings WHERE integration_base IS NOT NULL"
    kept: dict[str, int] = dict(sql.rows(lengths))
    assert kept["alike"] == kept["without lines"] < kept["of other types"]
    turned = dict(zip(BASES, reversed(BASES.values()), strict=True))
    with sql.transaction():
        renewed = [of_bases(key, bases, id) for id, (key, bases) in zip(ids, turned.items(), strict=True)]
        couplings.save(mapping_id, None, renewed)
    expect_bases(mapping_id, turned)


def expect_bases(mapping_id: int, expected: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]]) -> None:
    for side in Side:
        wanted = {key: dict(zip(Side, bases, strict=True))[side] for key, bases in expected.items()}
        read = {key: found.known[side].base for key, found in couplings.by_keys(mapping_id, side, wanted).items()}
        texts = {key: state[2] for key, state in couplings.states(mapping_id, side, wanted).items()}
        assert {key: sql.dump(base) for key, base in read.items()} == {k: sql.dump(base) for k, base in wanted.items()}
        assert texts == {key: sql.dump(base) for key, base in wanted.items()}


def test_a_search_knows_nothing_of_how_bases_are_kept(mapping_id: int) -> None:
    with sql.transaction():
        couplings.save(mapping_id, None, [of_bases(f"k{n}", BASES["alike"]) for n in range(5)])
    for text in ('"', '""', "local", "same"):
        found, _ = couplings.search(mapping_id, text, None, None, 10)
        assert len(found) == (5 if text == '"' else 0)
    found, _ = couplings.search(mapping_id, "quoted", None, None, 10)
    assert [one.bases[INTEGRATION] for one in found] == [BASES["alike"][0]] * 5


def test_keys_are_written_again_only_where_a_record_is_another(mapping_id: int) -> None:
    with sql.transaction():
        [id] = couplings.save(mapping_id, None, [of_bases("k", BASES["alike"])])
        couplings.save(mapping_id, None, [replace(of_bases("another", BASES["different"], id), moved=False)])
    [found] = couplings.by_ids(mapping_id, [id])
    assert set(found.keys.values()) == {"k"}
    assert [found.known[side].base for side in Side] == list(BASES["different"])


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


def half(keys: list[str], rows: list[tuple[Any, ...]], *, ids: str = "12", echo: bool = False) -> Half:
    records = [Record(key, place, row, f"v{place}") for place, (key, row) in enumerate(zip(keys, rows, strict=True))]
    return Half(records, tuple(ids), rows, echo)


ALIKE: list[tuple[Any, ...]] = [(STRANGE, 1), (None, 2), ("", 3)]
PAGES: dict[str, tuple[list[tuple[Any, ...]], str]] = {
    "alike": (ALIKE, "12"),
    "one differs": ([*ALIKE[:2], ("ð", 3)], "12"),
    "one is of another type": ([(STRANGE, True), *ALIKE[1:]], "12"),
    "by other lines": (ALIKE, "13"),
}
"""What the integration side of three new pairs holds whose local side holds ALIKE, and in which lines."""


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_pairs_made_together_are_as_if_they_were_saved(
    mapping_id: int, page: tuple[list[tuple[Any, ...]], str]
) -> None:
    keys, others = ["a", STRANGE, "c"], ["1", "2", STRANGE]
    halves = {LOCAL: half(keys, ALIKE), INTEGRATION: half(others, page[0], ids=page[1], echo=True)}
    with sql.transaction():
        ids = couplings.make(mapping_id, 7, halves)
    made = couplings.by_ids(mapping_id, ids)
    kept = sql.rows(f"SELECT {WRITTEN} FROM couplings ORDER BY id")
    with sql.transaction():
        couplings.remove(ids)
        again = couplings.save(mapping_id, 7, [Saved(replace(one, id=0), "success") for one in made])
    assert [one.keys[LOCAL] for one in made] == keys
    assert [one.known[INTEGRATION].base for one in made] == [dict(zip(page[1], row, strict=True)) for row in page[0]]
    assert [(one.known[LOCAL].echo, one.known[INTEGRATION].echo) for one in made] == [(False, True)] * 3
    assert sql.rows(f"SELECT {WRITTEN} FROM couplings ORDER BY id") == kept
    assert min(again) > max(ids)


WRITTEN = (
    "local_key, integration_key, local_modified_on, integration_modified_on, local_version, integration_version,"
    " local_base, integration_base, local_echo, integration_echo, last_result, last_run_id, mapping_id, version"
)


@pytest.mark.parametrize("source", Side)
def test_what_a_run_made_is_told_from_the_couplings(mapping_id: int, source: Side) -> None:
    with sql.transaction():
        others = couplings.save(mapping_id, None, [pair("before", "b")])
        sql.execute(
            "INSERT INTO sync_runs (id, mapping_id, kind, direction, trigger_, priority, request, request_key, status,"
            " attempt, counts, progress, checkpoint, created_at, version, dry_run, allow_mass_delete, cancel_requested)"
            " VALUES (7, ?, 'modified', 'toIntegration', 'api', 0, '{}', '', 'running', 1, '{}', '{}', '{}', 1, 1,"
            " ?, ?, ?)",
            mapping_id,
            *[False] * 3,
        )
        ids = couplings.save(mapping_id, 7, [pair(f"l{n}", f"i{n}") for n in (2, 1, 3)])
        runs.record_made(7, ids, "toIntegration", source, "inserted")
    columns = "coupling_id, source_key, destination_key, side, outcome, fields"
    told = sql.rows(f"SELECT {columns} FROM run_records ORDER BY id")
    pairs = [(f"l{n}", f"i{n}") for n in (2, 1, 3)]
    wanted = [one if source is LOCAL else one[::-1] for one in pairs]
    assert told == [(id, *one, source.value, "inserted", None) for id, one in zip(ids, wanted, strict=True)]
    assert others[0] not in ids


LOOKS: dict[str, Callable[[int, list[str]], object]] = {
    "couplings": lambda mapping, keys: couplings.by_keys(mapping, LOCAL, keys),
    "couplings of the other side": lambda mapping, keys: couplings.by_keys(mapping, INTEGRATION, keys),
    "couplings by id": lambda mapping, keys: couplings.by_ids(mapping, [*map(int, keys)]),
    "couplings that failed": lambda mapping, keys: couplings.mark(None, "failure", [*map(int, keys)]),
    "states": lambda mapping, keys: couplings.states(mapping, LOCAL, keys),
    "pairs in step": lambda mapping, keys: couplings.standing(mapping, LOCAL, keys),
    "coupled keys": lambda mapping, keys: couplings.coupled_keys(mapping, INTEGRATION, keys),
    "partners": lambda mapping, keys: couplings.partners(mapping, LOCAL, keys),
    "set aside": lambda mapping, keys: skipped.keys_set_aside(mapping, LOCAL, keys),
    "left alone": lambda mapping, keys: skipped.excluded_keys(mapping, LOCAL, keys),
    "waiting": lambda mapping, keys: retries.by_keys(mapping, LOCAL, keys),
    "waiting no more": lambda mapping, keys: retries.remove(mapping, LOCAL, keys),
    "errors that are put right": lambda mapping, keys: problems.resolve(mapping, LOCAL, keys),
}
"""What is asked about the records of a page in tables that may be large."""


@pytest.mark.parametrize("empty", ["postgresql"], indirect=True)
@pytest.mark.parametrize("counted", [0, 20, 5000], ids=["never counted", "counted while small", "counted while large"])
def test_the_records_of_a_page_are_found_by_their_keys_alone(mapping_id: int, counted: int) -> None:
    """PostgreSQL keeps the plan that it made while a table was small, and of a mapping that is not among those that it
    has counted it expects a single row."""
    for table in ("couplings", "skipped_records", "errors", "error_groups", "retries", "exclusions", "awaited_records"):
        sql.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    mine = a_mapping(2)
    if counted:
        grow(mapping_id, [f"{n:036}" for n in range(counted)])
        sql.execute("ANALYZE")
    few = [str(n) for n in range(5)]
    for look in [*LOOKS.values()] * 20:
        look(mine, few)
    grow(mine, [str(n) for n in range(3000)])
    read = {}
    for name, look in LOOKS.items():
        with sql.transaction():
            before = rows_looked_at()
            look(mine, few)
            read[name] = rows_looked_at() - before
    assert {name: number for name, number in read.items() if number > 50} == {}


def grow(mapping_id: int, keys: Sequence[str]) -> None:
    """Many couplings; each of their records is set aside, left alone, and waits because of an error, all at once."""
    failure = Failure("value_rejected", {"field": "name"}, ("local",))
    for page in (keys[at : at + 1000] for at in range(0, len(keys), 1000)):
        with sql.transaction():
            couplings.save(mapping_id, None, [pair(key, key) for key in page])
            aside = [Skip("conflict", None, {LOCAL: key}, None) for key in page]
            skipped.save(mapping_id, Direction.BIDIRECTIONAL, 1, aside)
            skipped.exclude(mapping_id, 1, None, [(LOCAL, key) for key in page])
            retries.save(mapping_id, 1, [Postponed(LOCAL, key) for key in page])
            wrong = [Problem(failure, "toIntegration", {"side": "local", "key": key}, None) for key in page]
            problems.save(mapping_id, None, 1, wrong)


def rows_looked_at() -> int:
    """How many rows the statements of this transaction have read, by any way."""
    return int(sql.rows("SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables")[0][0])

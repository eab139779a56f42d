"""Lists and counts that cost the same however much there is: the indexes they go by, and counts that triggers keep."""

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import peewee as pw
import pytest
from playhouse.pool import PooledPostgresqlDatabase

from scripts.benchmarks.asking import LISTS, TOKEN, Caller
from scripts.benchmarks.filled import Extent, fill
from service.app import create_app
from service.core.records import Side
from service.operations.tokens import ensure_first
from service.settings.environment import read_settings
from service.store import couplings, errors, mappings, runs, skipped, sql
from service.store.database import connection, database, is_postgresql, migrate, open_database
from service.store.models import MODELS
from service.store.models.base import State
from tests.servers import PostgresServer
from tests.world import new_context

EXTENT = Extent(rows=3_000, skipped=300, mappings=3)
NOBODY: dict[str, Any] = {"before": None, "limit": 50}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pw.Database]:
    """A state with something of everything in it, and a connection open."""
    folder: Path = tmp_path_factory.mktemp("lists")
    url = f"sqlite:///{folder / 'state.db'}"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create_database("lists")
    opened = open_database(url)
    migrate()
    with connection():
        fill(new_context(), folder, EXTENT)
        if is_postgresql():
            # A planner that reads small tables whole would show nothing of large ones.
            database.execute_sql("SET enable_seqscan = off; SET enable_sort = off")
        yield opened
    if isinstance(opened, PooledPostgresqlDatabase):
        opened.close_all()


@pytest.fixture
def plans(filled: pw.Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plans of all queries that a test lets happen."""
    found: list[str] = []
    execute = filled.execute_sql

    def explained(statement: str, parameters: Any = None) -> Any:
        if statement.lstrip().upper().startswith("SELECT"):
            explain = "EXPLAIN" if is_postgresql() else "EXPLAIN QUERY PLAN"
            rows = execute(f"{explain} {statement}", parameters).fetchall()
            found.append(f"{statement}\n" + "\n".join(str(row) for row in rows))
        return execute(statement, parameters)

    monkeypatch.setattr(filled, "execute_sql", explained)
    return found


def assert_by_index(plans: list[str]) -> None:
    """No table is read whole, and nothing is sorted to find the newest."""
    large = ("errors", "couplings", "run_records", "skipped_records", "sync_runs")
    for one in plans:
        words = one.partition("\n")[2]
        assert "TEMP B-TREE FOR ORDER BY" not in words, one
        assert "Sort" not in words, one
        for table in large:
            assert f"Seq Scan on {table}" not in words, one
            # By its own index, in the order of the list, is how all of something is shown; whole otherwise.
            assert f"SCAN {table}'" not in words or "WHERE" not in one.partition("\n")[0], one


@pytest.mark.parametrize(
    "equals",
    [
        {"mapping_id": 2},
        {"run_id": 7},
        {"code": "mass_deletion"},
        {"category": "setup"},
        {"responsibility": "administrator"},
        {"status": "open"},
        {"mapping_id": 1, "code": "mass_deletion"},
        {"mapping_id": 1, "category": "setup"},
        {"mapping_id": 1, "status": "open"},
    ],
    ids=str,
)
def test_errors_by_each_filter(plans: list[str], equals: dict[str, Any]) -> None:
    errors.page(equals, None, None, 50)
    assert_by_index(plans)


def test_errors_after_a_moment_are_looked_up_by_it(plans: list[str]) -> None:
    assert errors.page({}, 2**60, None, 50) == []
    assert_by_index([one for one in plans if "ORDER BY occurred_at" in one])


def test_groups(plans: list[str]) -> None:
    for status in (None, "open", "resolved"):
        assert errors.groups(None, status, None, 50)
    assert_by_index(plans)


@pytest.mark.parametrize(
    "given",
    [
        {"mapping_id": 1},
        {"reason": "deleted"},
        {"status": "resolving"},
        {"mapping_id": 1, "status": "open"},
        {"mapping_id": 1, "reason": "ambiguous"},
    ],
    ids=str,
)
def test_skipped_records_by_each_filter(plans: list[str], given: dict[str, Any]) -> None:
    skipped.list_skipped(**{"mapping_id": None, "reason": None, "status": None, **NOBODY, **given})
    assert_by_index(plans)


@pytest.mark.parametrize("given", [{"mapping_id": 1}, {"status": "failed"}, {"kind": "match"}], ids=str)
def test_runs_by_each_filter(plans: list[str], given: dict[str, Any]) -> None:
    nothing = {"mapping_id": None, "status": None, "kind": None, "created_after": None, "group_id": None}
    runs.list_runs(**{**nothing, **NOBODY, **given})
    assert_by_index(plans)


def test_runs_after_a_moment_are_looked_up_by_it(plans: list[str]) -> None:
    nothing: dict[str, Any] = {"mapping_id": None, "status": None, "kind": None, "group_id": None}
    assert runs.list_runs(**nothing, **NOBODY, created_after=2**60) == []
    assert any("ORDER BY created_at" in one for one in plans)
    assert_by_index([one for one in plans if "ORDER BY created_at" in one])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.__name__))
def test_rows_are_what_peewee_makes_of_them(filled: pw.Database, model: type[State]) -> None:
    by_key = ", ".join(field.column_name for field in model._meta.get_primary_keys())
    theirs = list(model.select().order_by(*model._meta.get_primary_keys()).limit(200))
    ours = model.listed(f"ORDER BY {by_key} LIMIT 200")
    assert [row.__data__ for row in ours] == [row.__data__ for row in theirs]
    assert [[type(value) for value in row.__data__.values()] for row in ours] == [
        [type(value) for value in row.__data__.values()] for row in theirs
    ]
    assert ours == theirs


def test_a_list_takes_as_many_statements_for_fifty_as_for_two(
    filled: pw.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = new_context()
    ensure_first(context, TOKEN)
    app = create_app(read_settings({"ACCORD_SECRET_KEY": "secret"}), context)
    caller = Caller(app, {"Authorization": f"Bearer {TOKEN}"})
    asked: list[str] = []
    execute = filled.execute_sql

    def noted(statement: str, *rest: Any) -> Any:
        asked.append(statement)
        return execute(statement, *rest)

    def statements(path: str, limit: int) -> list[str]:
        asked.clear()
        answer = caller.ask(f"{path}{'&' if '?' in path else '?'}limit={limit}")
        assert answer.status == 200, answer.body
        return list(asked)

    monkeypatch.setattr(filled, "execute_sql", noted)
    statements("/connections", 1)  # Notes when the token was used, which others then do not.
    lists = [
        path.format(runs=EXTENT.runs).replace("500000", "1500")
        for path in LISTS
        if "limit" not in path and not path[-1].isdigit()
    ]
    for path in [*lists, "/errors/groups?mappingId=1", "/sync-runs?mappingId=2"]:
        few, many = statements(path, 2), statements(path, 50)
        assert len(many) == len(few) > 0, (path, many)


def test_rare_outcomes_of_a_large_run(plans: list[str]) -> None:
    assert runs.list_records(EXTENT.runs, outcome="deleted", **NOBODY) == []
    assert_by_index(plans)
    assert any("run_records_rare" in one for one in plans)


@pytest.mark.parametrize("given", [{"local_key": "k7"}, {"integration_key": "c7"}], ids=str)
def test_couplings_by_a_key_alone(plans: list[str], given: dict[str, Any]) -> None:
    nothing = {"mapping_id": None, "local_key": None, "integration_key": None, "aside": None}
    found = couplings.list_couplings(**{**nothing, **NOBODY, **given})
    assert [pair.local_key for pair in found] == ["k7"]
    for one in plans:
        assert "SCAN couplings" not in one, one
        assert "Seq Scan on couplings" not in one, one


@pytest.mark.parametrize("mapping_id", [None, 1, 2])
def test_couplings_that_are_set_aside(filled: pw.Database, mapping_id: int | None) -> None:
    wanted: dict[str, Any] = {"mapping_id": mapping_id, "local_key": None, "integration_key": None}
    aside = {item.coupling_id or 0 for item in skipped.list_skipped(
        mapping_id=mapping_id, reason=None, status="open", before=None, limit=10_000)}  # fmt: skip
    newest = couplings.list_couplings(**wanted, aside=True, before=None, limit=20)
    assert [pair.id for pair in newest] == sorted(aside, reverse=True)[:21]
    following = couplings.list_couplings(**wanted, aside=True, before=newest[19].id, limit=20)
    assert [pair.id for pair in following] == sorted(aside, reverse=True)[20:41]
    others = couplings.list_couplings(**wanted, aside=False, before=None, limit=10_000)
    assert not aside & {pair.id for pair in others}
    assert len(others) + len(aside) == (mappings.couplings(mapping_id) if mapping_id else EXTENT.rows)


def counted(mapping_id: int) -> tuple[int, int, int]:
    """What a mapping has, counted one by one: couplings, errors, and open ones."""
    (pairs,) = sql.rows("SELECT count(*) FROM couplings WHERE mapping_id = ?", mapping_id)
    (found,) = sql.rows("SELECT count(*) FROM errors WHERE mapping_id = ?", mapping_id)
    (still_open,) = sql.rows("SELECT count(*) FROM errors WHERE mapping_id = ? AND status = 'open'", mapping_id)
    return pairs[0], found[0], still_open[0]


def kept(mapping_id: int) -> tuple[int, int, int]:
    """The same as it is kept."""
    standing = mappings.standings([mapping_id])[mapping_id]
    groups = errors.groups(mapping_id, None, None, 500)
    assert sum(group.open for group in groups) == standing.open_errors
    return standing.coupled, sum(group.count for group in groups), standing.open_errors


def test_counts_are_kept_whatever_happens(filled: pw.Database) -> None:
    for id in (1, 2, 3):
        assert kept(id) == counted(id)
    with sql.transaction():
        sql.execute("UPDATE errors SET status = 'resolved' WHERE status = 'open' AND (id & 3) = 1")
        sql.execute("UPDATE errors SET status = 'open' WHERE id BETWEEN 100 AND 130")
        sql.execute("UPDATE errors SET params = '{}' WHERE (id & 7) = 0")
        sql.execute("DELETE FROM errors WHERE id BETWEEN 200 AND 600")
        sql.execute("DELETE FROM couplings WHERE id BETWEEN 700 AND 900")
        couplings.remove([row[0] for row in sql.rows("SELECT id FROM couplings WHERE mapping_id = 2 LIMIT 5")])
    for id in (1, 2, 3):
        assert kept(id) == counted(id)
    assert counted(2)[2] > 0
    assert couplings.coupled_keys(2, Side.LOCAL, ["nobody"]) == set()


def skipped_counted() -> dict[int, tuple[int, int | None]]:
    """How many records of each mapping wait, counted one by one, and since when the oldest does."""
    found = sql.rows(
        "SELECT mapping_id, count(*), min(created_at) FROM skipped_records WHERE status <> 'resolved'"
        " GROUP BY mapping_id"
    )
    return {id: (number, oldest) for id, number, oldest in found}


def skipped_kept() -> dict[int, tuple[int, int | None]]:
    standings = mappings.standings([1, 2, 3])
    return {id: (one.open_skipped, one.oldest_skipped_at) for id, one in standings.items() if one.open_skipped}


SKIPPED_CHANGES = (
    "UPDATE skipped_records SET status = 'resolved' WHERE id % 17 = {n}",
    "UPDATE skipped_records SET status = 'resolving' WHERE id % 13 = {n}",
    "UPDATE skipped_records SET status = 'open' WHERE id % 11 = {n} AND status <> 'open'",
    "UPDATE skipped_records SET version = version + 1, error_id = NULL WHERE id % 5 = {n} % 5",
    "DELETE FROM skipped_records WHERE id % 29 = {n}",
    "DELETE FROM couplings WHERE id IN (SELECT coupling_id FROM skipped_records WHERE id % 31 = {n})",
    "DELETE FROM errors WHERE id % 37 = {n}",
    (
        "INSERT INTO skipped_records (mapping_id, mapping_direction, reason, status, local_key, version, created_at)"
        " SELECT id, direction, 'ambiguous', CASE WHEN id % 2 = 0 THEN 'open' ELSE 'resolved' END, 'new{turn}', 1,"
        " {turn} FROM mappings"
    ),
)
"""What can happen to skipped records, by whatever means."""


def test_how_many_wait_is_kept_whatever_happens(filled: pw.Database) -> None:
    """The kept number beside the counted one after each of many changes in an order by chance, some of them undone."""
    chance = random.Random(7)
    assert skipped_kept() == skipped_counted() != {}
    for turn in range(60):
        change = chance.choice(SKIPPED_CHANGES).format(n=chance.randrange(11), turn=turn).replace("%", "%%")
        with suppress(Undone), sql.transaction():
            database.execute_sql(change if is_postgresql() else change.replace("%%", "%"))
            assert skipped_kept() == skipped_counted(), change
            if chance.random() < 0.2:
                raise Undone
        assert skipped_kept() == skipped_counted(), change


class Undone(Exception):
    """A transaction that comes to nothing."""


def test_a_mapping_takes_its_numbers_with_it(filled: pw.Database) -> None:
    with suppress(Undone), sql.transaction():
        sql.execute("DELETE FROM mappings WHERE id = 3")
        assert sql.rows("SELECT * FROM skipped_tallies WHERE mapping_id = 3") == []
        assert skipped_counted().keys() == {1, 2}
        raise Undone


def test_how_mappings_are_is_looked_up(plans: list[str]) -> None:
    mappings.standings([1, 2, 3])
    assert_by_index(plans)
    own = [one for one in plans if "sync_runs" in one or "skipped_records" in one]
    assert len(own) == 2
    for one in own:
        for table in ("sync_runs", "skipped_records", "own"):
            assert f"SCAN {table}" not in one, one


def test_the_last_runs_of_each_mapping(filled: pw.Database) -> None:
    for count in (1, 12, 10_000):
        for id, latest in runs.latest([1, 2, 3], count).items():
            every = sql.rows("SELECT id FROM sync_runs WHERE mapping_id = ? ORDER BY id DESC LIMIT ?", id, count)
            assert [run.id for run in latest] == [number for (number,) in every]

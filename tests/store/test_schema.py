"""The models and the migrated schema say the same, on both databases, and migrating happens once."""

import multiprocessing
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import peewee as pw
import pytest

from service.core.mapping import ConflictDetection, DeletionResolution, UpdateResolution
from service.core.records import Direction, Side
from service.engine.journal import SKIP_REASONS
from service.operations.runs import KINDS, TRIGGERS
from service.store.database import (
    MIGRATIONS,
    connection,
    database,
    is_postgresql,
    migrate,
    open_database,
    pending_migrations,
)
from service.store.models import MODELS, State
from service.store.runs import FINISHED, OPEN
from service.store.webhooks import STATUSES as DELIVERY_STATUSES

NAMES = sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))

TYPES = {
    pw.BigAutoField: {"INTEGER", "bigint"},
    pw.BigIntegerField: {"BIGINT", "bigint"},
    pw.BooleanField: {"BOOLEAN", "boolean"},
    pw.TextField: {"TEXT", "text"},
}
"""What a field of a model is in SQLite and in PostgreSQL."""

UNIQUE: dict[str, set[tuple[str, ...]]] = {
    "connections": {("name",)},
    "mappings": {("name",), ("id", "direction")},
    "field_mappings": {("mapping_id", "position")},
    "couplings": {("mapping_id", "local_key"), ("mapping_id", "integration_key")},
    "run_predecessors": {("run_id", "after_id")},
    "run_ranges": {("run_id", "number")},
    "error_groups": {("mapping_id", "fingerprint")},
    "retries": {("mapping_id", "side", "key")},
    "intents": {("mapping_id", "side", "range_id")},
    "exclusions": {("mapping_id", "side", "key")},
    "tokens": {("digest",)},
    "idempotency_keys": {("principal", "key")},
    "webhook_events": {("message_id",)},
}
"""What may be there only once, always."""

PARTIAL = {
    "sync_runs_open": (False, ("priority", "id"), "status"),
    "run_ranges_open": (False, ("run_id", "number"), "open"),
    "sync_runs_one_running": (True, ("mapping_id",), "running"),
    "sync_runs_one_queued": (True, ("mapping_id", "request_key"), "queued"),
    "skipped_records_one_local": (True, ("mapping_id", "local_key"), "resolved"),
    "skipped_records_one_integration": (True, ("mapping_id", "integration_key"), "resolved"),
    "run_records_coupling": (False, ("coupling_id", "id"), "coupling_id"),
    "webhook_deliveries_waiting": (False, ("webhook_id", "next_due"), "waiting"),
    "errors_open_source": (False, ("mapping_id", "source_side", "source_key"), "open"),
}
"""Indexes on some rows only: whether they are unique, on what, and a word of their condition."""


def as_here(columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of an index by which the records of a page are found: on PostgreSQL their key comes first."""
    if is_postgresql() and columns[-1] in ("local_key", "integration_key", "source_key"):
        return columns[-1:] + columns[:-1]
    return columns


CHECKS: dict[tuple[str, str], Iterable[str]] = {
    ("mappings", "direction"): Direction,
    ("mappings", "conflict_detection"): ConflictDetection,
    ("mappings", "update_conflict_resolution"): UpdateResolution,
    ("mappings", "deletion_conflict_resolution"): DeletionResolution,
    ("field_mappings", "direction"): Direction,
    ("watermarks", "side"): Side,
    ("run_ranges", "status"): ("open", "done", "failed"),
    ("change_feeds", "side"): Side,
    ("sync_runs", "kind"): KINDS,
    ("sync_runs", "direction"): Direction,
    ("sync_runs", "trigger_"): TRIGGERS,
    ("sync_runs", "status"): (*OPEN, *FINISHED),
    ("couplings", "last_result"): ("success", "failure"),
    ("run_records", "direction"): (Direction.TO_INTEGRATION, Direction.FROM_INTEGRATION),
    ("run_records", "side"): Side,
    ("errors", "direction"): (Direction.TO_INTEGRATION, Direction.FROM_INTEGRATION),
    ("errors", "status"): ("open", "resolved"),
    ("skipped_records", "reason"): ("repeatedFailure", *SKIP_REASONS.values()),
    ("skipped_records", "status"): ("open", "resolving", "resolved"),
    ("retries", "side"): Side,
    ("intents", "side"): Side,
    ("exclusions", "side"): Side,
    ("webhook_deliveries", "status"): DELIVERY_STATUSES,
}
"""Columns that hold one of a few words, and the words that we use."""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state.db'}"
        return
    server = request.getfixturevalue("postgres")
    name = f"schema_{uuid.uuid4().hex[:12]}"
    yield server.create_database(name)
    if hasattr(database.obj, "close_all"):
        database.obj.close_all()
    server.drop_database(name)


@pytest.fixture
def schema(empty: str) -> Iterator[pw.Database]:
    """A migrated database, with a connection open."""
    opened = open_database(empty)
    migrate()
    with connection():
        yield opened


def tables(opened: pw.Database) -> set[str]:
    """The tables, without those that the database and the migrations keep for themselves."""
    return {name for name in opened.get_tables() if "migrat" not in name and not name.startswith("sqlite_")}


def test_every_table_has_a_model(schema: pw.Database) -> None:
    ours = {model._meta.table_name for model in MODELS}
    assert tables(schema) == ours


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_columns_are_those_of_the_model(schema: pw.Database, model: type[State]) -> None:
    found = {column.name: column for column in schema.get_columns(model._meta.table_name)}
    assert list(found) == [field.column_name for field in model._meta.sorted_fields]
    for field in model._meta.sorted_fields:
        column = found[field.column_name]
        assert column.data_type in next(names for type, names in TYPES.items() if isinstance(field, type)), field.name
        if not column.primary_key:
            assert column.null == field.null, f"{field.name} may be empty here and not there"
    keys = schema.get_primary_keys(model._meta.table_name)
    named: Any = model._meta.primary_key
    assert tuple(keys) == (named.field_names if isinstance(named, pw.CompositeKey) else (named.column_name,))


def test_what_is_unique(schema: pw.Database) -> None:
    for table in tables(schema):
        keys = {tuple(schema.get_primary_keys(table))}
        found = {
            tuple(index.columns) for index in schema.get_indexes(table) if index.unique and index.name not in PARTIAL
        }
        assert found - keys == {as_here(columns) for columns in UNIQUE.get(table, set())}, table
    for model in MODELS:
        for field in model._meta.sorted_fields:
            assert not field.unique or (field.column_name,) in UNIQUE[model._meta.table_name] or field.primary_key


def test_partial_indexes(schema: pw.Database) -> None:
    found = {index.name: index for table in tables(schema) for index in schema.get_indexes(table)}
    for name, (unique, columns, word) in PARTIAL.items():
        index = found[name]
        assert (index.unique, tuple(index.columns)) == (unique, as_here(columns)), name
        assert word in definition(name).partition("WHERE")[2], name


def definition(index: str) -> str:
    """An index as the database tells it."""
    query = (
        "SELECT indexdef FROM pg_indexes WHERE indexname = %s"
        if is_postgresql()
        else "SELECT sql FROM sqlite_master WHERE name = ?"
    )
    return str(database.execute_sql(query, (index,)).fetchone()[0])


def checks(table: str) -> str:
    """The checks of a table as the database tells them, in one line."""
    if is_postgresql():
        query = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass"
        return " ".join(row[0] for row in database.execute_sql(query, (table,)).fetchall())
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    return " ".join(database.execute_sql(query, (table,)).fetchone()[0].split())


def test_columns_of_few_words_are_checked(schema: pw.Database) -> None:
    for (table, column), words in CHECKS.items():
        found = re.search(rf"\({column} (?:IN|= ANY) \(+(?:ARRAY\[)?([^)\]]*)", checks(table))
        assert found, (table, column)
        # The schema may foresee a word that nothing uses yet.
        assert set(words) <= set(re.findall(r"'(\w+)'", found[1])), (table, column)


def test_rules_across_columns_are_checked(schema: pw.Database) -> None:
    both = r"local_\w+ IS NOT NULL\)? OR \(?integration_\w+ IS NOT NULL"
    for table in ("field_mappings", "skipped_records"):
        assert re.search(both, checks(table)), table
    assert "bidirectional" in checks("skipped_records")


def test_a_mapping_takes_all_that_is_its_own_with_it(schema: pw.Database) -> None:
    owned = {table for table in tables(schema) if "mapping_id" in {column.name for column in schema.get_columns(table)}}
    for table in owned:
        assert any(key.dest_table == "mappings" for key in schema.get_foreign_keys(table)), table


def test_migrating_twice_does_nothing(empty: str) -> None:
    open_database(empty)
    first = migrate()
    assert first == NAMES
    with connection():
        before = [database.get_columns(model._meta.table_name) for model in MODELS]
    assert migrate() == []
    with connection():
        assert pending_migrations() == []
        assert [database.get_columns(model._meta.table_name) for model in MODELS] == before


def test_two_processes_migrating_at_once(empty: str) -> None:
    """One migrates, the other waits and finds nothing to do."""
    spawning = multiprocessing.get_context("spawn")
    with spawning.Manager() as manager:
        barrier, results = manager.Barrier(2), manager.list()
        both = [spawning.Process(target=_migrate, args=(empty, barrier, results)) for _ in range(2)]
        for process in both:
            process.start()
        for process in both:
            process.join(60)
        assert [process.exitcode for process in both] == [0, 0]
        assert sorted(results) == [[], NAMES]
    open_database(empty)
    with connection():
        assert pending_migrations() == []


def _migrate(url: str, barrier: Any, results: Any) -> None:
    """What each of the processes does."""
    open_database(url)
    barrier.wait(30)
    results.append(migrate())


def test_a_transaction_that_stands_still_is_ended_by_postgresql(schema: pw.Database) -> None:
    if is_postgresql():
        assert database.execute_sql("SHOW idle_in_transaction_session_timeout").fetchone()[0] == "1min"
        assert database.execute_sql("SHOW jit").fetchone()[0] == "off"


def test_what_is_noted_is_not_packed_by_postgresql(schema: pw.Database) -> None:
    if not isinstance(schema, pw.PostgresqlDatabase):
        return
    found = schema.execute_sql(
        "SELECT attrelid::regclass::text, attname, attstorage FROM pg_attribute"
        " WHERE attrelid IN ('intents'::regclass, 'pending_changes'::regclass) AND attstorage = 'e'"
    )
    assert sorted(found.fetchall()) == [("intents", "inserts", "e"), ("pending_changes", "changes", "e")]

"""A state with much in it, made by SQL: what the API and the console are asked about when they are measured."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks import tables
from scripts.benchmarks.engine import mapping_document
from scripts.benchmarks.tables import SHAPES
from service.operations import connections, mappings
from service.operations.context import Context
from service.store import sql
from service.store.database import database, is_postgresql

MAPPINGS = 200
SKIPPED = 100_000


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is. Half of everything belongs to one mapping."""

    rows: int = 1_000_000
    skipped: int = SKIPPED
    mappings: int = MAPPINGS

    @property
    def runs(self) -> int:
        return max(self.rows // 50, 100)


_NUMBERS = {
    True: "(SELECT i FROM generate_series(1::bigint, {count}) AS i) AS numbers",
    False: (
        "(WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {count})"
        " SELECT i FROM numbers) AS numbers"
    ),
}
_MAPPING = "(CASE WHEN i % 2 = 0 THEN 1 ELSE i / 2 % {mappings} + 1 END)"
_CODE = (
    "(CASE WHEN i % 10 < 7 THEN 'value_rejected' WHEN i % 10 = 7 THEN 'destination_modified_later'"
    " WHEN i % 10 = 8 THEN 'partner_deleted' ELSE 'timeout' END)"
)
_CATEGORY = (
    "(CASE WHEN i % 10 < 7 THEN 'data' WHEN i % 10 = 7 THEN 'conflict' WHEN i % 10 = 8 THEN 'coupledRecord'"
    " ELSE 'transient' END)"
)
_RECORD = (
    """'{"side":"local","connectionId":1,"table":"customer","key":"k' || i || '","""
    """"description":"Kunde ' || i || '"}'"""
)
_COUNTS = (
    '{"toIntegration":{"read":3,"inserted":1,"modified":1,"unchanged":1,"skipped":0,"failed":0,"deleted":0,'
    '"coupled":0,"uncoupled":0,"ignored":0},"fromIntegration":{"read":0,"inserted":0,"modified":0,"unchanged":0,'
    '"skipped":0,"failed":0,"deleted":0,"coupled":0,"uncoupled":0,"ignored":0}}'
)

_FILL = (
    (
        "INSERT INTO couplings (mapping_id, local_key, integration_key, local_modified_on, integration_modified_on,"
        " local_version, integration_version, local_base, integration_base, local_echo, integration_echo, last_result,"
        " last_run_id, version) SELECT {mapping}, 'k' || i, 'c' || i, {now} - i, {now} - i, NULL, NULL,"
        """ '{{"1":"C' || i || '","2":"Kunde ' || i || '"}}', '{{"1":"C' || i || '","2":"Kunde ' || i || '"}}',"""
        " false, false, 'success', i % {runs} + 1, 1 FROM {rows}"
    ),
    (
        "INSERT INTO sync_runs (mapping_id, kind, direction, trigger_, dry_run, allow_mass_delete, request,"
        " request_key, priority, status, counts, progress, created_at, started_at, finished_at, attempt,"
        " cancel_requested, version)"
        " SELECT {mapping}, CASE WHEN i % 20 = 0 THEN 'full' ELSE 'modified' END, 'bidirectional', 'schedule', false,"
        " false, '{{}}', 'k', 10, CASE WHEN i % 9 = 0 THEN 'completedWithErrors' ELSE 'succeeded' END, '{counts}',"
        " '{{}}', {now} - ({runs} - i) * 1000000, {now} - ({runs} - i) * 1000000,"
        " {now} - ({runs} - i) * 1000000 + 900000, 1, false, 3 FROM {run_rows}"
    ),
    (
        "INSERT INTO run_records (run_id, coupling_id, direction, side, source_key, destination_key, outcome, fields)"
        " SELECT CASE WHEN i % 2 = 0 THEN {runs} ELSE i % {runs} + 1 END, i, 'toIntegration', 'local', 'k' || i,"
        " 'c' || i, CASE WHEN i % 10 = 0 THEN 'failed' ELSE 'modified' END,"
        """ '[{{"side":"integration","field":"city","before":"Oslo","after":"Bergen"}}]' FROM {rows}"""
    ),
    (
        "INSERT INTO error_groups (mapping_id, fingerprint, code, first_seen)"
        " SELECT i, 'f' || i, 'value_rejected', {now} - 1000000000 FROM {mapping_rows}"
    ),
    (
        "INSERT INTO errors (run_id, mapping_id, group_id, direction, code, category, responsibility, params, source,"
        " source_side, source_key, status, occurred_at) SELECT i % {runs} + 1, {mapping}, {mapping}, 'toIntegration',"
        " {code}, {category}, CASE WHEN i % 10 = 9 THEN 'none' ELSE 'user' END,"
        """ '{{"field":"city","detail":"no","destination":"Account","source":"Customer","value":"x"}}',"""
        " {record}, 'local', 'k' || i, CASE WHEN i % 10 = 3 THEN 'open' ELSE 'resolved' END,"
        " {now} - ({all} - i) * 1000 FROM {rows}"
    ),
    (
        "INSERT INTO skipped_records (mapping_id, mapping_direction, coupling_id, reason, status, local_key,"
        " integration_key, error_id, seen, version, created_at) SELECT {mapping}, 'bidirectional', i,"
        " CASE WHEN i % 3 = 0 THEN 'repeatedFailure' ELSE 'conflict' END,"
        " CASE WHEN i % 5 = 0 THEN 'resolved' ELSE 'open' END, 'k' || i,"
        " 'c' || i, i, NULL, 1, {now} - i * 1000 FROM {skipped_rows}"
    ),
)


def applications(folder: Path, count: int = 1) -> dict[str, Path]:
    """Two SQLite applications without a record, each with so many tables of the same shape."""
    files = {}
    for side in SHAPES:
        files[side.table] = folder / f"many-{side.table}.db"
        with closing(sqlite3.connect(files[side.table])) as made:
            for number in range(count):
                shape = tables.numbered(side, number)
                made.executescript(tables.schema(shape, tables.SQLITE, 3) + tables.indexes(shape))
    return files


def connect_and_map(context: Context, folder: Path, count: int, tables_each: int = 1) -> None:
    """Two connections, and so many mappings between them."""
    ids = [
        connections.create(
            context,
            name=name,
            kind="sql",
            settings={"url": f"sqlite:///{file}"},
            credentials=None,
            enabled=True,
            actor="bench",
        ).id
        for name, file in applications(folder, tables_each).items()
    ]
    for number in range(count):
        erp, crm = (tables.numbered(side, number % tables_each) for side in SHAPES)
        document = {**mapping_document((ids[0], ids[1]), False, (erp, crm)), "name": f"customers {number}"}
        mappings.create(context, document, "bench")


def fill(context: Context, folder: Path, extent: Extent) -> None:
    """Mappings, and everything that years of runs leave behind; the caller has a connection open."""
    connect_and_map(context, folder, extent.mappings)
    counts = {
        "rows": extent.rows,
        "run_rows": extent.runs,
        "mapping_rows": extent.mappings,
        "skipped_rows": extent.skipped,
    }
    numbers = _NUMBERS[is_postgresql()]
    words = {name: numbers.format(count=count) for name, count in counts.items()} | {
        "mapping": _MAPPING.format(mappings=extent.mappings),
        "code": _CODE,
        "category": _CATEGORY,
        "record": _RECORD,
        "counts": _COUNTS,
        "now": str(context.now()),
        "runs": str(extent.runs),
        "all": str(extent.rows),
    }
    for template in _FILL:
        with sql.transaction():
            statement = template.format(**words)
            database.execute_sql(statement.replace("%", "%%") if is_postgresql() else statement)
    if is_postgresql():
        database.execute_sql("ANALYZE")  # As its autovacuum does; nobody does it on SQLite.

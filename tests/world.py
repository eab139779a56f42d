"""Two small business applications on SQLite, a state of our own, and short words for what people do to them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from service.core.records import Side
from service.operations import connections, couplings, mappings, runs, skipped
from service.operations.context import Context, SecretBox
from service.store.models import RunRecord, SkippedRecord, SyncError, SyncRun
from service.worker import run_until_idle

SCHEMA = {
    Side.LOCAL: """
        CREATE TABLE customer (
            id INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT, name VARCHAR(50), city TEXT, credit_limit DECIMAL(12,2),
            blocked TEXT DEFAULT '', remark TEXT, modified_at TEXT);
        CREATE INDEX customer_modified ON customer (modified_at, id);
    """,
    Side.INTEGRATION: """
        CREATE TABLE account (
            accountid VARCHAR(36) PRIMARY KEY, accountnumber TEXT, name VARCHAR(50), address1_city TEXT,
            creditlimit DECIMAL(12,2), customertypecode INTEGER, modifiedon TEXT);
        CREATE INDEX account_modified ON account (modifiedon, accountid);
    """,
}
TABLES = {Side.LOCAL: ("customer", "id", "modified_at"), Side.INTEGRATION: ("account", "accountid", "modifiedon")}

# A clock of its own in each application, a second further with every write, so that no test depends on real time.
CLOCK = """
    CREATE TABLE clock (now INTEGER);
    INSERT INTO clock VALUES (1767225600);
    CREATE TRIGGER stamp_insert AFTER INSERT ON {table} BEGIN
        UPDATE clock SET now = now + 1;
        UPDATE {table} SET {stamp} = datetime((SELECT now FROM clock), 'unixepoch') WHERE {key} = NEW.{key}; END;
    CREATE TRIGGER stamp_update AFTER UPDATE ON {table} WHEN NEW.{stamp} IS OLD.{stamp} BEGIN
        UPDATE clock SET now = now + 1;
        UPDATE {table} SET {stamp} = datetime((SELECT now FROM clock), 'unixepoch') WHERE {key} = NEW.{key}; END;
"""

LINES: list[dict[str, Any]] = [
    {"local_field": "number", "integration_field": "accountnumber", "match_key": 1},
    {"local_field": "name", "integration_field": "name"},
    {"local_field": "city", "integration_field": "address1_city"},
    {"local_field": "credit_limit", "integration_field": "creditlimit", "direction": "toIntegration"},
    {"integration_field": "customertypecode", "constant": 3, "direction": "toIntegration"},
]


def line(**given: Any) -> dict[str, Any]:
    """A field mapping with what it does not say filled in."""
    return {
        "local_field": None,
        "integration_field": None,
        "direction": "bidirectional",
        "transforms": {},
        "reference": None,
        "clear_on_failed_lookup": False,
        "not_null": False,
        "match_key": None,
        "normalize": [],
        "enabled": True,
        **given,
    }


def new_context() -> Context:
    return Context(SecretBox(Fernet.generate_key().decode()))


class World:
    """An ERP with customers, a CRM with accounts, and one mapping between them."""

    def __init__(self, folder: Path, context: Context | None = None) -> None:
        self.context = context or new_context()
        self.files = {side: folder / f"{side}.db" for side in Side}
        self.connection_ids: dict[Side, int] = {}
        for side, file in self.files.items():
            table, key, stamp = TABLES[side]
            with closing(sqlite3.connect(file)) as made:
                made.executescript(SCHEMA[side] + CLOCK.format(table=table, key=key, stamp=stamp))
            self.connection_ids[side] = connections.create(
                self.context,
                name=side.value,
                kind="sql",
                settings={"url": f"sqlite:///{file}"},
                credentials=None,
                enabled=True,
                actor="test",
            ).id
        self.mapping_id = 0

    def map(self, lines: list[dict[str, Any]] | None = None, **given: Any) -> int:
        """Make the mapping; what is not given is as a person would want it: both ways, everything."""
        document: dict[str, Any] = {"name": "customers", "synch_only_coupled_records": False, **given}
        captions = {Side.LOCAL: "Customer", Side.INTEGRATION: "Account"}
        for side in Side:
            document[side.value] = {
                "connection_id": self.connection_ids[side],
                "table": TABLES[side][0],
                "key": None,
                "modified_on": TABLES[side][2],
                "caption": captions[side],
                "filter": [],
                **given.get(side.value, {}),
            }
        document["field_mappings"] = [line(**item) for item in (lines or LINES)]
        self.mapping_id = mappings.create(self.context, document, "test")["id"]
        return self.mapping_id

    def change_mapping(self, **changes: Any) -> None:
        mappings.change(self.context, self.mapping_id, changes, None, "test")

    # What people do in the applications

    def sql(self, side: Side | str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Carry out a statement in one application, as somebody else would."""
        with closing(sqlite3.connect(self.files[Side(side)], isolation_level=None)) as connection:
            return connection.execute(statement, parameters).fetchall()

    def add(self, side: Side | str, **values: Any) -> str:
        """A new record; its key."""
        table, key, _ = TABLES[Side(side)]
        names = ", ".join(values)
        marks = ", ".join("?" for _ in values)
        with closing(sqlite3.connect(self.files[Side(side)], isolation_level=None)) as connection:
            row = connection.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values())
            ).lastrowid
            return str(connection.execute(f"SELECT {key} FROM {table} WHERE rowid = ?", (row,)).fetchone()[0])

    def edit(self, side: Side | str, key: str, **values: Any) -> None:
        table, name, _ = TABLES[Side(side)]
        sets = ", ".join(f"{column} = ?" for column in values)
        self.sql(side, f"UPDATE {table} SET {sets} WHERE {name} = ?", *values.values(), key)

    def delete(self, side: Side | str, key: str) -> None:
        table, name, _ = TABLES[Side(side)]
        self.sql(side, f"DELETE FROM {table} WHERE {name} = ?", key)

    def get(self, side: Side | str, key: str) -> dict[str, Any] | None:
        table, name, _ = TABLES[Side(side)]
        with closing(sqlite3.connect(self.files[Side(side)])) as connection:
            connection.row_factory = sqlite3.Row
            row = connection.execute(f"SELECT * FROM {table} WHERE {name} = ?", (key,)).fetchone()
            return dict(row) if row else None

    def all(self, side: Side | str) -> list[dict[str, Any]]:
        table, name, _ = TABLES[Side(side)]
        with closing(sqlite3.connect(self.files[Side(side)])) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY {name}")]

    def stamps(self) -> list[tuple[Any, ...]]:
        """Every record's stamp on both sides: unchanged as long as nobody writes."""
        return [
            row for side in Side for row in self.sql(side, "SELECT {1}, {2} FROM {0} ORDER BY 1".format(*TABLES[side]))
        ]

    # What Accord does

    def run(self, kind: str = "modified", **given: Any) -> SyncRun:
        """Start a run and let it end."""
        run = runs.start(self.context, runs.RunRequest(self.mapping_id, kind, **given), "test")
        run_until_idle(self.context)
        return runs.get(run.id)

    def partner(self, side: Side | str, key: str) -> str | None:
        """The key of the record's partner."""
        local, integration = (key, None) if side == Side.LOCAL else (None, key)
        found = couplings.list_couplings(
            mapping_id=self.mapping_id, local_key=local, integration_key=integration, limit=1
        )
        return next((one.integration_key if side == Side.LOCAL else one.local_key for one in found), None)

    def skips(self, status: str | None = "open") -> list[SkippedRecord]:
        return skipped.list_skipped(mapping_id=self.mapping_id, status=status, limit=500)

    def resolve(self, item: SkippedRecord, resolution: str, choices: dict[str, Any] | None = None) -> SyncRun:
        """Resolve a skipped record and let its run end."""
        _, run = skipped.resolve(self.context, item.id, resolution, choices, "anna")
        run_until_idle(self.context)
        assert run is not None
        return runs.get(run.id)


def errors(**wanted: Any) -> list[SyncError]:
    """The errors list, oldest first."""
    query = SyncError.select().order_by(SyncError.id)
    for name, value in wanted.items():
        query = query.where(getattr(SyncError, name) == value)
    return list(query)


def records(run: SyncRun) -> list[RunRecord]:
    """What a run did, oldest first."""
    return list(RunRecord.select().where(RunRecord.run_id == run.id).order_by(RunRecord.id))


def tally(run: SyncRun, direction: str) -> dict[str, int]:
    """The counters of one direction that are not zero."""
    return {name: number for name, number in run.counts[direction].items() if number}


def couple(world: World, **values: Any) -> tuple[str, str]:
    """A customer that both applications have, in step; its two keys."""
    key = world.add("local", **values)
    world.run()
    partner = world.partner("local", key)
    assert partner is not None
    return key, partner

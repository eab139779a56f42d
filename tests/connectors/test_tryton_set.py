"""The set for Tryton's parties and a table of a CRM: it fits both, and synchronizes them both ways."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.api.mapping_sets import sets
from service.core.records import Side
from service.operations import connections, linter, mapping_sets, mappings, runs
from service.store.database import connection, migrate, open_database
from service.store.models import SyncRun
from service.worker import run_until_idle
from tests.tryton import TrytonServer
from tests.world import new_context, tally

CRM = """
CREATE TABLE account (
    id INTEGER PRIMARY KEY, number VARCHAR(40), name VARCHAR(200) NOT NULL, active BOOLEAN DEFAULT true,
    modified_at TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));
CREATE INDEX account_modified ON account (modified_at, id);
CREATE TRIGGER stamp AFTER UPDATE ON account BEGIN
    UPDATE account SET modified_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = NEW.id; END;
"""


class Parties:
    """A Tryton, a CRM in a database, and the set between them."""

    def __init__(self, tryton: TrytonServer, folder: Path) -> None:
        self.context, self.crm, self.tryton = new_context(), folder / "crm.db", tryton
        self.sql(CRM)
        settings = {"url": f"sqlite:///{self.crm}"}
        given = [("erp", "tryton", tryton.settings, tryton.credentials()), ("crm", "sql", settings, None)]
        self.ids = {
            side: connections.create(
                self.context, name=name, kind=kind, settings=own, credentials=secret, enabled=True, actor="test"
            ).id
            for side, (name, kind, own, secret) in zip(Side, given, strict=True)
        }

    def sql(self, statements: str) -> None:
        with closing(sqlite3.connect(self.crm)) as database:
            database.executescript(statements)

    def accounts(self) -> dict[str, tuple[str | None, int, str]]:
        with closing(sqlite3.connect(self.crm)) as database:
            rows = database.execute("SELECT name, number, active, modified_at FROM account").fetchall()
        return {row[0]: tuple(row[1:]) for row in rows}

    def parties(self) -> dict[str, tuple[str, int, str]]:
        with closing(self.tryton.database()) as database:
            rows = database.execute("SELECT name, code, active, write_date FROM party_party").fetchall()
        return {row[0]: tuple(row[1:]) for row in rows}

    def apply(self) -> list[str]:
        choice = mapping_sets.Choice(self.ids)
        done = mapping_sets.apply(self.context, sets()["tryton-crm"], choice, "test", dry_run=False)
        return [change.action for change in done]

    def run(self) -> SyncRun:
        run = runs.start(self.context, runs.RunRequest(mappings.id_of("parties"), "modified"), "test")
        run_until_idle(self.context)
        return runs.get(run.id)


@pytest.fixture
def parties(tryton: TrytonServer, tmp_path: Path) -> Iterator[Parties]:
    state = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    migrate()
    with closing(tryton.database()) as database:
        database.execute("DELETE FROM party_party")
    with connection():
        yield Parties(tryton, tmp_path)
    with closing(tryton.database()) as database:
        database.execute("DELETE FROM party_party")
    state.close()


def test_the_set_fits_and_synchronizes_both_ways(parties: Parties) -> None:
    assert parties.apply() == ["create"]
    assert parties.apply() == ["unchanged"]
    found = linter.lint(parties.context, mappings.get(mappings.id_of("parties")))
    assert [one for one in found if one.severity != "info"] == []
    parties.sql("INSERT INTO account (name) VALUES ('Ærlig Ås & Co'), ('Bob''s')")
    run = parties.run()
    assert (run.status, tally(run, "fromIntegration")) == ("succeeded", {"read": 2, "inserted": 2})
    assert parties.parties().keys() == {"Ærlig Ås & Co", "Bob's"}
    with closing(parties.tryton.database()) as database:
        now = "write_date = datetime('now', '+1 second')"
        database.execute(f"UPDATE party_party SET name = 'Bob & Sons', {now} WHERE name = 'Bob''s'")
    parties.sql("UPDATE account SET active = false WHERE name LIKE 'Ærlig%'")
    assert parties.run().status == "succeeded"
    assert {name: row[1] for name, row in parties.accounts().items()} == {"Ærlig Ås & Co": 0, "Bob & Sons": 1}
    assert parties.parties()["Ærlig Ås & Co"][1] == 0
    before = parties.accounts(), parties.parties()
    run = parties.run()
    assert {**tally(run, "toIntegration"), **tally(run, "fromIntegration")}.keys() <= {"read", "unchanged"}
    assert (parties.accounts(), parties.parties()) == before

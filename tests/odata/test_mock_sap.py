"""A third party's ERP over OData (OAuth, CSRF tokens, ETags that are stamps) and PostgreSQL: its data both ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from service.connectors.base import Deletion, Update
from service.core.records import Record, Selection
from service.operations import checks, connections, mappings, runs, skipped
from service.store.models import SyncRun
from service.worker import run_until_idle
from tests.cutting import wire_to
from tests.odata.servers import MockSap, mock_sap
from tests.servers import PostgresServer
from tests.world import errors, line, new_context, tally

pytestmark = pytest.mark.usefixtures("state")

SCHEMA = """
CREATE TABLE partner (
    id VARCHAR(10) PRIMARY KEY, name VARCHAR(81), category VARCHAR(1), customer VARCHAR(10), search_term VARCHAR(20),
    industry VARCHAR(10), created TIMESTAMPTZ, blocked BOOLEAN,
    modified_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp());
CREATE INDEX partner_modified ON partner (modified_at, id);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN NEW.modified_at := clock_timestamp(); RETURN NEW; END$$;
CREATE TRIGGER stamp BEFORE UPDATE ON partner FOR EACH ROW EXECUTE FUNCTION stamp();
"""
FIELDS = {
    "id": "BusinessPartner",
    "name": "BusinessPartnerFullName",
    "category": "BusinessPartnerCategory",
    "customer": "Customer",
    "search_term": "SearchTerm1",
    "industry": "Industry",
    "created": "CreationDate",
    "blocked": "BusinessPartnerIsBlocked",
}


class Both:
    """mock-sap and a PostgreSQL database, with one mapping between them."""

    def __init__(self, sap: MockSap, url: str) -> None:
        self.sap, self.url, self.context = sap, url, new_context()
        self.sql(SCHEMA)
        erp = {
            "url": sap.partners,
            "auth": "clientCredentials",
            "tokenUrl": f"{sap.root}/sap/bc/sec/oauth2/token",
        }
        self.ids = [
            connections.create(
                self.context, name=name, kind=kind, settings=settings, credentials=secret, enabled=True, actor="test"
            ).id
            for name, kind, settings, secret in (
                ("database", "sql", {"url": url}, None),
                ("erp", "odata", erp, {"clientId": "ID", "clientSecret": "SECRET"}),
            )
        ]
        sides = [("partner", "modified_at"), ("BusinessPartner", "LastChangeDate")]
        ends: list[dict[str, Any]] = [
            {"connection_id": id, "table": table, "key": None, "modified_on": stamp, "caption": table, "filter": []}
            for id, (table, stamp) in zip(self.ids, sides, strict=True)
        ]
        document = {
            "name": "partners",
            "synch_only_coupled_records": False,
            "local": ends[0],
            "integration": ends[1],
            "field_mappings": [
                line(local_field=own, integration_field=other, match_key=1 if own == "id" else None)
                | ({"direction": "fromIntegration"} if own == "created" else {})  # The ERP says when that was.
                for own, other in FIELDS.items()
            ],
        }
        self.mapping_id = mappings.create(self.context, document, "test")["id"]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(psycopg.connect(self.url, autocommit=True)) as database:
            cursor = database.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def run(self, kind: str = "modified", **given: Any) -> SyncRun:
        run = runs.start(self.context, runs.RunRequest(self.mapping_id, kind, **given), "test")
        run_until_idle(self.context)
        return runs.get(run.id)

    def partners(self) -> list[tuple[Any, ...]]:
        """Every partner as the ERP's own table has it."""
        with connections.connected(self.context, self.ids[1]) as connector:
            selection = Selection("BusinessPartner", "BusinessPartner", "LastChangeDate", tuple(FIELDS.values()))
            return sorted(record.values for record in connector.read(selection, None, None, 500).records)

    def rows(self) -> list[tuple[Any, ...]]:
        created = """to_char(created AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        names = ", ".join(created if name == "created" else name for name in FIELDS)
        return sorted(self.sql(f"SELECT {names} FROM partner"))

    def writes(self) -> int:
        """How many writing requests the ERP was sent."""
        found = self.sap.ask("/_mock/requests?limit=1000")["results"]
        return len([one for one in found if one["method"] != "GET" and "oauth2" not in one["path"]])


@pytest.fixture
def both(postgres: PostgresServer) -> Iterator[Both]:
    name = "mock_sap"
    url = postgres.create_database(name)
    options = ("--oauth", "ID:SECRET", "--token-ttl", "1", "--require-if-match", "--latency-ms", "40")
    try:
        with mock_sap(*options) as sap:
            yield Both(sap, url)
    finally:
        postgres.drop_database(name)


def test_real_data_both_ways_with_tokens_that_expire(both: Both) -> None:
    run = both.run()
    assert (run.status, tally(run, "fromIntegration")) == ("succeeded", {"read": 24, "inserted": 24})
    assert len(both.rows()) == 24
    assert both.rows() == both.partners()
    # Nothing to do is nothing done.
    stamps, writes = both.sql("SELECT id, xmin FROM partner ORDER BY id"), both.writes()
    run = both.run()
    assert run.status == "succeeded"
    assert {**tally(run, "toIntegration"), **tally(run, "fromIntegration")}.keys() <= {"read", "unchanged"}
    assert (both.sql("SELECT id, xmin FROM partner ORDER BY id"), both.writes()) == (stamps, writes)
    # Everything is edited here, and somebody new comes; the ERP answers its PATCHes without a body.
    both.sql("UPDATE partner SET search_term = left('é ' || search_term, 20), blocked = NOT blocked")
    both.sql(
        "INSERT INTO partner VALUES"
        " ('9000001', 'Ærlig & Søn', '2', '9000001', 'ÆRLIG', '0100', '2026-01-02 03:04:05Z', FALSE)"
    )
    run = both.run()
    assert (run.status, tally(run, "toIntegration")) == ("succeeded", {"read": 25, "inserted": 1, "modified": 24})
    mine, theirs = both.rows(), both.partners()
    assert mine[:24] == theirs[:24]
    assert mine[24][:6] == theirs[24][:6] == ("9000001", "Ærlig & Søn", "2", "9000001", "ÆRLIG", "0100")
    writes = both.writes()
    run = both.run()
    assert {**tally(run, "toIntegration"), **tally(run, "fromIntegration")}.keys() <= {"read", "unchanged"}
    assert both.writes() == writes
    # All of it took several lives of a token, and nobody noticed.
    assert len(both.sap.ask("/_mock/tokens")["results"]) > 2


def test_what_the_setup_check_finds(both: Both) -> None:
    _, found = checks.check(both.context, both.ids[1])
    told = {one.code: one.status for one in found}
    assert told["reachable"] == told["credentials"] == told["read_access"] == told["conditional_updates"] == "pass"
    assert told["exchange_rates"] == told["user_is_administrator"] == "unknown"


def test_a_secret_that_is_wrong(both: Both) -> None:
    connections.change(
        both.context, both.ids[1], {"credentials": {"clientId": "ID", "clientSecret": "wrong"}}, None, "test"
    )
    run = both.run()
    assert (run.status, run.code) == ("failed", "credentials_rejected")
    status, found = checks.check(both.context, both.ids[1])
    assert (status, {one.code: one.status for one in found}["credentials"]) == ("fail", "fail")


def edit_there(both: Both, key: str, **values: str) -> None:
    """Somebody edits a partner in the ERP."""
    with connections.connected(both.context, both.ids[1]) as connector:
        selection = Selection("BusinessPartner", "BusinessPartner", "LastChangeDate", tuple(values))
        record = connector.fetch(selection, [key], filtered=False)[key]
        [result] = connector.update(selection, [Update(record, values, guarded=True)])
        assert isinstance(result, Record)


def delete_there(both: Both, key: str) -> None:
    with connections.connected(both.context, both.ids[1]) as connector:
        selection = Selection("BusinessPartner", "BusinessPartner", "LastChangeDate", ())
        record = connector.fetch(selection, [key], filtered=False)[key]
        assert connector.delete(selection, [Deletion(record, guarded=True)]) == [None]


def names(both: Both, key: str) -> tuple[Any, Any]:
    """A partner's search term here and there."""
    here = {row[0]: row[4] for row in both.rows()}
    there = {row[0]: row[4] for row in both.partners()}
    return here.get(key), there.get(key)


def test_a_conflict_is_resolved_and_deletions_travel(both: Both) -> None:
    """The whole story: both sides edit one record each, then the same one; a person decides; each deletes something."""
    mappings.change(
        both.context,
        both.mapping_id,
        {"deletion_conflict_resolution": "deletePartner", "max_delete_percent": 100},
        None,
        "test",
    )
    both.run()
    keys = [row[0] for row in both.rows()]
    both.sql(f"UPDATE partner SET search_term = 'HERE' WHERE id = '{keys[0]}'")
    edit_there(both, keys[1], SearchTerm1="THERE")
    assert both.run().status == "succeeded"
    assert (names(both, keys[0]), names(both, keys[1])) == (("HERE", "HERE"), ("THERE", "THERE"))
    both.sql(f"UPDATE partner SET search_term = 'OURS' WHERE id = '{keys[2]}'")
    edit_there(both, keys[2], SearchTerm1="THEIRS")
    run = both.run()
    assert (run.status, [one.code for one in errors(status="open")]) == (
        "completedWithErrors",
        ["destination_modified_later"],
    )
    assert names(both, keys[2]) == ("OURS", "THEIRS")
    [item] = skipped.list_skipped(mapping_id=both.mapping_id, status="open", limit=10)
    skipped.resolve(both.context, item.id, "keepLocal", None, "anna")
    run_until_idle(both.context)
    assert names(both, keys[2]) == ("OURS", "OURS")
    both.sql(f"DELETE FROM partner WHERE id = '{keys[3]}'")
    delete_there(both, keys[4])
    run = runs.start(both.context, runs.RunRequest(both.mapping_id, "findDeleted"), "test")
    run_until_idle(both.context)
    assert runs.get(run.id).status == "succeeded"
    left = sorted(set(keys) - {keys[3], keys[4]})
    assert [row[0] for row in both.rows()] == [row[0] for row in both.partners()] == left


def test_delta_links_tell_deletions(both: Both) -> None:
    """Its metadata says nothing of them; who knows that it has them says so. Tokens are moments of its clock."""
    mappings.change(
        both.context,
        both.mapping_id,
        {"deletion_conflict_resolution": "deletePartner", "max_delete_percent": 100},
        None,
        "test",
    )
    settings = {**connections.get(both.ids[1]).settings, "deltaLinks": "on"}
    connections.change(both.context, both.ids[1], {"settings": settings}, None, "test")
    both.run()
    keys = [row[0] for row in both.rows()]
    delete_there(both, keys[0])
    edit_there(both, keys[1], SearchTerm1="THERE")
    run = both.run()
    assert (run.status, tally(run, "toIntegration")) == ("succeeded", {"read": 1, "deleted": 1})
    assert tally(run, "fromIntegration") == {"read": 1, "modified": 1}
    assert [row[0] for row in both.rows()] == keys[1:]
    writes = both.writes()
    assert both.run().status == "succeeded"
    assert both.writes() == writes


def test_a_user_who_may_only_read_is_one_error_for_the_administrator(both: Both) -> None:
    both.run()
    for method in ("POST", "PATCH", "DELETE"):
        rule = {"method": method, "match": r"BusinessPartner|\$batch", "scenario": "forbidden"}
        both.sap.tell("/_mock/faults", rule)
    both.sql("UPDATE partner SET search_term = 'HERE'")
    for number in range(20):
        both.sql(f"INSERT INTO partner (id, name, category) VALUES ('90000{number:02}', 'New', '2')")
    run = both.run()
    assert (run.status, run.code) == ("failed", "permission_denied")
    assert [(one.code, one.responsibility) for one in errors()] == [("permission_denied", "administrator")]
    assert skipped.list_skipped(mapping_id=both.mapping_id, status=None, limit=10) == []
    assert len(both.partners()) == 24


def test_an_answer_that_is_lost_after_an_insert_doubles_nothing(both: Both) -> None:
    """The ERP has made the partners, and nobody heard of it."""
    both.run()
    with wire_to(both.sap.port) as wire:
        settings = connections.get(both.ids[1]).settings
        url = settings["url"].replace(str(both.sap.port), str(wire.port))
        connections.change(both.context, both.ids[1], {"settings": {**settings, "url": url}}, None, "test")
        for number in range(20):
            both.sql(f"INSERT INTO partner (id, name, category) VALUES ('90000{number:02}', 'New', '2')")
        wire.cut_after(b"9000019")
        run = both.run()
        assert (wire.cuts, run.status) == (1, "succeeded")
        assert len(both.partners()) == 44
        writes = both.writes()
        assert both.run(kind="full").status == "succeeded"
        assert (both.writes(), len(both.partners())) == (writes, 44)

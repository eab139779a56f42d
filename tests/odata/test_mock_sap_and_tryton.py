"""Two ERPs of third parties: business partners of mock-sap and records of Tryton, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.connectors.base import Insert, Update
from service.core.records import Scalar, Selection
from service.operations import connections, mappings, runs
from service.store.database import connection, migrate, open_database
from service.store.models import SyncRun
from service.worker import run_until_idle
from tests.odata.servers import MockSap, mock_sap
from tests.tryton import TrytonServer
from tests.world import line, new_context, tally

TABLES: dict[str, dict[str, str]] = {
    "party.party": {"code": "BusinessPartner", "name": "BusinessPartnerFullName"},
    "accord.customer": {
        "number": "BusinessPartner",
        "name": "BusinessPartnerFullName",
        "city": "SearchTerm1",
        "blocked": "BusinessPartnerIsBlocked",
        "seen": "CreationDate",
    },
}
OPTIONS = ("--oauth", "ID:SECRET", "--token-ttl", "1", "--require-if-match", "--latency-ms", "20")


class Both:
    """The two ERPs with a mapping between them."""

    def __init__(self, sap: MockSap, tryton: TrytonServer, table: str) -> None:
        self.sap, self.table, self.fields, self.context = sap, table, TABLES[table], new_context()
        self.file = tryton.database()
        self.file.execute(f"DELETE FROM {table.replace('.', '_')}")
        erp = {"url": sap.partners, "auth": "clientCredentials", "tokenUrl": f"{sap.root}/sap/bc/sec/oauth2/token"}
        self.ids = [
            connections.create(
                self.context, name=name, kind=kind, settings=settings, credentials=secret, enabled=True, actor="test"
            ).id
            for name, kind, settings, secret in (
                ("tryton", "tryton", tryton.settings, tryton.credentials()),
                ("sap", "odata", erp, {"clientId": "ID", "clientSecret": "SECRET"}),
            )
        ]
        sides = [(table, None), ("BusinessPartner", "LastChangeDate")]
        ends: list[dict[str, Any]] = [
            {"connection_id": id, "table": name, "key": None, "modified_on": stamp, "caption": name, "filter": []}
            for id, (name, stamp) in zip(self.ids, sides, strict=True)
        ]
        key = next(iter(self.fields))
        document = {
            "name": "partners",
            "synch_only_coupled_records": False,
            "local": ends[0],
            "integration": ends[1],
            "field_mappings": [
                line(local_field=own, integration_field=other, match_key=1 if own == key else None)
                | ({"direction": "fromIntegration"} if own == "seen" else {})  # The other ERP says when that was.
                for own, other in self.fields.items()
            ]
            + [line(integration_field="BusinessPartnerCategory", constant="2", direction="toIntegration")],
        }
        self.mapping_id = mappings.create(self.context, document, "test")["id"]

    def run(self) -> SyncRun:
        run = runs.start(self.context, runs.RunRequest(self.mapping_id, "modified"), "test")
        run_until_idle(self.context)
        return runs.get(run.id)

    def rows(self, place: int) -> list[tuple[Scalar, ...]]:
        """Every record as one of the two ERPs has it."""
        chosen = (
            Selection(self.table, "id", "write_date", tuple(self.fields)),
            Selection("BusinessPartner", "BusinessPartner", "LastChangeDate", tuple(self.fields.values())),
        )[place]
        with connections.connected(self.context, self.ids[place]) as connector:
            return sorted(record.values for record in connector.read(chosen, None, None, 500).records)

    def writes(self) -> int:
        """How many writing requests mock-sap was sent."""
        found = self.sap.ask("/_mock/requests?limit=1000")["results"]
        return len([one for one in found if one["method"] != "GET" and "oauth2" not in one["path"]])

    def stamps(self) -> list[Any]:
        return self.file.execute(f"SELECT id, write_date FROM {self.table.replace('.', '_')} ORDER BY id").fetchall()


@pytest.fixture(params=TABLES)
def both(request: pytest.FixtureRequest, tryton: TrytonServer, tmp_path: Path) -> Iterator[Both]:
    state = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    migrate()
    with connection(), mock_sap(*OPTIONS) as sap:
        made = Both(sap, tryton, request.param)
        yield made
        made.file.execute(f"DELETE FROM {made.table.replace('.', '_')}")
        made.file.close()
    state.close()


def test_real_data_both_ways(both: Both) -> None:
    run = both.run()
    assert (run.status, tally(run, "fromIntegration")) == ("succeeded", {"read": 24, "inserted": 24})
    assert len(both.rows(0)) == 24
    assert both.rows(0) == both.rows(1)
    stamps, writes = both.stamps(), both.writes()
    run = both.run()
    assert run.status == "succeeded"
    assert {**tally(run, "toIntegration"), **tally(run, "fromIntegration")}.keys() <= {"read", "unchanged"}
    assert (both.stamps(), both.writes()) == (stamps, writes)
    # Every name is edited in Tryton, by its own users.
    with connections.connected(both.context, both.ids[0]) as connector:
        chosen = Selection(both.table, "id", "write_date", tuple(both.fields))
        read = connector.read(chosen, None, None, 500).records
        connector.update(chosen, [Update(one, {"name": f"Æ {str(one.values[1])[:40]}"}, guarded=True) for one in read])
        key = next(iter(both.fields))
        connector.insert(chosen, [Insert({key: "9000001", "name": "Ærlig & Søn"})])
    run = both.run()
    assert (run.status, tally(run, "toIntegration")) == ("succeeded", {"read": 25, "inserted": 1, "modified": 24})
    mine, theirs = both.rows(0), both.rows(1)
    assert mine[:24] == theirs[:24]
    assert mine[24][:2] == theirs[24][:2] == ("9000001", "Ærlig & Søn")
    writes = both.writes()
    both.run()
    assert both.writes() == writes

"""`GET /connections/{id}/tables/{table}` tells the alternate keys of a table, and how far each of them is."""

from __future__ import annotations

from tests.api.world import World
from tests.odata.sales import dataverse
from tests.odata.servers import counterpart, text

ACCOUNTS = {
    **dataverse("account", "accountid", (), None, accountnumber=text(20), tax=text(20)),
    "alternates": [
        {"name": "by_number", "fields": ["accountnumber"]},
        {"name": "by_tax", "fields": ["tax", "accountnumber"], "status": "Pending"},
    ],
}


def test_alternate_keys_are_told(empty: World) -> None:
    with counterpart("dataverse", {"accounts": ACCOUNTS}, stampDigits=0) as service:
        document = {"name": "crm", "kind": "dataverse", "settings": {"url": service.url}}
        id = empty.ask("POST", "/connections", document).json["id"]
        assert empty.get(f"/connections/{id}/tables/accounts")["alternateKeys"] == [
            {"name": "by_number", "fields": ["accountnumber"], "status": "active"},
            {"name": "by_tax", "fields": ["tax", "accountnumber"], "status": "building"},
        ]


def test_a_database_tells_none(world: World) -> None:
    assert world.get("/connections/1/tables/customer")["alternateKeys"] == []

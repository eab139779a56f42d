"""The two small applications of tests/world.py, with an OData service for the CRM."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from service.core.records import Side
from service.operations import connections
from tests.odata.servers import COMPANY, Counterpart, stamp, text
from tests.world import World

NAMES = {
    "dataverse": ("accounts", "accountid", "modifiedon"),
    "businessCentral": ("customers", "id", "lastModifiedDateTime"),
}
"""For each shape the entity set, its key and its stamp."""

FIELDS = {
    "dataverse": ("accountnumber", "name", "address1_city", "creditlimit"),
    "businessCentral": ("number", "displayName", "city", "creditLimit"),
}

USERS = {
    "accord": {"password": "secret"},
    "reader": {"password": "secret", "readOnly": True},
    "boss": {"password": "secret", "administrator": True},
}


def tables(shape: str) -> dict[str, Any]:
    """The accounts of a CRM, or the customers of an ERP."""
    name, key, modified_on = NAMES[shape]
    number, caption, city, limit = FIELDS[shape]
    fields = {
        key: {"type": "Guid", "nullable": False},
        number: text(20),
        caption: text(50, nullable=False),
        city: text(30),
        limit: {"type": "Decimal", "precision": 12, "scale": 2},
        modified_on: stamp(3),
    }
    return {name: {"type": name[:-1], "key": key, "stamp": modified_on, "unique": [number], "fields": fields}}


def lines(shape: str) -> list[dict[str, Any]]:
    number, caption, city, limit = FIELDS[shape]
    return [
        {"local_field": "number", "integration_field": number, "match_key": 1},
        {"local_field": "name", "integration_field": caption},
        {"local_field": "city", "integration_field": city},
        {"local_field": "credit_limit", "integration_field": limit},
    ]


class ODataWorld(World):
    """An ERP on SQLite and a service, and what people do in both."""

    def __init__(
        self, folder: Path, service: Counterpart, *, user: str = "accord", port: int | None = None, **more: Any
    ) -> None:
        super().__init__(folder)
        self.service = service
        service.control("clear")
        settings = {"url": service.url.replace(str(service.port), str(port or service.port)), "auth": "basic", **more}
        if service.shape == "businessCentral":
            settings["company"] = COMPANY
        self.connection_ids[Side.INTEGRATION] = connections.create(
            self.context,
            name="service",
            kind=service.shape,
            settings=settings,
            credentials={"username": user, "password": "secret"},
            enabled=True,
            actor="test",
        ).id

    @property
    def table(self) -> str:
        return NAMES[self.service.shape][0]

    def map_service(self, **given: Any) -> int:
        name, _, modified_on = NAMES[self.service.shape]
        side = {"table": name, "modified_on": modified_on, **given.pop("integration", {})}
        return self.map(lines(self.service.shape), integration=side, **given)

    def add_remote(self, **values: Any) -> str:
        """Somebody makes a record in the service; its key."""
        key = str(uuid.uuid4())
        self.edit_remote(key, **values)
        return key

    def edit_remote(self, key: str, **values: Any) -> None:
        self.service.control("put", table=self.table, rows=[[key, None, values]])

    def delete_remote(self, key: str) -> None:
        self.service.control("remove", table=self.table, key=key)

    def remote(self) -> dict[str, dict[str, Any]]:
        """Every record of the service by its number."""
        number = FIELDS[self.service.shape][0]
        return {row[number]: row for row in self.service.control("all", table=self.table)}

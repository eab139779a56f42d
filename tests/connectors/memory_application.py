"""The application of the kit as a store of this process."""

from __future__ import annotations

from service.connectors.base import Connector
from service.connectors.kit import Application
from service.connectors.memory import MemoryConnector, MemoryStore
from service.core.records import Field, FieldType, Option, Scalar, Stamp

CUSTOMER_FIELDS = [
    Field("number", FieldType.STRING, length=20),
    Field("name", FieldType.STRING, length=50, required=True, nullable=False),
    Field("city", FieldType.STRING),
    Field("credit", FieldType.DECIMAL, precision=10, scale=2),
    Field("blocked", FieldType.BOOLEAN),
    Field("born", FieldType.DATE),
    Field("seen", FieldType.DATETIME),
    Field("visits", FieldType.INTEGER),
    Field("grade", FieldType.STRING, options=(Option("gold", "Gold"), Option("silver", "Silver"))),
]


class MemoryApplication(Application):
    def __init__(
        self,
        store: MemoryStore,
        name: str,
        connector_class: type[MemoryConnector] = MemoryConnector,
        told: int | None = None,
    ) -> None:
        self.store = store
        self.name = name
        self.connector_class = connector_class
        store.create_table("customer", CUSTOMER_FIELDS, modified_on="modified_at", unique=("number",), told=told)
        name_field = Field("name", FieldType.STRING, length=50, required=True, nullable=False)
        store.create_table("numbered", [name_field], modified_on="modified_at", generates_keys=True)

    def connector(self) -> Connector:
        return self.connector_class({"store": self.name}, {})

    def put(self, key: str, /, *, stamp: Stamp | None = None, **values: Scalar) -> None:
        self.store.put("customer", id=key, **values)
        if stamp is not None:
            table = self.store.tables["customer"]
            self.store.stamp(table, key, table.rows[key], stamp)

    def remove(self, key: str) -> None:
        self.store.remove("customer", key)

    def unstamp(self, key: str) -> None:
        self.store.unstamp("customer", key)

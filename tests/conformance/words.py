"""Words that these tests share: what a pair is known by, what both applications hold, and a world in memory."""

from __future__ import annotations

import uuid
from typing import Any

from service.connectors.memory import MemoryStore, MemoryTable, open_store
from service.core.compare import parse_datetime
from service.core.records import Field, FieldType, Side, Stamp, stamp_of
from service.operations import connections, couplings, mappings
from service.operations.context import Context
from service.operations.couplings import CouplingView
from service.store.models import SyncRun
from tests.world import TABLES, World, new_context, tally

WRITES = ("inserted", "modified", "deleted")


def both(run: SyncRun) -> dict[str, dict[str, int]]:
    """The counters that are not zero, of the directions that have any."""
    found = {direction: tally(run, direction) for direction in run.counts}
    return {direction: counts for direction, counts in found.items() if counts}


def total(run: SyncRun, outcome: str) -> int:
    """One counter over both directions."""
    return sum(counts[outcome] for counts in run.counts.values())


def quiet(run: SyncRun) -> bool:
    """Whether a run went through without an error and wrote nothing."""
    return run.status == "succeeded" and not any(total(run, outcome) for outcome in WRITES)


def coupling(world: World, customer: str) -> CouplingView:
    """The coupling of a customer."""
    found = couplings.list_couplings(mapping_id=world.mapping_id, local_key=customer, limit=1)
    assert len(found) == 1
    return found[0]


def coupled_stamps(world: World, customer: str) -> tuple[Stamp | None, Stamp | None]:
    """The stamps of both sides at the last synchronization, as the coupling remembers them."""
    found = coupling(world, customer)
    return found.last_synch_local_modified_on, found.last_synch_integration_modified_on


def own_stamps(world: World, customer: str, account: str) -> tuple[Stamp, Stamp]:
    """The stamps of a pair as the two applications have them now."""
    return stamp(world, Side.LOCAL, customer), stamp(world, Side.INTEGRATION, account)


def stamp(world: World, side: Side, key: str) -> Stamp:
    """A record's stamp in its own application."""
    record = world.get(side, key)
    assert record is not None
    return stamp_of(parse_datetime(record[TABLES[side][2]]))


def watermarks(world: World) -> dict[str, Stamp | None]:
    """How far each side has been read."""
    found: dict[str, Stamp | None] = mappings.get(world.mapping_id)["watermarks"]
    return found


def field(world: World, side: Side | str, key: str, name: str) -> Any:
    """One value of a record, None when the record does not exist."""
    return (world.get(side, key) or {}).get(name)


class MemoryWorld(World):
    """The same two applications in this process, for what must be counted, refused or many.

    A table's behaviour may be changed at `tables`, an application's at `stores`; `calls` counts what Accord asks.
    """

    def __init__(self, context: Context | None = None, credentials: dict[str, Any] | None = None) -> None:
        self.context = context or new_context()
        self.mapping_id = 0
        self.stores: dict[Side, MemoryStore] = {}
        self.connection_ids = {}
        for side in Side:
            name = f"{side.value}-{uuid.uuid4().hex}"
            self.stores[side] = open_store(name)
            self.connection_ids[side] = connections.create(
                self.context,
                name=side.value,
                kind="memory",
                settings={"store": name},
                credentials=credentials,
                enabled=True,
                actor="test",
            ).id
        text, number = FieldType.STRING, FieldType.DECIMAL
        self.stores[Side.LOCAL].create_table(
            "customer",
            [
                Field("number", text),
                Field("name", text),
                Field("city", text),
                Field("credit_limit", number, precision=12, scale=2),
            ],
            modified_on="modified_at",
            generates_keys=True,
        )
        self.stores[Side.INTEGRATION].create_table(
            "account",
            [
                Field("accountnumber", text),
                Field("name", text, length=50),
                Field("address1_city", text),
                Field("creditlimit", number, precision=12, scale=2),
                Field("customertypecode", FieldType.INTEGER),
            ],
            key="accountid",
            modified_on="modifiedon",
            generates_keys=True,
        )

    def table(self, side: Side | str) -> MemoryTable:
        """The table of one application, with its behaviour."""
        return self.stores[Side(side)].tables[TABLES[Side(side)][0]]

    def add(self, side: Side | str, **values: Any) -> str:
        return self.stores[Side(side)].put(TABLES[Side(side)][0], **values)

    def edit(self, side: Side | str, key: str, **values: Any) -> None:
        self.stores[Side(side)].put(TABLES[Side(side)][0], **{TABLES[Side(side)][1]: key}, **values)

    def delete(self, side: Side | str, key: str) -> None:
        self.stores[Side(side)].remove(TABLES[Side(side)][0], key)

    def get(self, side: Side | str, key: str) -> dict[str, Any] | None:
        row = self.table(side).rows.get(key)
        return None if row is None else dict(row.values)

    def all(self, side: Side | str) -> list[dict[str, Any]]:
        return [dict(row.values) for _, row in sorted(self.table(side).rows.items())]

    def calls(self) -> dict[str, int]:
        """What was asked of both applications since this was last called, by the name of the operation."""
        counted: dict[str, int] = {}
        for store in self.stores.values():
            for name, number in store.calls.items():
                counted[name] = counted.get(name, 0) + number
            store.calls.clear()
        return counted

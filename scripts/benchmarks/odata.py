"""W6: the same changes with the CRM behind OData, in a process of its own. Its server is another one, and not counted.

Prints one JSON document: the costs of a first load, of its echoes and of a thousand changes, with the requests of each;
and what the client alone takes for a record.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from scripts.benchmarks.databases import People, Place
from scripts.benchmarks.engine import AccordContender
from scripts.benchmarks.meters import measure
from scripts.benchmarks.story import QUIET
from scripts.benchmarks.tables import CHANGED, CRM, ERP, Edit
from service.connectors.base import Update
from service.connectors.odata.connector import ODataConnector
from service.core.records import Record, Selection
from tests.odata.servers import Counterpart, counterpart, stamp, text

ROWS = 2_000
"""The service keeps its records in lists; with more it would wait for itself."""

TITLES = {
    "load": f"first load of {ROWS:,} records",
    "echoes": f"{ROWS:,} own writes read again",
    "W6": f"{CHANGED:,} changes",
}

SINGLE = 200
"""So many records are changed by a request each."""

PASSES = 5

ALONE = {
    "read": "the client alone: a record read",
    "inBatch": "the client alone: a change in $batch",
    "guardedInBatch": "the client alone: the same, its state read and compared first",
    "patch": "the client alone: a change by a PATCH",
}

SHAPE = replace(CRM, table="accounts")
_KINDS: tuple[dict[str, Any], ...] = (
    *(text(100) for _ in range(14)),
    {"type": "Int32"},
    {"type": "Int32"},
    {"type": "Decimal", "precision": 12, "scale": 2},
    {"type": "Date"},
)


class Wrong(Exception):
    """What was to be measured did not happen."""


def service_tables() -> dict[str, Any]:
    """The accounts as the service describes them."""
    fields = dict(zip(SHAPE.columns, _KINDS, strict=True))
    key = {SHAPE.key: {"type": "Guid", "nullable": False}, SHAPE.stamp: stamp(6)}
    return {
        SHAPE.table: {
            "type": "account",
            "key": SHAPE.key,
            "stamp": SHAPE.stamp,
            "unique": [],
            "fields": {**key, **fields},
        }
    }


def told(place: Place, service: Counterpart) -> dict[str, dict[str, float]]:
    """The items, one after the other."""
    connection = {
        "kind": service.shape,
        "settings": {"url": service.url, "auth": "basic"},
        "credentials": {"username": "accord", "password": "secret"},
    }
    who, people = AccordContender(place, False, connection, SHAPE), People(place)
    found = {}

    def item(name: str, what: str) -> None:
        who.ask(what)
        service.requests()
        costs = measure(who.work, 0).document()
        found[name] = {**costs, "requests": float(len(service.requests()))}

    item("load", "copy")
    _assert(len(_all(service)) == ROWS, "not every record arrived")
    time.sleep(QUIET)
    item("echoes", "run")
    half = CHANGED // 2
    people.edit([Edit(ERP, 0, half, " A/S")])
    wanted = sorted(_all(service).values(), key=_number)[half:CHANGED]
    rows = [[one[SHAPE.key], None, {SHAPE.columns[13]: f"{one[SHAPE.columns[13]]} AS"}] for one in wanted]
    service.control("put", table=SHAPE.table, rows=rows)
    item("W6", "run")
    edited = sum(one[SHAPE.columns[13]].endswith(" A/S") for one in _all(service).values())
    _assert(edited == half, f"{edited} changes arrived in the service")
    who.close()
    return found


def alone(service: Counterpart) -> dict[str, dict[str, float]]:
    """What the client takes by itself, without an engine: CPU of this process for each record or change, in seconds, as
    the median of some passes. The records are there already."""
    settings = {"url": service.url, "auth": "basic"}
    who = {"username": "accord", "password": "secret"}
    together, single = ODataConnector(settings, who), ODataConnector({**settings, "batch": "none"}, who)
    chosen = Selection(SHAPE.table, SHAPE.key, SHAPE.stamp, SHAPE.columns, ())
    found: list[Record] = []

    def read() -> None:
        found.clear()
        page = together.read(chosen, None, None, CHANGED)
        found.extend(page.records)
        while page.cursor is not None:
            page = together.read(chosen, None, page.cursor, CHANGED)
            found.extend(page.records)

    def change(by: ODataConnector, records: Sequence[Record], at_once: int, guarded: bool) -> None:
        value = secrets.token_hex(4)
        for first in range(0, len(records), at_once):
            some = records[first : first + at_once]
            items = [Update(record, {SHAPE.columns[13]: value}, guarded) for record in some]
            for result in by.update(chosen, items):
                _assert(isinstance(result, Record), f"a change was refused: {result}")

    def read_and_change() -> None:
        read()
        change(together, found[:CHANGED], CHANGED, True)

    steps: dict[str, tuple[int, Callable[[], None]]] = {
        "read": (ROWS, read),
        "inBatch": (CHANGED, lambda: change(together, found[:CHANGED], CHANGED, False)),
        "guardedInBatch": (CHANGED, read_and_change),
        "patch": (SINGLE, lambda: change(single, found[:SINGLE], 1, False)),
    }
    costs = {name: _each(number, step) for name, (number, step) in steps.items()}
    for cost in costs["read"]:
        costs["guardedInBatch"][cost] -= costs["read"][cost] * ROWS / CHANGED
    for connector in (together, single):
        connector.close()
    return costs


def _each(number: int, step: Callable[[], None]) -> dict[str, float]:
    costs = [measure(step, 0).document() for _ in range(PASSES)]
    return {name: median(one[name] for one in costs) / number for name in ("cpu", "wall")}


def _all(service: Counterpart) -> dict[str, dict[str, Any]]:
    return {row[SHAPE.key]: row for row in service.control("all", table=SHAPE.table)}


def _number(row: dict[str, Any]) -> str:
    number: str = row[SHAPE.number]
    return number


def _assert(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Wrong(otherwise)


def main() -> None:
    place = Place(**json.loads(sys.argv[1]))
    with counterpart("odata", service_tables(), users={"accord": {"password": "secret"}}) as service:
        print(json.dumps({"told": told(place, service), "alone": alone(service)}))


if __name__ == "__main__":
    main()

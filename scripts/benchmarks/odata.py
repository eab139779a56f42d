"""W6: the same changes with the CRM behind OData, in a process of its own. Its server is another one, and not counted.

Prints one JSON document: the costs of a first load, of its echoes and of a thousand changes, with the requests of each.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import Any

from scripts.benchmarks.databases import People, Place
from scripts.benchmarks.engine import AccordContender
from scripts.benchmarks.meters import measure
from scripts.benchmarks.story import QUIET
from scripts.benchmarks.tables import CHANGED, CRM, ERP, Edit
from tests.odata.servers import Counterpart, counterpart, stamp, text

ROWS = 2_000
"""The service keeps its records in lists; with more it would wait for itself."""

TITLES = {
    "load": f"first load of {ROWS:,} records",
    "echoes": f"{ROWS:,} own writes read again",
    "W6": f"{CHANGED:,} changes",
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
        print(json.dumps(told(place, service)))


if __name__ == "__main__":
    main()

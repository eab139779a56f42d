"""Proposed field mappings for two tables, by what their connections tell and by a few of their records."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from service.connectors.base import Connector
from service.core.errors import Invalid, Problem
from service.core.failures import SideFailed
from service.core.records import FieldType, Selection, Side, Table
from service.core.suggestions import Proposal, Sample, propose
from service.operations.connections import connected
from service.operations.context import Context
from service.store import connections as connection_rows

_SAMPLE = 200
"""How many records of each table are looked at."""

_UNLIKELY = (FieldType.BINARY, FieldType.JSON)


@dataclass(frozen=True, slots=True)
class Place:
    """A table and where it is."""

    connection_id: int
    table: str


def suggest(context: Context, places: dict[Side, Place]) -> Proposal:
    """What seems to correspond. Reads one page of each table and writes nothing. Raises Invalid, Unavailable."""
    _assert_there(places)
    tables: dict[Side, Table] = {}
    samples: dict[Side, Sample] = {}
    problems: list[Problem] = []
    for side, place in places.items():
        with connected(context, place.connection_id) as connector:
            try:
                tables[side] = connector.describe(place.table)
            except SideFailed as error:
                if error.failure.code != "table_not_found":
                    raise
                problems.append(Problem(f"/{side}/table", error.failure.code, error.failure.params))
                continue
            samples[side] = _sample(connector, tables[side])
    if problems:
        raise Invalid(problems)
    local, integration = Side.LOCAL, Side.INTEGRATION
    return propose(tables[local], tables[integration], samples[local], samples[integration])


def _assert_there(places: dict[Side, Place]) -> None:
    problems = [
        Problem(f"/{side}/connectionId", "connection_unknown", {"id": place.connection_id})
        for side, place in places.items()
        if connection_rows.get(place.connection_id) is None
    ]
    if not problems and places[Side.LOCAL] == places[Side.INTEGRATION]:
        problems.append(Problem("/integration/table", "same_table_twice"))
    if problems:
        raise Invalid(problems)


def _sample(connector: Connector, table: Table) -> Sample:
    """Some values of each field; none where they cannot be read, for names and types tell something too."""
    if table.key is None or table.modified_on is None:
        return {}
    names = tuple(name for name, field in table.fields.items() if field.type not in _UNLIKELY)
    records = []
    with suppress(SideFailed):
        selection = Selection(table.name, table.key, table.modified_on, names)
        records = list(connector.read(selection, None, None, _SAMPLE).records)
    columns = zip(*(record.values for record in records), strict=True)
    return dict(zip(names, columns, strict=False))

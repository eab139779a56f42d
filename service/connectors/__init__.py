"""The business applications that Accord can work with: one entry of `CONNECTORS` for each kind.

Third parties add kinds with an entry point in the group `accord.connectors`, its name the kind, its object the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from service.connectors.base import Connector
from service.connectors.memory import MemoryConnector
from service.connectors.odata import BusinessCentralConnector, DataverseConnector, ODataConnector
from service.connectors.sql import SqlConnector
from service.connectors.tryton import TrytonConnector

GROUP = "accord.connectors"

CONNECTORS: Mapping[str, type[Connector]] = {
    "businessCentral": BusinessCentralConnector,
    "dataverse": DataverseConnector,
    "memory": MemoryConnector,
    "odata": ODataConnector,
    "sql": SqlConnector,
    "tryton": TrytonConnector,
}


def connector_class(kind: str) -> type[Connector]:
    """The class for a kind, our own or an installed one; KeyError when there is none. Our own cannot be replaced."""
    if kind in CONNECTORS:
        return CONNECTORS[kind]
    for entry in entry_points(group=GROUP, name=kind):
        loaded = entry.load()
        if isinstance(loaded, type) and issubclass(loaded, Connector):
            return loaded
    raise KeyError(kind)


def connector_kinds() -> list[str]:
    """Every kind there is, by name; loads nothing."""
    return sorted({*CONNECTORS, *(entry.name for entry in entry_points(group=GROUP))})

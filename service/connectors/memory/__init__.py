"""Kind `memory`: a business application inside this process, for tests and demonstrations.

It is a real connector: its stores outlive connectors, are shared by name, may be used from many threads, and behave
like applications do where asked to: coarse stamps, values trimmed or upper-cased on the way in, stamps set again after
a write, transactions that commit late, writes that are refused.
"""

from service.connectors.memory.connector import MemoryConnector
from service.connectors.memory.store import STORES, MemoryStore, MemoryTable, open_store

__all__ = ["STORES", "MemoryConnector", "MemoryStore", "MemoryTable", "open_store"]

"""What was prepared of a mapping for one run and is the same for the next: its flows, as long as it is the same
mapping, bound to the same tables. Preparing them anew costs a tenth of a run that finds nothing to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from service.core.flow import Flow
from service.core.mapping import SyncMapping
from service.core.records import Side

Flows: TypeAlias = Mapping[Side, Flow]

MOST = 1_000
"""Of so many mappings at most."""


@dataclass(frozen=True, slots=True)
class _Item:
    """`version` is the mapping's: 1 and true are equal, and not the same constant."""

    version: int
    mapping: SyncMapping
    flows: Flows


class KeptFlows:
    """The flows that rest. Each is lent to one borrower at a time, because its transformations are made for one; may be
    used from several threads."""

    def __init__(self) -> None:
        self._resting: dict[int, _Item] = {}

    @contextmanager
    def borrowed(self, version: int, mapping: SyncMapping, make: Callable[[SyncMapping], Flows]) -> Iterator[Flows]:
        """The flows of a mapping: those that rest, where it is still the same, or new ones. They rest afterwards unless
        something went wrong."""
        item = self._resting.pop(mapping.id, None)
        if item is None or item.version != version or item.mapping != mapping:
            item = _Item(version, mapping, make(mapping))
        yield item.flows
        if len(self._resting) >= MOST:
            self._resting.clear()
        self._resting[mapping.id] = item

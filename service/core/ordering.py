"""In which order mappings run that need each other, and which references are written later because they form a ring."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter


@dataclass(frozen=True, slots=True)
class Need:
    """The mapping `owner` needs the couplings of the mapping `other`.

    `line`: the field mapping that refers to it, None where somebody said so. `optional`: the reference can be written
    after its record was made.
    """

    owner: int
    other: int
    line: int | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """The mappings, those that others need first. `deferred`: the field mappings whose references are written later.
    `needs`: what each mapping comes after."""

    mappings: tuple[int, ...]
    deferred: frozenset[int]
    needs: Mapping[int, frozenset[int]]


class Ring(Exception):
    """Mappings need each other in a ring that no optional reference breaks. `mappings` ends as it begins."""

    def __init__(self, mappings: Sequence[int]) -> None:
        super().__init__(list(mappings))
        self.mappings = tuple(mappings)


def arrange(mappings: Collection[int], needs: Collection[Need]) -> Order:
    """Order the mappings, the one that was made first before others where nothing else decides.

    An optional reference orders its mapping too, unless that would close a ring: then it is written later. Of several
    that could break a ring it is the one that was added last. Raises Ring.
    """
    edges: dict[int, set[int]] = {id: set() for id in sorted(mappings)}
    known = [need for need in needs if need.owner in edges and need.other in edges]
    for need in known:
        if not need.optional:
            edges[need.owner].add(need.other)
    _sorted(edges)
    deferred = set()
    for need in sorted((need for need in known if need.optional), key=lambda need: need.line or 0):
        if need.owner in _reachable(need.other, edges):
            deferred.add(need.line or 0)
        else:
            edges[need.owner].add(need.other)
    fixed = {id: frozenset(others) for id, others in edges.items()}
    return Order(tuple(_sorted(edges)), frozenset(deferred), fixed)


def _sorted(edges: Mapping[int, Collection[int]]) -> list[int]:
    sorter = TopologicalSorter(edges)
    try:
        sorter.prepare()
    except CycleError as error:
        # Each of the ring's members is needed by the one that follows it; people read it the other way round.
        raise Ring(error.args[1][::-1]) from error
    order: list[int] = []
    ready: list[int] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()])
        order.append(ready.pop(0))
        sorter.done(order[-1])
    return order


def _reachable(start: int, edges: Mapping[int, Collection[int]]) -> set[int]:
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        id = waiting.pop()
        if id not in seen:
            seen.add(id)
            waiting += edges.get(id, ())
    return seen

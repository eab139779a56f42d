"""Twins, while other workers are at other ranges of the same records: nobody takes what another is about to take.

Each page of a range says which match values its new records have, and which twins it found, before it does anything
about them, and looks what the pages of the others say. What two of them want is left to the next run, which meets both
records one after the other. It is said before it is looked for: what another page wrote down since then is found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import orjson

from service.core.failures import Failure
from service.core.flow import Line
from service.core.records import Record, Side
from service.engine.match import Twins, ambiguous, free_keys, match_lines, match_values
from service.engine.match_by_form import twins_of, were_ambiguous
from service.engine.task import Task, Visit
from service.store import ranges


def twins_beside_others(task: Task, source: Side, visits: Sequence[Visit]) -> Twins:
    """The twins of uncoupled records, but of those that the page of another range is about, too."""
    groups, records = match_lines(task, source), [visit.record for visit in visits]
    if task.lease.range_id is None or not groups:
        return twins_of(task, source, records, again=were_ambiguous(task, source, visits))
    wants = list(_wants(task, source, groups, records))
    said = {digest: key for key, digest, _ in wants}
    others = _say(task, said)
    failures = {
        key: ambiguous(task, source, lines, [], [others[digest]]) for key, digest, lines in wants if digest in others
    }
    twins = twins_of(task, source, [record for record in records if record.key not in failures])
    taken = _taken(task, source, groups, twins.found, said) if twins.found else {}
    found = {key: twin for key, twin in twins.found.items() if key not in taken}
    return Twins(found, {**failures, **taken, **twins.ambiguous})


def _wants(
    task: Task, source: Side, groups: Sequence[Sequence[Line]], records: Sequence[Record]
) -> Iterator[tuple[str, str, Sequence[Line]]]:
    """For each record and priority its key, the digest of its match values, and the lines."""
    for priority, (lines, found) in enumerate(zip(groups, match_values(task, source, records), strict=True)):
        for key, values in found.items():
            yield key, _digest([priority, *values]), lines


def _taken(
    task: Task, source: Side, groups: Sequence[Sequence[Line]], found: Mapping[str, Record], said: Mapping[str, str]
) -> dict[str, Failure]:
    """Those of the records whose twin the page of another range has found as well, or has coupled meanwhile."""
    marks = {key: _digest(["twin", twin.key]) for key, twin in found.items()}
    others = _say(task, {**said, **{mark: key for key, mark in marks.items()}})
    free = free_keys(task, source.other, [twin.key for twin in found.values()])
    return {
        key: ambiguous(task, source, groups[0], [twin.key], [others[marks[key]]] if marks[key] in others else [])
        for key, twin in found.items()
        if marks[key] in others or twin.key not in free
    }


def _say(task: Task, said: Mapping[str, str]) -> Mapping[str, str]:
    """Say what the page is about, and hear what the others are: of two that speak at once, one at least hears it."""
    ranges.tell_others(task.lease, said)
    return ranges.told_by_others(task.lease)


def _digest(values: Sequence[object]) -> str:
    return hashlib.blake2b(orjson.dumps(values), digest_size=8).hexdigest()

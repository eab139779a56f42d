"""Matching by normal forms: no application can be asked for those, so both sides are read once into an index.

Memory holds a page and the index's small cache. A worker that takes the run over makes the index anew. It is made only
where a match key is normalized, by runs that read everything anyway, and for records of which several could be the twin
before: as their values are, they would have none, and would be there twice. Other runs look for the values as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import orjson

from service.core.compare import Unconvertible
from service.core.failures import Failure
from service.core.flow import Flow, Line
from service.core.normalization import Normalizer, normal, normalizer
from service.core.records import Record, Scalar, Side
from service.engine.match import Twins, ambiguous, find_twins, free_keys, match_flow, match_lines
from service.engine.match_index import MatchIndex
from service.engine.task import Task, Visit

KINDS = ("match", "full")
"""Runs that read everything, whatever was read before."""


def twins_of(task: Task, source: Side, records: Sequence[Record], *, again: bool = False) -> Twins:
    """The twins of uncoupled records: by normal forms where a match key has them, else by the values as they are.
    `again`: some of the records `were_ambiguous`."""
    if not (reads_forms(task) or (again and _normalizers(task))):
        return find_twins(task, source, records)
    if task.match_index is None or task.match_index.source is not source:
        task.match_index = _made(task, source)
    return _twins(task, task.match_index, source, records)


def reads_forms(task: Task) -> bool:
    """Whether the run looks for the twins of all records by normal forms."""
    return (task.kind in KINDS or _reads_everything(task)) and bool(_normalizers(task))


def _reads_everything(task: Task) -> bool:
    """Whether the side at hand is read from its beginning, as by the first run of changes."""
    position = task.checkpoint.get("position") or {}
    reading = position.get("reading") or position
    return reading.get("phase") == "read" and reading["since"] is None


def were_ambiguous(task: Task, source: Side, visits: Sequence[Visit]) -> bool:
    """Whether several could be the twin of one of these records when it was looked at last."""
    if "skipped" in task.request:
        return True
    waiting = {visit.waiting.fingerprint for visit in visits if visit.waiting is not None}
    return bool(waiting) and any(
        ambiguous(task, source, lines, [], []).fingerprint in waiting for lines in match_lines(task, source)
    )


def is_one_to_one(task: Task) -> bool:
    """Whether twins are found only where no other record of the source has the same form."""
    return task.match_index is not None


def _made(task: Task, source: Side) -> MatchIndex:
    """Read both sides and keep the forms of all their records: of what those of the source would be on the other side,
    so that it serves for twins of this source alone."""
    index, normalizers = MatchIndex(source), _normalizers(task)
    groups = match_lines(task, source)
    for side in Side:
        cursor: str | None = None
        while True:
            task.check_stop()
            page = task.connectors[side].read(task.mapping.side(side).selection, None, cursor, task.page_size)
            flow = match_flow(task, source, groups, page.records) if side is source else None
            for priority, lines in enumerate(groups):
                index.add(side, priority, _forms(flow, lines, normalizers, page.records))
            cursor = page.cursor
            if cursor is None:
                break
    index.close_for_adding()
    return index


def _normalizers(task: Task) -> dict[str, Normalizer]:
    return {str(line.id): normalizer(line.normalize) for line in task.mapping.field_mappings if line.normalize}


def _forms(
    flow: Flow | None, lines: Sequence[Line], normalizers: Mapping[str, Normalizer], records: Sequence[Record]
) -> dict[str, str]:
    """The digests of some records' forms, by key; a record with an empty match field has none. `flow` gives what the
    source's values are on the other side, None: these are records of the other side."""
    found = {}
    for record in records:
        form = [normal(normalizers.get(line.id), _value(flow, line, record)) for line in lines]
        if all(value not in (None, "") for value in form):
            found[record.key] = hashlib.blake2b(orjson.dumps(form), digest_size=16).hexdigest()
    return found


def _value(flow: Flow | None, line: Line, record: Record) -> Scalar:
    if flow is None:
        return record.values[line.destination]
    try:
        return flow.desired(line, record)
    except Unconvertible:
        return None


def _twins(task: Task, index: MatchIndex, source: Side, records: Sequence[Record]) -> Twins:
    """Each priority on its own, in order; the first that finds anything decides."""
    chosen: dict[str, str] = {}
    failures: dict[str, Failure] = {}
    groups, normalizers = match_lines(task, source), _normalizers(task)
    flow, rest = match_flow(task, source, groups, records), list(records)
    for priority, lines in enumerate(groups):
        forms = _forms(flow, lines, normalizers, rest)
        there = index.holders(source.other, priority, set(forms.values()))
        here = index.holders(source, priority, set(forms.values()))
        free = free_keys(task, source.other, [key for keys in there.values() for key in keys])
        for key, digest in forms.items():
            candidates, rivals = there.get(digest, []), [rival for rival in here.get(digest, []) if rival != key]
            if len(candidates) == 1 and not rivals and candidates[0] in free:
                chosen[key] = candidates[0]
            elif candidates:
                failures[key] = ambiguous(task, source, lines, candidates, rivals)
        rest = [record for record in rest if record.key not in chosen and record.key not in failures]
    return Twins(_fetched(task, source.other, chosen), failures)


def _fetched(task: Task, side: Side, chosen: Mapping[str, str]) -> dict[str, Record]:
    """The twins as they are now; one that is gone, or has left the filter, is none any more."""
    if not chosen:
        return {}
    found = task.connectors[side].fetch(task.mapping.side(side).selection, list(chosen.values()), filtered=True)
    return {key: found[twin] for key, twin in chosen.items() if twin in found}

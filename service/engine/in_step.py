"""Pairs that a run which goes through everything finds in step: both records are, to the letter, as their coupling left
them. They are counted as unchanged and looked at no further; `core.decide` would say the same, and change nothing.

Where records refer to others none is taken for that: what it refers to may have another partner by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from service.core.records import Record, Side
from service.engine.task import SYNCHRONIZING, Task
from service.store import couplings, skipped, sql
from service.store.couplings import Standing


def in_step(task: Task, source: Side, records: Sequence[Record]) -> set[str]:
    """The keys of those records of a page that are in step with their partners.

    Of a pair that this worker has met in the pass of the other side nobody asks for the partner again.
    """
    if not task.full or task.kind not in SYNCHRONIZING or task.restored or _refer(task):
        return set()
    known = _as_left(task, source, records)
    aside = skipped.keys_set_aside(task.mapping.id, source, [pair.key for pair in known]) if known else set()
    pairs = [pair for pair in known if pair.key not in aside]
    far = [pair for pair in pairs if pair.id not in task.seen[source.other]]
    apart = {pair.id for pair in far} - {pair.id for pair in _with_partners(task, source.other, far)}
    alike = [pair for pair in pairs if pair.id not in apart]
    for pair in alike:
        task.seen[source].add(pair.id)
    return {pair.key for pair in alike}


def _refer(task: Task) -> bool:
    return any(flow.refers for flow in task.flows.values())


def _as_left(task: Task, source: Side, records: Sequence[Record]) -> list[Standing]:
    """The couplings that hold exactly these records of their side."""
    standing = couplings.standing(task.mapping.id, source, [record.key for record in records])
    base_of = task.flows[source].base_of
    return [
        pair
        for record in records
        if (pair := standing.get(record.key)) is not None
        and pair.at == record.modified_on
        and pair.version == record.version
        and pair.base == sql.dump(base_of(record))
    ]


def _with_partners(task: Task, side: Side, pairs: Sequence[Standing]) -> Iterator[Standing]:
    """Those of the pairs whose partners on `side` are as they were left.

    A pair that the match run before this one has put in step was read on both sides by it: its partner only has to be
    there, and what was done to it since then is met when its own side is read.
    """
    just_matched = {pair.id for pair in pairs if pair.run_id == task.request.get("follows")}
    connector, selection = task.connectors[side], task.mapping.side(side).selection
    matched = [pair for pair in pairs if pair.id in just_matched]
    if matched:
        there = connector.fetch(replace(selection, fields=()), [pair.partner for pair in matched], filtered=False)
        yield from (pair for pair in matched if pair.partner in there)
    others = [pair for pair in pairs if pair.id not in just_matched]
    found = connector.fetch(selection, [pair.partner for pair in others], filtered=False) if others else {}
    base_of = task.flows[side].base_of
    for pair in others:
        record = found.get(pair.partner)
        if record is None or (record.modified_on, record.version) != (pair.partner_at, pair.partner_version):
            continue
        if pair.partner_base == sql.dump(base_of(record)):
            yield pair

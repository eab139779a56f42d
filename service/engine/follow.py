"""The end of a run of changes: what the feeds tell that the passes did not meet.

Deletions become deletion conflicts, as in runs of kind `findDeleted`: both records are looked up, so that a feed is
believed only where it is right. A changed record is looked at when its coupling does not know its stamp. The token is
written down together with the last outcome of its part; a part that a crash cuts off is told and gone through again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from service.core.flow import Coupled
from service.core.records import Side, Stamp
from service.engine.deleted import deal_with_lost
from service.engine.detect import Batch, select
from service.engine.feed import of
from service.engine.page import work_through
from service.engine.task import Task
from service.store import couplings, feeds, retries, runs, skipped, sql, watermarks


def follow(task: Task) -> None:
    """One part of the first feed that is not done with."""
    source = Side(next(iter(task.checkpoint["feeds"])))
    if of(task, source)["compare"]:
        _compare(task, source)
    else:
        _hear(task, source)


def _compare(task: Task, source: Side) -> None:
    """Look up the records of some of the couplings that were there before the token."""
    feed = of(task, source)
    page = [one for one in couplings.page(task.mapping.id, feed["after"], task.page_size) if one.id <= feed["until"]]
    keys = [one.keys[source] for one in page]
    there = task.connectors[source].fetch(task.mapping.side(source).selection, keys, filtered=False) if keys else {}
    _deal_with(task, source, [one for one in page if one.keys[source] not in there])
    if len(page) < task.page_size:
        _done_with(task, source, feed["token"])
    else:
        feed["after"] = page[-1].id
        _save(task)


def _hear(task: Task, source: Side) -> None:
    """Ask for a part of the feed, and settle it."""
    feed = of(task, source)
    part = task.connectors[source].changes(task.mapping.side(source).selection, feed["token"])
    if part is None:
        _done_with(task, source, None)
        return
    for some in _portions(part.changed, task.page_size):
        _look_at(task, source, some)
    for keys in _portions(part.deleted, task.page_size):
        _deal_with(task, source, list(couplings.by_keys(task.mapping.id, source, keys).values()))
    if part.more:
        feed["token"] = part.token
        _save(task)
    else:
        _done_with(task, source, part.token)


def _portions(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _look_at(task: Task, source: Side, told: Sequence[tuple[str, Stamp | None]]) -> None:
    """The records among those told that no coupling knows as they are, and that do not wait for a retry anyway."""
    keys = [key for key, _ in told]
    states = couplings.states(task.mapping.id, source, keys)
    waiting = retries.by_keys(task.mapping.id, source, keys)
    lone = not task.mapping.synch_only_coupled_records
    news = [
        key
        for key, stamp in told
        if key not in waiting and (stamp is None or states[key][0] != stamp if key in states else lone)
    ]
    if not news:
        return
    found = task.connectors[source].fetch(task.mapping.side(source).selection, news, filtered=True)
    mark = watermarks.get(task.mapping.id, source)
    visits = select(task, source, list(found.values()), None if mark is None else mark.modified_on, force=False)
    for visit in visits:
        visit.fresh = True  # Its stamp may be an old one, and was told of all the same.
    if visits:
        work_through(task, source, Batch(visits, None), task.checkpoint)


def _deal_with(task: Task, source: Side, lost: Sequence[Coupled]) -> None:
    """Apply the mapping's rule to couplings whose record of this side is gone, once in a run: a survivor that failed in
    this run already, or is set aside, is left alone."""
    survivors = [one.keys[source.other] for one in lost]
    if not survivors:
        return
    known = of(task, source)["known"]
    waiting = retries.by_keys(task.mapping.id, source.other, survivors)
    aside = skipped.keys_set_aside(task.mapping.id, source.other, survivors)
    met = {key for key, item in waiting.items() if item.id > known} | aside
    rest = [one for one in lost if one.keys[source.other] not in met]
    if rest:
        deal_with_lost(task, rest)


def _done_with(task: Task, source: Side, token: str | None) -> None:
    """Everything up to a token is settled, or (None) the next run takes the feed up anew."""
    del task.checkpoint["feeds"][source.value]
    with sql.transaction():
        runs.save_page(task.lease, task.counts, task.progress, task.checkpoint)
        feeds.save(task.mapping.id, source, token)


def _save(task: Task) -> None:
    with sql.transaction():
        runs.save_page(task.lease, task.counts, task.progress, task.checkpoint)

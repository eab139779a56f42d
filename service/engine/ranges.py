"""Cutting a large reading into ranges of keys, so that several workers take them; and what they did, summed up.

One worker at a time has the run: it begins the pass, cuts, sums up, moves the watermark and goes on to the next pass.
What it and others do with a range is what any page of a run goes through, except that it is read by key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from service.core.outcomes import Counts
from service.core.records import Record, Side
from service.engine.detect import Batch, candidates, tell_fresh
from service.engine.match_by_form import reads_forms
from service.engine.page import work_through
from service.engine.task import SYNCHRONIZING, Task
from service.engine.window import summed, tallied
from service.store import ranges, runs, sql, watermarks
from service.store.ranges import Range
from service.store.runs import LeaseLost
from service.store.watermarks import Mark

_SUMS = ("read", "setAside")
"""What of the progress of ranges is added up."""


@dataclass(frozen=True, slots=True)
class Part:
    """A range of the reading of a side."""

    source: Side
    reading: Mapping[str, Any]
    range: Range


def cut(task: Task, source: Side, here: Mapping[str, Any]) -> Sequence[str]:
    """The bounds of the ranges that the reading which begins `here` is cut into; empty where one worker does it alone.

    It does so where little is to be read, where the source cannot be cut, and where the order of the records counts: a
    record that refers to another of its own mapping would wait for it, forms of match keys are compared with those of
    all others, and after a restore each record may be the one that another is held to be.
    """
    if here["phase"] != "read" or here["cursor"] is not None or here["since"] is not None:
        return ()
    if task.kind not in SYNCHRONIZING or task.restored or task.refers_to_itself or reads_forms(task):
        return ()
    if task.progress.get("estimate", 0) - task.progress.get("read", 0) < 2 * task.range_size:
        return ()
    return task.connectors[source].cut(task.mapping.side(source).selection, task.range_size)


def share(task: Task, here: Mapping[str, Any], bounds: Sequence[str]) -> None:
    """Write down that the reading which begins `here` is cut. Raises LeaseLost."""
    position = {"phase": "ranges", "reading": here, "began": task.now()}
    position |= {"counts": task.counts, "progress": task.progress}
    task.checkpoint = {"pass": task.checkpoint["pass"], "position": position, **task.following}
    counted = {name: True for name in ("deletionsCounted",) if task.progress.get(name)}
    none = {way: dict.fromkeys(counts, 0) for way, counts in task.counts.items()}
    with sql.transaction():
        runs.save_page(task.lease, task.counts, task.progress, task.checkpoint)
        ranges.save(task.lease.run_id, bounds, none, counted)


def is_cut(checkpoint: Mapping[str, Any] | None) -> bool:
    """Whether a run stands where its reading is cut into ranges."""
    return ((checkpoint or {}).get("position") or {}).get("phase") == "ranges"


def part_of(task: Task, checkpoint: Mapping[str, Any], range: Range) -> Part:
    """A range, with what the run's checkpoint says about the reading."""
    return Part(task.passes[checkpoint["pass"]], checkpoint["position"]["reading"], range)


def work_page(task: Task, part: Part) -> None:
    """One page of a range."""
    source, reading, here = part.source, part.reading, task.checkpoint
    after = here.get("after", part.range.after)
    selection = task.mapping.side(source).selection
    page = task.connectors[source].read_range(selection, after, part.range.upto, task.page_size)
    visits, alike = candidates(task, source, page.records, reading["past"])
    tell_fresh(visits, reading["fresh"])
    latest = _latest([*here.get("latest", ()), *_stamped(page.records)])
    last = latest[0][0] if latest else None
    recent = tallied(here.get("recent", {}), page.records, last, task.connectors[source].overlap)
    where: dict[str, Any] = {"after": page.cursor} if page.cursor else {"finished": True}
    ahead = {**where, "latest": latest, "recent": recent}
    work_through(task, source, Batch(visits, None, read=page.records, in_step=alike), ahead)


def _stamped(records: Sequence[Record]) -> list[list[Any]]:
    return [[record.modified_on, record.key] for record in records if record.modified_on is not None]


def _latest(stamps: list[list[Any]]) -> list[list[Any]]:
    return sorted(stamps)[-1:]


def total(checkpoint: Mapping[str, Any], parts: Sequence[Range]) -> tuple[dict[str, Counts], dict[str, Any]]:
    """The counters and the progress of a run whose reading is cut: what they were before, and those of all ranges."""
    before = checkpoint["position"]
    counts = {way: dict(numbers) for way, numbers in before["counts"].items()}
    progress = dict(before["progress"])
    for part in parts:
        for way, numbers in part.counts.items():
            for outcome, number in numbers.items():
                counts[way][outcome] += number
        progress |= {name: progress.get(name, 0) + part.progress[name] for name in _SUMS if name in part.progress}
    if any(part.progress.get("deletionsCounted") for part in parts):
        progress["deletionsCounted"] = True
    return counts, progress


def show(task: Task) -> None:
    """Let those who watch the run see how far all of its workers have come. Who lost the run meanwhile says nothing:
    another does."""
    _sum_up(task, ranges.of_run(task.lease.run_id))
    with suppress(LeaseLost):
        runs.save_page(task.lease, task.counts, task.progress, task.checkpoint)


def _sum_up(task: Task, parts: Sequence[Range]) -> None:
    before = task.checkpoint["position"]
    task.counts, task.progress = total(task.checkpoint, parts)
    done = task.progress.get("read", 0) - before["progress"].get("read", 0)
    seconds = (task.now() - before["began"]) / 1_000_000
    if seconds > 0:
        task.progress["rate"] = round(done / seconds, 1)
    left = task.progress.get("estimate", 0) - task.progress.get("read", 0)
    if left > 0 and task.progress.get("rate"):
        task.progress["remainingSeconds"] = round(left / task.progress["rate"])
    else:
        task.progress.pop("remainingSeconds", None)


def fold(task: Task) -> bool:
    """When every range is done, sum them up and go on to the next pass, all in one transaction; returns whether that
    was so. Raises LeaseLost."""
    with sql.transaction():
        parts = ranges.of_run(task.lease.run_id)
        if any(part.status != "done" for part in parts):
            return False
        _sum_up(task, parts)
        number, reading = task.checkpoint["pass"], task.checkpoint["position"]["reading"]
        task.checkpoint = task.beyond(number)
        runs.save_page(task.lease, task.counts, task.progress, task.checkpoint)
        latest = _latest([*reading["latest"], *(one for part in parts for one in part.checkpoint["latest"])])
        if latest and not task.dry_run:
            source, (stamp, key) = task.passes[number], latest[0]
            recent = summed(
                (part.checkpoint.get("recent", {}) for part in parts), stamp, task.connectors[source].overlap
            )
            mark = Mark(stamp, key, reading["readAt"], recent, reading["ahead"])
            watermarks.advance(task.mapping.id, {source: mark})
        ranges.remove(task.lease.run_id, task.now())
    return True

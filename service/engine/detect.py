"""Which records a run looks at (semantics.md, section 2): waiting for a retry, changed since the watermark, or chosen.

A reading starts a little behind the watermark, because stamps may be equal, coarse, or late. What lies in that window
and is as its coupling left it is dropped here, at the cost of a read: it is no candidate.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from service.core.decide import Decision, Do
from service.core.failures import Failure
from service.core.flow import Coupled, Flow, Known
from service.core.outcomes import Outcome
from service.core.records import Record, Side, Stamp
from service.engine.feed import list_on, listing, of, take_up
from service.engine.in_step import in_step
from service.engine.task import Task, Visit
from service.engine.window import begin, counted, fresh_from, horizon_of, kept, look
from service.store import couplings, retries, skipped, sql, watermarks
from service.store.retries import Waiting
from service.store.watermarks import Mark


@dataclass(frozen=True, slots=True)
class Batch:
    """The candidates of one page. `position`: where to go on after it. `mark`: what this page lets the watermark be.
    `gone`: keys that need not wait any more. `read`: all records that the side showed. `usual`: the stamp from which a
    run of changes would have read, None where it would have read everything. `in_step`: how many records were found in
    step with their partners, beside the candidates."""

    visits: list[Visit]
    position: dict[str, Any] | None
    mark: Mark | None = None
    gone: Sequence[str] = ()
    read: Sequence[Record] = ()
    usual: Stamp | None = None
    in_step: int = 0


PENDING = Decision(Do.NOTHING, Outcome.UNCHANGED)
"""The decision of a candidate about which none was made yet."""


def next_batch(task: Task, source: Side, position: dict[str, Any] | None) -> Batch:
    """The page at `position` (None: the first) of the pass out of `source`. Its own `position` is None at the end."""
    here = position if position is not None else first_position(task, source)
    # Whoever decides about the page asks to which reading it belongs, also of the first one.
    task.checkpoint["position"] = here
    match here["phase"]:
        case "listing":
            list_on(task, source)
            return Batch([], here if listing(task, source) else _start(task, source))
        case "waiting":
            return _waiting(task, source, here)
        case "chosen":
            return _chosen(task, source, here)
        case _:
            return _read(task, source, here)


def first_position(task: Task, source: Side) -> dict[str, Any]:
    """Where a pass begins: with those that wait where anybody does, else with its reading."""
    take_up(task, source)
    return {"phase": "listing"} if listing(task, source) else _start(task, source)


def _start(task: Task, source: Side) -> dict[str, Any]:
    if task.kind == "records":
        return {"phase": "chosen", "from": 0}
    reading = None if task.revisiting else _begin_reading(task, source)
    until = retries.last_id_of(task.mapping.id, source)
    if reading is not None and not until:
        return reading
    return {"phase": "waiting", "after": 0, "until": until, "reading": reading}


def _waiting(task: Task, source: Side, here: dict[str, Any]) -> Batch:
    page: list[Waiting] = []
    if here["until"]:  # When the pass began anybody waited at all.
        page = retries.page(
            task.mapping.id,
            source,
            here["after"],
            here["until"],
            task.page_size,
            released=task.revisiting,
            held=task.full and not task.revisiting,
        )
    by_key = {item.key: item for item in page}
    selection = task.mapping.side(source).selection
    found = task.connectors[source].fetch(selection, by_key, filtered=True) if page else {}
    reading = here["reading"]
    alone = [record for record in found.values() if reading is None or not _comes_anyway(record, reading["since"])]
    visits = select(task, source, alone, None, force=True, waiting=by_key)
    tell_fresh(visits, reading["fresh"] if reading is not None else None)
    position = reading if len(page) < task.page_size else {**here, "after": page[-1].id}
    # What is gone, has left the filter, or is left alone now waits no more; its partner tells if it was deleted.
    gone = [key for key in by_key if key not in found]
    gone += [visit.record.key for visit in visits if visit.outcome is Outcome.IGNORED]
    return Batch(visits, position, gone=gone)


def _comes_anyway(record: Record, since: Stamp | None) -> bool:
    """Whether the reading that follows meets the record: a run visits each only once."""
    return since is None or record.modified_on is None or record.modified_on >= since


def _chosen(task: Task, source: Side, here: dict[str, Any]) -> Batch:
    keys = chosen_keys(task, source)
    some = keys[here["from"] : here["from"] + task.page_size]
    selection = task.mapping.side(source).selection
    found = task.connectors[source].fetch(selection, some, filtered=False) if some else {}
    inside = task.connectors[source].fetch(selection, some, filtered=True) if some and selection.filter else found
    waiting = retries.by_keys(task.mapping.id, source, some)
    mark = watermarks.get(task.mapping.id, source)
    visits = select(
        task, source, list(inside.values()), mark.modified_on if mark else None, force=True, waiting=waiting
    )
    tell_fresh(visits, None if mark is None else fresh_from(task.connectors[source], mark, mark.read_at))
    visits += [_settle_as(found[key], Outcome.IGNORED) for key in some if key in found and key not in inside]
    visits += _missing(task, source, [key for key in some if key not in found])
    after = here["from"] + task.page_size
    return Batch(visits, {**here, "from": after} if after < len(keys) else None)


def chosen_keys(task: Task, source: Side) -> list[str]:
    """The keys of one side that a run for chosen records was asked for, each once."""
    keys = list(task.request.get("records", {}).get(source, ()))
    ids = task.request.get("couplingIds", ())
    keys += [coupled.keys[source] for coupled in couplings.by_ids(task.mapping.id, ids)] if ids else []
    return list(dict.fromkeys(keys))


def _missing(task: Task, source: Side, keys: Sequence[str]) -> list[Visit]:
    """Chosen records that do not exist; one chosen by its coupling is its partner's business."""
    coupled = couplings.by_keys(task.mapping.id, source, keys)
    chosen = set(task.request.get("couplingIds", ())) if source.other in task.sources else set()
    visits = []
    for key in keys:
        if key in coupled and coupled[key].id in chosen:
            continue
        failure = Failure("record_not_found", {"table": task.mapping.side(source).caption, "key": key}, (source.value,))
        decision = Decision(Do.FAIL, Outcome.FAILED, failure=failure)
        visits.append(Visit(Record(key, None, ()), coupled.get(key), decision))
    return visits


def _read(task: Task, source: Side, here: dict[str, Any]) -> Batch:
    connector, selection = task.connectors[source], task.mapping.side(source).selection
    page = connector.read(selection, here["since"], here["cursor"], task.page_size)
    if page.cursor is not None and here["cursor"] is None:
        _estimate(task, source, here["since"], here["readAt"])
    visits, alike = candidates(task, source, page.records, here["past"])
    tell_fresh(visits, here["fresh"])
    last = [[record.modified_on, record.key] for record in page.records[-1:] if record.modified_on is not None]
    recent = counted(here["recent"], page.records, connector.overlap)
    here = {**here, "cursor": page.cursor, "recent": recent, "latest": sorted([*here["latest"], *last])[-1:]}
    if page.cursor is None:
        return Batch(visits, None, _finished(here), read=page.records, usual=here["usual"], in_step=alike)
    mark = None if page.behind is None else _reached(here, last, page.behind)
    return Batch(visits, here, mark, read=page.records, usual=here["usual"], in_step=alike)


def _reached(here: dict[str, Any], last: Sequence[Any], behind: Stamp) -> Mark | None:
    """In the midst of a reading the side has been read up to the last record of a page. How many have that stamp is
    not known yet: nothing counts as counted."""
    return next((Mark(stamp - behind, key, here["readAt"], {}, here["ahead"]) for stamp, key in last), None)


def _finished(here: dict[str, Any]) -> Mark | None:
    """At its end everything was read up to the horizon of the reading, even when nothing was new."""
    marks = (Mark(stamp, key, here["readAt"], here["recent"], here["ahead"]) for stamp, key in here["latest"])
    return next(marks, None)


def _estimate(task: Task, source: Side, since: Stamp | None, until: Stamp) -> None:
    """How many records this reading will come to, where the application can count them; for whoever watches."""
    found = task.connectors[source].count(task.mapping.side(source).selection, since or 0, until)
    if found is not None:
        task.progress["estimate"] = task.progress.get("read", 0) + found


def _begin_reading(task: Task, source: Side) -> dict[str, Any]:
    """Where a reading starts: a little behind the watermark, or (None) at the beginning."""
    connector, selection = task.connectors[source], task.mapping.side(source).selection
    clock, ahead, at_least = look(connector, selection, task.steady)
    mark = watermarks.get(task.mapping.id, source)
    horizon = None if mark is None else horizon_of(mark, clock, at_least)
    usual = None if mark is None or horizon is None or task.full else begin(connector, selection, mark, horizon)
    since = None if task.kind == "reconcile" or of(task, source).get("compare") else usual
    return {
        "phase": "read",
        "cursor": None,
        "since": since,
        "usual": usual,
        "recent": kept(mark, since),
        "past": None if mark is None else mark.modified_on,
        "latest": [] if mark is None else [[mark.modified_on, mark.key]],
        "fresh": None if mark is None else fresh_from(connector, mark, horizon),
        "readAt": clock.horizon,
        "ahead": ahead,
    }


def tell_fresh(visits: Sequence[Visit], fresh: Stamp | None) -> None:
    """Mark those whose stamp may have been made since the side was last read."""
    for visit in visits:
        visit.fresh = fresh is not None and visit.record.modified_on is not None and visit.record.modified_on >= fresh


def candidates(task: Task, source: Side, records: Sequence[Record], past: Stamp | None) -> tuple[list[Visit], int]:
    """The candidates of a page of a reading, and how many of its other records are in step with their partners."""
    alike = in_step(task, source, records)
    rest = [record for record in records if record.key not in alike] if alike else records
    waiting = retries.by_keys(task.mapping.id, source, [record.key for record in rest]) if rest else {}
    return select(task, source, rest, past, force=task.full, waiting=waiting), len(alike)


def select(
    task: Task,
    source: Side,
    records: Sequence[Record],
    past: Stamp | None,
    *,
    force: bool,
    waiting: dict[str, Waiting] | None = None,
    uncoupled: bool = False,
) -> list[Visit]:
    """The candidates among `records`, those without anything to do already with their outcome.

    `past`: the stamp up to which this side was read before, None when it never was. `force`: look at records that are
    as their coupling left them, too; at the `waiting` ones that is done always. `uncoupled`: take records without a
    coupling even where the mapping synchronizes only coupled ones.
    """
    if not records:
        return []
    flow, waiting = task.flows[source], waiting or {}
    if not force:
        records = _unknown(task, source, records, past, waiting)
        if not records:
            return []
    keys = [record.key for record in records]
    coupled = couplings.by_keys(task.mapping.id, source, keys)
    aside = skipped.keys_set_aside(task.mapping.id, source, keys)
    lone = [key for key in keys if key not in coupled]
    excluded = skipped.excluded_keys(task.mapping.id, source, lone) if lone else set()
    only_coupled = task.mapping.synch_only_coupled_records and not uncoupled
    visits: list[Visit] = []
    for record in records:
        pair = coupled.get(record.key)
        is_past = _is_past(record, past) and not _is_echo(flow, record, pair, source)
        if record.key in aside:
            visits += _quietly(record, pair, Outcome.SKIPPED, counted=is_past or force)
        elif pair is None and (only_coupled or record.key in excluded):
            visits += _quietly(record, pair, Outcome.IGNORED, counted=is_past or force)
        elif pair is None or force or record.key in waiting or not _is_known(flow, record, pair.known[source], is_past):
            item = waiting.get(record.key)
            visits.append(Visit(record, pair, PENDING, past=is_past, waiting=item))
    return visits


def _is_past(record: Record, past: Stamp | None) -> bool:
    return past is None or (record.modified_on is not None and record.modified_on > past)


def _is_echo(flow: Flow, record: Record, pair: Coupled | None, source: Side) -> bool:
    """Whether the record has a new stamp only because we wrote it."""
    return pair is not None and pair.known[source].echo and flow.knows(record, pair.known[source])


def _is_known(flow: Flow, record: Record, known: Known, past: bool) -> bool:
    """A record as its coupling left it is no candidate when it was read before, or when only we have written it."""
    return (not past or known.echo) and flow.knows(record, known)


def _unknown(
    task: Task, source: Side, records: Sequence[Record], past: Stamp | None, waiting: Container[str]
) -> list[Record]:
    """The records without those that are, to the letter, as their coupling left them: the cheap half of `_is_known`,
    which decides about the rest. Most of what a reading finds again behind the watermark ends here."""
    states = couplings.states(task.mapping.id, source, [record.key for record in records])
    flow, rest = task.flows[source], []
    for record in records:
        state = states.get(record.key)
        if state is not None and record.key not in waiting and state[:2] == (record.modified_on, record.version):
            base, echo = state[2:]
            if (echo or not _is_past(record, past)) and base == sql.dump(flow.base_of(record)):
                continue
        rest.append(record)
    return rest


def _quietly(record: Record, pair: Coupled | None, outcome: Outcome, *, counted: bool) -> Iterator[Visit]:
    """A record that the run leaves alone; one that is merely read again is not even counted."""
    if counted:
        visit = _settle_as(record, outcome)
        visit.coupled = pair
        yield visit


def _settle_as(record: Record, outcome: Outcome) -> Visit:
    return Visit(record, None, Decision(Do.NOTHING, outcome))

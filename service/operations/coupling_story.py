"""What became of a coupled pair so far, and why it is, or is not, synchronized now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from service.core.decide import Decision, Do, Pair, decide
from service.core.errors import NotFound
from service.core.failures import SideFailed
from service.core.flow import Coupled
from service.core.records import Direction, Record, Side, Stamp
from service.engine.references import look_up
from service.operations.context import Context
from service.operations.mapping_binding import Bound, bound
from service.operations.pair_view import PairView, side_by_side
from service.store import couplings as store
from service.store import mappings, retries, runs, skipped, watermarks
from service.store.models import Mapping as MappingRow

GUARDS = ("mass_deletion", "side_is_empty", "side_went_back")


@dataclass(frozen=True, slots=True)
class Episode:
    """What one run did to a pair. `side`: the source's. `fields`: side, field, before and after of each change. `rule`:
    the policy or resolution that decided; `by`: the person or caller who asked for the run."""

    id: int
    run_id: int
    kind: str
    trigger: str
    dry_run: bool
    at: Stamp
    direction: str
    side: str
    outcome: str
    fields: Sequence[Mapping[str, Any]]
    rule: str | None
    by: str | None
    error_id: int | None
    error_code: str | None


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that explains a pair's state; `code` and `params` make its sentence."""

    code: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a pair is not synchronized now, or what the next run would do. `would`: per direction, the outcome."""

    coupling_id: int
    reasons: Sequence[Reason]
    would: Mapping[str, str]


def history(id: int, *, before: int | None = None, limit: int) -> list[Episode]:
    """Up to `limit` + 1 episodes of a coupling, newest first. Raises NotFound."""
    if store.get(id) is None:
        raise NotFound("coupling", id)
    return [
        Episode(
            id=row["id"],
            run_id=row["run_id"],
            kind=row["kind"],
            trigger=row["trigger"],
            dry_run=row["dry_run"],
            at=row["started_at"],
            direction=row["direction"],
            side=row["side"],
            outcome=row["outcome"],
            fields=row["fields"] or [],
            rule=row["rule"],
            by=row["requested_by"],
            error_id=row["error_id"],
            error_code=row["error_code"],
        )
        for row in runs.of_coupling(id, before=before, limit=limit)
    ]


def explain(context: Context, id: int) -> Explanation:
    """Look at both records now and say what keeps the pair from being synchronized, if anything does.

    Raises NotFound; a side that cannot be reached is a reason, not an error.
    """
    return examine(context, id)[0]


def examine(context: Context, id: int) -> tuple[Explanation, PairView | None]:
    """The same, and both records side by side; None where a side cannot be reached."""
    row = store.get(id)
    mapping = mappings.get(row.mapping_id) if row else None
    if row is None or mapping is None:
        raise NotFound("coupling", id)
    coupled = store.by_ids(mapping.id, [id])[0]
    reasons = list(_standing(mapping, coupled))
    would: dict[str, str] = {}
    seen = None
    try:
        with bound(context, mapping) as parts:
            records, found, would = _live(parts, coupled)
            reasons += found
            seen = side_by_side(parts, coupled, coupled.keys, records)
    except SideFailed as error:
        reasons.append(Reason(error.failure.code, error.failure.params))
    return Explanation(id, reasons or [Reason("in_step", {})], would), seen


def _standing(mapping: MappingRow, coupled: Coupled) -> Iterator[Reason]:
    """What our own database knows."""
    if not mapping.enabled:
        yield Reason("mapping_disabled", {"mapping": mapping.name})
    item = skipped.open_of_coupling(coupled.id)
    if item is not None:
        yield Reason("set_aside", {"id": item.id, "reason": item.reason})
    for side in Side:
        waiting = retries.by_keys(mapping.id, side, [coupled.keys[side]]).get(coupled.keys[side])
        for awaited in retries.awaited(mapping.id, side, coupled.keys[side]) if waiting is not None else ():
            yield Reason("waiting_for_reference", {**asdict(awaited), "side": side.value})
        if waiting is not None and waiting.attempts:
            yield Reason("waiting_for_retry", {"side": side.value, "attempts": waiting.attempts})
    last = runs.last_finished(mapping.id)
    if last is not None and last.code in GUARDS:
        yield Reason(last.code, last.params or {})


def _live(parts: Bound, coupled: Coupled) -> tuple[Mapping[Side, Record | None], list[Reason], dict[str, str]]:
    """What the two applications say, and both records."""
    records: dict[Side, Record | None] = {}
    reasons: list[Reason] = []
    for side in Side:
        mapped, key = parts.mapping.side(side), coupled.keys[side]
        found = parts.connectors[side].fetch(mapped.selection, [key], filtered=False)
        records[side] = next(iter(found.values()), None)
        params = {"side": side.value, "table": mapped.caption, "key": key}
        if records[side] is None:
            reasons.append(Reason("record_not_found", params))
        elif mapped.selection.filter and not parts.connectors[side].fetch(mapped.selection, [key], filtered=True):
            reasons.append(Reason("outside_filter", params))
    would = {}
    for side in Side:
        decision = _decision(parts, coupled, side, records)
        if decision is not None:
            way = Direction.out_of(side).value
            would[way] = decision.outcome.value
            reasons += _reason(way, decision)
    return records, reasons, would


def _decision(parts: Bound, coupled: Coupled, source: Side, records: Mapping[Side, Record | None]) -> Decision | None:
    """What a run would do with the pair, met from `source`; None where it would not look at it."""
    record, flow = records[source], parts.flows[source]
    if record is None or not flow.lines or flow.knows(record, coupled.known[source]):
        return None
    mark = watermarks.get(parts.mapping.id, source)
    past = mark is None or (record.modified_on is not None and record.modified_on > mark.modified_on)
    flows = look_up(parts.flows, {side: [record] for side, record in records.items()})
    return decide(parts.mapping, flows, Pair(source, record, coupled, records[source.other], past))


def _reason(way: str, decision: Decision) -> Iterator[Reason]:
    if decision.failure is not None:
        yield Reason(decision.failure.code, decision.failure.params)
    elif decision.do not in (Do.NOTHING, Do.REFRESH):
        yield Reason("next_run_acts", {"direction": way, "outcome": decision.outcome.value})

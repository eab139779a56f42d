"""Couplings: looking at them, making one by hand, ending one."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.compare import Unconvertible
from service.core.conflicts import Resolution
from service.core.errors import Conflict, Invalid, NotFound, Problem, Unavailable
from service.core.failures import SideFailed
from service.core.flow import NOTHING_KNOWN, Coupled, differences, remember
from service.core.records import Direction, Record, Side, Stamp, state_of
from service.engine.references import look_up
from service.operations import audit
from service.operations.context import Context
from service.operations.idempotency import effect
from service.operations.mapping_binding import Bound, bound
from service.operations.pair_view import PairView, side_by_side
from service.operations.skipped import take
from service.store import couplings as store
from service.store import mappings, retries, skipped, sql
from service.store.couplings import Found, Listed
from service.store.models import Coupling
from service.store.models import Mapping as MappingRow
from service.store.retries import Postponed

STATES = store.STATES


@dataclass(frozen=True, slots=True)
class CouplingView:
    """A coupling as callers see it; stamps in microseconds, None until the pair was synchronized."""

    id: int
    mapping_id: int
    local_key: str
    integration_key: str
    last_synch_local_modified_on: Stamp | None
    last_synch_integration_modified_on: Stamp | None
    last_result: str | None
    last_run_id: int | None
    skipped: bool
    version: int


def list_couplings(
    *,
    mapping_id: int | None = None,
    local_key: str | None = None,
    integration_key: str | None = None,
    skipped: bool | None = None,
    before: int | None = None,
    limit: int,
) -> list[CouplingView]:
    """Up to `limit` + 1 couplings, newest first."""
    found = store.list_couplings(
        mapping_id=mapping_id,
        local_key=local_key,
        integration_key=integration_key,
        aside=skipped,
        before=before,
        limit=limit,
    )
    aside = store.set_aside([row.id for row in found])
    return [_view(row, row.id in aside) for row in found]


def search(
    *, mapping_id: int | None, text: str, state: str | None, before: int | None, limit: int
) -> tuple[list[Found], int | None]:
    """Couplings by a key or by part of a value of either record and by state, newest first; and the id before which
    to go on, None at the end. A page may be short and not be the last: see `store.couplings.search`."""
    return store.search(mapping_id, text.replace("\0", ""), state, before, limit)


def get(id: int) -> CouplingView:
    """One coupling."""
    row = store.get(id)
    if row is None:
        raise NotFound("coupling", id)
    return _view(row, bool(store.set_aside([id])))


def _view(row: Listed | Coupling, aside: bool) -> CouplingView:
    return CouplingView(
        row.id,
        row.mapping_id,
        row.local_key,
        row.integration_key,
        row.local_modified_on,
        row.integration_modified_on,
        row.last_result,
        row.last_run_id,
        aside,
        row.version,
    )


def preview(context: Context, mapping_id: int, local_key: str, integration_key: str) -> PairView:
    """Two records that somebody may couple, side by side. Raises what `create` raises, and changes nothing."""
    row, keys = _couplable(mapping_id, local_key, integration_key)
    try:
        with bound(context, row) as parts:
            return side_by_side(parts, None, keys, _records(parts, keys))
    except SideFailed as error:
        raise Unavailable(error.failure) from error


def create(
    context: Context,
    mapping_id: int,
    local_key: str,
    integration_key: str,
    actor: str,
    first: Side | None = None,
) -> CouplingView:
    """Couple two records by hand. Equal ones are in step at once; for others the next run settles the difference, or
    a person has: `first` names the side whose values are written to the other, as they are now.

    Raises NotFound, Invalid (a record that does not exist), Conflict (`already_coupled`) and Unavailable.
    """
    row, keys = _couplable(mapping_id, local_key, integration_key)
    try:
        with bound(context, row) as parts:
            records = _records(parts, keys)
            coupled, in_step = _coupled(parts, keys, records)
    except SideFailed as error:
        raise Unavailable(error.failure) from error
    if first is not None and not parts.flows[first].lines:
        raise Invalid([Problem("/first", "direction_not_allowed", {"direction": row.direction})])
    # In one direction the next run writes these values anyway, and there is nothing to decide.
    chosen = first if not in_step and parts.mapping.bidirectional else None
    if chosen is not None and not row.enabled:
        raise Conflict("mapping_disabled", mapping=row.name)
    try:
        with effect():
            (id,) = store.save(mapping_id, None, [store.Saved(coupled, None)])
            skipped.include(mapping_id, list(keys.items()))
            skipped.close_for_records(mapping_id, keys, actor, context.now())
            if chosen is not None:
                _decide(context, row, id, records, chosen, actor)
            elif not in_step:
                retries.save(mapping_id, context.now(), _both(row, keys))
            audit.record(
                context, actor, "create", "coupling", id, after={side.value: key for side, key in keys.items()}
            )
    except sql.Clash:
        _refuse_coupled(mapping_id, keys)
        raise
    if chosen is not None:
        context.wake()
    return get(id)


def _couplable(mapping_id: int, local_key: str, integration_key: str) -> tuple[MappingRow, dict[Side, str]]:
    """The mapping, and the keys by side. Raises NotFound and Conflict."""
    row = mappings.get(mapping_id)
    if row is None:
        raise NotFound("mapping", mapping_id)
    keys = {Side.LOCAL: local_key, Side.INTEGRATION: integration_key}
    _refuse_coupled(mapping_id, keys)
    return row, keys


def _decide(context: Context, row: MappingRow, id: int, records: dict[Side, Record], first: Side, actor: str) -> None:
    """Set the new pair aside and say at once what is done about it, so that the same run that carries out what people
    decide writes these values, and offers the pair again if a record has moved before it comes to it."""
    keys = {side: record.key for side, record in records.items()}
    seen = {side.value: state_of(record) for side, record in records.items()}
    resolution = Resolution.KEEP_LOCAL if first is Side.LOCAL else Resolution.KEEP_INTEGRATION
    skip = skipped.Skip("conflict", id, keys, None, seen)
    skipped.save(row.id, Direction.BIDIRECTIONAL, context.now(), [skip])
    item = skipped.open_of_coupling(id)
    if item is not None:
        take(context, row, [item], resolution, {}, actor, {})


def _refuse_coupled(mapping_id: int, keys: dict[Side, str]) -> None:
    for side, key in keys.items():
        if store.coupled_keys(mapping_id, side, [key]):
            raise Conflict("already_coupled", side=side.value, key=key)


def _records(parts: Bound, keys: dict[Side, str]) -> dict[Side, Record]:
    records, problems = {}, []
    for side, key in keys.items():
        selection = parts.mapping.side(side).selection
        found = parts.connectors[side].fetch(selection, [key], filtered=False)
        if found:
            records[side] = next(iter(found.values()))
        else:
            params = {"table": parts.mapping.side(side).caption, "key": key}
            problems.append(Problem(f"/{side}Key", "record_not_found", params))
    if problems:
        raise Invalid(problems)
    return records


def _coupled(parts: Bound, keys: dict[Side, str], records: dict[Side, Record]) -> tuple[Coupled, bool]:
    """The coupling, and whether both records already hold what the other says."""
    new = Coupled(0, {side: records[side].key for side in keys}, dict.fromkeys(Side, NOTHING_KNOWN))
    flows = look_up(parts.flows, {side: [record] for side, record in records.items()})
    try:
        same = not any(
            differences(flows[side], records[side], records[side.other], new) for side in Side if flows[side].lines
        )
    except Unconvertible:
        same = False
    if not same:
        return new, False
    known = {side: remember(parts.flows[side], records[side], NOTHING_KNOWN, None, echo=False) for side in Side}
    return Coupled(0, new.keys, known), True


def _both(row: MappingRow, keys: dict[Side, str]) -> list[Postponed]:
    """Both records, as far as the mapping reads their side, for the next run."""
    direction = Direction(row.direction)
    return [Postponed(side, key) for side, key in keys.items() if direction.allows(Direction.out_of(side))]


def delete(context: Context, id: int, actor: str) -> None:
    """End a coupling; both records stay, and runs leave them alone until somebody couples them again."""
    row = store.get(id)
    if row is None:
        raise NotFound("coupling", id)
    records = [(Side.LOCAL, row.local_key), (Side.INTEGRATION, row.integration_key)]
    now = context.now()
    with sql.transaction():
        skipped.close_for_couplings(row.mapping_id, [id], Resolution.UNCOUPLE, actor, now)
        store.remove([id])
        for side, key in records:
            retries.remove(row.mapping_id, side, [key])
        skipped.exclude(row.mapping_id, now, actor, records)
        audit.record(context, actor, "delete", "coupling", id, before={side.value: key for side, key in records})

"""Finding the twin of a record on the other side by the mapping's match keys (semantics.md, section 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from service.core.columns import wanted_columns
from service.core.compare import Unconvertible, equal
from service.core.failures import Failure
from service.core.flow import Flow, Line, is_empty
from service.core.records import Direction, Record, Scalar, Selection, Side
from service.core.ways import Way
from service.engine.references import look_up
from service.engine.task import Task
from service.store import couplings, skipped


@dataclass(frozen=True, slots=True)
class Twins:
    """What was found for some records, by key: exactly one uncoupled twin, or why there is not exactly one."""

    found: Mapping[str, Record]
    ambiguous: Mapping[str, Failure]


def find_twins(task: Task, source: Side, records: Sequence[Record], *, whole: bool = True) -> Twins:
    """Look for the twins of uncoupled records on the other side, one query per match priority.

    Each priority is tried on its own, in order; the first that finds anything decides. No twin is given twice. `whole`
    False: the match fields of the twins are all that is asked for.
    """
    found: dict[str, Record] = {}
    failures: dict[str, Failure] = {}
    rest = list(records)
    groups = match_lines(task, source)
    flow = match_flow(task, source, groups, records)
    for lines in groups:
        if not rest:
            break
        wanted = _all_values(flow, lines, rest)
        selection = task.mapping.side(source.other).selection
        if not whole:
            selection, lines = _narrowed(selection, lines)
        names, values_of_all = [line.field.name for line in lines], set(wanted.values())
        hits = task.connectors[source.other].find(selection, names, values_of_all) if wanted else []
        free = free_keys(task, source.other, [hit.key for hit in hits])
        claims = _claims(wanted)
        alike = _by_values(lines, hits)
        for key, values in wanted.items():
            candidates = [hit for hit in alike.get(values, ()) if _agrees(lines, hit, values)]
            uncoupled = [hit for hit in candidates if hit.key in free]
            if len(claims[values]) > 1 and (claims[values][0] != key or uncoupled):
                # Two new records with one key: neither may take the twin, and only the first may make one.
                failures[key] = ambiguous(task, source, lines, [hit.key for hit in uncoupled], claims[values])
            elif len(uncoupled) == 1 and len(candidates) == 1:
                found[key] = uncoupled[0]
            elif candidates:
                failures[key] = ambiguous(task, source, lines, [hit.key for hit in candidates], [])
        rest = [record for record in rest if record.key not in found and record.key not in failures]
    return Twins(found, failures)


def match_lines(task: Task, source: Side) -> list[tuple[Line, ...]]:
    """The match keys by priority, as lines out of `source`; one that flows only the other way counts as well."""
    by_id = {line.id: line for line in task.flows[source].lines}
    back = {line.id: line for line in task.flows[source.other].lines}
    groups = []
    for priority in task.mapping.match_priorities():
        lines = [by_id.get(str(item.id)) or _turned(task, source, back.get(str(item.id))) for item in priority]
        if all(lines):
            groups.append(tuple(line for line in lines if line is not None))
    return groups


def _turned(task: Task, source: Side, line: Line | None) -> Line | None:
    """A line of the opposite flow, read the other way round: what was done on the way is undone as far as it can be."""
    if line is None or line.source is None:
        return None
    target = task.mapping.side(source.other)
    name = target.selection.fields[line.source]
    pointer = None
    if line.pointer is not None:
        here = task.mapping.side(source).selection.fields[line.destination]
        pointer = replace(line.pointer, side=line.pointer.side.other, field=here)
    mapped = next(one for one in task.mapping.field_mappings if str(one.id) == line.id)
    made = Way(line.field, target.fields[name], mapped.steps(Direction.out_of(source))).chain()
    return Line(
        id=line.id,
        source=line.destination,
        source_type=made.type,
        destination=line.source,
        field=target.fields[name],
        transform=made.function,
        constant=None,
        returns=True,
        not_null=line.not_null,
        is_key=target.is_key(name),
        pointer=pointer,
    )


def matchable(task: Task, source: Side, records: Sequence[Record]) -> set[str]:
    """The keys of those records that have anything their twins could be found by."""
    groups = match_lines(task, source)
    flow = match_flow(task, source, groups, records)
    return {record.key for record in records if any(_values(flow, lines, record) is not None for lines in groups)}


def match_flow(task: Task, source: Side, groups: Sequence[Sequence[Line]], records: Sequence[Record]) -> Flow:
    """The match keys as a flow, with what the records refer to looked up."""
    keys = replace(task.flows[source], lines=tuple(line for group in groups for line in group))
    return look_up({source: keys}, {source: records})[source]


def match_values(task: Task, source: Side, records: Sequence[Record]) -> list[dict[str, tuple[Scalar, ...]]]:
    """For each priority what the twins' match fields would hold, by key; without records of which one is empty."""
    groups = match_lines(task, source)
    flow = match_flow(task, source, groups, records)
    return [_all_values(flow, lines, records) for lines in groups]


def _all_values(flow: Flow, lines: Sequence[Line], records: Sequence[Record]) -> dict[str, tuple[Scalar, ...]]:
    """`_values` of many records by their keys, without those that have none."""
    each = not records or any(line.pointer is not None or line.source is None for line in lines)
    columns = None if each else wanted_columns(lines, records)
    if columns is None:
        return {record.key: values for record in records if (values := _values(flow, lines, record)) is not None}
    rows = zip(*([bare(value) for value in column] for column in columns), strict=True)
    return {
        record.key: values
        for record, values in zip(records, rows, strict=True)
        if None not in values and "" not in values
    }


def _values(flow: Flow, lines: Sequence[Line], record: Record) -> tuple[Scalar, ...] | None:
    """What the twin's match fields would hold; None where one is empty: a blank matches nothing."""
    try:
        values = tuple(bare(flow.desired(line, record)) for line in lines)
    except Unconvertible:
        return None
    return None if any(is_empty(value) for value in values) else values


def bare(value: Scalar) -> Scalar:
    """A value as connectors are asked for it: without trailing blanks."""
    return value.rstrip(" ") if isinstance(value, str) else value


def _narrowed(selection: Selection, lines: Sequence[Line]) -> tuple[Selection, tuple[Line, ...]]:
    """The selection with the match fields alone, and the lines as they lie in that."""
    names = tuple(selection.fields[line.destination] for line in lines)
    return replace(selection, fields=names), tuple(replace(line, destination=at) for at, line in enumerate(lines))


def free_keys(task: Task, side: Side, keys: Sequence[str]) -> set[str]:
    """The keys of those records that are neither coupled nor excluded."""
    if not keys:
        return set()
    taken = couplings.coupled_keys(task.mapping.id, side, keys) | skipped.excluded_keys(task.mapping.id, side, keys)
    return set(keys) - taken


def _claims(wanted: Mapping[str, tuple[Scalar, ...]]) -> dict[tuple[Scalar, ...], list[str]]:
    claims: dict[tuple[Scalar, ...], list[str]] = {}
    for key, values in wanted.items():
        claims.setdefault(values, []).append(key)
    return claims


def _by_values(lines: Sequence[Line], hits: Sequence[Record]) -> dict[tuple[Scalar, ...], list[Record]]:
    """The hits by what they hold in the match fields, so that no record of a page is compared with all of them."""
    found: dict[tuple[Scalar, ...], list[Record]] = {}
    for hit in hits:
        found.setdefault(tuple(bare(hit.values[line.destination]) for line in lines), []).append(hit)
    return found


def _agrees(lines: Sequence[Line], hit: Record, values: tuple[Scalar, ...]) -> bool:
    return all(equal(hit.values[line.destination], value) for line, value in zip(lines, values, strict=True))


def ambiguous(
    task: Task, source: Side, lines: Sequence[Line], candidates: Sequence[str], rivals: Sequence[str]
) -> Failure:
    """Why a record has no twin: which could be it, and which others of its own side could be theirs."""
    names = [line.field.name for line in lines]
    params = {
        "table": task.mapping.side(source.other).caption,
        "fields": names,
        "candidates": list(candidates)[:10],
        "rivals": list(rivals)[:10],
    }
    return Failure("ambiguous_match", params, (source.value, *names))

"""Finding out what became of inserts that were sent when a worker died or a connection broke: by looking, never by
sending them again (semantics.md, section 7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from service.core.compare import Unconvertible, equal, same_but_form
from service.core.failures import Failure
from service.core.flow import NOTHING_KNOWN, Coupled, Flow, Known, Line, is_empty, remember
from service.core.keys import joined, names_of
from service.core.records import Direction, Record, Scalar, Selection, Side, state_of
from service.core.templates import defaults
from service.engine.journal import about, retire
from service.engine.match import bare, match_lines
from service.engine.pending import settle_pending
from service.engine.references import look_up
from service.engine.task import Task
from service.store import couplings, intents, mappings, problems, runs, skipped, sql
from service.store.couplings import Saved
from service.store.intents import Intent
from service.store.problems import Problem
from service.store.skipped import Skip


def settle(task: Task) -> None:
    """Settle every open intent of the mapping, in both directions, and tell what changes were made."""
    if task.dry_run:
        return
    settle_pending(task)
    for side, noted in intents.open_ones(task.mapping.id, task.lease.range_id).items():
        _settle_side(task, side, noted)


def _settle_side(task: Task, side: Side, noted: Sequence[Intent]) -> None:
    source, selection = side.other, _wide(task, side, noted)
    made = _look(task, side, selection, noted)
    claims = Counter(record.key for hits in made.values() for record in hits)
    keys = [item.source_key for item in noted]
    records = task.connectors[source].fetch(task.mapping.side(source).selection, keys, filtered=False)
    existing = couplings.by_keys(task.mapping.id, source, keys)
    flow = look_up(task.flows, {source: list(records.values())})[source]
    saved: list[Saved] = []
    doubtful: list[Intent] = []
    for item in noted:
        hits = made[item.source_key]
        ours = bool(hits) and _is_ours(selection, item, hits[0])
        if len(hits) > 1 or any(claims[hit.key] > 1 for hit in hits):
            doubtful.append(item)
        elif not hits:
            task.sent.add((side, item.source_key))
            if item.chosen_key is not None:
                task.chosen[side, item.source_key] = item.chosen_key
        elif ours or (hits and item.source_key in records):
            known = existing.get(item.source_key)
            coupled = Coupled(known.id if known else 0, {source: item.source_key, side: hits[0].key}, _UNKNOWN)
            record = records.get(item.source_key)
            saved.append(_synchronized(task, flow, item, record, hits[0], coupled) if ours else Saved(coupled, None))
    with sql.transaction():
        runs.assert_held(task.lease)
        retire(task, side, {item.coupled.keys[side]: item.coupled.id for item in saved})
        couplings.save(task.mapping.id, task.lease.run_id, saved)
        if any(item.coupled.id for item in saved):
            mappings.read_referring_in_full(task.mapping.id)
        _set_aside(task, side, doubtful, made)
        intents.remove(task.mapping.id, side, task.lease.range_id)


def have_arrived(task: Task, side: Side, noted: Sequence[Intent]) -> bool:
    """Whether one of some inserts that were refused is there all the same, because it had been sent before."""
    selection = _wide(task, side, noted)
    made = _look(task, side, selection, noted)
    return any(len(hits := made[item.source_key]) == 1 and _is_ours(selection, item, hits[0]) for item in noted)


def _wide(task: Task, side: Side, noted: Sequence[Intent]) -> Selection:
    """The mapping's selection and the fields that it had when the inserts were sent, should it have been changed since
    then; but those that there are no longer."""
    mapped = task.mapping.side(side)
    written = [name for item in noted for name in item.values if name in mapped.fields]
    return replace(mapped.selection, fields=tuple(dict.fromkeys([*mapped.selection.fields, *written])))


def _look(task: Task, side: Side, selection: Selection, noted: Sequence[Intent]) -> dict[str, list[Record]]:
    """The uncoupled records that each insert may have made, by source key."""
    connector, names = task.connectors[side], names_of(task.mapping.side(side).fields, selection.key)
    keys = {item.source_key: key for item in noted if (key := _key_of(names, item)) is not None}
    by_key = connector.fetch(selection, set(keys.values()), filtered=False) if keys else {}
    made = {item.source_key: [by_key[item.chosen_key]] for item in noted if item.chosen_key in by_key}
    made.update({item.source_key: [] for item in noted if item.source_key not in made})
    hits: dict[str, list[Record]] = {}
    sought: list[Intent] = []
    for item in noted:
        if item.chosen_key is None:
            own = by_key.get(keys.get(item.source_key, ""))
            if own is not None and _is_ours(selection, item, own):
                hits[item.source_key] = [own]
            else:
                sought.append(item)
    hits |= _find(task, side, selection, sought)
    found = [record.key for some in hits.values() for record in some]
    taken = couplings.coupled_keys(task.mapping.id, side, found) if found else set()
    for key, some in hits.items():
        made[key] = [record for record in some if record.key not in taken]
    return made


def _key_of(names: Sequence[str], item: Intent) -> str | None:
    """The key that an insert was sent with: the one that was chosen, or one of its values, or several that are its
    parts. What has that for its key may be somebody else's, which was there before."""
    if item.chosen_key is not None or any(item.values.get(name) in (None, "") for name in names):
        return item.chosen_key
    parts = [str(item.values[name]) for name in names]
    return joined(parts) if len(parts) > 1 else parts[0]


def _find(task: Task, side: Side, selection: Selection, sought: Sequence[Intent]) -> dict[str, list[Record]]:
    """Records that hold what each insert wrote, by source key: in the match fields; or where the mapping has none, all
    of it, found by an alternate key of the table, else by all fields. Who is looked for by the same fields is looked
    for by one question."""
    matched = [_names(group) for group in match_lines(task, side.other)]
    alternate = task.mapping.side(side).alternate_keys
    asked: dict[tuple[tuple[str, ...], bool], list[Intent]] = {}
    for item in sought:
        known = _known_values(selection, item)
        by_key: list[str] | None = None
        names = next((names for group in matched if (names := _written(group, known))), None)
        if names is None:
            by_key = next((names for key in alternate if (names := _written(key, known))), None)
            names = by_key or [name for name, value in known.items() if value is not None]
        asked.setdefault((tuple(names), by_key is not None), []).append(item)
    found: dict[str, list[Record]] = {}
    for (fields, unique), items in asked.items():
        for item, hits in zip(items, _holding(task, side, selection, fields, items), strict=True):
            # No two records have an alternate key; but the one that does may have been there before.
            found[item.source_key] = [hit for hit in hits if not unique or _is_ours(selection, item, hit)]
    return found


def _holding(
    task: Task, side: Side, selection: Selection, names: Sequence[str], items: Sequence[Intent]
) -> list[list[Record]]:
    """For each insert the records whose fields of these names hold what it wrote."""
    if not names:
        return [[] for _ in items]
    wanted = [tuple(bare(item.values[name]) for name in names) for item in items]
    places = [selection.fields.index(name) for name in names]
    alike: dict[tuple[Scalar, ...], list[Record]] = {}
    for hit in task.connectors[side].find(selection, names, set(wanted)):
        alike.setdefault(tuple(bare(hit.values[place]) for place in places), []).append(hit)
    return [
        [
            hit
            for hit in alike.get(values, ())
            if all(equal(hit.values[place], value) for place, value in zip(places, values, strict=True))
        ]
        for values in wanted
    ]


def _known_values(selection: Selection, item: Intent) -> dict[str, Scalar]:
    """What an insert wrote into fields that there are still."""
    return {name: value for name, value in item.values.items() if name in selection.fields}


def _names(group: Sequence[Line]) -> list[str]:
    return [line.field.name for line in group]


def _written(names: Sequence[str], values: Mapping[str, Scalar]) -> list[str] | None:
    return list(names) if all(values.get(name) not in (None, "") for name in names) else None


_UNKNOWN: Mapping[Side, Known] = dict.fromkeys(Side, NOTHING_KNOWN)
"""A record that was found by what was written, and does not hold all of it, may be somebody else's: the two are coupled
as a pair that was never synchronized, so that what differs is settled by the mapping's rules."""


def _synchronized(task: Task, flow: Flow, item: Intent, source: Record | None, made: Record, coupled: Coupled) -> Saved:
    """The coupling of a record and what we made of it. What the source became since then still counts as a change; None
    where it is gone, which is for the mapping's rule on deleted partners."""
    side = flow.source.other
    known = {**coupled.known, side: _known_of(task, side, item, made)}
    if source is not None:
        same = {line.id for line in flow.lines if _as_written(flow, line.id, source, item)}
        # As it was when it was sent it is no candidate any more: an edit of the other record meets no edit here.
        known[side.other] = remember(flow, source, NOTHING_KNOWN, same, echo=same == flow.ids)
    return Saved(replace(coupled, known=known), "success")


def _known_of(task: Task, side: Side, item: Intent, made: Record) -> Known:
    """What is known of a record that we made: what it held then. Somebody may have edited it since, and that edit
    still has to travel; what its application made of our values is none."""
    known = remember(task.flows[side], made, NOTHING_KNOWN, None, echo=True)
    mapped = task.mapping.side(side)
    names = {id: mapped.selection.fields[position] for id, position in task.flows[side].remembered}
    base = {
        id: item.values[names[id]]
        if names[id] in item.values and not same_but_form(item.values[names[id]], held)
        else held
        for id, held in (known.base or {}).items()
    }
    return replace(known, base=base)


def _is_ours(selection: Selection, item: Intent, made: Record) -> bool:
    """Whether a record surely is what an insert made: it has the key that we chose, or holds all that was written."""
    if item.chosen_key is not None:
        return True
    known = _known_values(selection, item).items()
    return all(same_but_form(value, made.values[selection.fields.index(name)]) for name, value in known)


def _as_written(flow: Flow, id: str, source: Record, item: Intent) -> bool:
    line = next(line for line in flow.lines if line.id == id)
    known = defaults(flow.templates, source).get(line.field.name)
    try:
        value = flow.desired(line, source)
    except Unconvertible:
        if known is None:
            return False
        value = None
    return equal(known if is_empty(value) and known is not None else value, item.values.get(line.field.name))


def _set_aside(task: Task, side: Side, doubtful: Sequence[Intent], made: Mapping[str, Sequence[Record]]) -> None:
    """Several records could be what an insert made, or several inserts could have made one: a person has to say."""
    if not doubtful:
        return
    now, mapping = task.now(), task.mapping
    found = []
    for item in doubtful:
        candidates = [record.key for record in made[item.source_key]]
        rivals = [key for key, hits in made.items() if any(hit.key in candidates for hit in hits)]
        params = {"table": mapping.side(side).caption, "fields": [], "candidates": candidates[:10]}
        params["rivals"] = [key for key in rivals if key != item.source_key][:10]
        failure = Failure("ambiguous_match", params, (side.value, "intent"))
        source = about(task, side.other, item.source_key, None)
        found.append(Problem(failure, Direction.out_of(side.other).value, source, None))
    ids = problems.save(mapping.id, task.lease.run_id, now, found)
    skips = [
        Skip("ambiguous", None, {side.other: item.source_key}, error_id, {side.other.value: state_of(None)})
        for item, error_id in zip(doubtful, ids, strict=True)
    ]
    skipped.save(mapping.id, mapping.direction, now, skips)
    task.progress["setAside"] = task.progress.get("setAside", 0) + len(doubtful)

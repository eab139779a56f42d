"""Match keys that do not tell records apart, found among the records that the applications have. The cost is bounded:
some pages of the oldest records, and one question for what else has the values of a few of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from service.connectors.base import Connector
from service.core import composites
from service.core.keys import names_of
from service.core.normalization import Normalizer, normal, normalizer
from service.core.records import Record, Scalar, Selection, Side, Table
from service.operations.linter_scene import Finding
from service.operations.mapping_drafts import LineDraft, MappingDraft

_PAGE, _PAGES = 500, 4
"""So many records are read, and so often."""

_ASKED = 50
"""The values of so many records are looked for in the whole table."""

_SHOWN = 5


def repeated_keys(
    connector: Connector, draft: MappingDraft, side: Side, selection: Selection, table: Table
) -> Iterator[Finding]:
    """For each priority of match keys: how many records share their values with another, and which, for example."""
    groups = _groups(draft)
    if not groups or not selection.key or not selection.modified_on:
        return
    records, more = _read(connector, selection)
    for place, lines in groups.values():
        names = composites.plain(table.fields, (line.field(side) or "" for line in lines))
        if not names or set(names_of(table.fields, selection.key)) <= set(names):
            continue
        shared = _shared(_forms(selection, names, _normalizers(lines, side, table), records))
        if not shared and more and not any(line.normalize for line in lines):
            shared = _shared(_asked(connector, selection, names, records))
        if shared:
            said = {"fields": list(names), "table": table.name, "count": sum(map(len, shared)), "records": len(records)}
            pointer = f"/fieldMappings/{place}/matchKey"
            yield Finding("warning", pointer, "lint_key_not_unique", {**said, "candidates": shared[0][:_SHOWN]})


def _groups(draft: MappingDraft) -> Mapping[int, tuple[int, list[LineDraft]]]:
    """The match keys by priority, with the place of the first of each."""
    groups: dict[int, tuple[int, list[LineDraft]]] = {}
    for place, line in enumerate(draft.field_mappings):
        if line.enabled and line.match_key is not None:
            groups.setdefault(line.match_key, (place, []))[1].append(line)
    return groups


def _read(connector: Connector, selection: Selection) -> tuple[list[Record], bool]:
    """Some records, and whether there are more."""
    records: list[Record] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = connector.read(selection, None, cursor, _PAGE)
        records += page.records
        cursor = page.cursor
        if cursor is None:
            break
    return records, cursor is not None


def _normalizers(lines: Sequence[LineDraft], side: Side, table: Table) -> Mapping[str, Normalizer]:
    found = {}
    for line in lines:
        if line.normalize:
            for name in composites.plain(table.fields, [line.field(side) or ""]):
                found[name] = normalizer(line.normalize)
    return found


def _forms(
    selection: Selection, names: Sequence[str], normalizers: Mapping[str, Normalizer], records: Sequence[Record]
) -> dict[tuple[Scalar, ...], list[str]]:
    """The keys of the records by what they would be matched by; one with an empty field is matched by nothing."""
    places = [selection.fields.index(name) for name in names]
    held: dict[tuple[Scalar, ...], list[str]] = {}
    for record in records:
        form = tuple(normal(normalizers.get(name), record.values[at]) for name, at in zip(names, places, strict=True))
        if all(value not in (None, "") for value in form):
            held.setdefault(form, []).append(record.key)
    return held


def _asked(
    connector: Connector, selection: Selection, names: Sequence[str], records: Sequence[Record]
) -> dict[tuple[Scalar, ...], list[str]]:
    """The same for all records of the table that have the values of a few."""
    wanted = list(_forms(selection, names, {}, records))[-_ASKED:]
    if not wanted:
        return {}
    found = _forms(selection, names, {}, list(connector.find(selection, names, wanted)))
    return {form: keys for form, keys in found.items() if form in set(wanted)}


def _shared(forms: Mapping[tuple[Scalar, ...], list[str]]) -> list[list[str]]:
    """The keys of records that share a value, those that share one together."""
    return [keys for keys in forms.values() if len(keys) > 1]

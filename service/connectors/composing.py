"""A connector that stands in front of another one and takes several fields of a table together: it joins their values
on reading, and takes them apart on writing, so that nobody else has to know about parts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from service.connectors.base import Changes, Check, Clock, Connector, Deletion, Insert, Result, TableName, Update
from service.core.compare import coerce, equal
from service.core.composites import joined, parted
from service.core.failures import Failure
from service.core.mapping import MappedSide
from service.core.records import Field, FieldType, Page, Record, Scalar, Selection, Stamp, Table


def composing(connector: Connector, side: MappedSide) -> Connector:
    """The connector itself where the mapping takes no fields of this side together."""
    made = {name: side.fields[name] for name in side.selection.fields if side.fields[name].type is FieldType.LIST}
    return Composing(connector, made) if made else connector


@dataclass(frozen=True, slots=True)
class _View:
    """A selection as the application is asked it, and where the values of each asked field stand in its records."""

    inner: Selection
    places: tuple[tuple[bool, tuple[int, ...]], ...]

    def outward(self, record: Record) -> Record:
        """A record as it is read, with the parts joined. It keeps the record that the application showed."""
        values = tuple(
            joined([record.values[place] for place in places]) if composite else record.values[places[0]]
            for composite, places in self.places
        )
        return replace(record, values=values, raw=record)

    def held(self, record: Record) -> Mapping[str, Scalar]:
        return dict(zip(self.inner.fields, record.values, strict=False))


class Composing(Connector):
    """`inner`, with these composite fields among those of its tables."""

    def __init__(self, inner: Connector, composites: Mapping[str, Field]) -> None:
        self._inner, self._composites = inner, composites
        self.overlap = inner.overlap
        # Of every other connector it is its class that says so.
        self.accepts_keys = inner.accepts_keys  # type: ignore[misc]
        self.has_feeds = inner.has_feeds  # type: ignore[misc]

    def close(self) -> None:
        self._inner.close()

    def fence(self, permit: Callable[[], None]) -> None:
        self._inner.fence(permit)

    def permit(self) -> None:
        self._inner.permit()

    # What there is

    def tables(self) -> Sequence[TableName]:
        return self._inner.tables()

    def describe(self, table: str) -> Table:
        return self._inner.describe(table)

    def check(self, tables: Collection[Selection]) -> Sequence[Check]:
        return self._inner.check([self._view(selection).inner for selection in tables])

    def link(self, table: str, key: str) -> str | None:
        return self._inner.link(table, key)

    # Reading

    def clock(self, selection: Selection) -> Clock:
        return self._inner.clock(self._view(selection).inner)

    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        view = self._view(selection)
        page = self._inner.read(view.inner, since, cursor, limit)
        return replace(page, records=[view.outward(record) for record in page.records])

    def count(self, selection: Selection, since: Stamp, until: Stamp) -> int | None:
        return self._inner.count(self._view(selection).inner, since, until)

    def fetch(self, selection: Selection, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
        view = self._view(selection)
        found = self._inner.fetch(view.inner, keys, filtered=filtered)
        return {key: view.outward(record) for key, record in found.items()}

    def find(
        self, selection: Selection, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
    ) -> Sequence[Record]:
        """A part that is to be empty is not asked for, since no application finds what is not there: the caller
        compares. One question for each set of parts that are not empty."""
        view = self._view(selection)
        questions: dict[tuple[str, ...], set[tuple[Scalar, ...]]] = {}
        for values in wanted:
            asked = self._apart(dict(zip(fields, values, strict=True)), empty=False)
            questions.setdefault(tuple(asked), set()).add(tuple(asked.values()))
        hits = [hit for names, some in questions.items() if names for hit in self._inner.find(view.inner, names, some)]
        return [view.outward(hit) for hit in {hit.key: hit for hit in hits}.values()]

    def cut(self, selection: Selection, size: int) -> Sequence[str]:
        return self._inner.cut(self._view(selection).inner, size)

    def read_range(self, selection: Selection, after: str | None, upto: str | None, limit: int) -> Page:
        view = self._view(selection)
        page = self._inner.read_range(view.inner, after, upto, limit)
        return replace(page, records=[view.outward(record) for record in page.records])

    def changes(self, selection: Selection, token: str | None) -> Changes | None:
        return self._inner.changes(self._view(selection).inner, token)

    # Writing

    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        view = self._view(selection)
        inner = [replace(item, values=self._apart(item.values)) for item in items]
        return _outward(view, self._inner.insert(view.inner, inner))

    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        view = self._view(selection)
        return _outward(view, self._inner.update(view.inner, [self._narrow(view, item) for item in items]))

    def delete(self, selection: Selection, items: Sequence[Deletion]) -> Sequence[Failure | None]:
        inner = [replace(item, record=_shown(item.record)) for item in items]
        return self._inner.delete(self._view(selection).inner, inner)

    # Between the two

    def _view(self, selection: Selection) -> _View:
        parts = {name: self._names(name) for name in selection.fields}
        names = tuple(dict.fromkeys(name for some in parts.values() for name in some))
        index = {name: place for place, name in enumerate(names)}
        places = tuple((name in self._composites, tuple(index[part] for part in some)) for name, some in parts.items())
        return _View(replace(selection, fields=names), places)

    def _names(self, name: str) -> tuple[str, ...]:
        composite = self._composites.get(name)
        return (name,) if composite is None else tuple(part.name for part in composite.parts)

    def _apart(self, values: Mapping[str, Scalar], *, empty: bool = True) -> dict[str, Scalar]:
        """The values by single field. `empty`: those of empty parts too, in the form that their fields can hold."""
        apart: dict[str, Scalar] = {}
        for name, value in values.items():
            composite = self._composites.get(name)
            if composite is None:
                apart[name] = value
                continue
            for own, part in zip(composite.parts, parted(value, len(composite.parts)), strict=True):
                if part is not None or empty:
                    apart[own.name] = coerce(part, own.type, own)
        return apart

    def _narrow(self, view: _View, item: Update) -> Update:
        """Only the parts that are to be other ones are written: an edit of another part is none of our business."""
        record = _shown(item.record)
        held = view.held(record)
        parts = {name for composite in item.values if composite in self._composites for name in self._names(composite)}
        values = self._apart(item.values)
        changed = {
            name: value
            for name, value in values.items()
            if name not in parts or name not in held or not _same(value, held[name])
        }
        return replace(item, record=record, values=changed or values)


def _shown(record: Record) -> Record:
    """The record as the application showed it."""
    return record.raw if isinstance(record.raw, Record) else record


def _same(one: Scalar, other: Scalar) -> bool:
    return equal(one, other) or (one in (None, "") and other in (None, ""))


def _outward(view: _View, results: Sequence[Result]) -> list[Result]:
    return [view.outward(result) if isinstance(result, Record) else result for result in results]

"""A selection made ready: what is asked for, and how the rows of an answer become records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import repeat
from operator import itemgetter
from types import NoneType
from typing import Any

from service.connectors.filters import passes
from service.connectors.odata.keys import said_in, sources, text_of
from service.connectors.odata.query import NOTHING, filter_of, joined, looked_at_again
from service.connectors.odata.service import Service
from service.connectors.odata.tables import EntitySet, Property
from service.connectors.odata.values import STAMPS, as_it_is, reader, stamp_in
from service.core.failures import Failure, SideFailed
from service.core.records import Record, Scalar, Selection, SideTable

_LOOKUP_TYPE = "@Microsoft.Dynamics.CRM.lookuplogicalname"
BLANK_GUID = "00000000-0000-0000-0000-000000000000"
_TEXTS: frozenset[type] = frozenset({str, NoneType})
_EXACT_DIGITS = 15
"""So many digits of a decimal number survive being read as a floating one."""


class Plan:
    """Everything that is known of a selection before its rows are."""

    def __init__(self, service: Service, selection: Selection) -> None:
        self.service = service
        self.selection = selection
        self.table: EntitySet = service.table(selection.table)
        self.place = service.place(selection.table)
        self.key = self.table.property(selection.key)
        # A mapping may know records by another unique field; their address has the key of the service all the same.
        self.own_key = self.table.property(self.table.table.key or selection.key)
        self.key_names = frozenset((selection.key, *sources(self.key)))
        self.stamp = self._stamp()
        self.properties = [self.table.property(name) for name in selection.fields]
        self.filter = filter_of(self.table, selection.filter)
        self._again = looked_at_again(self.table, selection.filter)
        asked = [self.key, self.own_key, *([self.stamp] if self.stamp else []), *self.properties]
        asked += [self.table.property(line.field) for line in self._again]
        self._made = [one for one in self.properties if one.made_of and not one.parts]
        plain = [one for one in asked if one.through is None]
        self.select = list(dict.fromkeys(name for one in plain for name in one.made_of or (one.source,)))
        self.expand = _expanded(asked)
        self._selected = frozenset((*self.select, *self.expand))
        self._blank = BLANK_GUID if service.dialect.blank_guids else None
        self.exact = any(_may_lose_digits(one) for one in asked)
        self._readers = [reader(one.edm) for one in self.properties]
        self._read_key = reader(self.key.edm)
        # Values that a row has by the name of their property; those of other properties are looked for one by one.
        self._plain = [None if one.parts or one.through or one.target else one.source for one in self.properties]
        named = list(dict.fromkeys(name for name in self._plain if name is not None))
        self._named = dict(zip(named, range(len(named)), strict=True))
        self._together = itemgetter(*named) if len(named) > 1 else None

    @property
    def nothing(self) -> bool:
        """Whether no record can be inside the filter."""
        return self.filter == [NOTHING]

    @property
    def stamped(self) -> bool:
        """Whether every record has a stamp."""
        return self.stamp is not None and (self.service.dialect.always_stamped or not self.stamp.field.nullable)

    def query(
        self, *conditions: str, order: Sequence[str] = (), top: int | None = None, more: Sequence[str] = ()
    ) -> dict[str, str]:
        """The parts of a query for these conditions; the filter of the selection is not among them. `more`: properties
        that are asked for besides those of the selection."""
        found = {"$select": ",".join([*self.select, *(name for name in more if name not in self.select)])}
        if self.expand:
            found["$expand"] = ",".join(f"{name}($select={','.join(inner)})" for name, inner in self.expand.items())
        if conditions:
            found["$filter"] = joined(conditions)
        if order:
            found["$orderby"] = ",".join(order)
        if top is not None:
            found["$top"] = str(top)
        return found

    def records(self, rows: Sequence[Mapping[str, Any]], *, filtered: bool) -> list[Record]:
        """Rows as records; `filtered`: those that are inside the filter when its texts are taken by the letter."""
        if filtered and self._again:
            rows = [row for row in rows if passes(self._texts(row), self._again)]
        if not rows:
            return []
        if self._made:
            rows = self.service.dialect.completed(rows, self._made, self.service.gather)
        keys = [self.key_of(row) for row in rows]
        stamps = [None if self.stamp is None else stamp_in(row.get(self.stamp.source)) for row in rows]
        columns = self._columns(rows)
        values = zip(*columns, strict=True) if columns else repeat((), len(rows))
        raws = map(partial(_raw, self.stamp, self.own_key), rows)
        return list(map(Record, keys, stamps, values, repeat(None), raws))

    def _columns(self, rows: Sequence[Mapping[str, Any]]) -> list[Sequence[Scalar | None]]:
        """The values of each property in all rows."""
        together = self._side_by_side(rows)
        columns: list[Sequence[Scalar | None]] = []
        for one, name, read in zip(self.properties, self._plain, self._readers, strict=True):
            if name is None:
                found: Sequence[Any] = [_of(row, one) for row in rows]
            else:
                found = together[self._named[name]] if together else [row.get(name) for row in rows]
            columns.append(self._read_column(found, read))
        return columns

    def _side_by_side(self, rows: Sequence[Mapping[str, Any]]) -> list[Sequence[Any]]:
        """All plain properties at once, which takes half as long as one after the other; nothing where a row lacks
        one."""
        if self._together is None:
            return []
        try:
            return list(zip(*map(self._together, rows)))  # noqa: B905  (each row has all of them)
        except KeyError:
            return []

    def _read_column(self, found: Sequence[Any], read: Callable[[Any], Scalar]) -> Sequence[Scalar | None]:
        blank = self._blank
        if read is as_it_is and blank is None:  # Most values are texts, and are taken as they come.
            if _TEXTS.issuperset(map(type, found)):
                return found
            return [value if value is None or type(value) is str else read(value) for value in found]
        return [None if value is None or value == blank else read(value) for value in found]

    def key_of(self, row: Mapping[str, Any]) -> str:
        """The key of a row."""
        return str(self._read_key(_of(row, self.key)))

    def key_said(self, segment: str) -> str:
        """The key that stands between the brackets of a record's address."""
        return said_in(segment, self.key)

    def place_of(self, row: Mapping[str, Any]) -> Any:
        """Where a row stands in the order of keys: what comes after it is asked for by that."""
        return self.key_of(row) if self.key.parts else row[self.key.source]

    def is_same(self, row: Mapping[str, Any]) -> str:
        """What tells a row from others, without looking at its values."""
        return self.key_of(row) if self.key.parts else str(row.get(self.key.source))

    def is_complete(self, row: Mapping[str, Any]) -> bool:
        """Whether an answer to a write has everything that a record is made of."""
        return self._selected <= row.keys()

    def _texts(self, row: Mapping[str, Any]) -> dict[str, Scalar]:
        return {line.field: _of(row, self.table.property(line.field)) for line in self._again}

    def _stamp(self) -> Property | None:
        where = self.selection.modified_on
        if isinstance(where, SideTable):
            params = {"field": where.field, "type": "side table"}
            raise SideFailed(Failure("mapping_invalid", params, (where.table, where.field)))
        if not where:
            return None
        found = self.table.property(where)
        if found.edm not in STAMPS:
            raise SideFailed(Failure("mapping_invalid", {"field": where, "type": found.edm}, (where,)))
        return found


def etag_of(row: Mapping[str, Any]) -> str | None:
    """The ETag of a row, exactly as it is: it is opaque, and may be weak."""
    found = row.get("@odata.etag") or row.get("@etag")
    return found if isinstance(found, str) else None


def _of(row: Mapping[str, Any], one: Property) -> Any:
    """A property's value; a lookup that leads to another type than this one is empty."""
    if one.parts:
        return text_of(row, one)
    if one.through is not None:
        inner = row.get(one.through)
        return inner.get(one.source.rpartition("/")[2]) if isinstance(inner, dict) else None
    value = row.get(one.source)
    if one.target is not None and value is not None and row.get(one.source + _LOOKUP_TYPE, one.target) != one.target:
        return None
    return value


def _expanded(asked: Sequence[Property]) -> dict[str, list[str]]:
    """The lookups that are read through, each with the properties of what it leads to."""
    found: dict[str, list[str]] = {}
    for one in asked:
        if one.through is not None:
            inner = found.setdefault(one.through, [])
            inner += [name for name in [one.source.rpartition("/")[2]] if name not in inner]
    return found


def _raw(stamp: Property | None, key: Property, row: Mapping[str, Any]) -> tuple[str, str | None, Any]:
    """What a write needs: the key that the address has, the ETag, and the stamp as it was said."""
    return str(_of(row, key)), etag_of(row), None if stamp is None else row.get(stamp.source)


def _may_lose_digits(one: Property) -> bool:
    return one.edm == "Edm.Decimal" and (one.field.precision is None or one.field.precision > _EXACT_DIGITS)

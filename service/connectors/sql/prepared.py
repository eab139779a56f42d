"""Items on their way into a database: by the columns that they write, with the driver's values for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

from service.connectors.sql.failures import Context, unreadable_value
from service.connectors.sql.keys import Key, params_of
from service.connectors.sql.plan import Plan
from service.connectors.sql.session import Row
from service.connectors.sql.values import Writer
from service.core.failures import Failure
from service.core.records import Scalar

Item = TypeVar("Item")

KEPT = 200
"""How many sets of columns are kept ready: each record may be given other fields."""


class Prepared(NamedTuple, Generic[Item]):
    """An item on its way: its place in the call, the columns that it writes, and the driver's values for them.
    `native`: the key of the row that is written to; `key`: the one that it has afterwards."""

    place: int
    item: Item
    columns: tuple[str, ...]
    values: Row
    native: Any = None
    key: Any = None

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of a statement for this item alone."""
        named = {f"v{index}": value for index, value in enumerate(self.values)}
        return named | params_of(self.native)


def keyed(one: Prepared[Item], native: Any, key: Key) -> Prepared[Item]:
    """An update of the row with this key; `key` becomes the one it has afterwards."""
    return Prepared(one.place, one.item, one.columns, one.values, native, key.changed(native, one.columns, one.values))


class _NoColumn(Exception):
    """A value for a field that stands for several columns, which are written by themselves."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Values:
    """The values that are written into a plan's table, and what was learnt of its columns."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._writers: dict[str, Writer | None] = {}
        self._orders: dict[tuple[str, ...], tuple[tuple[str, ...], Callable[[Mapping[str, Scalar]], Row]]] = {}

    def groups(
        self, items: Sequence[tuple[int, Item, Mapping[str, Scalar]]], results: dict[int, Any]
    ) -> dict[tuple[str, ...], list[Prepared[Item]]]:
        """Items by the columns that they write, for one statement each; a result for what cannot be sent at all."""
        groups: dict[tuple[str, ...], list[Prepared[Item]]] = {}
        for place, item, values in items:
            try:
                columns, convert = self._order(tuple(values))
                native = convert(values)
            except _NoColumn as refused:
                results[place] = refused.failure
                continue
            except ValueError as error:
                results[place] = unreadable_value(error)
                continue
            groups.setdefault(columns, []).append(Prepared(place, item, columns, native))
        return groups

    def _order(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], Callable[[Mapping[str, Scalar]], Row]]:
        """The columns that a record with values of these names writes, and how its values become the driver's."""
        if names not in self._orders:
            if len(self._orders) >= KEPT:
                self._orders.clear()
            for name in names:
                if self._plan.column(name).parts:
                    params = {"field": name, "rule": "key_cannot_change"}
                    raise _NoColumn(Failure("value_rejected", params, (name, "key_cannot_change")))
            columns = tuple(sorted(names))
            pick = itemgetter(*columns) if len(columns) > 1 else lambda values: tuple(values[name] for name in columns)
            writing = [(place, name) for place, name in enumerate(columns) if self._writer(name) is not None]

            def convert(values: Mapping[str, Scalar]) -> Row:
                row = list(pick(values))
                for place, name in writing:
                    row[place] = self._native(name, row[place])
                return tuple(row)

            self._orders[names] = columns, convert if writing else pick
        return self._orders[names]

    def _native(self, name: str, value: Scalar) -> Any:
        """A canonical value as the driver takes it. SideFailed(`field_not_found`), ValueError."""
        writer = self._writer(name)
        return value if writer is None or value is None else writer(value)

    def _writer(self, name: str) -> Writer | None:
        if name not in self._writers:
            column = self._plan.column(name)
            context = Context(self._plan.selection.table, "SELECT")
            self._writers[name] = self._plan.database.writer(self._plan.table.c[name], column, context)
        return self._writers[name]

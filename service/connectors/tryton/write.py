"""Writing to a model: in bulk, all or nothing for each call, and halves of what was refused.

Rows are read again before they are changed, so that what moved or is gone is known; the server compares the stamp once
more when it writes. What was written is read back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from service.connectors.base import Deletion, Insert, Result, Update, narrow
from service.connectors.tryton import values
from service.connectors.tryton.rpc import TOO_LARGE, Refused, Rpc
from service.core.failures import Failure, SideFailed
from service.core.records import Record, Scalar, Table

Guarded = TypeVar("Guarded", Update, Deletion)
Ready = tuple[int, int | None, dict[str, Any], str | None]
"""An item on its way: its place, the id of its record, its values as a call takes them, the stamp that is to hold."""


class Write:
    """The writing to one table. `fetch` reads records by key; `assert_may` raises where the user lacks the rights;
    `permit` is asked before each call that writes."""

    def __init__(
        self,
        rpc: Rpc,
        table: Table,
        fetch: Callable[[Collection[str]], dict[str, Record]],
        assert_may: Callable[[], None],
        permit: Callable[[], None],
    ) -> None:
        self._rpc = rpc
        self._table = table
        self._fetch = fetch
        self._assert_may = assert_may
        self._permit = permit

    def insert(self, items: Sequence[Insert]) -> list[Result]:
        results: dict[int, Any] = {}
        ready: list[Ready] = []
        for place, item in enumerate(items):
            given = self._fitted(item.values, results, place, new=True)
            if given is not None:
                ready.append((place, None, given, None))
        keys = self._done(ready, results, self._create)
        return self._answers(len(items), keys, results)

    def update(self, items: Sequence[Update]) -> list[Result]:
        results: dict[int, Any] = {}
        ready: list[Ready] = []
        for place, item, timestamp in self._present(items, results, "partner_deleted"):
            given = self._fitted(item.values, results, place, new=False)
            if given is not None:
                ready.append((place, int(item.record.key), given, timestamp))
        keys = self._done(ready, results, self._change)
        return self._answers(len(items), keys, results)

    def delete(self, items: Sequence[Deletion]) -> list[Failure | None]:
        results: dict[int, Any] = {}
        ready: list[Ready] = [
            (place, int(item.record.key), {}, timestamp)
            for place, item, timestamp in self._present(items, results, None)
        ]
        self._done(ready, results, self._remove)
        return [results.get(place) for place in range(len(items))]

    def _present(
        self, items: Sequence[Guarded], results: dict[int, Any], missing: str | None
    ) -> list[tuple[int, Guarded, str | None]]:
        """The items whose records are there and as they have to be, with the stamp that is to hold; results for the
        others."""
        now = self._fetch([item.record.key for item in items])
        present = []
        for place, item in enumerate(items):
            record = now.get(item.record.key)
            params = {"table": self._table.name, "key": item.record.key}
            if record is None:
                results[place] = missing and Failure(missing, params, (self._table.name,))
            elif item.guarded and (record != item.record or record.raw != (item.record.raw or record.raw)):
                results[place] = Failure("record_moved", params)
            else:
                present.append((place, item, record.raw if item.guarded else None))
        return present

    def _fitted(
        self, given: Mapping[str, Scalar], results: dict[int, Any], place: int, *, new: bool
    ) -> dict[str, Any] | None:
        """Values as a call takes them; None where a result says why there are none."""
        fitted: dict[str, Any] = {}
        missing = {name: None for name, field in self._table.fields.items() if new and field.required}
        for name, value in {**missing, **given}.items():
            field = self._table.fields.get(name)
            if field is None:
                params = {"table": self._table.name, "field": name}
                raise SideFailed(Failure("field_not_found", params, (self._table.name, name)))
            if field.read_only:
                results[place] = Failure("value_rejected", {"field": name, "rule": "read_only"}, (name, "read_only"))
                return None
            one = values.fitting(value, field)
            if isinstance(one, Failure):
                results[place] = one
                return None
            fitted[name] = one
        return fitted

    def _done(
        self, ready: Sequence[Ready], results: dict[int, Any], work: Callable[[Sequence[Ready]], Sequence[int]]
    ) -> dict[int, int]:
        """The ids of what was written, by place; failures for the rest."""

        def attempt(part: Sequence[Ready]) -> Sequence[int] | None:
            try:
                return work(part)
            except Refused:
                return None

        def alone(one: Ready) -> Any:
            try:
                return work([one])[0]
            except Refused as refused:
                return self._failure(refused, one)

        keys: dict[int, int] = {}
        for one, outcome in zip(ready, narrow(list(ready), attempt, alone), strict=True):
            (results if isinstance(outcome, Failure) else keys)[one[0]] = outcome
        return keys

    def _create(self, part: Sequence[Ready]) -> Sequence[int]:
        self._permit()
        ids: Sequence[int] = self._rpc.call(self._table.name, "create", [given for _, _, given, _ in part])
        return ids

    def _change(self, part: Sequence[Ready]) -> Sequence[int]:
        pairs = [one for _, id, given, _ in part if given for one in ([id], given)]
        if pairs:
            self._permit()
            self._rpc.call(self._table.name, "write", *pairs, context=self._guards(part))
        return [id for _, id, _, _ in part if id is not None]

    def _remove(self, part: Sequence[Ready]) -> Sequence[int]:
        ids = [id for _, id, _, _ in part if id is not None]
        self._permit()
        self._rpc.call(self._table.name, "delete", ids, context=self._guards(part))
        return ids

    def _guards(self, part: Sequence[Ready]) -> dict[str, Any]:
        stamps = {f"{self._table.name},{id}": stamp for _, id, _, stamp in part if stamp is not None}
        return {"_timestamp": stamps} if stamps else {}

    def _failure(self, refused: Refused, one: Ready) -> Failure:
        """Why a record was refused: it moved, its user may not, or a rule that only the server's sentence tells."""
        params = {"table": self._table.name, "key": str(one[1] or "")}
        if refused.name == "ConcurrencyException":
            return Failure("record_moved", params)
        if refused.name == TOO_LARGE:
            return Failure("value_rejected", {"rule": "too_large", "detail": "the record is too large"}, ("too_large",))
        self._assert_may()
        if refused.name == "UserError" and one[1] is not None and not self._fetch([str(one[1])]):
            return Failure("partner_deleted", params, (self._table.name,))
        detail = refused.detail or refused.name
        return Failure("value_rejected", {"rule": "trigger", "detail": detail}, ("trigger", detail))

    def _answers(self, length: int, keys: Mapping[int, int], results: dict[int, Any]) -> list[Result]:
        """Results in order; what was written is read back."""
        records = self._fetch([str(id) for id in keys.values()])
        for place, id in keys.items():
            gone = Failure("value_rejected", {"rule": "not_stored"}, ("not_stored",))
            results[place] = records.get(str(id), gone)
        return [results[place] for place in range(length)]

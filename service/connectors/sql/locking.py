"""The rows that are about to be changed or deleted: read again and locked, and held against what was read before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from service.connectors.base import Deletion, Update
from service.connectors.sql.failures import Refused
from service.connectors.sql.plan import Plan
from service.connectors.sql.read import rows_by_key
from service.connectors.sql.session import Row, Session
from service.core.failures import Failure
from service.core.records import Record

Guarded = TypeVar("Guarded", Update, Deletion)


class Rows:
    """The rows of a plan's table, as they are now."""

    def __init__(self, session: Session, plan: Plan) -> None:
        self._session = session
        self._plan = plan

    def present(
        self, items: Sequence[Guarded], results: dict[int, Any], missing: str | None
    ) -> list[tuple[int, Guarded, Any]]:
        """The items whose rows are there, locked, and as they have to be, with their native keys; results for the
        others: `missing` is the code for a row that is gone, None where that is what was wanted."""
        natives = self._plan.key.natives([item.record.key for item in items])
        texts = self._texts(natives)
        rows, locked = self._locked(natives, texts)
        present = []
        for place, (item, native, text) in enumerate(zip(items, natives, texts, strict=True)):
            row = None if native is None else rows.get(text)
            if row is not None and (not item.guarded or self._unmoved(item.record, row)):
                present.append((place, item, native))
            elif row is not None:
                results[place] = Failure("record_moved", {"table": self._plan.selection.table, "key": item.record.key})
            elif native is not None and text in locked:
                results[place] = Failure("record_locked", {"table": self._plan.selection.table})
            else:
                params = {"table": self._plan.selection.table, "key": item.record.key}
                results[place] = missing and Failure(missing, params, (self._plan.selection.table,))
        return present

    def _texts(self, natives: Sequence[Any]) -> list[str]:
        """The texts of keys, empty for those that no row can have."""
        texts = iter(self._plan.key.texts([native for native in natives if native is not None]))
        return ["" if native is None else next(texts) for native in natives]

    def _locked(self, natives: Sequence[Any], texts: Sequence[str]) -> tuple[dict[str, Row], set[str]]:
        """The rows with these keys, now ours until the end of the transaction, and the keys of those that others
        hold: first what is free, then the rest is waited for."""
        wanted = [native for native in natives if native is not None]
        rows = self._by_key(rows_by_key(self._session, self._plan, wanted, "lock"))
        both = zip(natives, texts, strict=True)
        rest = [native for native, text in both if native is not None and text not in rows]
        if not rest:
            return rows, set()
        there = self._by_key(rows_by_key(self._session, self._plan, rest, "fetch"))
        if not there:
            return rows, set()
        try:
            with self._session.savepoint():
                waited = self._by_key(rows_by_key(self._session, self._plan, rest, "lock_waiting"))
        except Refused:
            return rows, set(there)
        return rows | waited, set()

    def _by_key(self, rows: Sequence[Row]) -> dict[str, Row]:
        key = self._plan.key
        return dict(zip(key.texts(list(map(key.of_row, rows))), rows, strict=True))

    def _unmoved(self, record: Record, row: Row) -> bool:
        """Whether a row is as it was read, by its raw values; NaN is as it was when it is NaN again."""
        if record.raw is None:
            return self._plan.records([row])[0] == record
        return bool(record.raw == row) or repr(tuple(record.raw)) == repr(row)

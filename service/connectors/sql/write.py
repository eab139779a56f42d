"""Writing by a plan: each call is one transaction, in bulk, and what is refused is narrowed down to its record.
Whether it may still be committed is asked at its end.

Before rows are updated or deleted they are read again and locked, so that what moved or is gone is known before
anything is written. After a write the rows are read back, because triggers may have changed them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from service.connectors.base import Deletion, Insert, Result, Update, narrow
from service.connectors.sql.failures import Context, Refused, Undone, unreadable_value, value_rejected
from service.connectors.sql.plan import Plan
from service.connectors.sql.read import rows_by_key
from service.connectors.sql.session import Row, Session, Statement
from service.connectors.sql.stamps import bind
from service.connectors.sql.values import Writer
from service.core.failures import Failure
from service.core.records import Record, Scalar

_STATEMENTS = 200
"""How many sets of columns are kept ready: each record may be given other fields."""

Item = TypeVar("Item")
Guarded = TypeVar("Guarded", Update, Deletion)


@dataclass(frozen=True, slots=True)
class Prepared(Generic[Item]):
    """An item on its way: its place in the call, its parameters, and the columns that it writes."""

    place: int
    item: Item
    columns: tuple[str, ...]
    params: Mapping[str, Any]
    key: Any = None


class Write:
    """The writing for a plan: its statements, made when first needed, and what was learnt of the columns."""

    def __init__(self, session: Session, plan: Plan, permit: Callable[[], None]) -> None:
        self._session = session
        self._plan = plan
        self._permit = permit
        self._context = Context(plan.selection.table, "INSERT, UPDATE, DELETE")
        self._writers: dict[str, Writer | None] = {}
        self._statements: dict[tuple[str, tuple[str, ...]], Statement] = {}

    def insert(self, items: Sequence[Insert]) -> list[Result]:
        """Create records; each result is the record as it stands, or why it was refused."""
        return self._whole(items, self._insert_all)

    def update(self, items: Sequence[Update]) -> list[Result]:
        """Write values over records."""
        return self._whole(items, self._update_all)

    def delete(self, items: Sequence[Deletion]) -> list[Failure | None]:
        """Delete records."""
        return self._whole(items, self._delete_all)

    def _whole(self, items: Sequence[Item], work: Callable[[Sequence[Item]], list[Any]]) -> list[Any]:
        """Work in one transaction; in two where the database undoes all of it because of one record."""
        if not items:
            return []
        try:
            with self._session.transaction(self._context):
                results = work(items)
                self._permit()
                return results
        except Undone as undone:
            if len(items) == 1:
                return [undone.failure]
        middle = len(items) // 2
        return self._whole(items[:middle], work) + self._whole(items[middle:], work)

    # Inserting

    def _insert_all(self, items: Sequence[Insert]) -> list[Result]:
        results: dict[int, Any] = {}
        groups = self._groups([(place, item, self._insert_values(item)) for place, item in enumerate(items)], results)
        keys: dict[int, Any] = {}
        for columns, group in groups.items():
            for one, outcome in zip(group, self._bulk("INSERT", columns, group, self._insert_many), strict=True):
                (results if isinstance(outcome, Failure) else keys)[one.place] = outcome
        return self._answers(len(items), results, keys)

    def _insert_values(self, item: Insert) -> Mapping[str, Scalar]:
        return item.values if item.key is None else {**item.values, self._plan.selection.key: item.key}

    def _insert_many(self, statement: Statement, group: Sequence[Prepared[Insert]]) -> list[Any]:
        """The keys of new rows, in order."""
        rows = self._session.return_many(statement, [one.params for one in group])
        if not all(rows):
            raise Refused(value_rejected("not_stored"))  # A trigger has dropped it without a word.
        return [row[0] for row in rows]

    # Updating

    def _update_all(self, items: Sequence[Update]) -> list[Result]:
        results: dict[int, Any] = {}
        present = self._present(items, results, "partner_deleted")
        groups = self._groups([(place, item, item.values) for place, item, _ in present], results)
        natives = {place: native for place, _, native in present}
        keys: dict[int, Any] = {}
        for columns, found in groups.items():
            group = [_with_key(one, natives[one.place], self._plan.selection.key) for one in found]
            for one, outcome in zip(group, self._bulk("UPDATE", columns, group, self._write_many), strict=True):
                (results if isinstance(outcome, Failure) else keys)[one.place] = outcome
        return self._answers(len(items), results, keys)

    def _write_many(self, statement: Statement, group: Sequence[Prepared[Any]]) -> list[Any]:
        """The keys of the rows that were written, one each."""
        touched = self._session.run_many(statement, [one.params for one in group])
        blind = self._plan.described.is_view and not self._plan.database.UPDATES_COUNT_ON_VIEWS
        if touched != len(group) and not blind:
            raise Refused(value_rejected("not_stored"))
        return [one.key for one in group]

    # Deleting

    def _delete_all(self, items: Sequence[Deletion]) -> list[Failure | None]:
        results: dict[int, Any] = {}
        present = self._present(items, results, None)
        group = [Prepared(place, item, (), {"key": native}, native) for place, item, native in present]
        for one, outcome in zip(group, self._bulk("DELETE", (), group, self._write_many), strict=True):
            results[one.place] = outcome if isinstance(outcome, Failure) else None
        return [results[place] for place in range(len(items))]

    # What all of them share

    def _present(
        self, items: Sequence[Guarded], results: dict[int, Any], missing: str | None
    ) -> list[tuple[int, Guarded, Any]]:
        """The items whose rows are there, locked, and as they have to be, with their native keys; results for the
        others: `missing` is the code for a row that is gone, None where that is what was wanted."""
        natives = [self._plan.database.native_key(item.record.key, self._plan.key) for item in items]
        wanted = [native for native in natives if native is not None]
        rows, locked = self._locked(wanted)
        present = []
        for place, (item, native) in enumerate(zip(items, natives, strict=True)):
            row = None if native is None else rows.get(self._plan.key_text(native))
            if row is not None and (not item.guarded or self._unmoved(item.record, row)):
                present.append((place, item, native))
            elif row is not None:
                results[place] = Failure("record_moved", {"table": self._plan.selection.table, "key": item.record.key})
            elif native is not None and self._plan.key_text(native) in locked:
                results[place] = Failure("record_locked", {"table": self._plan.selection.table})
            else:
                params = {"table": self._plan.selection.table, "key": item.record.key}
                results[place] = missing and Failure(missing, params, (self._plan.selection.table,))
        return present

    def _locked(self, natives: Sequence[Any]) -> tuple[dict[str, Row], set[str]]:
        """The rows with these keys, now ours until the end of the transaction, and the keys of those that others
        hold: first what is free, then the rest is waited for."""
        rows = self._by_key(rows_by_key(self._session, self._plan, natives, "lock"))
        rest = [native for native in natives if self._plan.key_text(native) not in rows]
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
        return {self._plan.key_text(row[0]): row for row in rows}

    def _unmoved(self, record: Record, row: Row) -> bool:
        """Whether a row is as it was read, by its raw values; NaN is as it was when it is NaN again."""
        if record.raw is None:
            return self._plan.records([row])[0] == record
        return bool(record.raw == row) or repr(tuple(record.raw)) == repr(row)

    def _groups(
        self, items: Sequence[tuple[int, Item, Mapping[str, Scalar]]], results: dict[int, Any]
    ) -> dict[tuple[str, ...], list[Prepared[Item]]]:
        """Items by the columns that they write, for one statement each; a result for what cannot be sent at all."""
        groups: dict[tuple[str, ...], list[Prepared[Item]]] = {}
        for place, item, values in items:
            columns = tuple(sorted(values))
            try:
                params = {f"v{index}": self._native(name, values[name]) for index, name in enumerate(columns)}
            except ValueError as error:
                results[place] = unreadable_value(error)
                continue
            groups.setdefault(columns, []).append(Prepared(place, item, columns, params))
        return groups

    def _native(self, name: str, value: Scalar) -> Any:
        """A canonical value as the driver takes it. SideFailed(`field_not_found`), ValueError."""
        if name not in self._writers:
            column = self._plan.column(name)
            context = Context(self._plan.selection.table, "SELECT")
            self._writers[name] = self._plan.database.writer(self._plan.table.c[name], column, context)
        writer = self._writers[name]
        return value if writer is None or value is None else writer(value)

    def _bulk(
        self,
        verb: str,
        columns: tuple[str, ...],
        group: Sequence[Prepared[Item]],
        many: Callable[[Statement, Sequence[Prepared[Item]]], list[Any]],
    ) -> list[Any]:
        """Keys or failures for a group, by as few statements as can be."""
        if verb == "UPDATE" and not columns:
            return [one.key for one in group]
        statement = self._statement(verb, columns)

        def attempt(items: Sequence[Prepared[Item]]) -> list[Any] | None:
            try:
                with self._session.savepoint():
                    return many(statement, items)
            except Undone:
                raise
            except Refused:
                return None

        def alone(item: Prepared[Item]) -> Any:
            try:
                with self._session.savepoint():
                    return many(statement, [item])[0]
            except Undone:
                raise
            except Refused as refused:
                return self._explain(refused.failure, item)

        return narrow(group, attempt, alone)

    def _statement(self, verb: str, columns: tuple[str, ...]) -> Statement:
        """INSERT, UPDATE or DELETE of one row: parameters `v0`, `v1`, ... for the columns, `key` for which row."""
        if (verb, columns) not in self._statements:
            if len(self._statements) >= _STATEMENTS:
                self._statements.clear()
            plan, table = self._plan, self._plan.table
            values = {table.c[name]: bind(f"v{index}") for index, name in enumerate(columns)}
            row = plan.key_clause == plan.database.typed(bind("key"), plan.key)
            key = plan.database.readable(plan.key_clause, plan.key)
            clause: sa.ClauseElement
            match verb:
                case "INSERT":
                    clause = sa.insert(table).values(values).returning(key)
                case "UPDATE":
                    clause = sa.update(table).where(row).values(values)
                case _:
                    clause = sa.delete(table).where(row)
            self._statements[verb, columns] = plan.compile(clause, verb)
        return self._statements[verb, columns]

    def _explain(self, failure: Failure, item: Prepared[Any]) -> Failure:
        """A failure with the field that the database did not name: a text too long, or one that no column can hold."""
        if "field" in failure.params and failure.code != "value_too_long":
            return failure
        for name, value in zip(item.columns, item.params.values(), strict=False):
            maximum = self._plan.column(name).field.length
            if not isinstance(value, str):
                continue
            if failure.code == "value_too_long" and maximum is not None and len(value) > maximum:
                params = {**failure.params, "field": name, "length": len(value), "maximum": maximum}
                return Failure(failure.code, params, (name,))
            if failure.code == "value_rejected" and "\0" in value:
                return Failure(failure.code, {**failure.params, "field": name}, (name, *failure.cause))
        return failure

    def _answers(self, length: int, results: dict[int, Any], keys: Mapping[int, Any]) -> list[Result]:
        """Results in order: the written rows are read back, as triggers have left them."""
        rows = rows_by_key(self._session, self._plan, list(keys.values()), "fetch")
        records = {record.key: record for record in self._plan.records(rows)}
        for place, key in keys.items():
            gone = value_rejected("not_stored")  # Written, and gone again: a trigger has moved it elsewhere.
            results[place] = records.get(self._plan.key_text(key), gone)
        return [results[place] for place in range(length)]


def _with_key(one: Prepared[Item], native: Any, name: str) -> Prepared[Item]:
    """An update of the row with this key; `key` becomes the one it has afterwards."""
    after = one.params[f"v{one.columns.index(name)}"] if name in one.columns else native
    return Prepared(one.place, one.item, one.columns, {**one.params, "key": native}, after)

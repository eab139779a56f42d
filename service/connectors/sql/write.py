"""Writing by a plan: each call is one transaction, in bulk, and what is refused is narrowed down to its record.
Whether it may still be committed is asked at its end.

Before rows are updated or deleted they are read again and locked, so that what moved or is gone is known before
anything is written. After a write the rows are read back, because triggers may have changed them; a statement that has
just given them as they are saves that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from service.connectors.base import Deletion, Insert, Result, Update, narrow
from service.connectors.sql.bulk import Bulk, by_keys, in_order
from service.connectors.sql.failures import Context, Refused, Unclear, Undone, value_rejected
from service.connectors.sql.locking import Rows
from service.connectors.sql.plan import Plan
from service.connectors.sql.prepared import KEPT, Prepared, Values, keyed
from service.connectors.sql.read import rows_by_key
from service.connectors.sql.session import Row, Session, Statement
from service.connectors.sql.stamps import bind
from service.core.failures import Failure
from service.core.records import Scalar

Item = TypeVar("Item")


class Write:
    """The writing for a plan: its statements, made when first needed, and what was learnt of the columns."""

    def __init__(self, session: Session, plan: Plan, permit: Callable[[], None]) -> None:
        self._session = session
        self._plan = plan
        self._permit = permit
        self._context = Context(plan.selection.table, "INSERT, UPDATE, DELETE")
        self._statements: dict[tuple[str, tuple[str, ...]], Statement] = {}
        self._bulk_writer: Bulk | None = plan.database.bulk(plan)
        self._rows = Rows(session, plan)
        self._values = Values(plan)
        self._unclear: set[tuple[str, ...]] = set()
        self._calls = 0
        self._made: list[Row] = []

    def forget(self) -> None:
        """What was learnt of the table by looking at its rows may not hold any more."""
        self._values = Values(self._plan)
        self._unclear.clear()

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
                self._calls, self._made = 0, []
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
        sent = [(place, item, self._insert_values(item)) for place, item in enumerate(items)]
        groups = self._values.groups(sent, results)
        keys: dict[int, Any] = {}
        for columns, group in groups.items():
            for one, outcome in zip(group, self._bulk("INSERT", columns, group, self._insert_many), strict=True):
                (results if isinstance(outcome, Failure) else keys)[one.place] = outcome
        return self._answers(len(items), results, keys)

    def _insert_values(self, item: Insert) -> Mapping[str, Scalar]:
        """A key of several parts is what the values make it: nobody chooses one."""
        return (
            item.values
            if item.key is None or self._plan.key.several
            else {**item.values, self._plan.selection.key: item.key}
        )

    def _insert_many(self, columns: tuple[str, ...], group: Sequence[Prepared[Insert]]) -> list[Any]:
        """The keys of new rows, in order."""
        if self._bulk_writer is not None and len(group) > 1 and columns not in self._unclear:
            try:
                rows = self._insert_together(self._bulk_writer, columns, group)
            except Unclear:
                self._unclear.add(columns)
                raise
            return list(map(self._plan.key.of_row, rows))
        self._made = []
        rows = self._session.return_many(self._statement("INSERT", columns), [one.params for one in group])
        if not all(rows):
            raise Refused(value_rejected("not_stored"))  # A trigger has dropped it without a word.
        return list(map(self._plan.key.returned, rows))

    def _insert_together(
        self, writer: Bulk, columns: tuple[str, ...], group: Sequence[Prepared[Insert]]
    ) -> Sequence[Row]:
        """The new rows in order, told by the key that was sent or else by all values. Raises Unclear."""
        rows, final = writer.insert(columns, [one.values for one in group])
        key = self._plan.key.given(columns)
        if key is not None:
            found = by_keys(self._plan, [key(one.values) for one in group], rows)
        else:
            sent = [tuple(one.item.values[name] for name in columns) for one in group]
            found = in_order(self._plan, columns, sent, rows)
        self._made = found if final else []
        return found

    # Updating

    def _update_all(self, items: Sequence[Update]) -> list[Result]:
        results: dict[int, Any] = {}
        present = self._rows.present(items, results, "partner_deleted")
        groups = self._values.groups([(place, item, item.values) for place, item, _ in present], results)
        natives = {place: native for place, _, native in present}
        keys: dict[int, Any] = {}
        for columns, found in groups.items():
            group = [keyed(one, natives[one.place], self._plan.key) for one in found]
            for one, outcome in zip(group, self._bulk("UPDATE", columns, group, self._update_many), strict=True):
                (results if isinstance(outcome, Failure) else keys)[one.place] = outcome
        return self._answers(len(items), results, keys)

    def _update_many(self, columns: tuple[str, ...], group: Sequence[Prepared[Any]]) -> list[Any]:
        """The keys of the rows that were written, one each."""
        if self._bulk_writer is not None and len(group) > 1:
            touched = self._bulk_writer.update(columns, self._with_keys(group))
            return self._keys_of(group, touched)
        return self._write_many("UPDATE", columns, group)

    def _with_keys(self, group: Sequence[Prepared[Any]]) -> list[Row]:
        if self._plan.key.several:
            return [(*one.values, *one.native) for one in group]
        return [(*one.values, one.native) for one in group]

    def _delete_many(self, columns: tuple[str, ...], group: Sequence[Prepared[Any]]) -> list[Any]:
        return self._write_many("DELETE", columns, group)

    def _write_many(self, verb: str, columns: tuple[str, ...], group: Sequence[Prepared[Any]]) -> list[Any]:
        return self._keys_of(
            group, self._session.run_many(self._statement(verb, columns), [one.params for one in group])
        )

    def _keys_of(self, group: Sequence[Prepared[Any]], touched: int) -> list[Any]:
        blind = self._plan.described.is_view and not self._plan.database.UPDATES_COUNT_ON_VIEWS
        if touched != len(group) and not blind:
            raise Refused(value_rejected("not_stored"))
        return [one.key for one in group]

    # Deleting

    def _delete_all(self, items: Sequence[Deletion]) -> list[Failure | None]:
        results: dict[int, Any] = {}
        present = self._rows.present(items, results, None)
        group = [Prepared(place, item, (), (), native, native) for place, item, native in present]
        for one, outcome in zip(group, self._bulk("DELETE", (), group, self._delete_many), strict=True):
            results[one.place] = outcome if isinstance(outcome, Failure) else None
        return [results[place] for place in range(len(items))]

    # What all of them share

    def _bulk(
        self,
        verb: str,
        columns: tuple[str, ...],
        group: Sequence[Prepared[Item]],
        many: Callable[[tuple[str, ...], Sequence[Prepared[Item]]], list[Any]],
    ) -> list[Any]:
        """Keys or failures for a group, by as few statements as can be."""
        if verb == "UPDATE" and not columns:
            return [one.key for one in group]
        places: list[int] = []

        def attempt(items: Sequence[Prepared[Item]]) -> list[Any] | None:
            self._calls += 1
            try:
                with self._session.savepoint():
                    return many(columns, items)
            except Undone:
                raise
            except Unclear:
                return attempt(items)
            except Refused as refused:
                if refused.place is not None:
                    places.append(refused.place)
                return None

        def alone(item: Prepared[Item]) -> Any:
            self._calls += 1
            try:
                with self._session.savepoint():
                    return many(columns, [item])[0]
            except Undone:
                raise
            except Refused as refused:
                return self._explain(refused.failure, item)

        return _around(group, attempt, alone, places)

    def _statement(self, verb: str, columns: tuple[str, ...]) -> Statement:
        """INSERT, UPDATE or DELETE of one row: parameters `v0`, `v1`, ... for the columns, `key` for which row."""
        if (verb, columns) not in self._statements:
            if len(self._statements) >= KEPT:
                self._statements.clear()
            plan, table = self._plan, self._plan.table
            values = {table.c[name]: bind(f"v{index}") for index, name in enumerate(columns)}
            row = plan.key.is_one()
            clause: sa.ClauseElement
            match verb:
                case "INSERT":
                    clause = sa.insert(table).values(values).returning(*plan.keys())
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
        for name, value in zip(item.columns, item.values, strict=True):
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
        """Results in order: the written rows are read back, as triggers have left them, unless the one statement of the
        call gave them."""
        made, alone = self._made, self._calls == 1
        rows = made if made and alone else rows_by_key(self._session, self._plan, list(keys.values()), "fetch")
        records = {record.key: record for record in self._plan.records(rows)}
        for place, text in zip(keys, self._plan.key.texts(list(keys.values())), strict=True):
            record = records.get(text)
            # Written, and gone again: a trigger has moved it elsewhere.
            results[place] = value_rejected("not_stored") if record is None else record
        return [results[place] for place in range(length)]


def _around(
    group: Sequence[Item],
    attempt: Callable[[Sequence[Item]], list[Any] | None],
    alone: Callable[[Item], Any],
    places: list[int],
) -> list[Any]:
    """`narrow`, but where the driver says at which place of a group it was refused, what lies before that is written
    again as a whole and what lies behind is gone on with: nothing is written more than twice."""
    results: list[Any] = []
    while group:
        if len(group) == 1:
            return [*results, alone(group[0])]
        places.clear()
        found = attempt(group)
        if found is not None:
            return results + found
        if not places:
            return results + narrow(group, attempt, alone)
        at = places[0]
        results += narrow(group[:at], attempt, alone)
        results.append(alone(group[at]))
        group = group[at + 1 :]
    return results

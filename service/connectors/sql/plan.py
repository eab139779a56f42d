"""A selection made ready for one database: its statements, prepared once, and how rows become records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import repeat
from typing import Any

import sqlalchemy as sa

from service.connectors.sql.database import Column, Database, Described
from service.connectors.sql.failures import Context
from service.connectors.sql.keys import Key, condition_of, texts_of
from service.connectors.sql.searching import Search
from service.connectors.sql.session import Row, Statement
from service.connectors.sql.stamps import Bounds, Expression, Phase, Stamps, bind
from service.core.compare import canonical
from service.core.failures import Failure, SideFailed
from service.core.records import Condition, FieldType, Record, Scalar, Selection, SideTable, Stamp

_LIMIT = sa.bindparam("limit", type_=sa.types.Integer)


@dataclass(frozen=True, slots=True)
class Part:
    """One phase of a reading: its first page and its further ones (parameters `stamp`, `key`), and its bounds.
    `unstamped` goes on after a row without a stamp, in a phase that has such rows. Both are prepared when they are
    needed: most readings end with their first page. `sought`: its rows are hardly ever there."""

    first: Statement
    further: Callable[[], Statement]
    bounds: Bounds | None = None
    unstamped: Callable[[], Statement] | None = None
    sought: bool = False


class Plan:
    """Everything that is known of a selection before its rows are: raw rows are (key, stamp, *fields), and behind them
    the further parts of a key that has several. A field that stands for several columns is read as these."""

    def __init__(
        self, database: Database, schema: str | None, selection: Selection, described: Described | None = None
    ) -> None:
        """`described`: the selection's table, if that is known already."""
        self.database = database
        self.selection = selection
        self.described = described or database.describe(selection.table)
        self.table = _clause(self.described, schema)
        self.key = Key(database, self.table, self.column(selection.key))
        self.context = Context(selection.table, "SELECT")
        self.side, stamp_column = self._side(schema)
        self.stamp_clause: Expression = (
            self.table.c[str(selection.modified_on)] if self.side is None else self.side.c[selection.modified_on.field]  # type: ignore[union-attr]
        )
        self.stamp_column = stamp_column
        self.stamps: Stamps = database.stamps(self.stamp_clause, stamp_column)
        self._fields = tuple(self.column(name) for name in selection.fields)
        self.columns = tuple(one for column in self._fields for one in column.parts or (column,))
        self._gathers = self.key.several or len(self.columns) > len(self._fields)
        self._readers = tuple(None if column.parts else database.reader(column) for column in self._fields)
        self.filter = [self._condition(line) for line in selection.filter]
        if self.key.several and database.EMPTY_IN_KEYS:
            self.filter += [clause.is_not(None) for clause in self.key.clauses]
        self._kept: dict[str, Statement] = {}
        self._found: dict[tuple[str, ...], tuple[Statement, list[Column]]] = {}
        self._parts: dict[bool, tuple[Part, ...]] = {}
        self.search = Search()

    @property
    def unindexed(self) -> bool:
        """Whether the stamps are in the table itself and have no index, so that whatever is asked reads all of it."""
        return self.side is None and not self.described.is_view and not self.stamp_column.indexed

    @property
    def seeks(self) -> bool:
        """Whether a bounded reading looks for rows that are hardly ever there."""
        return len(self.usual) < len(self.stamps.phases) and not self.unindexed

    def column(self, name: str) -> Column:
        """A column of the table. SideFailed(`field_not_found`)."""
        return _column(self.described, name)

    def records(self, rows: Sequence[Row]) -> list[Record]:
        """Raw rows as records; each keeps its row, to be compared with when it is written."""
        if not rows:
            return []
        keys, stamps, *fields = zip(*rows, strict=True)
        if self._gathers:
            keys, fields = self._gathered(keys, fields)
        read = [
            column if reader is None else reader(column) for reader, column in zip(self._readers, fields, strict=True)
        ]
        values = zip(*read, strict=True) if read else repeat((), len(rows))
        return list(map(Record, self.key.texts(keys), self.stamps.read(stamps), values, repeat(None), rows))

    def _gathered(self, firsts: Sequence[Any], raw: Sequence[Any]) -> tuple[tuple[Any, ...], list[Any]]:
        """Keys of several parts, and fields that stand for several columns, as one column each."""
        read, further = iter(raw[: len(self.columns)]), raw[len(self.columns) :]
        fields = [
            texts_of(column, list(zip(*(next(read) for _ in column.parts), strict=True)))
            if column.parts
            else next(read)
            for column in self._fields
        ]
        return (tuple(zip(firsts, *further, strict=True)) if self.key.several else tuple(firsts)), fields

    def parts(self, *, bounded: bool) -> tuple[Part, ...]:
        """The phases of a reading, those of all rows or of those at or after a moment (`bounded`)."""
        if bounded not in self._parts:
            self._parts[bounded] = tuple(self._make_parts(bounded=bounded))
        return self._parts[bounded]

    @property
    def usual(self) -> list[Phase]:
        """The phases of a bounded reading whose rows are not hardly ever there."""
        return [phase for phase in self.stamps.phases if phase.sought is None]

    def bounds(self, since: Stamp) -> dict[str, Any]:
        """The parameters of all phases for a moment."""
        return {name: value for phase in self.stamps.phases for name, value in phase.bounds(since).items()}

    def by_key(self, *, after: bool, upto: bool) -> Statement:
        """A page of rows by their keys alone (parameters `after` and `upto`, as far as there are any)."""
        name = f"by_key {after} {upto}"
        if name not in self._kept:
            select = self._select(outer=True).where(*map(self.database.aside, self.filter), *self._between(after, upto))
            self._kept[name] = self.compile(select.order_by(*self.key.clauses).limit(_LIMIT), "SELECT")
        return self._kept[name]

    def hop(self, *, after: bool) -> Statement:
        """The key so many rows (parameter `offset`) behind the first, or behind the first that comes after a key."""
        name = f"hop {after}"
        if name not in self._kept:
            select = sa.select(*self.keys()).select_from(self.table)
            select = select.where(*self._between(after, False)).order_by(*self.key.clauses)
            offset = sa.bindparam("offset", type_=sa.types.Integer)
            self._kept[name] = self.compile(select.limit(sa.literal_column("1")).offset(offset), "SELECT")
        return self._kept[name]

    def _between(self, after: bool, upto: bool) -> list[Expression]:
        return [self.key.after("after")] * after + [self.key.upto("upto")] * upto

    def statement(self, name: str) -> Statement:
        """A statement that is not part of a reading: fetch, fetch_filtered, lock, lock_waiting, count, tally (how many
        rows have each raw stamp in the usual phases), present (for each of them whether it has rows), and crowd (a row
        where the phases that are searched have more than `offset`)."""
        if name not in self._kept:
            self._kept[name] = self.compile(getattr(self, f"_{name}")(), "UPDATE" if "lock" in name else "SELECT")
        return self._kept[name]

    def rows_where(self, condition: Expression) -> sa.Select[Any]:
        """Raw rows that fulfil a condition, as a clause."""
        return self._select(outer=True).where(condition)

    def returned(self) -> list[Expression]:
        """What a statement that writes returns of a row; the stamp is empty where it lives in another table."""
        stamp = sa.null() if self.side is not None else self._readable(self.stamp_clause, self.stamp_column)
        fields = [self._readable(self.table.c[column.field.name], column) for column in self.columns]
        first, *further = self.keys()
        return [first, stamp, *fields, *further]

    def keys(self) -> list[Expression]:
        """The key as it is selected."""
        return [self._readable(clause, column) for clause, column in self.key.pairs]

    def finding(self, names: Sequence[str]) -> tuple[Statement, list[Column]]:
        """The statement that finds rows by values (parameters of `database.many`), and as what it compares them."""
        if tuple(names) not in self._found:
            loose = self._loose(names)
            pairs = [pair for name in names for pair in self._compared(name)]
            condition = self.database.among(pairs) if loose is None else loose
            columns = [column for _, column in pairs]
            statement = self.compile(self._select(outer=True).where(condition, *self.filter), "SELECT")
            self._found[tuple(names)] = statement, columns
        return self._found[tuple(names)]

    def compile(self, clause: sa.ClauseElement, privilege: str) -> Statement:
        """A statement about this table."""
        return self.database.session.compile(clause, Context(self.selection.table, privilege))

    def _side(self, schema: str | None) -> tuple[sa.FromClause | None, Column]:
        """The side table with the stamps, if there is one, and the stamps' column."""
        where = self.selection.modified_on
        if not isinstance(where, SideTable):
            return None, self.column(where)
        described = self.database.describe(where.table)
        key = _column(described, where.key_field)
        self.side_keys = key.parts or (key,)
        if len(self.side_keys) != len(self.key.columns):
            params = {"field": where.key_field, "type": key.field.type.value}
            raise SideFailed(Failure("mapping_invalid", params, (where.key_field,)))
        return _clause(described, schema).alias("stamps"), _column(described, where.field)

    def _from(self, *, outer: bool) -> sa.FromClause:
        """The table, joined with its stamps: `outer` keeps rows that have none."""
        if self.side is None:
            return self.table
        same = []
        for own, (clause, column) in zip(self.side_keys, self.key.pairs, strict=True):
            there: Expression = self.side.c[own.field.name]
            same.append((there if own.native == column.native else self.database.typed(there, column)) == clause)
        return self.table.join(self.side, sa.and_(*same), isouter=outer)

    def _select(self, *, outer: bool) -> sa.Select[Any]:
        first, *further = self.key.pairs
        wanted = [first, (self.stamp_clause, self.stamp_column)]
        wanted += [(self.table.c[column.field.name], column) for column in self.columns]
        wanted += further
        readable = [self._readable(clause, column) for clause, column in wanted]
        return sa.select(*readable).select_from(self._from(outer=outer))

    def _readable(self, clause: Expression, column: Column) -> Expression:
        return self.database.readable(clause, column)

    def _make_parts(self, *, bounded: bool) -> list[Part]:
        if bounded and self.unindexed and self.stamps.whole is not None:
            return [self._at_once(self.stamps.whole)]
        parts = []
        if self.side is not None or self.stamp_column.field.nullable or self.described.is_view:
            parts.append(self._unstamped())
        if not bounded:
            return [*parts, self._stamped(None)]
        return parts + [self._stamped(phase) for phase in self.stamps.phases]

    def _at_once(self, phase: Phase) -> Part:
        """Rows of a phase and those without a stamp, which sort first: one look at each row of the table."""
        unstamped = self.stamp_clause.is_(None)
        select = self._select(outer=True).where(*map(self.database.aside, self.filter))
        select = select.order_by(self.stamp_clause, *self.key.clauses).limit(_LIMIT)
        stamped = self._stamped(phase)
        return Part(
            self.compile(select.where(sa.or_(unstamped, phase.low)), "SELECT"),
            stamped.further,
            phase.bounds,
            self._later(select.where(sa.or_(sa.and_(unstamped, self.key.after()), phase.low))),
        )

    def _unstamped(self) -> Part:
        """Rows without a stamp, by key."""
        select = self._select(outer=True).where(self.stamp_clause.is_(None), *map(self.database.aside, self.filter))
        select = select.order_by(*self.key.clauses).limit(_LIMIT)
        further = select.where(self.key.after())
        return Part(self.compile(select, "SELECT"), self._later(further))

    def _stamped(self, phase: Phase | None) -> Part:
        """Rows by stamp, then key: those of a phase, or all that have a stamp. The comparison of the stamp alone is
        there for databases that make nothing of the pair; it says nothing new."""
        select = self._select(outer=False).where(*map(self.database.aside, self.filter))
        if phase is not None:
            select = select.where(*(each for each in (phase.rest, phase.sought) if each is not None))
        select = select.order_by(self.stamp_clause, *self.key.clauses).limit(_LIMIT)
        stamp = self.database.typed(bind("stamp"), self.stamp_column)
        ordered, values = (self.stamp_clause, *self.key.clauses), (stamp, *self.key.binds("key"))
        beyond = self.database.beyond(ordered, values)
        first = select.where(self.stamp_clause.is_not(None) if phase is None else phase.low)
        alone = self.database.COMPARES_ROWS_BY_INDEX
        further = select.where(beyond) if alone else select.where(self.stamp_clause >= stamp, beyond)
        bounds, sought = (None, False) if phase is None else (phase.bounds, phase.sought is not None)
        return Part(self.compile(first, "SELECT"), self._later(further), bounds, sought=sought)

    def _later(self, select: sa.Select[Any]) -> Callable[[], Statement]:
        return cache(partial(self.compile, select, "SELECT"))

    def _tally(self) -> sa.CompoundSelect[Any]:
        rows = sa.select(self.stamp_clause, sa.func.count()).select_from(self._from(outer=False))
        rows = rows.where(*map(self.database.aside, self.filter)).group_by(self.stamp_clause)
        return sa.union_all(*(rows.where(*_conditions(phase)) for phase in self.usual))

    def _present(self) -> sa.Select[Any]:
        one: sa.ColumnElement[Any] = sa.literal_column("1")
        rows = sa.select(one).select_from(self._from(outer=False))
        there: list[Expression] = [rows.where(*_conditions(phase)).exists() for phase in self.usual]
        return sa.select(*there)

    def _crowd(self) -> sa.CompoundSelect[Any]:
        one: sa.ColumnElement[Any] = sa.literal_column("1")
        searched = [phase for phase in self.stamps.phases if phase.sought is not None]
        rows = sa.select(one).select_from(self._from(outer=False))
        within = [rows.where(*_conditions(phase)) for phase in searched]
        offset = sa.bindparam("offset", type_=sa.types.Integer)
        return sa.union_all(*within).limit(one).offset(offset)

    def _fetch(self) -> sa.Select[Any]:
        among = self.database.among_keys(self.table, self.key.pairs) if self.key.several else None
        return self._select(outer=True).where(self.database.among(self.key.pairs) if among is None else among)

    def _fetch_filtered(self) -> sa.Select[Any]:
        return self._fetch().where(*self.filter)

    def _lock(self) -> sa.Select[Any]:
        return self.database.lock(self._fetch(), self.table, wait=False)

    def _lock_waiting(self) -> sa.Select[Any]:
        return self.database.lock(self._fetch(), self.table, wait=True)

    def _count(self) -> sa.Select[Any]:
        assert self.stamps.between is not None
        return sa.select(sa.func.count()).select_from(self._from(outer=False)).where(self.stamps.between, *self.filter)

    def _loose(self, names: Sequence[str]) -> Expression | None:
        """A single text with an index: let the database use it and ignore trailing blanks, where it can do both."""
        column = self.column(names[0])
        alone = len(names) == 1 and not column.parts
        if not alone or column.field.type is not FieldType.STRING or not column.indexed or self.described.is_view:
            return None
        return self.database.same_ignoring_blanks(self.table, self.key.names, names[0])

    def _compared(self, name: str) -> list[tuple[Expression, Column]]:
        """What finding compares for a field: each of the columns that it stands for, where it does for several."""
        parts = self.column(name).parts
        return [(self.table.c[one.field.name], one) for one in parts] if parts else [self._loosened(name)]

    def _loosened(self, name: str) -> tuple[Expression, Column]:
        """What finding compares: without trailing blanks where no index is lost by it."""
        clause, column = self.database.comparable(self.table.c[name], self.column(name))
        if column.field.type is FieldType.STRING and not column.indexed:
            return sa.func.rtrim(clause), column
        return clause, column

    def _condition(self, line: Condition) -> Expression:
        """A line of the filter. SideFailed(`mapping_invalid`) for a value that the field cannot have."""
        column = self.column(line.field)
        if column.parts:
            return self._condition_of_parts(column, line)
        clause = self.table.c[line.field]
        if line.op == "isNull":
            return clause.is_not(None) if line.value is False else clause.is_(None)
        if line.op in ("startsWith", "contains"):
            return self.database.same_text(clause, str(line.value), prefix=line.op == "startsWith")
        compared, kind = self.database.comparable(clause, column)
        if line.op == "in":
            listed = [self._filter_value(kind, value) for value in line.value if value is not None]
            among = compared.in_(listed) if listed else sa.false()
            return sa.or_(among, clause.is_(None)) if None in line.value else among
        if line.value is None:
            return clause.is_not(None) if line.op == "ne" else clause.is_(None) if line.op == "eq" else sa.false()
        condition: Expression = _COMPARISONS[line.op](compared, self._filter_value(kind, line.value))
        return condition

    def _condition_of_parts(self, column: Column, line: Condition) -> Expression:
        condition = condition_of(self.database, self.table, column, line.op, line.value)
        if condition is None:
            params = {"field": line.field, "type": column.field.type.value}
            raise SideFailed(Failure("mapping_invalid", params, (line.field,)))
        return condition

    def _filter_value(self, column: Column, value: Any) -> Expression:
        try:
            plain: Scalar = canonical(value, column.field.type)
            native = self.database.filter_value(plain, column)
        except ValueError:
            params = {"field": column.field.name, "type": column.field.type.value}
            raise SideFailed(Failure("mapping_invalid", params, (column.field.name,))) from None
        return self.database.typed(sa.bindparam(None, native, type_=sa.types.NULLTYPE, unique=True), column)


_COMPARISONS: Mapping[str, Any] = {
    "eq": lambda clause, value: clause == value,
    "ne": lambda clause, value: sa.or_(clause != value, clause.is_(None)),
    "lt": lambda clause, value: clause < value,
    "le": lambda clause, value: clause <= value,
    "gt": lambda clause, value: clause > value,
    "ge": lambda clause, value: clause >= value,
}


def _conditions(phase: Phase) -> list[Expression]:
    """What holds in a phase, but for what is sought in it."""
    return [phase.low] if phase.rest is None else [phase.low, phase.rest]


def exactly(records: Sequence[Record], since: Stamp | None) -> list[Record]:
    """Those at or after a moment, and those without a stamp."""
    if since is None:
        return list(records)
    return [record for record in records if record.modified_on is None or record.modified_on >= since]


def _clause(described: Described, schema: str | None) -> sa.TableClause:
    """The table for building statements. Names are always quoted, types are never SQLAlchemy's business."""
    columns: list[sa.ColumnClause[Any]] = [
        sa.column(sa.quoted_name(name, True)) for name, column in described.columns.items() if not column.parts
    ]
    return sa.table(sa.quoted_name(described.table.name, True), *columns, schema=schema)


def _column(described: Described, name: str) -> Column:
    try:
        return described.columns[name]
    except KeyError:
        params = {"table": described.table.name, "field": name}
        raise SideFailed(Failure("field_not_found", params, (described.table.name, name))) from None

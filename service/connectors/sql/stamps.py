"""Modified-on stamps as databases keep them: how they are read, and how "at or after" is asked so that an index serves.

A reading goes by the raw stamps in the database's own order. Where that is not the order of time (texts of several
shapes, numbers of several units) it has phases: ranges of raw stamps that together hold every row at or after a
moment, and few others, which are left out here when they have been read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import sqlalchemy as sa

from service.core.records import EPOCH, Stamp, moment_of

Expression: TypeAlias = sa.ColumnElement[Any]
Bounds: TypeAlias = Callable[[Stamp], Mapping[str, Any]]

EARLIEST: Stamp = -62_135_596_800_000_000
LATEST: Stamp = 253_402_300_799_999_999
"""The stamps of the years 1 and 9999: what lies outside ('infinity') is taken for them."""

_SECOND = 1_000_000
_EPOCH = EPOCH.replace(tzinfo=None)
_EMPTY: Expression = sa.literal_column("''")
_DAY = timedelta(days=1)
_FARTHEST_BEHIND = 12 * 3_600 * _SECOND
_FARTHEST_APART = (24 + 12 + 14) * 3_600 * _SECOND


@dataclass(frozen=True, slots=True)
class Phase:
    """One range of raw stamps: its lower end, which a further page replaces by where the last one ended, and what
    else holds in it. `bounds` gives the values of their parameters for a moment. Of one with `sought` only such rows
    are read, which are hardly ever there: it is searched row by row, which a mere count does not do."""

    low: Expression
    rest: Expression | None
    bounds: Bounds
    sought: Expression | None = None


def together(phases: Sequence[Phase]) -> Phase:
    """One range that holds all rows of several; a further page of it may hold rows that are in none."""

    def bounds(stamp: Stamp) -> dict[str, Any]:
        return {name: value for phase in phases for name, value in phase.bounds(stamp).items()}

    parts = [phase.low if phase.rest is None else sa.and_(phase.low, phase.rest) for phase in phases]
    return Phase(sa.or_(*parts), None, bounds)


@dataclass(frozen=True, slots=True)
class Stamps:
    """How one column keeps its stamps.

    `read` turns a column of raw stamps into stamps, None for what is none. `phases` are the ranges for "at or after".
    `whole` is all phases as one condition, for a column without an index, where each phase would look at every row.
    `behind` says for a raw stamp how far before it, in time, a row may lie that comes after it; see `records.Page`.
    `between` counts exactly in the database (parameters `since` and `until` by `bounds`), None where it cannot.
    """

    read: Callable[[Sequence[Any]], list[Stamp | None]]
    phases: tuple[Phase, ...]
    between: Expression | None = None
    bounds: Callable[[Stamp, Stamp], Mapping[str, Any]] | None = None
    whole: Phase | None = None
    behind: Callable[[Any], Stamp | None] = lambda _: 0


def bind(name: str, value: Any = None) -> sa.BindParameter[Any]:
    """A parameter that is sent as it is: no type of SQLAlchemy's comes between."""
    return sa.bindparam(name, value, type_=sa.types.NULLTYPE, required=value is None)


def moment(stamp: Stamp) -> datetime:
    """The moment of a stamp, the nearest there is for one outside the years 1 to 9999."""
    return moment_of(min(max(stamp, EARLIEST), LATEST))


def stamp_of_text(text: str) -> Stamp | None:
    """The stamp of an ISO 8601 text, naive ones in UTC; None when it is none."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return _stamp_of_odd_text(text)
    since_epoch = parsed - (EPOCH if parsed.tzinfo else _EPOCH)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * _SECOND + since_epoch.microseconds


def _stamp_of_odd_text(text: str) -> Stamp | None:
    """'infinity', a blank before the offset, 'UTC', blanks around: what else is met in stamps."""
    kept = text.strip()
    if kept in ("infinity", "-infinity"):
        return EARLIEST if kept[0] == "-" else LATEST
    if kept.endswith(" BC") or not kept.isascii():
        return EARLIEST if kept.endswith(" BC") else None
    head, _, offset = kept.rpartition(" ")
    if offset in ("UTC", "GMT", "Z") or offset[:1] in ("+", "-"):
        kept = head + ("Z" if offset.isalpha() else offset)
    return stamp_of_text(kept) if kept != text else None


def stamp_of_number(number: float) -> Stamp | None:
    """The stamp of an epoch, its unit told by its size: seconds, milliseconds, microseconds, nanoseconds."""
    size = abs(number)
    if size < 1e11:
        return round(number * _SECOND)
    if size < 1e14:
        return round(number * 1_000)
    if size < 1e17:
        return round(number)
    return round(number / 1_000) if size < 1e20 else None


def stamp_of_any(value: Any) -> Stamp | None:
    """The stamp of whatever SQLite holds in the column."""
    if isinstance(value, str):
        return stamp_of_text(value)
    if isinstance(value, int | float):
        return stamp_of_number(value)
    return None


def read_any(column: Sequence[Any]) -> list[Stamp | None]:
    """Stamps of a column that may hold anything. What is written by one statement often has one stamp."""
    known = {value: stamp_of_any(value) for value in set(column)}
    return [known[value] for value in column]


def read_texts(column: Sequence[Any]) -> list[Stamp | None]:
    """Stamps of a column of texts and nulls."""
    known = {value: None if value is None else stamp_of_text(value) for value in set(column)}
    return [known[value] for value in column]


def moment_stamps(column: Expression, cast: Callable[[Expression], Expression], *, zoned: bool) -> Stamps:
    """Stamps of a type of the database's own, which compares them by time. `cast` gives a parameter that type."""

    def text(stamp: Stamp) -> str:
        found = moment(stamp)
        return (found if zoned else found.replace(tzinfo=None)).isoformat()

    since, until = cast(bind("since")), cast(bind("until"))
    return Stamps(
        read_texts,
        (Phase(column >= since, None, lambda stamp: {"since": text(stamp)}),),
        sa.and_(column >= since, column <= until),
        lambda first, last: {"since": text(first), "until": text(last)},
    )


def date_stamps(column: Expression, cast: Callable[[Expression], Expression]) -> Stamps:
    """Stamps that are whole days: midnight in UTC."""

    def first_day(stamp: Stamp) -> str:
        return (moment(min(stamp - 1, LATEST - 86_400 * _SECOND)).date() + _DAY).isoformat()

    since, until = cast(bind("since")), cast(bind("until"))
    return Stamps(
        read_texts,
        (Phase(column >= since, None, lambda stamp: {"since": first_day(stamp)}),),
        sa.and_(column >= since, column <= until),
        lambda first, last: {"since": first_day(first), "until": moment(last).date().isoformat()},
    )


def number_phases(column: Expression, upper: Expression | None) -> tuple[Phase, ...]:
    """One range for each unit that `stamp_of_number` knows. `upper` is above all numbers, None where nothing is.

    The lower bounds are one whole unit too low, because a float may be a little less than the moment it stands for.
    """

    def phase(index: int, below: float, least: float, unit: Callable[[Stamp], int]) -> Phase:
        low = bind(f"low{index}")
        last = index == len(units) - 1
        high = upper if last else bind(f"high{index}", below)
        rest = None if high is None else column < high
        return Phase(column >= low, rest, lambda stamp: {f"low{index}": max(unit(stamp) - 1, least)})

    units: list[tuple[float, float, Callable[[Stamp], int]]] = [
        (10**11, -(10**11), lambda stamp: stamp // _SECOND),
        (10**14, 10**11, lambda stamp: stamp // 1_000),
        (10**17, 10**14, lambda stamp: stamp),
        (0, 10**17, lambda stamp: min(stamp * 1_000, 2**63 - 1)),
    ]
    return tuple(phase(index, *unit) for index, unit in enumerate(units))


def text_phases(column: Expression) -> tuple[Phase, ...]:
    """Ranges of ISO texts in which shapes may be mixed, and the empty text, which is no stamp.

    Texts compare by date first. On the day of the moment a blank before the time sorts below a `T`, so each shape has
    a range of its own; a bound is cut to the digits that count ('2026-01-01T10' for ten o'clock sharp), because a
    text may have been cut as well. A text with a negative offset names an earlier time than the one it stands for, by
    twelve hours at most: below the two ranges the texts of these hours are looked at one by one, in the index.
    """
    behind, next_shape = _is_behind(column), bind("next_shape")
    return (
        Phase(column >= _EMPTY, column <= _EMPTY, lambda _: {}),
        Phase(column >= bind("earliest"), column < bind("blank"), _text_bounds, behind),
        Phase(column >= bind("blank"), column < next_shape, _text_bounds),
        Phase(column >= next_shape, column < bind("letter"), _text_bounds, behind),
        Phase(column >= bind("letter"), None, _text_bounds),
    )


def text_range(column: Expression) -> Phase:
    """The same rows by one condition, with as few comparisons for each as can be, and no index."""
    inside = sa.or_(
        column >= bind("letter"), sa.and_(column >= bind("blank"), column < bind("next_shape")), _is_behind(column)
    )
    return Phase(sa.or_(sa.and_(column >= bind("earliest"), inside), column == _EMPTY), None, _text_bounds)


def behind_any(raw: Any) -> Stamp | None:
    """How far a row of a column of mixed shapes may lie before one that it comes after: on the same day by the text,
    which offsets may shift by half a day and a little more in either direction. After numbers any text may come."""
    return _FARTHEST_APART if isinstance(raw, str) else None


def _is_behind(column: Expression) -> Expression:
    """Whether a text has a negative offset."""
    return column.op("GLOB")(sa.literal_column("'??????????*-*'"))


def _text_bounds(stamp: Stamp) -> dict[str, str]:
    found = moment(stamp)
    day, time = found.strftime("%Y-%m-%d").rjust(10, "0"), _significant(found)
    return {
        "earliest": moment(stamp - _FARTHEST_BEHIND).strftime("%Y-%m-%d %H").rjust(13, "0"),
        "blank": f"{day} {time}" if time else day,
        "next_shape": f"{day}T",
        "letter": f"{day}T{time}",
    }


def _significant(found: datetime) -> str:
    """The time of day without its fraction and without trailing parts that are zero."""
    if found.second:
        return found.strftime("%H:%M:%S")
    if found.minute:
        return found.strftime("%H:%M")
    return found.strftime("%H") if found.hour else ""

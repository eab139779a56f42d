"""What every connector does: the contract between the engine and a business application, and its words.

selection   which table, fields and records a run asks for (`records.Selection`)
cursor      an opaque text that continues a reading where its page ended; only the connector that made it reads it
bound       an opaque text that says where a table is cut by its keys; only the connector that made it reads it
horizon     the stamp up to which the source shows everything it ever will: its clock, or the start of the oldest
            transaction that it still has open
feed        what an application tells by itself of what was changed and deleted in a table
token       an opaque text for a place in a feed
guarded     a write that is refused when the record is no longer in the state that was read
permit      leave to write, asked for at the last moment: a worker that was overtaken has it no more

A connector is made for one connection and used by one thread at a time. It never logs or returns credentials. Every
method raises `SideFailed` when the application cannot be worked with; what goes wrong with one record is a result.
`service/connectors/kit` is this page as tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, ClassVar, TypeAlias, TypeVar

from service.core.failures import Failure
from service.core.records import Page, Record, Scalar, Selection, Stamp, Table

Item = TypeVar("Item")
Result: TypeAlias = Record | Failure
"""What became of one write: the record as it stands in the application afterwards, or why it was refused."""


@dataclass(frozen=True, slots=True)
class TableName:
    """A table that can be mapped, as a list shows it."""

    name: str
    caption: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` by the application's own clock, and its horizon: never later than `now`."""

    now: Stamp
    horizon: Stamp


@dataclass(frozen=True, slots=True)
class Insert:
    """A record to be created: `values` in canonical form by field name. `key` is the key we chose, None where the
    application makes it (or one of the values is it)."""

    values: Mapping[str, Scalar]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Values to be written over `record`, as it was read with the same selection. `guarded`: only while the record is
    still in that state."""

    record: Record
    values: Mapping[str, Scalar]
    guarded: bool


@dataclass(frozen=True, slots=True)
class Deletion:
    """A record to be deleted, as it was read."""

    record: Record
    guarded: bool


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of a setup check. `status`: pass, warn, fail, or unknown where the kind cannot tell."""

    code: str
    status: str
    responsibility: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """A part of a feed. `changed`: keys of records that were made or changed, with their stamps where the feed tells
    them; `deleted`: keys of records that were deleted; a key may be in both. `token`: where the feed goes on after this
    part; `more`: whether it has more to tell at once."""

    changed: Sequence[tuple[str, Stamp | None]]
    deleted: Sequence[str]
    token: str
    more: bool = False


class Connector(ABC):
    """One connection to one business application."""

    kind: ClassVar[str]
    """The name of the kind, as `connections.kind` says it."""

    SETTINGS: ClassVar[Mapping[str, str]]
    """Every setting this kind knows, with one sentence on it; others are refused."""

    accepts_keys: ClassVar[bool] = True
    """Whether the application takes a key of our choice for a new record of a table without generated keys."""

    has_feeds: ClassVar[bool] = False
    """Whether a table of this kind may have a feed; else `changes` is never called."""

    overlap: Stamp = 1_000_000
    """Microseconds behind the watermark that are read again: how late a stamp may appear by a foreign clock."""

    networks: Sequence[IPv4Network | IPv6Network] = ()
    """Private networks that may be reached by a name, as the administrator of the service lists them; set by whoever
    makes the connector, before it connects."""

    _permit: Callable[[], None] | None = None

    @abstractmethod
    def __init__(self, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> None:
        """Check the settings and raise `SettingsRefused` for all problems together. Does not connect."""

    @abstractmethod
    def close(self) -> None:
        """Give back connections and files. May be called twice."""

    def rest(self) -> bool:
        """Told when nobody needs the connector for now; returns whether it may serve somebody else later. One that may
        looks for itself, when it is used again, whether what it holds open still leads where it should."""
        return False

    def fence(self, permit: Callable[[], None]) -> None:
        """From now on ask `permit` at the last moment before a write takes effect; it raises where it must not."""
        self._permit = permit

    def permit(self) -> None:
        """To be called by `insert`, `update` and `delete` right before each COMMIT, or before each request that writes:
        a process that was stopped in their midst may wake when another does its work. What it raises is passed on, and
        then nothing more is written."""
        if self._permit is not None:
            self._permit()

    # What there is

    @abstractmethod
    def tables(self) -> Sequence[TableName]:
        """Every table that this user may see, by name."""

    @abstractmethod
    def describe(self, table: str) -> Table:
        """One table with its fields. SideFailed(`table_not_found`)."""

    @abstractmethod
    def check(self, tables: Collection[Selection]) -> Sequence[Check]:
        """Ask the application what would keep these tables from synchronizing. Never raises: a failure is a check."""

    def link(self, table: str, key: str) -> str | None:  # noqa: ARG002  (the default has no use for them)
        """Where a person can open the record in its own application, None where nobody said."""
        return None

    # Reading

    @abstractmethod
    def clock(self, selection: Selection) -> Clock:
        """The application's clock and horizon for this table."""

    @abstractmethod
    def read(self, selection: Selection, since: Stamp | None, cursor: str | None, limit: int) -> Page:
        """A page of the records inside the filter with a stamp at or after `since` (None: all), ordered by stamp, then
        key; records without a stamp come first, whatever `since` says. `cursor` continues an earlier page. No record
        that was there all the time and stayed as it is is left out or read twice. SideFailed(`table_not_found`,
        `field_not_found`)."""

    @abstractmethod
    def count(self, selection: Selection, since: Stamp, until: Stamp) -> int | None:
        """How many records inside the filter have a stamp from `since` to `until`, both included; None where counting
        is as dear as reading. May leave out records whose stamp only reading them would tell."""

    @abstractmethod
    def fetch(self, selection: Selection, keys: Collection[str], *, filtered: bool) -> dict[str, Record]:
        """The records with these keys, those that exist (and, if `filtered`, are inside the filter), by key."""

    @abstractmethod
    def find(
        self, selection: Selection, fields: Sequence[str], wanted: Collection[tuple[Scalar, ...]]
    ) -> Sequence[Record]:
        """The records inside the filter whose `fields` have one of the wanted combinations of values (no None in
        them). May return more than that (an application that ignores case): the caller compares. `fields` are among
        `selection.fields`."""

    # Reading by several at a time; whoever leaves this as it is, is read by one

    def cut(self, selection: Selection, size: int) -> Sequence[str]:  # noqa: ARG002  (the default has no use for them)
        """Bounds that cut the table into ranges of about `size` records by their keys, in the application's own order
        of keys, ascending; the filter is of no account. Empty where the table is smaller, and where telling takes more
        than going once through an index of the keys."""
        return ()

    def read_range(self, selection: Selection, after: str | None, upto: str | None, limit: int) -> Page:
        """A page of the records inside the filter whose keys come after one bound (None: from the first on) and not
        after another (None: to the last), ordered by key, whatever their stamps. Its cursor is the bound after which
        the next page begins. Asked only of a connector whose `cut` gave bounds."""
        raise NotImplementedError

    def changes(self, selection: Selection, token: str | None) -> Changes | None:  # noqa: ARG002
        """What was changed and deleted in the table since `token`, whatever the filter (None: everything that is there,
        as changed, and a first token). A token may be used again, and then tells all that it told before, unless it was
        changed once more. None: this table has no feed, or the token is no good any more."""
        return None

    # Writing: one result for each item, in the order of the items

    @abstractmethod
    def insert(self, selection: Selection, items: Sequence[Insert]) -> Sequence[Result]:
        """Create records."""

    @abstractmethod
    def update(self, selection: Selection, items: Sequence[Update]) -> Sequence[Result]:
        """Write values over records. A guarded one that moved is Failure(`record_moved`), a missing one
        Failure(`partner_deleted`)."""

    @abstractmethod
    def delete(self, selection: Selection, items: Sequence[Deletion]) -> Sequence[Failure | None]:
        """Delete records; None where the record is gone. A guarded one that moved is Failure(`record_moved`)."""


class SettingsRefused(Exception):
    """Settings or credentials that cannot be right: every problem as (name, code of `wording`, parameters)."""

    def __init__(self, problems: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
        super().__init__([name for name, _, _ in problems])
        self.problems = tuple(problems)


def narrow(
    items: Sequence[Item],
    attempt: Callable[[Sequence[Item]], Sequence[Any] | None],
    alone: Callable[[Item], Any],
) -> list[Any]:
    """Results for all items by as few bulk calls as can be: halves of what failed, down to single items.

    `attempt` does a bulk all or nothing and returns its results, or None when something in it was refused; `alone`
    does one item and returns its result. One bad item in n costs about 2 log2(n) calls.
    """
    if not items:
        return []
    if len(items) == 1:
        return [alone(items[0])]
    results = attempt(items)
    if results is not None:
        return list(results)
    middle = len(items) // 2
    return narrow(items[:middle], attempt, alone) + narrow(items[middle:], attempt, alone)

"""The two tables of the work items: customers of an ERP and accounts of a CRM, twenty columns each, and their edits.

Everything follows from the number of a row, so that each contender meets the same data in every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

CHANGED = 1_000
"""Rows that people change before a run, half of them on each side."""

CONFLICTS = 100
"""Of these, records that are changed on both sides."""

DIFFERING = 100
"""In a first match, one pair of so many differs."""

OVERLAP = 10
"""In a first match, one record of so many has no partner, on either side."""

FORBIDDEN = "Nowhere"
"""The town that the CRM refuses by a rule of its own."""

# The ERP's name, the CRM's name, the type on PostgreSQL and the one on SQLite.
_COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    ("number", "accountnumber", "varchar(20)", "VARCHAR(20)"),
    ("name", "title", "varchar(100)", "VARCHAR(100)"),
    ("name_2", "subtitle", "varchar(50)", "VARCHAR(50)"),
    ("address", "address1_line1", "varchar(100)", "VARCHAR(100)"),
    ("address_2", "address1_line2", "varchar(50)", "VARCHAR(50)"),
    ("city", "address1_city", "varchar(40)", "VARCHAR(40)"),
    ("post_code", "address1_postalcode", "varchar(20)", "VARCHAR(20)"),
    ("country", "address1_country", "varchar(10)", "VARCHAR(10)"),
    ("phone", "telephone1", "varchar(30)", "VARCHAR(30)"),
    ("mobile", "telephone2", "varchar(30)", "VARCHAR(30)"),
    ("email", "emailaddress1", "varchar(80)", "VARCHAR(80)"),
    ("home_page", "websiteurl", "varchar(80)", "VARCHAR(80)"),
    ("vat_number", "taxnumber", "varchar(20)", "VARCHAR(20)"),
    ("contact", "primarycontact", "varchar(100)", "VARCHAR(100)"),
    ("payment_days", "paymentdays", "integer", "INTEGER"),
    ("priority", "prioritycode", "integer", "INTEGER"),
    ("credit_limit", "creditlimit", "numeric(12,2)", "DECIMAL(12,2)"),
    ("customer_since", "customersince", "date", "DATE"),
)
WIDTH = len(_COLUMNS)

Values = tuple[Any, ...]
"""What a row holds without its key and its stamp, in the order of the columns."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A table as the loops and the mapping know it."""

    table: str
    key: str
    columns: tuple[str, ...]
    stamp: str

    @property
    def number(self) -> str:
        return self.columns[0]


ERP = Shape("customer", "id", tuple(line[0] for line in _COLUMNS), "modified_at")
CRM = Shape("account", "accountid", tuple(line[1] for line in _COLUMNS), "modifiedon")
SHAPES = (ERP, CRM)


def numbered(side: Shape, number: int) -> Shape:
    """The same shape for another table; 0: the table itself."""
    return replace(side, table=f"{side.table}_{number}") if number else side


def key_of(side: str, number: int) -> str:
    """The key of a row: as good as random, like those that applications make."""
    digits = hashlib.md5(f"{side} {number}".encode(), usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def number_of(n: int) -> str:
    return f"C{n:08}"


def values(n: int) -> Values:
    """The n-th customer."""
    since = f"20{n % 25:02}-{n % 12 + 1:02}-{n % 28 + 1:02}"
    return (
        number_of(n), f"Kunde Nr. {n} & Søn", f"Avd. {n % 89}", f"Storgata {n % 997}", f"Oppgang {n % 7}",
        f"Byen {n % 97}", f"{n % 10_000:04}", "NO", f"+47 {n % 100_000_000:08}", f"+47 9{n % 10_000_000:07}",
        f"p{n}@example.com", f"https://{n}.example.com", f"NO{n % 1_000_000_000:09}MVA", f"Kari Nordmann {n % 1_013}",
        n % 60, n % 5, f"{n % 5_000}.25", since,
    )  # fmt: skip


def differing(n: int) -> Values:
    """The n-th customer as the CRM has it in a first match: one in `DIFFERING` has another contact."""
    found = values(n)
    return (*found[:13], "Somebody Else", *found[14:]) if n % DIFFERING == 0 else found


def rows(size: int, matching: bool, side: Shape) -> Iterator[tuple[Any, ...]]:
    """Key, values and stamp of each row that a side has at the beginning.

    For a first load the CRM is empty; for a first match each side lacks another tenth of what the other has.
    """
    if side is CRM and not matching:
        return
    start = datetime(2026, 1, 1, tzinfo=UTC)
    first = size // OVERLAP if matching and side is CRM else 0
    of_side = differing if side is CRM else values
    for n in range(first, first + size):
        stamp = start + timedelta(seconds=n // 100, milliseconds=n % 100)
        yield (key_of(side.table, n), *of_side(n), stamp.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3])


POSTGRESQL = """
CREATE TABLE {table} ({key} uuid PRIMARY KEY DEFAULT gen_random_uuid(), {columns},
    {stamp} timestamp(6) with time zone NOT NULL DEFAULT clock_timestamp(){check});
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.{stamp} := clock_timestamp(); RETURN NEW; END';
CREATE TRIGGER {table}_stamp BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION stamp();
"""
SQLITE = """
CREATE TABLE {table} ({key} VARCHAR(36) PRIMARY KEY, {columns},
    {stamp} TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')){check});
CREATE TRIGGER {table}_stamp AFTER UPDATE ON {table} WHEN NEW.{stamp} IS OLD.{stamp} BEGIN
    UPDATE {table} SET {stamp} = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE {key} = NEW.{key}; END;
"""
INDEXES = """
CREATE INDEX {table}_stamped ON {table} ({stamp}, {key});
CREATE INDEX {table}_number ON {table} ({number});
"""


def schema(side: Shape, template: str, types: int) -> str:
    """The statements that make the table of a side; `types` is the column of types in `_COLUMNS`."""
    columns = ", ".join(f"{name} {line[types]}" for name, line in zip(side.columns, _COLUMNS, strict=True))
    check = f", CHECK ({side.columns[5]} <> '{FORBIDDEN}')" if side is CRM else ""
    return template.format(table=side.table, key=side.key, columns=columns, stamp=side.stamp, check=check)


def indexes(side: Shape) -> str:
    return INDEXES.format(table=side.table, key=side.key, stamp=side.stamp, number=side.number)


@dataclass(frozen=True, slots=True)
class Edit:
    """What people do on one side: append `suffix` to the contact of the rows from `first` to before `after`."""

    side: Shape
    first: int
    after: int
    suffix: str

    def statement(self) -> str:
        contact, number = self.side.columns[13], self.side.number
        return (
            f"UPDATE {self.side.table} SET {contact} = {contact} || '{self.suffix}'"
            f" WHERE {number} >= '{number_of(self.first)}' AND {number} < '{number_of(self.after)}'"
        )


def changes(first: int, mark: str) -> list[Edit]:
    """A thousand changed rows from `first` on, half on each side, none on both."""
    half = CHANGED // 2
    return [Edit(ERP, first, first + half, f" {mark}"), Edit(CRM, first + half, first + CHANGED, f" {mark}")]


def conflicting_changes(first: int, mark: str) -> list[Edit]:
    """A thousand changes, of which a hundred records are changed on both sides."""
    each = CHANGED // 2
    return [
        Edit(ERP, first, first + each, f" {mark} here"),
        Edit(CRM, first + each - CONFLICTS, first + CHANGED - CONFLICTS, f" {mark} there"),
    ]


def forbid(n: int) -> str:
    """The statement with which the ERP gets a town that the CRM refuses."""
    return f"UPDATE customer SET city = '{FORBIDDEN}' WHERE number = '{number_of(n)}'"

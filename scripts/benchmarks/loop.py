"""The plain loop and the tuned one: what the same work costs in Python without a service around it.

They know one pair of tables, keep couplings with the last values in an SQLite file, notice conflicts by guarded writes
and keep both versions, and know their own writes again. They keep no history, no errors, no intents, miss what is
committed late, and nobody can look at what they do. The tuned one has keys of sixteen bytes, larger transactions and
caches, a faster JSON, and batches in one parameter.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from scripts.benchmarks.databases import Place
from scripts.benchmarks.loop_tables import LoopTable, Row, loop_table
from scripts.benchmarks.tables import SHAPES, Values


@dataclass(frozen=True, slots=True)
class Pair:
    """A coupling, both keys and stamps in the order ERP, CRM."""

    keys: tuple[str, str]
    stamps: tuple[str, str]
    base: str
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Style:
    """What tells the two loops apart."""

    pragmas: str
    key_type: str
    to_key: Callable[[str], Any]
    from_key: Callable[[Any], str]
    dump: Callable[[Values], str]
    pages_in_transaction: int


PLAIN = Style("", "TEXT", str, str, lambda values: json.dumps(values), 1)
TUNED = Style(
    "PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 20000;",
    "BLOB",
    lambda key: bytes.fromhex(key.replace("-", "")),
    lambda key: str(uuid.UUID(bytes=key)),
    lambda values: orjson.dumps(values).decode(),
    10,
)
STYLES = {"plain": PLAIN, "tuned": TUNED}

_SCHEMA = """
PRAGMA journal_mode = wal; {pragmas}
CREATE TABLE coupling (id INTEGER PRIMARY KEY, key0 {key} UNIQUE, key1 {key} UNIQUE, stamp0 TEXT, stamp1 TEXT,
    base TEXT, skipped INTEGER NOT NULL DEFAULT 0);
CREATE TABLE skipped (key0 {key}, key1 {key}, base TEXT, version0 TEXT, version1 TEXT);
CREATE TABLE mark (side INTEGER PRIMARY KEY, stamp TEXT, record TEXT);
INSERT INTO mark VALUES (0, '', ''), (1, '', '');
"""


class State:
    """What a loop remembers, in a file."""

    def __init__(self, file: str, style: Style) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._style = style
        self._db.executescript(_SCHEMA.format(pragmas=style.pragmas, key=style.key_type))

    def mark(self, side: int) -> tuple[str, str]:
        """The stamp and the key up to which a side was read."""
        stamp, key = self._db.execute("SELECT stamp, record FROM mark WHERE side = ?", (side,)).fetchone()
        return stamp, key

    def known(self, side: int, keys: Collection[str]) -> dict[str, Pair]:
        """The couplings of some records of a side."""
        from_key, marks = self._style.from_key, ", ".join("?" * len(keys))
        found = self._db.execute(
            f"SELECT key0, key1, stamp0, stamp1, base, skipped FROM coupling WHERE key{side} IN ({marks})",
            [self._style.to_key(key) for key in keys],
        )
        pairs = [
            Pair((from_key(one), from_key(other)), (stamp, other_stamp), base, bool(skipped))
            for one, other, stamp, other_stamp, base, skipped in found
        ]
        return {pair.keys[side]: pair for pair in pairs}

    def begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def save(self, pairs: Sequence[Pair]) -> None:
        to_key = self._style.to_key
        self._db.executemany(
            "INSERT INTO coupling (key0, key1, stamp0, stamp1, base) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (key0) DO UPDATE SET stamp0 = excluded.stamp0, stamp1 = excluded.stamp1,"
            " base = excluded.base",
            [(to_key(pair.keys[0]), to_key(pair.keys[1]), *pair.stamps, pair.base) for pair in pairs],
        )

    def set_aside(self, pairs: Sequence[Pair], versions: Sequence[tuple[Values, Values]]) -> None:
        style = self._style
        keys = [(style.to_key(pair.keys[0]), style.to_key(pair.keys[1])) for pair in pairs]
        self._db.executemany(
            "INSERT INTO skipped VALUES (?, ?, ?, ?, ?)",
            [
                (*key, pair.base, style.dump(one), style.dump(other))
                for key, pair, (one, other) in zip(keys, pairs, versions, strict=True)
            ],
        )
        self._db.executemany("UPDATE coupling SET skipped = 1 WHERE key0 = ?", [(key[0],) for key in keys])

    def move(self, side: int, stamp: str, key: str) -> None:
        self._db.execute("UPDATE mark SET stamp = ?, record = ? WHERE side = ?", (stamp, key, side))

    def skipped(self) -> int:
        (count,) = self._db.execute("SELECT count(*) FROM skipped").fetchone()
        return int(count)


class Loop:
    """A loop over both applications."""

    def __init__(self, place: Place, name: str) -> None:
        self._style = STYLES[name]
        self._wanted = "run"
        self.state = State(f"{place.folder}/loop.db", self._style)
        urls = (place.erp, place.crm)
        self._tables: list[LoopTable] = [
            loop_table(url, side, name == "tuned") for url, side in zip(urls, SHAPES, strict=True)
        ]

    def ask(self, what: str) -> None:
        self._wanted = what

    def work(self) -> None:
        """Out of the ERP only, or both ways. A match couples by number; the ERP is right where they differ."""
        for side in (0,) if self._wanted == "copy" else (0, 1):
            self._carry(side, matching=self._wanted == "match")

    def set_aside(self) -> int:
        return self.state.skipped()

    def outcome(self) -> None:
        """Nobody counts."""

    def close(self) -> None:
        """The process ends soon."""

    def _carry(self, side: int, matching: bool) -> None:
        state = self.state
        for number, page in enumerate(self._tables[side].pages(*state.mark(side)), 1):
            known = state.known(side, [row[0] for row in page])
            new = [row for row in page if row[0] not in known]
            moved = [(row, known[row[0]]) for row in page if row[0] in known and known[row[0]].stamps[side] != row[1]]
            state.begin()
            if new and matching:
                new, found = self._matched(side, new)
                moved += found
            self._create(side, new)
            self._change(side, [(row, pair) for row, pair in moved if not pair.skipped])
            state.move(side, page[-1][1], page[-1][0])
            if number % self._style.pages_in_transaction == 0:
                state.commit()
        state.commit()

    def _matched(self, side: int, rows: list[Row]) -> tuple[list[Row], list[tuple[Row, Pair]]]:
        """Couple what the other side has under the same number; returns what it lacks, and what differs."""
        twins = {row[2][0]: row for row in self._tables[1 - side].by_numbers([row[2][0] for row in rows])}
        equal: list[Pair] = []
        different: list[tuple[Row, Pair]] = []
        for row in rows:
            if (twin := twins.get(row[2][0])) is not None:
                pair = self._pair(side, row, twin[0], twin[1])
                if row[2] == twin[2]:
                    equal.append(pair)
                else:
                    different.append((row, replace(pair, base="")))
        self.state.save(equal)
        return [row for row in rows if row[2][0] not in twins], different

    def _create(self, side: int, rows: list[Row]) -> None:
        if not rows:
            return
        keys = [str(uuid.uuid4()) for _ in rows]
        stamps = self._tables[1 - side].insert([(key, row[2]) for key, row in zip(keys, rows, strict=True)])
        self.state.save([self._pair(side, row, key, stamps[key]) for key, row in zip(keys, rows, strict=True)])

    def _change(self, side: int, moved: list[tuple[Row, Pair]]) -> None:
        """Write what changed to the other side, unless that was changed as well."""
        dump, far = self._style.dump, 1 - side
        changed = [(row, pair) for row, pair in moved if dump(row[2]) != pair.base]
        touched = [self._pair(side, row, pair.keys[far], pair.stamps[far]) for row, pair in moved
                   if dump(row[2]) == pair.base]  # fmt: skip
        stamps = {}
        if changed:
            stamps = self._tables[far].update([(pair.keys[far], pair.stamps[far], row[2]) for row, pair in changed])
        written = [(row, pair.keys[far]) for row, pair in changed if pair.keys[far] in stamps]
        self.state.save(touched + [self._pair(side, row, key, stamps[key]) for row, key in written])
        refused = [(row, pair) for row, pair in changed if pair.keys[far] not in stamps]
        if refused:
            self._set_aside(side, refused)

    def _set_aside(self, side: int, refused: list[tuple[Row, Pair]]) -> None:
        far = 1 - side
        there = {row[0]: row for row in self._tables[far].fetch([pair.keys[far] for _, pair in refused])}
        versions = [(row[2], there[pair.keys[far]][2]) for row, pair in refused]
        ordered = [(one, other) if side == 0 else (other, one) for one, other in versions]
        self.state.set_aside([pair for _, pair in refused], ordered)

    def _pair(self, side: int, row: Row, far_key: str, far_stamp: str) -> Pair:
        base = self._style.dump(row[2])
        if side == 0:
            return Pair((row[0], far_key), (row[1], far_stamp), base)
        return Pair((far_key, row[0]), (far_stamp, row[1]), base)


def contender(name: str, place: Place, matching: bool) -> Loop:  # noqa: ARG001 - it is told with the work.
    """The loop of that name, ready for work."""
    return Loop(place, name)

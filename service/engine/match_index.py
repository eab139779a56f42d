"""Where the normal forms of many records are kept: a file that belongs to the worker and vanishes with it."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Mapping

import orjson

from service.core.records import Side

CACHE = 8 * 1024
"""Kibibytes of the index that may be held in memory."""

NAMED = 11
"""So many records with one normal form are kept: ten are named, and one more tells that there are more."""


class MatchIndex:
    """The keys of both sides' records by the digests of their normal forms, for each priority. `source`: the side whose
    records are to find their twins."""

    def __init__(self, source: Side) -> None:
        self.source = source
        # Without a name it is a file of SQLite's own that is gone when the connection is.
        self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._file.execute(f"PRAGMA cache_size = -{CACHE}")
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("CREATE TABLE forms (place INTEGER, digest TEXT, key TEXT)")

    def add(self, side: Side, priority: int, forms: Mapping[str, str]) -> None:
        """Keep the digests of some records' forms, by key."""
        rows = [(_place(side, priority), digest, key) for key, digest in forms.items()]
        self._file.execute("BEGIN")
        self._file.executemany("INSERT INTO forms VALUES (?, ?, ?)", rows)
        self._file.execute("COMMIT")

    def close_for_adding(self) -> None:
        """All forms are there, and can be asked for. Of a form that many records have, a few are kept."""
        self._file.execute("CREATE INDEX forms_by_digest ON forms (place, digest, key)")
        self._file.execute(
            "DELETE FROM forms WHERE rowid IN (SELECT rowid FROM (SELECT rowid, row_number()"
            " OVER (PARTITION BY place, digest ORDER BY key) AS number FROM forms) WHERE number > ?)",
            (NAMED,),
        )

    def holders(self, side: Side, priority: int, digests: Collection[str]) -> dict[str, list[str]]:
        """The keys of records with these forms, a few of each."""
        found: dict[str, list[str]] = defaultdict(list)
        query = (
            "SELECT digest, key FROM forms WHERE place = ? AND digest IN (SELECT value FROM json_each(?)) ORDER BY key"
        )
        for digest, key in self._file.execute(query, (_place(side, priority), orjson.dumps(list(digests)).decode())):
            found[digest].append(key)
        return found


def _place(side: Side, priority: int) -> int:
    return priority * 2 + (side is Side.LOCAL)

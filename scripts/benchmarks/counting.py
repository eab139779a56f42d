"""Counted work: what a step did, whatever the machine's mood. Statements, rows, bytes, requests and calls of functions.

On SQLite, statements and rows are counted at the driver. On PostgreSQL they are counted on the wire (`wire.py`), which
also knows the bytes. Calls of functions, Python's own and those of C, are a stable stand-in for instructions.
"""

from __future__ import annotations

import cProfile
import sqlite3
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from scripts.benchmarks import wire
from scripts.benchmarks.databases import Place

_SQLITE = ("execute", "executemany", "executescript")


class _Counted(sqlite3.Connection):
    """A connection that is remembered, so that the rows it wrote can be asked for."""

    made: list[_Counted] = []
    closed = 0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        _Counted.made.append(self)

    def close(self) -> None:
        if self in _Counted.made:
            _Counted.made.remove(self)
            _Counted.closed += self.total_changes
        super().close()


def rows_of_sqlite() -> int:
    """Rows that all connections of this process wrote since `watch_sqlite`."""
    return _Counted.closed + sum(connection.total_changes for connection in _Counted.made)


def watch_sqlite() -> None:
    """Let every new connection to an SQLite database be a counted one."""
    connect = sqlite3.connect

    def counted(*given: Any, **named: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*given, **{"factory": _Counted, "check_same_thread": False, **named})
        return made

    for module in (sqlite3, sqlite3.dbapi2):
        vars(module)["connect"] = counted


class Counter:
    """Counts what is done while its block lasts, in this thread and in those that it starts."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._profiles: list[cProfile.Profile] = []

    def __enter__(self) -> Self:
        self._rows, self._written = rows_of_sqlite(), _bytes_written()
        self._wire = wire.read(self._place.folder)
        threading.setprofile(self._begin_thread)
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._profiles[0].disable()
        threading.setprofile(None)

    def _begin_thread(self, *_: object) -> None:
        sys.setprofile(None)
        # Signs of life go by the clock, not by the work.
        if not threading.current_thread().name.startswith("heart"):
            self._begin()

    def _begin(self) -> None:
        profile = cProfile.Profile()
        self._profiles.append(profile)
        profile.enable()

    def counts(self) -> dict[str, float]:
        """What was counted, by name."""
        entries = [entry for profile in self._profiles for entry in profile.getstats()]
        found: dict[str, float] = {
            "calls": sum(entry.callcount for entry in entries),
            "requests": _calls(entries, "http/client.py", "putrequest"),
        }
        on_wire = {name: count - self._wire[name] for name, count in wire.read(self._place.folder).items()}
        statements = sum(_builtin(entries, f"method '{name}' of 'sqlite3") for name in _SQLITE)
        return {
            **found,
            "statements": statements + on_wire["statements"],
            "roundTrips": statements + on_wire["roundTrips"],
            "rowsWritten": rows_of_sqlite() - self._rows + on_wire["rowsWritten"],
            "bytes": on_wire["bytes"] or _bytes_written() - self._written,
        }


def _calls(entries: Iterable[Any], file: str, function: str) -> int:
    return sum(
        entry.callcount
        for entry in entries
        if not isinstance(entry.code, str) and entry.code.co_name == function and entry.code.co_filename.endswith(file)
    )


def _builtin(entries: Iterable[Any], name: str) -> int:
    return sum(entry.callcount for entry in entries if isinstance(entry.code, str) and name in entry.code)


def _bytes_written() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar:"))

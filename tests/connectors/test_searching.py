"""Texts with a negative offset in a crowd of others: when SQLite is searched for them, and that none is ever lost."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from service.connectors.kit import SECOND, keys_of
from service.connectors.sql import SqlConnector, searching
from service.core.records import Record, Selection, Stamp, moment_of

CROWD = searching.MANY + 500
TABLE = Selection("thing", "id", "at", ("name",))
HERE = timezone(timedelta(hours=-5))


class Crowd:
    """A table in which many rows were written within the last hours, and a reader who goes by horizons alone."""

    def __init__(self, path: Path) -> None:
        self.connector = SqlConnector({"url": f"sqlite:///{path}"}, {})
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute("PRAGMA synchronous = OFF")
        self.database.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT, at TEXT)")
        self.database.execute("CREATE INDEX thing_at ON thing (at, id)")
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.fill(CROWD)
        self.since = self.stamp(-1)
        self.statements: list[str] = []

    def fill(self, number: int, seconds: int = -7_200, name: str = "one of many", shape: str = " ") -> None:
        moment = (self.now + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat(shape)
        self.database.execute("BEGIN")
        self.database.executemany(
            "INSERT INTO thing (name, at) VALUES (?, ?)", [(name, f"{moment}.{n:06}") for n in range(number)]
        )
        self.database.execute("COMMIT")

    def stamp(self, seconds: float) -> Stamp:
        return round((self.now.timestamp() + seconds) * SECOND)

    def edit(self, name: str) -> str:
        """A row that somebody writes at this moment by a clock with a negative offset; its key."""
        at = datetime.now(HERE).isoformat()
        return str(self.database.execute("INSERT INTO thing (name, at) VALUES (?, ?)", (name, at)).lastrowid)

    def read(self, limit: int = 1_000) -> list[str]:
        """All pages from the horizon of the last reading on, in which `statements` of the first one are kept."""
        clock = self.connector.clock(TABLE)
        session = self.connector._database.session
        statements: list[str] = []
        session.driver.set_trace_callback(statements.append)
        records: list[Record] = []
        cursor = None
        while True:
            page = self.connector.read(TABLE, self.since, cursor, limit)
            records += page.records
            cursor = page.cursor
            if cursor is None:
                break
        session.driver.set_trace_callback(None)
        self.statements, self.since = statements, clock.horizon - SECOND
        return keys_of(records)

    @property
    def looked(self) -> bool:
        """Whether the last reading went through the crowd."""
        return any("GLOB" in text for text in self.statements)


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    made = Crowd(tmp_path / "business.db")
    with closing(made.database), closing(made.connector):
        yield made


def test_a_look_at_many_rows_holds_for_a_while(crowd: Crowd) -> None:
    assert (crowd.read(), crowd.looked) == ([], True)
    since = crowd.since
    for _ in range(3):
        assert (crowd.read(), crowd.looked) == ([], False)
        assert crowd.since == since


def test_a_reading_that_does_not_look_asks_for_nothing_that_grows(crowd: Crowd) -> None:
    crowd.read()
    crowd.read()
    within = [text for text in crowd.statements if moment_of(crowd.stamp(-43_200)).strftime("%Y-%m-%d %H") in text]
    assert within == []


def test_what_comes_while_a_look_holds_is_found_by_the_next(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd.read()
    keys = [crowd.edit("first")]
    assert (crowd.read(), crowd.looked) == ([], False)
    keys.append(crowd.edit("second"))
    assert (crowd.read(), crowd.looked) == ([], False)
    monkeypatch.setattr(searching, "HOLDS", 0)
    assert (sorted(crowd.read()), crowd.looked) == (keys, True)


def test_another_process_finds_it_at_once(crowd: Crowd, tmp_path: Path) -> None:
    crowd.read()
    key = crowd.edit("while a look holds")
    assert crowd.read() == []
    crowd.connector.close()
    crowd.connector = SqlConnector({"url": f"sqlite:///{tmp_path / 'business.db'}"}, {})
    assert (crowd.read(), crowd.looked) == ([key], True)


def test_where_one_is_found_each_reading_looks(crowd: Crowd) -> None:
    key = crowd.edit("here they are usual")
    assert (crowd.read(), crowd.looked) == ([key], True)
    for n in range(3):
        another = crowd.edit(f"usual {n}")
        assert another in crowd.read()
        assert crowd.looked


def test_among_few_rows_each_reading_looks(crowd: Crowd) -> None:
    crowd.database.execute("DELETE FROM thing WHERE id > ?", (searching.MANY,))
    for n in range(3):
        key = crowd.edit(f"not so many {n}")
        assert key in crowd.read()
        crowd.database.execute("DELETE FROM thing WHERE id = ?", (key,))


@pytest.mark.parametrize("shape", [" ", "T"])
def test_a_crowd_is_one_in_either_shape(crowd: Crowd, shape: str) -> None:
    crowd.database.execute("DELETE FROM thing")
    crowd.fill(CROWD, shape=shape)
    crowd.read()
    assert (crowd.read(), crowd.looked) == ([], False)


def test_after_a_reading_of_many_records_the_next_one_looks(crowd: Crowd) -> None:
    crowd.read()
    crowd.fill(searching.FEW + 1, seconds=60, name="new")
    since = crowd.since
    assert (len(crowd.read()), crowd.looked) == (searching.FEW + 1, False)
    assert crowd.since == since
    assert (len(crowd.read()), crowd.looked) == (searching.FEW + 1, True)
    assert crowd.since > since


def test_a_reading_keeps_to_how_it_began(crowd: Crowd) -> None:
    crowd.read()
    crowd.fill(30, seconds=60, name="new")
    assert (len(crowd.read(limit=7)), crowd.looked) == (30, False)


def test_a_look_does_not_hold_for_earlier_moments_nor_without_a_clock(crowd: Crowd) -> None:
    crowd.read()
    early = crowd.edit("early")
    crowd.since = crowd.stamp(-60)
    assert (crowd.read(), crowd.looked) == ([early], True)
    crowd.database.execute("DELETE FROM thing WHERE id = ?", (early,))
    crowd.read()
    late = crowd.edit("late")
    assert keys_of(crowd.connector.read(TABLE, crowd.since, None, 10).records) == [late]


def test_an_interrupted_look_holds_for_nothing(crowd: Crowd) -> None:
    crowd.fill(30, seconds=60, name="new")
    crowd.connector.clock(TABLE)
    assert crowd.connector.read(TABLE, crowd.since, None, 7).cursor is not None
    key = crowd.edit("meanwhile")
    assert key in crowd.read()
    assert crowd.looked


def read_everything(crowd: Crowd, ranges: int = 0) -> Stamp:
    """All pages of a first load, which may be cut into ranges after its first one, as several workers read them: not in
    their order. Returns the horizon."""
    clock = crowd.connector.clock(TABLE)
    cursor = crowd.connector.read(TABLE, None, None, 1_000).cursor
    if not ranges:
        while cursor is not None:
            cursor = crowd.connector.read(TABLE, None, cursor, 1_000).cursor
        return clock.horizon
    bounds = [None, *crowd.connector.cut(TABLE, CROWD // ranges), None]
    parts = list(itertools.pairwise(bounds))
    for start, end in [*parts[1::2], *parts[::2]]:
        at: str | None = start
        while (page := crowd.connector.read_range(TABLE, at, end, 700)).cursor is not None:
            at = page.cursor
    return clock.horizon


@pytest.mark.parametrize("ranges", [0, 4])
def test_a_reading_of_everything_is_a_look(crowd: Crowd, ranges: int) -> None:
    horizon = read_everything(crowd, ranges)
    keys = [crowd.edit("after it")]
    assert (crowd.read(), crowd.looked) == ([], False)
    assert crowd.since <= horizon - SECOND, "whatever comes meanwhile lies behind it"
    crowd.connector._plan(TABLE).search._last = None
    assert (crowd.read(), crowd.looked) == (keys, True)


@pytest.mark.parametrize("ranges", [0, 4])
def test_a_reading_of_everything_that_met_one_is_none(crowd: Crowd, ranges: int) -> None:
    key = crowd.edit("before it")
    read_everything(crowd, ranges)
    assert (crowd.read(), crowd.looked) == ([key], True)


def test_a_reading_of_everything_that_others_share_is_none(crowd: Crowd) -> None:
    crowd.connector.clock(TABLE)
    crowd.connector.read(TABLE, None, None, 1_000)
    [bound, *_] = crowd.connector.cut(TABLE, CROWD // 2)
    at: str | None = bound
    while at is not None:
        at = crowd.connector.read_range(TABLE, at, None, 700).cursor
    assert (crowd.read(), crowd.looked) == ([], True)


def test_a_reading_of_everything_without_a_clock_is_none(crowd: Crowd) -> None:
    assert crowd.connector.read(TABLE, None, None, 2 * CROWD).cursor is None
    assert (crowd.read(), crowd.looked) == ([], True)


def test_among_few_rows_a_reading_of_everything_does_not_hold(crowd: Crowd) -> None:
    crowd.database.execute("DELETE FROM thing WHERE id > ?", (searching.MANY,))
    read_everything(crowd)
    key = crowd.edit("not so many")
    assert (crowd.read(), crowd.looked) == ([key], True)

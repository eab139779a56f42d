"""The processes of the service as they were last seen, by the clock of the database."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.records import Stamp
from service.store import sql
from service.store.database import is_postgresql

_DATABASE_CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


@dataclass(frozen=True, slots=True)
class Seen:
    """A process. `silent`: microseconds since it was seen; `clock_ahead`: how far its clock was ahead of the
    database's."""

    name: str
    kind: str
    version: str
    level: str
    silent: Stamp
    clock_ahead: Stamp


def database_now(own: Stamp) -> Stamp:
    """The database's clock, in microseconds; SQLite has that of this machine, `own`."""
    return int(sql.rows(_DATABASE_CLOCK)[0][0]) if is_postgresql() else own


def see(name: str, kind: str, version: str, level: str, own: Stamp) -> None:
    """Note that a process lives, whose clock says `own`."""
    now = database_now(own)
    sql.execute(
        "INSERT INTO processes (name, kind, version, level, started_at, seen_at, clock_ahead)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at,"
        " clock_ahead = excluded.clock_ahead",
        name,
        kind,
        version,
        level,
        now,
        now,
        own - now,
    )


def forget(name: str) -> None:
    """Note that a process has ended."""
    sql.execute("DELETE FROM processes WHERE name = ?", name)


def forget_silent(own: Stamp, longer_than: Stamp) -> None:
    """Forget processes that nobody has seen for so many microseconds."""
    sql.execute("DELETE FROM processes WHERE seen_at < ?", database_now(own) - longer_than)


def seen(own: Stamp) -> list[Seen]:
    """Every process that is noted, the one that was seen last first."""
    now = database_now(own)
    found = sql.rows("SELECT name, kind, version, level, seen_at, clock_ahead FROM processes ORDER BY seen_at DESC")
    return [Seen(name, kind, version, level, now - at, ahead) for name, kind, version, level, at, ahead in found]

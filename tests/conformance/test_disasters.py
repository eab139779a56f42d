"""Disasters, as `docs/disasters.md` tells them: what an application loses, Accord does not take away from the other one.

Every world has two dozen coupled pairs and work in hand: one customer and one account that were edited and not
synchronized yet. A disaster strikes, runs are made, and both applications are compared, complete, with what they were
when it had struck. Then it is undone, and the next run does the work that was in hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from service.core.failures import Failure, SideFailed
from service.core.records import Side
from service.operations import connections, execution, runs
from service.operations.context import Context
from service.store.models import SyncRun
from tests.conformance.words import MemoryWorld, both, quiet, total
from tests.servers import PostgresServer
from tests.world import LINES, TABLES, World, errors, new_context

PAIRS = 24
HALF = PAIRS // 2
SIDES = list(Side)
POLICIES = ["none", "restoreRecords", "removeCoupling", "deletePartner"]
KINDS = ["modified", "full", "findDeleted"]

Strike = Callable[[World, Side], None]


def fill(world: World, pairs: int = PAIRS) -> None:
    """So many pairs in step, known to both sides by their numbers."""
    for number in range(1, pairs + 1):
        world.add("local", number=f"{number:02}", name=f"Customer {number}", city="Oslo")
    assert total(world.run(), "inserted") == pairs
    assert quiet(world.run())


def work_in_hand(world: World) -> None:
    """What two people did before the disaster: the first customer and the second account are edited."""
    world.sql("local", "UPDATE customer SET name = 'Edited in the ERP' WHERE number = '01'")
    world.sql("integration", "UPDATE account SET name = 'Edited in the CRM' WHERE accountnumber = '02'")


def work_is_done(world: World) -> bool:
    """Whether that work has arrived on the other side."""
    (customer,) = world.sql("local", "SELECT name FROM customer WHERE number = '02'")
    (account,) = world.sql("integration", "SELECT name FROM account WHERE accountnumber = '01'")
    return (customer, account) == (("Edited in the CRM",), ("Edited in the ERP",))


def contents(world: World) -> dict[Side, bytes]:
    """All that both applications hold, to the byte."""
    return {side: file.read_bytes() if file.exists() else b"" for side, file in world.files.items()}


def restore(world: World, kept: dict[Side, bytes]) -> None:
    """Both applications as they were."""
    for side, held in kept.items():
        world.files[side].write_bytes(held)


def assert_stopped(run: SyncRun, code: str) -> None:
    """One clear reason, and one error."""
    assert (run.status, run.code) == ("failed", code), (run.status, run.code, both(run))
    assert [error.code for error in errors(status="open", run_id=run.id)] == [code]


def assert_survived(world: World, code: str, kinds: list[str], **given: Any) -> None:
    """Runs of these kinds stop for this reason, write nothing anywhere, and set nothing aside."""
    before = contents(world)
    for kind in kinds:
        assert_stopped(world.run(kind, **given), code)
        assert contents(world) == before
    assert world.skips(None) == []


def assert_back_to_work(world: World) -> None:
    """The disaster is undone: the work in hand is done, everything is explained, and nothing is left to do."""
    run = world.run()
    assert run.status == "succeeded", (run.code, both(run))
    assert total(run, "modified") == 2
    assert work_is_done(world)
    assert errors(status="open") == []
    assert world.skips(None) == []
    assert quiet(world.run("full"))


# What stops every run, whatever its kind


def emptied(world: World, side: Side) -> None:
    world.sql(side, f"DELETE FROM {TABLES[side][0]}")


def emptied_and_begun_anew(world: World, side: Side) -> None:
    """The table is dropped and made again by an installation."""
    with closing(psycopg_free(world, side)) as made:
        made.executescript(structure(world, side))


def table_renamed(world: World, side: Side) -> None:
    world.sql(side, f"ALTER TABLE {TABLES[side][0]} RENAME TO {TABLES[side][0]}_old")


def table_dropped(world: World, side: Side) -> None:
    world.sql(side, f"DROP TABLE {TABLES[side][0]}")


def column_renamed(world: World, side: Side) -> None:
    world.sql(side, f"ALTER TABLE {TABLES[side][0]} RENAME COLUMN name TO full_name")


def stamp_renamed(world: World, side: Side) -> None:
    world.sql(side, f"ALTER TABLE {TABLES[side][0]} RENAME COLUMN {TABLES[side][2]} TO changed_on")


def file_missing(world: World, side: Side) -> None:
    world.files[side].unlink()


def file_is_garbage(world: World, side: Side) -> None:
    world.files[side].write_bytes(b"What is this? It is no database. " * 400)


def file_is_empty(world: World, side: Side) -> None:
    world.files[side].write_bytes(b"")

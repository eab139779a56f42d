"""PostgreSQL is restarted in the midst of a run, without a word: that of the state, or that of the applications. The
run goes on by itself. `ACCORD_EVERY_WAY=1` tries it without a queue too."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.servers import PostgresServer, postgres_server
from tests.service.installation import installation
from tests.service.test_upgrade import reads

RECORDS = 4_000


@pytest.fixture(scope="module")
def other() -> Iterator[PostgresServer]:
    """A server of one's own, to be restarted."""
    with postgres_server() as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            # What was committed is there after a restart, as in production.
            connection.execute("ALTER SYSTEM SET synchronous_commit = on")
            connection.execute("SELECT pg_reload_conf()")
        yield server


@pytest.mark.parametrize("of", ["the state", "the applications"])
@pytest.mark.parametrize("queue", ["procrastinate", *([""] if os.environ.get("ACCORD_EVERY_WAY") else [])])
def test_a_run_goes_on_after_a_restart(
    tmp_path: Path, postgres: PostgresServer, other: PostgresServer, of: str, queue: str
) -> None:
    state, application = (other, postgres) if of == "the state" else (postgres, other)
    with installation(tmp_path, state, application, ACCORD_LEASE_SECONDS="6", ACCORD_QUEUE_URL=queue) as place:
        mapping_ids = place.map(1, RECORDS)
        place.start("web0", "work0")
        place.trigger(["web0"], mapping_ids)
        place.wait_for(partial(reads, place, 1_000))
        began = time.monotonic()
        other.restart()
        print(f"PostgreSQL of {of} was away for {time.monotonic() - began:.1f} s", end="; ")
        place.wait_for_all()
        print(f"the run had ended {time.monotonic() - began:.1f} s after it went")
        assert place.runs("status") == [("succeeded",)], place.log("work0")
        place.assert_same(1)
        # Whoever asks next is answered.
        place.trigger(["web0"], mapping_ids)
        place.wait_for_all()
        assert place.runs("status") == [("succeeded",)] * 2
        place.end("work0", "web0")

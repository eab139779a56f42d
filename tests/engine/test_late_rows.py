"""Records that show later than their stamps say: long transactions, many records with one stamp, coarse stamps, edits
while a reading is on its way. When the transactions have ended, one ordinary run leaves nothing to be found."""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from service.store import watermarks
from tests.servers import PostgresServer
from tests.sites import INTEGRATION, LOCAL, Site, Sites, add, edit, postgres_site, sqlite_site

Compared = Callable[[Sites], None]
Maker = Callable[..., Sites]


@pytest.fixture
def make(state: str, postgres: PostgresServer, tmp_path: Path) -> Iterator[Maker]:
    """Makes a mapping of PostgreSQL with the kind of database that the state is on; the arguments are those of
    `postgres_site`. Nothing is read twice for an overlap: what is found is found for a better reason."""
    with ExitStack() as stack:

        def made(**given: Any) -> Sites:
            local = stack.enter_context(postgres_site(postgres, **given))
            sqlite = state.startswith("sqlite:")
            other = sqlite_site(tmp_path) if sqlite else stack.enter_context(postgres_site(postgres))
            sites = Sites({LOCAL: local, INTEGRATION: other})
            sites.map(overlap=0)
            return sites

        yield made


def numbers(first: str, many: int) -> list[str]:
    return [f"{first}{number:05}" for number in range(many)]


def beyond_the_window() -> None:
    """Let so much time pass that what is late is not found merely because readings start at a whole second."""
    time.sleep(1.02)


# Transactions that commit late


@pytest.mark.parametrize("now", ["now()", "clock_timestamp()"])
def test_transactions_held_open_across_runs_and_committed_in_reverse_order(
    make: Maker, compared: Compared, now: str
) -> None:
    sites = make(now=now)
    erp = sites[LOCAL]
    erp.add(numbers("a", 40))
    sites.run()
    with erp.transaction() as first:
        add(first, ["first"])
        edit(first, ["a00000"], "Early ")
        beyond_the_window()
        erp.add(["between"])
        sites.run()
        with erp.transaction() as second:
            add(second, numbers("large", 450))
            edit(second, ["a00001", "a00002"], "Second ")
            with erp.transaction() as third:
                edit(third, ["a00003"], "Third ")
            assert sites.run().counts["toIntegration"]["modified"] == 1
            edit(second, ["a00004"], "Second ")
            beyond_the_window()
            erp.add(numbers("later", 600))
            sites.run()
        sites.run()
        erp.sql("UPDATE item SET name = 'Latest' WHERE number = 'between'")
        sites.run()
        assert "first" not in sites[INTEGRATION].rows()
    run = sites.run()
    assert run.status == "succeeded"
    assert sites[INTEGRATION].rows()["a00000"][0] == "Early a00000"
    compared(sites)
    assert sites.run().counts["toIntegration"]["read"] == 0


def test_late_transactions_on_both_sides(state: str, postgres: PostgresServer, compared: Compared) -> None:
    with postgres_site(postgres) as erp, postgres_site(postgres, now="clock_timestamp()") as crm:
        sites = Sites({LOCAL: erp, INTEGRATION: crm}, page_size=50)
        sites.map(conflict_detection="field", overlap=0)
        erp.add(numbers("a", 100))
        sites.run()
        with erp.transaction() as here, crm.transaction() as there:
            edit(here, ["a00000", "a00001"], "Here ")
            edit(there, ["a00002", "a00003"], "There ")
            add(here, numbers("here", 120))
            add(there, numbers("there", 120))
            beyond_the_window()
            for number in range(3):
                erp.sql("UPDATE item SET quantity = ? WHERE number = 'a00010'", number)
                crm.sql("UPDATE item SET amount = ? WHERE number = 'a00010'", number)
                sites.run()
        sites.run()
        compared(sites)
        assert len(erp.rows()) == 340


def test_a_transaction_that_an_error_has_stopped_goes_on_from_its_savepoint(make: Maker, compared: Compared) -> None:
    sites = make()
    erp = sites[LOCAL]
    with closing(erp.connect()) as connection:
        connection.execute("BEGIN")
        add(connection, ["late"])
        connection.execute("SAVEPOINT here")
        with pytest.raises(Exception, match="division"):
            connection.execute("SELECT 1 / 0")
        erp.add(["early"])
        beyond_the_window()
        erp.add(["later"])
        sites.run()
        connection.execute("ROLLBACK TO SAVEPOINT here")
        connection.execute("COMMIT")
    sites.run()
    compared(sites)


def test_a_transaction_that_is_prepared_before_it_is_committed(make: Maker, compared: Compared) -> None:
    """PostgreSQL keeps when it was prepared, and not when it began."""
    sites = make()
    erp = sites[LOCAL]
    with closing(erp.connect()) as connection:
        connection.execute("BEGIN")
        add(connection, ["late"])
        beyond_the_window()
        connection.execute("PREPARE TRANSACTION 'late'")
        erp.add(["early"])
        sites.run()
        erp.add(["later"])
        sites.run()
        connection.execute("COMMIT PREPARED 'late'")
    sites.run()
    compared(sites)


def test_a_writer_of_sqlite_that_commits_after_a_run(
    state: str, postgres: PostgresServer, tmp_path: Path, compared: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stamps its rows when it writes them; until it commits, nobody else can write, and the horizon waits for it."""
    monkeypatch.setattr("service.connectors.sql.sqlite._BUSY_SECONDS", 0.05)
    with postgres_site(postgres) as crm:
        erp = sqlite_site(tmp_path)
        sites = Sites({LOCAL: erp, INTEGRATION: crm})
        sites.map(direction="toIntegration", overlap=0)
        erp.sql("INSERT INTO item (id, number) VALUES ('1', 'first')")
        sites.run()
        with closing(sqlite3.connect(erp.url.removeprefix("sqlite:///"), isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("INSERT INTO item (id, number) VALUES ('2', 'late')")
            beyond_the_window()
            sites.run()
            writer.execute("INSERT INTO item (id, number) VALUES ('3', 'later')")
            writer.execute("COMMIT")
        sites.run()
        compared(sites)


# One stamp for many


def test_ten_thousand_records_with_one_stamp(make: Maker, compared: Compared) -> None:
    sites = make()
    erp = sites[LOCAL]
    with erp.transaction() as late:
        add(late, ["late"])
        beyond_the_window()
        erp.add(numbers("a", 10_000))
        assert len(erp.sql("SELECT DISTINCT modified_at FROM item")) == 1
        sites.run()
        assert len(sites[INTEGRATION].rows()) == 10_000
        erp.sql("UPDATE item SET name = 'Edited', modified_at = modified_at WHERE number < 'a00100'")
    sites.run()
    compared(sites)


def test_records_with_a_stamp_that_ten_thousand_had_before_them(make: Maker, compared: Compared) -> None:
    """They come from nowhere: no transaction was open when the others were read. The count tells."""
    sites = make()
    erp = sites[LOCAL]
    erp.add(numbers("a", 10_000))
    sites.run()
    stamp = erp.sql("SELECT max(modified_at) FROM item")[0][0]
    for first in ("b", "c"):
        with erp.transaction() as connection:
            add(connection, numbers(first, 700))
            connection.execute("ALTER TABLE item DISABLE TRIGGER stamp")
            connection.execute("UPDATE item SET modified_at = %s WHERE number LIKE %s", [stamp, f"{first}%"])
            connection.execute("ALTER TABLE item ENABLE TRIGGER stamp")
        sites.run()
        compared(sites)
    assert sites.run().counts["toIntegration"]["read"] == 0


# Coarse stamps


@pytest.mark.parametrize("second", ["12:00:00.2", "12:00:00.8"])
def test_edits_within_the_second_of_a_run(make: Maker, compared: Compared, second: str) -> None:
    """PostgreSQL rounds: in the second half of a second its stamps are later than its clock."""
    sites = make(stamp="timestamp(0)", now="clock_timestamp()", clock=True)
    erp = sites[LOCAL]
    erp.stop_clock(f"2026-03-01T{second}Z")
    erp.add(numbers("a", 700))
    sites.run()
    for number in range(3):
        erp.sql(f"UPDATE item SET name = 'Edit {number}' WHERE number IN ('a00005', 'a00600', 'a0010{number}')")
        erp.add([f"new{number}"])
        sites.run()
        compared(sites)
    erp.stop_clock("2026-03-01T12:00:01.5Z")
    erp.sql("UPDATE item SET name = 'Another second' WHERE number = 'a00005'")
    sites.run()
    compared(sites)


def test_stamps_that_are_mere_dates(make: Maker, compared: Compared) -> None:
    """A record edited twice on one day has the same stamp twice, hours apart."""
    sites = make(stamp="date", now="clock_timestamp()", clock=True)
    erp = sites[LOCAL]
    erp.sql(f"ALTER DATABASE {erp.url.rpartition('/')[2]} SET timezone = 'UTC'")
    for moment in ("2026-03-01T08:00Z", "2026-03-01T17:30Z", "2026-03-01T23:59:59.9Z", "2026-03-02T00:00:01Z"):
        erp.stop_clock(moment)
        erp.add(f"{moment}-{number}" for number in range(250))
        sites.run()
        erp.sql("UPDATE item SET name = ? WHERE number LIKE '2026-03-01T08:00Z-1_'", moment)
        sites.run()
        compared(sites)
    assert len(erp.sql("SELECT DISTINCT modified_at FROM item")) == 2
    assert sites.run().counts["toIntegration"]["read"] == 0


# Edits while a reading is on its way


def test_records_that_move_between_pages(make: Maker, compared: Compared) -> None:
    sites = make(now="now()")
    sites.page_size = 20
    erp, chance = sites[LOCAL], random.Random(7)
    for block in range(4):
        erp.add(numbers(f"{block}-", 40))
    sites.run()
    with ExitStack() as stack:
        held = [stack.enter_context(erp.transaction()) for _ in range(3)]
        beyond_the_window()
        pages = 0

        def disturb() -> None:
            nonlocal pages
            pages += 1
            every = [f"{chance.randrange(4)}-{chance.randrange(40):05}" for _ in range(4)]
            erp.sql("UPDATE item SET quantity = ? WHERE number = ANY(?)", pages, every[:3])
            erp.sql("DELETE FROM item WHERE number = ?", f"gone{pages - 2}")
            erp.add([f"gone{pages}", f"new{pages}"])
            if pages % 4 == 0 and held:  # What it stamps now lies before all that was edited since it began.
                late = held.pop()
                edit(late, [*every, f"new{pages}"], f"Late {pages} ")
                late.execute("COMMIT")

        erp.sql("UPDATE item SET name = 'Edited ' || number")
        for _ in range(2):
            sites.run(between=disturb)
        assert not held
    sites.run()
    sites[INTEGRATION].sql("DELETE FROM item WHERE number BETWEEN 'gone' AND 'gonf'")
    erp.sql("DELETE FROM item WHERE number BETWEEN 'gone' AND 'gonf'")
    compared(sites)


def test_a_record_that_moves_into_what_was_read_already(make: Maker, compared: Compared) -> None:
    sites = make(now="now()")
    sites.page_size = 10
    erp = sites[LOCAL]
    erp.add(numbers("a", 20))
    with erp.transaction() as late:
        beyond_the_window()
        erp.add(numbers("b", 30))
        pages = 0

        def disturb() -> None:
            nonlocal pages
            pages += 1
            if pages == 4:  # Its new stamp is that of the transaction's start, before all that was read last.
                edit(late, ["b00029"], "Moved back ")
                late.execute("COMMIT")

        sites.run(between=disturb)
        assert pages > 4
    assert sites[INTEGRATION].rows().get("b00029") is None
    sites.run()
    assert sites[INTEGRATION].rows()["b00029"][0] == "Moved back b00029"
    compared(sites)


def test_a_watermark_is_never_later_than_the_oldest_open_transaction(make: Maker) -> None:
    sites = make()
    erp: Site = sites[LOCAL]
    with erp.transaction() as late:
        started = round(late.execute("SELECT extract(epoch FROM now()) * 1000000").fetchone()[0])  # type: ignore[index]
        erp.add(numbers("a", 3))
        sites.run()
        mark = watermarks.get(sites.mapping_id, LOCAL)
        assert mark is not None
        assert mark.stamp <= started < mark.modified_on


def test_a_run_that_fails_among_stamps_of_mixed_shapes(
    state: str, postgres: PostgresServer, tmp_path: Path, compared: Compared
) -> None:
    """SQLite reads a blank before a T, whatever the hour: the first page is late in the day, the second early."""
    with postgres_site(postgres) as crm:
        erp = sqlite_site(tmp_path)
        sites = Sites({LOCAL: erp, INTEGRATION: crm}, page_size=10)
        sites.map(direction="toIntegration")
        for number in range(10):
            erp.sql(
                "INSERT INTO item VALUES (?, ?, 'n', 1, 1, NULL, '2026-03-01 17:00:00')", f"a{number}", f"a{number}"
            )
            erp.sql(
                "INSERT INTO item VALUES (?, ?, 'n', 1, 1, NULL, '2026-03-01T08:00:00')", f"b{number}", f"b{number}"
            )
        pages = 0

        def break_off() -> None:
            nonlocal pages
            pages += 1
            if pages == 2:
                crm.sql("ALTER TABLE item RENAME TO elsewhere")

        assert sites.run(between=break_off).status == "failed"
        crm.sql("ALTER TABLE elsewhere RENAME TO item")
        assert len(crm.rows()) == 10
        sites.run()
        compared(sites)


def test_a_run_that_fails_while_it_reads_behind_the_watermark(make: Maker, compared: Compared) -> None:
    sites = make()
    sites.page_size = 10
    erp, crm = sites[LOCAL], sites[INTEGRATION]
    with erp.transaction() as late:
        add(late, numbers("late", 25))
        beyond_the_window()
        erp.add(numbers("early", 10))
        sites.run()
    pages = 0

    def break_off() -> None:
        nonlocal pages
        pages += 1
        if pages == 2:
            crm.sql("ALTER TABLE item RENAME TO elsewhere")

    assert sites.run(between=break_off).status == "failed"
    crm.sql("ALTER TABLE elsewhere RENAME TO item")
    assert 10 < len(crm.rows()) < 35
    sites.run()
    compared(sites)

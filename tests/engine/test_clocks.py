"""Clocks of applications that are set back: what is edited then has stamps that were passed already, and is found all
the same. The clock is PostgreSQL's own, as far as anybody who asks it can tell."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from service.core.records import Stamp
from service.operations.context import steady_clock
from service.store import watermarks
from tests.servers import PostgresServer
from tests.sites import INTEGRATION, LOCAL, Sites, edit, postgres_site, sqlite_site
from tests.world import new_context

MINUTE = 60_000_000
HOUR = 60 * MINUTE


@dataclass
class Watch:
    """Our own clock, with time that passes when we say so."""

    passed: Stamp = 0

    def __post_init__(self) -> None:
        self._real = steady_clock()

    def __call__(self) -> Stamp:
        return self._real() + self.passed


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def sites(state: str, postgres: PostgresServer, tmp_path: Path, watch: Watch) -> Iterator[Sites]:
    with ExitStack() as stack:
        erp = stack.enter_context(postgres_site(postgres, now="clock_timestamp()", clock=True))
        sqlite = state.startswith("sqlite:")
        crm = sqlite_site(tmp_path) if sqlite else stack.enter_context(postgres_site(postgres))
        made = Sites({LOCAL: erp, INTEGRATION: crm}, replace(new_context(), steady=watch))
        made.map()
        erp.add(f"a{number:03}" for number in range(300))
        made.run()
        yield made


def work(sites: Sites, name: str) -> None:
    """One record is new, five are edited."""
    sites[LOCAL].add([name])
    with sites[LOCAL].transaction() as connection:
        edit(connection, [f"a00{number}" for number in range(5)], f"{name} ")


def test_a_clock_that_is_set_back_by_an_hour(sites: Sites, compared: Callable[[Sites], None]) -> None:
    erp = sites[LOCAL]
    erp.set_back("1 hour")
    for number in range(3):
        work(sites, f"set back {number}")
        mark = watermarks.get(sites.mapping_id, LOCAL)
        run = sites.run()
        assert (run.status, run.counts["toIntegration"]["read"]) == ("succeeded", 6)
        compared(sites)
        after = watermarks.get(sites.mapping_id, LOCAL)
        assert mark is not None
        assert after is not None
        assert after.modified_on >= mark.modified_on, "it moves forward"
        assert after.stamp < mark.read_at - 59 * MINUTE or number, "and is not ahead of the clock"
    erp.set_back("0")
    work(sites, "put right")
    sites.run()
    compared(sites)
    assert sites.run().counts["toIntegration"]["read"] == 0


def test_edits_between_the_setting_of_a_clock_and_the_next_run(
    sites: Sites, watch: Watch, compared: Callable[[Sites], None]
) -> None:
    """Two hours pass, and the clock only shows one: it was never behind what it showed at the last run."""
    erp = sites[LOCAL]
    erp.set_back("40 minutes")
    work(sites, "while it was behind")
    erp.set_back("-1 hour")
    watch.passed = 2 * HOUR
    sites.run()
    compared(sites)


def test_a_machine_whose_clock_we_share_is_set_back(
    sites: Sites, watch: Watch, compared: Callable[[Sites], None]
) -> None:
    """Accord was started again after that: nobody can tell how much time has passed."""
    erp = sites[LOCAL]
    erp.set_back("1 hour")
    work(sites, "just after")
    erp.set_back("15 minutes")
    watch.passed = -15 * MINUTE
    sites.run()
    compared(sites)
    work(sites, "later")
    assert sites.run().counts["toIntegration"]["read"] == 6
    compared(sites)


def test_the_newest_record_goes_while_the_clock_is_behind(sites: Sites, compared: Callable[[Sites], None]) -> None:
    """The reading ends before the watermark, which stays, and yet everything was read."""
    erp = sites[LOCAL]
    erp.add(["newest"])
    sites.run()
    erp.set_back("1 hour")
    erp.sql("UPDATE item SET name = 'Edited' WHERE number = 'newest'")
    work(sites, "set back")
    sites.run()
    work(sites, "again")
    sites.run()
    compared(sites)
    mark = watermarks.get(sites.mapping_id, LOCAL)
    assert mark is not None
    assert mark.read_at < mark.modified_on


def test_a_backup_is_told_from_a_clock_that_was_set_back(sites: Sites) -> None:
    """What has stamps from long before the last run is no edit, wherever the clock is."""
    erp = sites[LOCAL]
    erp.sql("UPDATE item SET name = 'Old', modified_at = modified_at - interval '1 day' WHERE number LIKE 'a0%'")
    assert sites.run("full").code == "side_went_back"
    erp.set_back("1 hour")
    assert sites.run("full").code == "side_went_back"

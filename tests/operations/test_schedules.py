"""When mappings are due, under a clock that the test sets: intervals, cron, daylight saving, back-off, missed times."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from service.core.records import Side, moment_of, stamp_of
from service.operations import changes, execution, mappings, runs
from service.operations.schedules import next_due, problems
from service.store.database import database, migrate, open_database
from service.store.models import SyncRun
from service.worker import run_until_idle, start_due
from tests.world import World, new_context

MINUTE = 60_000_000


def due(schedule: dict[str, Any], after: str, idle_runs: int = 0) -> str:
    found = next_due(schedule, stamp_of(datetime.fromisoformat(after)), idle_runs)
    assert found is not None
    return moment_of(found).isoformat()


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ({"everyMinutes": 30}, "2026-03-01T10:00:00+00:00", "2026-03-01T10:30:00+00:00"),
        ({"everyMinutes": 1440}, "2026-03-28T12:00:00+00:00", "2026-03-29T12:00:00+00:00"),
        ({"cron": "0 6 * * 1-5"}, "2026-11-20T06:00:00+00:00", "2026-11-23T06:00:00+00:00"),
        ({"cron": "*/15 * * * *"}, "2026-11-20T06:01:00+00:00", "2026-11-20T06:15:00+00:00"),
        ({"cron": "0 0 29 2 *"}, "2026-01-01T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
        ({"cron": "0 9 * * *", "timeZone": "Europe/Oslo"}, "2026-01-10T00:00:00+00:00", "2026-01-10T08:00:00+00:00"),
        ({"cron": "0 9 * * *", "timeZone": "Europe/Oslo"}, "2026-07-10T00:00:00+00:00", "2026-07-10T07:00:00+00:00"),
        ({"cron": "0 9 * * *", "timeZone": "Asia/Kathmandu"}, "2026-07-10T00:00:00+00:00", "2026-07-10T03:15:00+00:00"),
    ],
)
def test_the_next_time(schedule: dict[str, Any], after: str, expected: str) -> None:
    assert due(schedule, after) == expected


OSLO = {"timeZone": "Europe/Oslo"}


def test_a_time_that_does_not_exist_in_spring_comes_when_the_clock_has_jumped() -> None:
    """On 29 March 2026 the hour after 02:00 is left out in Oslo."""
    nightly = {"cron": "30 2 * * *", **OSLO}
    assert due(nightly, "2026-03-28T12:00:00+00:00") == "2026-03-29T01:00:00+00:00"
    assert due(nightly, "2026-03-29T01:00:00+00:00") == "2026-03-30T00:30:00+00:00"


def test_a_time_that_comes_twice_in_autumn_is_taken_once() -> None:
    """On 25 October 2026 the hour after 02:00 comes twice in Oslo."""
    nightly = {"cron": "30 2 * * *", **OSLO}
    first = due(nightly, "2026-10-24T12:00:00+00:00")
    assert first == "2026-10-25T00:30:00+00:00"
    assert due(nightly, first) == "2026-10-26T01:30:00+00:00"


def test_every_half_hour_means_every_half_hour_while_clocks_change() -> None:
    half_hours = {"cron": "*/30 * * * *", **OSLO}
    for night in ("2026-03-29T00:00:00+00:00", "2026-10-25T00:00:00+00:00"):
        times, now = [], night
        for _ in range(8):
            now = due(half_hours, now)
            times.append(datetime.fromisoformat(now))
        gaps = {later - earlier for earlier, later in pairwise(times)}
        assert len(gaps) == 1, night


def test_the_pause_doubles_up_to_the_slowest() -> None:
    schedule = {"everyMinutes": 10, "slowestMinutes": 60}
    pauses = [next_due(schedule, 0, idle) or 0 for idle in (0, 1, 2, 3, 4, 1000)]
    assert [pause // MINUTE for pause in pauses] == [10, 20, 40, 60, 60, 60]
    assert next_due({"everyMinutes": 10}, 0, 1000) == 10 * MINUTE


@pytest.mark.parametrize(
    ("schedule", "code"),
    [
        ({}, "schedule_form"),
        ({"everyMinutes": 1, "cron": "* * * * *"}, "schedule_form"),
        ({"everyMinutes": 1, "timeZone": "UTC"}, "schedule_form"),
        ({"cron": "* * * * *", "slowestMinutes": 9}, "schedule_form"),
        ({"slowestMinutes": 9}, "schedule_form"),
        ({"everyMinutes": 10, "slowestMinutes": 9}, "schedule_slowest"),
        ({"cron": "61 * * * *"}, "schedule_cron_wrong"),
        ({"cron": "0 0 31 2 *"}, "schedule_cron_wrong"),
        ({"cron": "* * * * *", "timeZone": "Mars/Olympus"}, "time_zone_unknown"),
    ],
)
def test_a_schedule_that_cannot_be(schedule: dict[str, Any], code: str) -> None:
    assert [problem.code for problem in problems(schedule)] in ([code], ["schedule_never_due"])


class Office(World):
    """A world whose clock stands where it was set."""

    now = stamp_of(datetime(2026, 11, 2, 8, tzinfo=UTC))

    def pass_minutes(self, minutes: int) -> int:
        """Let the scheduler look once a minute; how many runs it started."""
        started = 0
        for _ in range(minutes):
            self.now += MINUTE
            started += start_due(self.context)
            run_until_idle(self.context)
        return started

    def next_run_in(self) -> int:
        found: int = mappings.get(self.mapping_id)["status"]["next_run_at"]
        return (found - self.now) // MINUTE


@pytest.fixture
def office(tmp_path: Path) -> Any:
    open_database(f"sqlite:///{tmp_path / 'state.db'}")
    migrate()
    with database.connection_context():
        made: list[Office] = []
        clock: Callable[[], int] = lambda: made[0].now if made else Office.now  # noqa: E731
        made.append(Office(tmp_path, replace(new_context(), now=clock)))
        yield made[0]


def test_a_mapping_that_finds_nothing_slows_down_and_wakes(office: Office) -> None:
    office.map(schedule={"everyMinutes": 10, "slowestMinutes": 60})
    assert office.pass_minutes(9) == 0
    assert office.pass_minutes(1) == 1
    paces = []
    for _ in range(5):
        pause = office.next_run_in()
        paces.append(pause)
        assert office.pass_minutes(pause) == 1
    assert paces == [10, 20, 40, 60, 60]
    office.add("local", number="1", name="One")
    changes.announce(office.context, office.connection_ids[Side.LOCAL], ["customer"], "hint")
    run_until_idle(office.context)
    assert office.next_run_in() == 10


def test_saving_a_mapping_wakes_it(office: Office) -> None:
    office.map(schedule={"everyMinutes": 10, "slowestMinutes": 60})
    office.pass_minutes(100)
    assert office.next_run_in() > 10
    office.change_mapping(name="other")
    assert office.next_run_in() == 10


def test_missed_times_are_made_up_for_once(office: Office) -> None:
    office.map(schedule={"everyMinutes": 10})
    office.now += 24 * 60 * MINUTE
    assert start_due(office.context) == 1
    assert start_due(office.context) == 0
    assert office.next_run_in() == 10
    assert SyncRun.select().count() == 1


def test_what_a_person_asks_for_goes_before_schedules(office: Office) -> None:
    office.map(schedule={"everyMinutes": 1})
    office.now += MINUTE
    assert start_due(office.context) == 1
    asked = runs.start(office.context, runs.RunRequest(office.mapping_id, "full"), "anna")
    lease = execution.claim(office.context, "worker")
    assert lease is not None
    assert lease.run_id == asked.id


def test_a_scheduled_run_that_a_person_asks_for_goes_with_the_person(office: Office) -> None:
    office.map(schedule={"everyMinutes": 1})
    office.now += MINUTE
    assert start_due(office.context) == 1
    runs.start(office.context, runs.RunRequest(office.mapping_id, "full"), "anna")
    asked = runs.start(office.context, runs.RunRequest(office.mapping_id), "anna")
    lease = execution.claim(office.context, "worker")
    assert lease is not None
    assert lease.run_id == asked.id


def test_a_disabled_mapping_is_never_due(office: Office) -> None:
    office.map(schedule={"everyMinutes": 1}, enabled=False)
    assert office.pass_minutes(5) == 0

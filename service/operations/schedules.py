"""When a mapping is due: every so many minutes, or by a cron expression in a time zone.

A mapping that is due every so many minutes may slow down while its runs find nothing: each such run doubles the pause,
up to the slowest that the schedule allows. The first run that finds something, whoever asked for it, ends that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from service.core.errors import Problem
from service.core.records import Stamp, moment_of, stamp_of

DEFAULT_ZONE = "UTC"


def problems(schedule: Mapping[str, Any] | None) -> list[Problem]:
    """What is wrong with a schedule: `{"everyMinutes": n, "slowestMinutes": m}`, `{"cron": "...", "timeZone": "..."}`
    (the second of each may be left out), or None."""
    if schedule is None:
        return []
    own = {"everyMinutes", "slowestMinutes"} if "everyMinutes" in schedule else {"cron", "timeZone"}
    if not {"everyMinutes", "cron"} & schedule.keys() or not schedule.keys() <= own:
        return [Problem("/schedule", "schedule_form")]
    if "everyMinutes" in schedule:
        slowest = schedule.get("slowestMinutes", schedule["everyMinutes"])
        return [] if slowest >= schedule["everyMinutes"] else [Problem("/schedule/slowestMinutes", "schedule_slowest")]
    zone = schedule.get("timeZone", DEFAULT_ZONE)
    if not _known_zone(zone):
        return [Problem("/schedule/timeZone", "time_zone_unknown", {"name": zone})]
    try:
        due = next_due(schedule, 0)
    except CronSimError as error:
        return [Problem("/schedule/cron", "schedule_cron_wrong", {"detail": str(error)})]
    return [] if due is not None else [Problem("/schedule/cron", "schedule_never_due")]


def next_due(schedule: Mapping[str, Any] | None, after: Stamp, idle_runs: int = 0) -> Stamp | None:
    """The first time after `after` that a valid schedule names; None for no schedule. `idle_runs`: so many runs in a
    row have found nothing to do."""
    if schedule is None:
        return None
    if "everyMinutes" in schedule:
        slowest = schedule.get("slowestMinutes", schedule["everyMinutes"])
        minutes = min(schedule["everyMinutes"] * 2 ** min(idle_runs, 30), slowest)
        return stamp_of(moment_of(after) + timedelta(minutes=minutes))
    local = moment_of(after).astimezone(ZoneInfo(schedule.get("timeZone", DEFAULT_ZONE)))
    due = next(CronSim(schedule["cron"], local), None)
    return None if due is None else stamp_of(due)


def upcoming(schedule: Mapping[str, Any] | None, after: Stamp, count: int) -> list[Stamp]:
    """The next times that a valid schedule names, while its runs find something to do."""
    times: list[Stamp] = []
    due = next_due(schedule, after)
    while due is not None and len(times) < count:
        times.append(due)
        due = next_due(schedule, due)
    return times


def _known_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True

"""When a mapping is due: every so many minutes, or by a cron expression in a time zone."""

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
    """What is wrong with a schedule: `{"everyMinutes": n}`, `{"cron": "...", "timeZone": "..."}`, or None."""
    if schedule is None:
        return []
    if ("everyMinutes" in schedule) == ("cron" in schedule) or {"everyMinutes", "timeZone"} <= schedule.keys():
        return [Problem("/schedule", "schedule_form")]
    if "everyMinutes" in schedule:
        return []
    zone = schedule.get("timeZone", DEFAULT_ZONE)
    if not _known_zone(zone):
        return [Problem("/schedule/timeZone", "time_zone_unknown", {"name": zone})]
    try:
        due = next_due(schedule, 0)
    except CronSimError as error:
        return [Problem("/schedule/cron", "schedule_cron_wrong", {"detail": str(error)})]
    return [] if due is not None else [Problem("/schedule/cron", "schedule_never_due")]


def next_due(schedule: Mapping[str, Any] | None, after: Stamp) -> Stamp | None:
    """The first time after `after` that a valid schedule names; None for no schedule."""
    if schedule is None:
        return None
    if "everyMinutes" in schedule:
        return stamp_of(moment_of(after) + timedelta(minutes=schedule["everyMinutes"]))
    local = moment_of(after).astimezone(ZoneInfo(schedule.get("timeZone", DEFAULT_ZONE)))
    due = next(CronSim(schedule["cron"], local), None)
    return None if due is None else stamp_of(due)


def _known_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True

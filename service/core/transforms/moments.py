"""Transformations of dates, times and moments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from service.core.compare import datetime_text, parse_datetime
from service.core.records import FieldType, Scalar
from service.core.transforms.base import (
    MOMENTS,
    TEXTS,
    Function,
    Given,
    Params,
    Step,
    Transform,
    Wrong,
    always,
    refuse,
    text,
)

# What strftime makes of a year before 1000, or of %b in another language, differs between machines: so only these.
_CODES: Mapping[str, Callable[[datetime], str]] = {
    "Y": lambda moment: f"{moment.year:04}",
    "y": lambda moment: f"{moment.year % 100:02}",
    "m": lambda moment: f"{moment.month:02}",
    "d": lambda moment: f"{moment.day:02}",
    "j": lambda moment: f"{moment.timetuple().tm_yday:03}",
    "H": lambda moment: f"{moment.hour:02}",
    "M": lambda moment: f"{moment.minute:02}",
    "S": lambda moment: f"{moment.second:02}",
    "f": lambda moment: f"{moment.microsecond:06}",
    "%": lambda _: "%",
}
_PLACE = re.compile(r"%(.?)", re.DOTALL)
_DAY, _CLOCK = {"Y", "m", "d"}, {"H", "M", "S", "f"}


def _codes(format: str) -> set[str]:
    return set(_PLACE.findall(format))


def _format(given: Given, params: Params) -> Function:
    format = params["format"]

    def formatted(value: Scalar) -> Scalar:
        if not isinstance(value, str) or value == "":
            return value
        try:
            moment = _read(value, given.type)
        except ValueError:
            raise refuse(given, "not_a", expected="date") from None
        return _PLACE.sub(lambda found: _CODES[found[1]](moment), format)

    return formatted


def _read(value: str, type: FieldType | None) -> datetime:
    if type is FieldType.TIME:
        return datetime.combine(date(1900, 1, 1), time.fromisoformat(value))
    return parse_datetime(value)


def _parse(given: Given, params: Params) -> Function:
    format, type = params["format"], _parsed_type(None, params)

    def parsed(value: Scalar) -> Scalar:
        if not isinstance(value, str):
            return value
        if value.strip() == "":
            return None
        try:
            moment = datetime.strptime(value.strip(), format).replace(tzinfo=UTC)
        except ValueError:
            raise refuse(given, "not_of_form", format=format) from None
        if type is FieldType.DATE:
            return moment.date().isoformat()
        return moment.time().isoformat() if type is FieldType.TIME else datetime_text(moment)

    return parsed


def _parsed_type(_type: FieldType | None, params: Params) -> FieldType:
    codes = _codes(params["format"])
    if not codes & {"Y", "y"}:
        return FieldType.TIME
    return FieldType.DATETIME if codes & _CLOCK else FieldType.DATE


def _parsing(params: Params) -> Step | None:
    """A format is read again where it says the whole day, the time of day down to where it stops, or both."""
    codes = _codes(params["format"])
    day, clock = codes & (_DAY | {"y", "j"}), codes & _CLOCK
    whole_day = day == _DAY or day == {"Y", "j"}
    whole_clock = clock in ({"H"}, {"H", "M"}, {"H", "M", "S"}, _CLOCK)
    if (whole_day or not day) and (whole_clock or not clock) and (day or clock):
        return Step("parseDate", dict(params))
    return None


def _wrong_format(params: Params) -> Wrong:
    codes = _codes(params["format"])
    unknown = codes - _CODES.keys()
    if unknown or not codes - {"%"}:
        yield "format", "date_format_wrong", {"codes": [f"%{code}" for code in _CODES]}


def _wrong_reading(params: Params) -> Wrong:
    """What is read must say one thing: a year, or a time of day, and nothing twice."""
    wrong = list(_wrong_format(params))
    if not wrong:
        try:
            shown = _PLACE.sub(lambda found: _CODES[found[1]](_SAMPLE), params["format"])
            datetime.strptime(shown, params["format"]).replace(tzinfo=UTC)
        except (ValueError, re.error):
            wrong.append(("format", "date_format_wrong", {"codes": [f"%{code}" for code in _CODES]}))
    yield from wrong


_SAMPLE = datetime(2004, 2, 29, 13, 14, 15, 16, tzinfo=UTC)


def _zone(given: Given, params: Params) -> Function:
    """The same moment by another clock on the wall; what the clock showed travels as if it were UTC."""
    # Reading the rules of a zone is the only file access in this package; it is done once, before a run.
    here, there = ZoneInfo(params["from"]), ZoneInfo(params["to"])

    def moved(value: Scalar) -> Scalar:
        if not isinstance(value, str) or value == "":
            return value
        try:
            shown = parse_datetime(value).replace(tzinfo=here)
            return datetime_text(shown.astimezone(there).replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            raise refuse(given, "not_a", expected="datetime") from None

    return moved


def _zone_back(params: Params) -> Step:
    return Step("timeZone", {"from": params["to"], "to": params["from"]})


def _wrong_zone(params: Params) -> Wrong:
    for name in ("from", "to"):
        try:
            ZoneInfo(params[name])
        except (ValueError, OSError, LookupError):
            yield name, "time_zone_unknown", {"name": params[name]}


_FORMAT = {"format": text(2, 100)}

MOMENT_TRANSFORMS = {
    "dateFormat": Transform(_format, _FORMAT, MOMENTS, always(FieldType.STRING), _parsing, _wrong_format),
    "parseDate": Transform(_parse, _FORMAT, TEXTS, _parsed_type, wrong=_wrong_reading),
    "timeZone": Transform(
        _zone,
        {"from": text(1, 100), "to": text(1, 100, default="UTC")},
        frozenset({FieldType.DATETIME, FieldType.STRING}),
        always(FieldType.DATETIME),
        _zone_back,
        _wrong_zone,
    ),
}

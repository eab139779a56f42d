"""Numbers and moments as a language writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal

_SECOND = 1_000_000


def number(value: float, language: str) -> str:
    """12345.5 as 12,345.5, 12 345,5 and the like, with at most three decimals."""
    return str(format_decimal(value, locale=language))


def moment(stamp: int, language: str) -> str:
    """A stamp (microseconds since 1970) as date and time in UTC, to the second."""
    at = datetime.fromtimestamp(stamp / _SECOND, UTC)
    return str(format_datetime(at, "medium", locale=language))


def distance(stamp: int, now: int, language: str) -> str:
    """How far a stamp is from now: "3 minutes ago", "in 2 hours"."""
    between = timedelta(microseconds=stamp - now)
    return str(format_timedelta(between, add_direction=True, locale=language))


def iso(stamp: int) -> str:
    """A stamp as machines read it, for the attributes of a page."""
    return datetime.fromtimestamp(stamp / _SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""The settings of kind `tryton`, read and checked before anything is connected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from service.connectors.base import SettingsRefused

SETTINGS: Mapping[str, str] = {
    "url": "Where the server is, without the database: https://erp.example.com.",
    "database": "The name of the database.",
    "linkTemplate": "Where a person opens a record: a URL with {table} and {key}; else the server's own web client.",
    "overlapSeconds": "How many seconds behind the watermark are read again, for stamps that appear late (10).",
}
OVERLAP = 10_000_000
"""Microseconds. Tryton stamps a record when its transaction begins to write it, and does not say which are open."""

Problem: TypeAlias = tuple[str, str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a connection's settings and credentials say."""

    url: str
    database: str
    username: str
    password: str = field(repr=False)
    link_template: str | None
    overlap: int


def read_settings(settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> Settings:
    """Settings as the connector uses them. SettingsRefused names all problems."""
    problems: list[Problem] = [(name, "unknown_setting", {"name": name}) for name in settings if name not in SETTINGS]
    problems += [
        (name, "unknown_credential", {"name": name}) for name in credentials if name not in ("username", "password")
    ]
    texts = {name: value for name, value in settings.items() if name in SETTINGS and name != "overlapSeconds"}
    problems += [
        (name, "not_a_text", {"name": name})
        for name, value in (texts | dict(credentials)).items()
        if not isinstance(value, str)
    ]
    problems += [(name, "setting_required", {"name": name}) for name in ("url", "database") if not settings.get(name)]
    problems += [
        (name, "credential_required", {"name": name}) for name in ("username", "password") if not credentials.get(name)
    ]
    problems += _misfits(settings)
    if problems:
        raise SettingsRefused(problems)
    overlap = settings.get("overlapSeconds")
    return Settings(
        settings["url"].rstrip("/"),
        settings["database"],
        credentials["username"],
        credentials["password"],
        settings.get("linkTemplate"),
        OVERLAP if overlap is None else round(overlap * 1_000_000),
    )


def _misfits(settings: Mapping[str, Any]) -> list[Problem]:
    """Texts that are no address and no name, and a number that is no duration."""
    problems: list[Problem] = []
    url, database, overlap = settings.get("url"), settings.get("database"), settings.get("overlapSeconds", 0)
    if isinstance(url, str) and url and not _is_address(url):
        problems.append(("url", "not_a_web_address", {"name": "url"}))
    if isinstance(database, str) and database and not re.fullmatch(r"[\w.\-]{1,63}", database, re.ASCII):
        problems.append(("database", "not_a_database_name", {"name": "database"}))
    if isinstance(overlap, bool) or not isinstance(overlap, int | float) or not 0 <= overlap <= 86_400:
        problems.append(("overlapSeconds", "not_a_duration", {"name": "overlapSeconds", "maximum": 86_400}))
    return problems


def _is_address(text: str) -> bool:
    try:
        url = parse_url(text)
    except HTTPError:
        return False
    return url.scheme in ("http", "https") and bool(url.host) and not url.auth and not url.query and not url.fragment

"""The settings of kind `sql`, read and checked before anything is connected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

import sqlalchemy as sa

from service.connectors.base import Connector, SettingsRefused

SETTINGS: Mapping[str, str] = {
    "url": "Where the database is: sqlite:///path/to/file, postgresql://host:port/database or mysql://host:port/database.",
    "schema": "The schema whose tables are synchronized; the user's default schema when left out.",
    "linkTemplate": "Where a person opens a record: a URL with {table} and {key}.",
    "overlapSeconds": "How many seconds behind the watermark are read again, for stamps that appear late (1).",
}

_DIALECTS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mariadb",
    "mariadb": "mariadb",
}
_LATER = ("mssql", "oracle")

Problem: TypeAlias = tuple[str, str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a connection's settings and credentials say. `url` has the user's name and password in it."""

    dialect: str
    url: sa.URL
    schema: str | None
    link_template: str | None
    overlap: int

    def __repr__(self) -> str:
        """Without the password, wherever it ends up."""
        return f"Settings({self.url.render_as_string(hide_password=True)})"


def read_settings(settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> Settings:
    """Settings as the connector uses them. SettingsRefused names all problems."""
    problems: list[Problem] = [(name, "unknown_setting", {"name": name}) for name in settings if name not in SETTINGS]
    problems += _misfits(settings, credentials)
    dialect, url = _read_url(settings.get("url"), problems)
    if problems or url is None:
        raise SettingsRefused(problems)
    if credentials.get("username"):
        url = url.set(username=credentials["username"])
    if credentials.get("password"):
        url = url.set(password=credentials["password"])
    overlap = round(settings["overlapSeconds"] * 1_000_000) if "overlapSeconds" in settings else Connector.overlap
    return Settings(dialect, url, settings.get("schema"), settings.get("linkTemplate"), overlap)


def fill_link(template: str, table: str, key: str) -> str:
    """A link with a table and a key put in, as parts of a URL."""
    return template.replace("{table}", quote(table, safe="")).replace("{key}", quote(key, safe=""))


def _misfits(settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> list[Problem]:
    """What is of the wrong type, or is not known."""
    problems: list[Problem] = [
        (name, "unknown_credential", {"name": name}) for name in credentials if name not in ("username", "password")
    ]
    problems += [
        (name, "not_a_text", {"name": name})
        for name, value in (*settings.items(), *credentials.items())
        if name in ("url", "schema", "linkTemplate", "username", "password") and not isinstance(value, str | None)
    ]
    overlap = settings.get("overlapSeconds", 0)
    if isinstance(overlap, bool) or not isinstance(overlap, int | float) or not 0 <= overlap <= 86_400:
        problems.append(("overlapSeconds", "not_a_duration", {"name": "overlapSeconds", "maximum": 86_400}))
    return problems


def _read_url(text: Any, problems: list[Problem]) -> tuple[str, sa.URL | None]:
    """The dialect and the parsed URL, or one more problem. Quotes nothing of the URL: it may have a password in it."""
    if not text or not isinstance(text, str):
        if not text:
            problems.append(("url", "setting_required", {"name": "url"}))
        return "", None
    try:
        url = sa.make_url(text)
        dialect = _DIALECTS.get(re.split(r"\W", url.drivername)[0], "")
    except (sa.exc.ArgumentError, ValueError):
        problems.append(("url", "not_a_database_url", {"name": "url"}))
        return "", None
    if not dialect:
        later = url.drivername.split("+")[0] in _LATER
        known = "sqlite, postgresql, mysql"
        code = "database_not_supported_yet" if later else "database_not_supported"
        problems.append(("url", code, {"name": "url", "database": url.drivername[:40], "known": known}))
    elif dialect == "sqlite" and (not url.database or url.database == ":memory:"):
        problems.append(("url", "not_a_file", {"name": "url"}))
    return dialect, url

"""The settings and credentials of kinds that speak OData, read and checked before anything is connected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from service.connectors.base import SettingsRefused
from service.connectors.http import Auth, Basic, Bearer, ClientCredentials, NoAuth
from service.connectors.odata.dialect import Dialect, Problem

SETTINGS: Mapping[str, str] = {
    "url": "Where the service is: its root, above $metadata.",
    "auth": "How requests are allowed: none (the default), basic, bearer or clientCredentials.",
    "tokenUrl": "With clientCredentials: where tokens come from.",
    "scope": "With clientCredentials: the scope that is asked for.",
    "tokenAuth": "With clientCredentials: whether the secret goes in a header (basic, the default) or the body (post).",
    "batch": "How writes are put together: auto, json, multipart, or none for one request each.",
    "batchSize": "How many writes a batch has at most (100).",
    "deltaLinks": "Whether what the service tells of changes and deletions is followed: auto, on or off.",
    "timeoutSeconds": "How many seconds an answer may let us wait before it begins, and between its parts (60).",
    "linkTemplate": "Where a person opens a record: a URL with {table} and {key}.",
    "overlapSeconds": "How many seconds behind the watermark are read again, for stamps that appear late.",
}

CREDENTIALS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "clientCredentials": ("clientId", "clientSecret"),
}
"""What each way of asking needs."""

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "auth": tuple(CREDENTIALS),
    "tokenAuth": ("basic", "post"),
    "batch": ("auto", "json", "multipart", "none"),
    "deltaLinks": ("auto", "on", "off"),
    "bulk": ("auto", "off"),
    "newKeys": ("auto", "upsert", "post", "service"),
}
_OF_SEVERAL_LINES = ("certificate",)
_LARGEST_BATCH = 1000
_LONGEST_TIMEOUT = 600


@dataclass(frozen=True, slots=True)
class Settings:
    """What a connection's settings and credentials say."""

    url: str
    auth: Auth = field(repr=False)
    batch: str
    batch_size: int
    delta_links: str
    overlap: int
    timeout: float
    link_template: str | None
    company: str | None
    more: Mapping[str, Any]


def read_settings(settings: Mapping[str, Any], credentials: Mapping[str, Any], dialect: Dialect) -> Settings:
    """Settings as the connector uses them. SettingsRefused names all problems."""
    known = {**SETTINGS, **dialect.SETTINGS}
    problems: list[Problem] = [(name, "unknown_setting", {"name": name}) for name in settings if name not in known]
    problems += _misfits(settings, known)
    problems += _missing(settings, credentials, dialect)
    problems += dialect.problems(settings, credentials)
    if problems:
        raise SettingsRefused(problems)
    overlap = settings.get("overlapSeconds")
    return Settings(
        dialect.root(settings["url"]),
        _auth(settings, credentials, dialect),
        settings.get("batch", dialect.batch),
        settings.get("batchSize", dialect.batch_size),
        settings.get("deltaLinks", dialect.delta_links),
        dialect.overlap if overlap is None else round(overlap * 1_000_000),
        settings.get("timeoutSeconds", 60),
        settings.get("linkTemplate"),
        settings.get("company"),
        settings,
    )


def _misfits(settings: Mapping[str, Any], known: Mapping[str, str]) -> list[Problem]:
    """What is of the wrong type, or not among the choices."""
    problems: list[Problem] = []
    for name, value in settings.items():
        if name in _CHOICES and value not in _CHOICES[name]:
            problems.append((name, "not_a_choice", {"name": name, "choices": list(_CHOICES[name])}))
        elif name == "batchSize":
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST_BATCH:
                problems.append((name, "number_out_of_range", {"min": 1, "max": _LARGEST_BATCH}))
        elif name == "timeoutSeconds":
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST_TIMEOUT:
                problems.append((name, "not_a_duration", {"name": name, "maximum": _LONGEST_TIMEOUT}))
        elif name == "overlapSeconds":
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86_400:
                problems.append((name, "not_a_duration", {"name": name, "maximum": 86_400}))
        elif name in known and name not in _CHOICES and not isinstance(value, str):
            problems.append((name, "not_a_text", {"name": name}))
        elif name in ("url", "tokenUrl", "authority") and not is_web_address(value):
            problems.append((name, "not_a_web_address", {"name": name}))
    return problems


def is_web_address(text: str) -> bool:
    """Whether a text is a URL of http or https with a host, and without a password, which belongs elsewhere."""
    try:
        url = parse_url(text)
    except HTTPError:
        return False
    return url.scheme in ("http", "https") and bool(url.host) and not url.auth and not url.query and not url.fragment


def _missing(settings: Mapping[str, Any], credentials: Mapping[str, Any], dialect: Dialect) -> list[Problem]:
    """What is not there and has to be, for the chosen way of asking, and credentials that it has no use for."""
    auth = settings.get("auth", "none")
    needed = CREDENTIALS.get(auth, ()) if auth != "clientCredentials" else dialect.proofs(settings, credentials)
    wanted = ("url", *dialect.required(settings))
    problems: list[Problem] = [(name, "setting_required", {"name": name}) for name in wanted if not settings.get(name)]
    problems += [(name, "credential_required", {"name": name}) for name in needed if not credentials.get(name)]
    for name, value in credentials.items():
        if name not in needed:
            problems.append((name, "unknown_credential", {"name": name}))
        elif not isinstance(value, str) or not (value.isprintable() or name in _OF_SEVERAL_LINES):
            problems.append((name, "not_a_text", {"name": name}))
    return problems


def _auth(settings: Mapping[str, Any], credentials: Mapping[str, Any], dialect: Dialect) -> Auth:
    own = dialect.auth(settings, credentials) if settings.get("auth") == "clientCredentials" else None
    return own or _AUTHS[settings.get("auth", "none")](dialect.filled(settings), credentials)


def _client_credentials(settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
    return ClientCredentials(
        settings["tokenUrl"],
        credentials["clientId"],
        credentials["clientSecret"],
        settings.get("scope"),
        settings.get("tokenAuth") == "post",
    )


_AUTHS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Auth]] = {
    "none": lambda _settings, _credentials: NoAuth(),
    "basic": lambda _settings, credentials: Basic(credentials["username"], credentials["password"]),
    "bearer": lambda _settings, credentials: Bearer(credentials["token"]),
    "clientCredentials": _client_credentials,
}

"""What the environment says. `SETTINGS` lists everything one can say; a wrong value stops the start with a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from service.operations.oidc import Provider
from service.operations.oidc_sign_in import Client
from service.operations.tokens import Scope
from service.settings import values
from service.settings.values import SettingsWrong, Wrong
from service.store.database import sqlite_path


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process is set up. `token` and `secret_key` are None until `with_secrets` has seen to them."""

    host: str
    port: int
    database_url: str
    queue_url: str | None
    token: str | None
    secret_key: str | None
    log_format: str
    log_level: str
    threads: int
    runs: int
    lease_seconds: int
    range_records: int
    rate_limit: str | None
    metrics_port: int | None
    oidc_issuer: str | None
    oidc_audience: str | None
    oidc_claim: str
    oidc_scopes: Mapping[Scope, str]
    oidc_client_id: str | None
    oidc_client_secret: str | None
    oidc_sign_in_scope: str
    oidc_redirect_url: str | None
    private_networks: tuple[IPv4Network | IPv6Network, ...] | None

    @property
    def provider(self) -> Provider | None:
        """Who issues tokens besides ourselves."""
        if self.oidc_issuer is None or self.oidc_audience is None:
            return None
        return Provider(self.oidc_issuer, self.oidc_audience, self.oidc_claim, self.oidc_scopes)

    @property
    def client(self) -> Client | None:
        """What the provider knows us as, where people may sign in to the console with it."""
        if self.oidc_client_id is None:
            return None
        return Client(self.oidc_client_id, self.oidc_client_secret, self.oidc_sign_in_scope, self.oidc_redirect_url)

    def __repr__(self) -> str:
        """Without secrets, wherever it ends up."""
        return f"Settings(host={self.host!r}, port={self.port})"


class Setting(NamedTuple):
    """One setting: the field it fills, its default as text (None: there is none), how it is read, and what it is."""

    field: str
    default: str | None
    parse: Callable[[str], Any]
    sentence: str


SETTINGS: Mapping[str, Setting] = {
    "ACCORD_HOST": Setting("host", "127.0.0.1", values.host, "The address to listen on."),
    "ACCORD_PORT": Setting("port", "8080", values.number(1, 65535), "The port to listen on."),
    "ACCORD_DATABASE_URL": Setting(
        "database_url",
        "sqlite:///accord.db",
        values.database_url,
        "Where Accord keeps its own state: sqlite or postgresql.",
    ),
    "ACCORD_QUEUE_URL": Setting(
        "queue_url",
        None,
        values.queue_url,
        "The queue: procrastinate, on the PostgreSQL of the state; unset: the one in the process.",
    ),
    "ACCORD_RUNS": Setting(
        "runs",
        "4",
        values.number(1, 8),
        "How many runs a process works on at a time; half of the places are kept for short ones.",
    ),
    "ACCORD_TOKEN": Setting(
        "token",
        None,
        values.token,
        "The first token, with all rights; unset: one is made and kept beside the database.",
    ),
    "ACCORD_SECRET_KEY": Setting(
        "secret_key",
        None,
        values.secret_key,
        "Encrypts credentials at rest; unset: one is made and kept beside the database. Several, separated by commas:"
        " the first encrypts, the others still decrypt.",
    ),
    "ACCORD_LOG_FORMAT": Setting(
        "log_format", "console", values.log_format, "How the log is written: console or json."
    ),
    "ACCORD_LOG_LEVEL": Setting(
        "log_level", "info", values.log_level, "What is logged: debug, info, warning or error."
    ),
    "ACCORD_RATE_LIMIT": Setting(
        "rate_limit",
        "12000/minute",
        values.rate_limit,
        "How many requests each token may send to a process: a number per second, minute or hour, or off.",
    ),
    "ACCORD_THREADS": Setting("threads", "16", values.number(1, 256), "How many requests are answered at once."),
    "ACCORD_METRICS_PORT": Setting(
        "metrics_port", None, values.number(1, 65535), "Where `accord work` tells a Prometheus its own figures."
    ),
    "ACCORD_LEASE_SECONDS": Setting(
        "lease_seconds",
        "20",
        values.number(3, 3600),
        "After how many seconds without a sign of life a worker's run is taken over by another; the same for all.",
    ),
    "ACCORD_RANGE_RECORDS": Setting(
        "range_records",
        "10000",
        values.number(1, 10_000_000),
        "How many records a range has that a worker takes by itself; a reading of two and more is cut so.",
    ),
    "ACCORD_OIDC_ISSUER": Setting(
        "oidc_issuer",
        None,
        values.issuer,
        "An OpenID Connect provider whose tokens are taken, by its issuer identifier.",
    ),
    "ACCORD_OIDC_AUDIENCE": Setting("oidc_audience", None, values.word, "The audience that its tokens must name."),
    "ACCORD_OIDC_CLAIM": Setting("oidc_claim", "scope", values.word, "The claim that says what a token allows."),
    "ACCORD_OIDC_SCOPES": Setting(
        "oidc_scopes",
        "read=accord:read,operate=accord:operate,admin=accord:admin",
        values.scopes,
        "What the scopes are called in that claim.",
    ),
    "ACCORD_OIDC_CLIENT_ID": Setting(
        "oidc_client_id", None, values.word, "What the provider knows the console as; set, people may sign in with it."
    ),
    "ACCORD_OIDC_CLIENT_SECRET": Setting(
        "oidc_client_secret", None, values.client_secret, "The secret of that client; unset: it is a public client."
    ),
    "ACCORD_OIDC_SIGN_IN_SCOPE": Setting(
        "oidc_sign_in_scope", "openid profile", values.sign_in_scope, "What the console asks the provider for."
    ),
    "ACCORD_OIDC_REDIRECT_URL": Setting(
        "oidc_redirect_url",
        None,
        values.redirect_url,
        "Where the provider sends people back to, as a browser sees it; unset: as the request came.",
    ),
    "ACCORD_PRIVATE_NETWORKS": Setting(
        "private_networks",
        None,
        values.networks,
        "Private networks that connections and webhooks may reach by a name, as 10.0.0.0/8,192.168.4.0/24.",
    ),
}
"""Everything one can say. `<NAME>_FILE` names a file that holds the value instead."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that an environment holds. Raises SettingsWrong, with a sentence for each that is wrong."""
    found: dict[str, Any] = {}
    wrong: list[Wrong] = []
    for name, setting in SETTINGS.items():
        try:
            found[setting.field] = _value(name, setting, environ)
        except Wrong as error:
            wrong.append(error)
    if not wrong and (found["oidc_issuer"] is None) != (found["oidc_audience"] is None):
        wrong.append(Wrong("ACCORD_OIDC_ISSUER and ACCORD_OIDC_AUDIENCE belong together; set both, or neither."))
    if not wrong and found["queue_url"] is not None and found["database_url"].startswith("sqlite"):
        wrong.append(Wrong("ACCORD_QUEUE_URL=procrastinate needs a PostgreSQL in ACCORD_DATABASE_URL."))
    if not wrong and found["oidc_client_id"] is not None and found["oidc_issuer"] is None:
        wrong.append(Wrong("ACCORD_OIDC_CLIENT_ID needs ACCORD_OIDC_ISSUER and ACCORD_OIDC_AUDIENCE."))
    if wrong:
        raise SettingsWrong(wrong)
    return Settings(**found)


def _value(name: str, setting: Setting, environ: Mapping[str, str]) -> Any:
    text = _text(name, environ)
    if text is None:
        text = setting.default
    if text is None:
        return None
    try:
        return setting.parse(text)
    except Wrong as error:
        error.params["name"] = name
        raise


def _text(name: str, environ: Mapping[str, str]) -> str | None:
    """What is said, itself or in a file; an empty value counts as none."""
    direct, file = environ.get(name), environ.get(f"{name}_FILE")
    if direct and file:
        raise Wrong("{name} and {name}_FILE are both set; only one of them can be.", name=name)
    if not file:
        return direct or None
    try:
        return Path(file).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise Wrong(
            "{name}_FILE names {file}, which cannot be read: {detail}.", name=name, file=file, detail=error
        ) from error


def beside_database(settings: Settings, ending: str) -> Path:
    """A file beside the database; with PostgreSQL, in the folder that the process was started in."""
    path = sqlite_path(settings.database_url) or Path("accord.db")
    return path.with_name(path.name + ending)


def database_name(settings: Settings) -> str:
    """The database as a text without credentials."""
    url = urlsplit(settings.database_url)
    return f"{url.hostname or ''}:{url.port or ''}{url.path}"

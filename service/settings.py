"""What the environment says. `SETTINGS` lists everything one can say; a wrong value stops the start with a sentence."""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.connectors.http.addresses import read_networks
from service.core.errors import Explained
from service.operations.context import SecretBox
from service.operations.oidc import Provider
from service.operations.oidc_sign_in import Client
from service.operations.tokens import Scope, make_text
from service.store.database import sqlite_path

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")

LONG_ENOUGH = 16
"""Characters from which on a secret is not to be guessed; a shorter one works, with a warning."""


class Wrong(Explained):
    """One thing that is wrong with the settings; the place `{name}` is for the setting it is about."""


class SettingsWrong(Exception):
    """The service cannot start like this; each of `problems` says which setting is wrong, and why."""

    def __init__(self, problems: Sequence[Wrong]) -> None:
        super().__init__(" ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


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


def _host(text: str) -> str:
    if not text or any(character.isspace() for character in text):
        raise Wrong("{name} is not a host name or an address.")
    return text


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise Wrong("{name} is not a number from {least} to {highest}.", least=least, highest=most)
        return int(text)

    return parse


def _database_url(text: str) -> str:
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("sqlite", "postgresql", "postgres"):
        raise Wrong("{name} is not a URL that starts with sqlite:/// or postgresql://.")
    return text


def _queue_url(text: str) -> str:
    if text != "procrastinate":
        raise Wrong("{name} is not procrastinate; leave it out for the queue in the process.")
    return text


def _token(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise Wrong("{name} may only have printable ASCII characters without blanks.")
    return text


def _secret_key(text: str) -> str:
    if not all(text.split(",")):
        raise Wrong("{name} has an empty key; several keys are separated by commas.")
    return text


def _rate_limit(text: str) -> str | None:
    if text == "off":
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,8}/(second|minute|hour)", text):
        raise Wrong("{name} is neither off nor a number of requests per second, minute or hour, such as 6000/minute.")
    return text


def _issuer(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, plain = parts.hostname or "", parts.scheme == "https"
    except ValueError:
        host, plain = "", False
    if not host or "?" in text or "#" in text or not (plain or (parts.scheme == "http" and host in _THIS_MACHINE)):
        raise Wrong("{name} is not the https:// address of an OpenID Connect provider.")
    return text


def _word(text: str) -> str:
    if any(character.isspace() for character in text):
        raise Wrong("{name} may not have blanks.")
    return text


def _client_secret(text: str) -> str:
    if not text.isprintable():
        raise Wrong("{name} may only have printable characters.")
    return text


def _sign_in_scope(text: str) -> str:
    if "openid" not in text.split():
        raise Wrong("{name} does not have the word openid.")
    return " ".join(text.split())


def _redirect_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.query and not parts.fragment
    except ValueError:
        good = False
    if not good or not text.endswith("/console/oidc/back"):
        raise Wrong("{name} is not a web address that ends in /console/oidc/back.")
    return text


def _scopes(text: str) -> Mapping[Scope, str]:
    pairs = [part.strip().partition("=") for part in text.split(",")]
    names = [name for name, _, _ in pairs]
    if not all(word for _, _, word in pairs) or len({*names}) < len(names) or not {*names} <= {*Scope}:
        raise Wrong("{name} is not of the form read=WORD,operate=WORD,admin=WORD.")
    return {Scope(name): word for name, _, word in pairs}


def _log_format(text: str) -> str:
    if text not in ("console", "json"):
        raise Wrong("{name} is neither console nor json.")
    return text


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return read_networks(text)
    except ValueError as error:
        raise Wrong("{name} is not a list of networks such as 10.0.0.0/8,fd12::/16: {detail}", detail=error) from error


def _log_level(text: str) -> str:
    if text not in ("debug", "info", "warning", "error"):
        raise Wrong("{name} is none of debug, info, warning and error.")
    return text


class Setting(NamedTuple):
    """One setting: the field it fills, its default as text (None: there is none), how it is read, and what it is."""

    field: str
    default: str | None
    parse: Callable[[str], Any]
    sentence: str


SETTINGS: Mapping[str, Setting] = {
    "ACCORD_HOST": Setting("host", "127.0.0.1", _host, "The address to listen on."),
    "ACCORD_PORT": Setting("port", "8080", _number(1, 65535), "The port to listen on."),
    "ACCORD_DATABASE_URL": Setting(
        "database_url", "sqlite:///accord.db", _database_url, "Where Accord keeps its own state: sqlite or postgresql."
    ),
    "ACCORD_QUEUE_URL": Setting(
        "queue_url",
        None,
        _queue_url,
        "The queue: procrastinate, on the PostgreSQL of the state; unset: the one in the process.",
    ),
    "ACCORD_RUNS": Setting(
        "runs",
        "4",
        _number(1, 8),
        "How many runs a process works on at a time; half of the places are kept for short ones.",
    ),
    "ACCORD_TOKEN": Setting(
        "token", None, _token, "The first token, with all rights; unset: one is made and kept beside the database."
    ),
    "ACCORD_SECRET_KEY": Setting(
        "secret_key",
        None,
        _secret_key,
        "Encrypts credentials at rest; unset: one is made and kept beside the database. Several, separated by commas:"
        " the first encrypts, the others still decrypt.",
    ),
    "ACCORD_LOG_FORMAT": Setting("log_format", "console", _log_format, "How the log is written: console or json."),
    "ACCORD_LOG_LEVEL": Setting("log_level", "info", _log_level, "What is logged: debug, info, warning or error."),
    "ACCORD_RATE_LIMIT": Setting(
        "rate_limit",
        "12000/minute",
        _rate_limit,
        "How many requests each token may send to a process: a number per second, minute or hour, or off.",
    ),
    "ACCORD_THREADS": Setting("threads", "16", _number(1, 256), "How many requests are answered at once."),
    "ACCORD_METRICS_PORT": Setting(
        "metrics_port", None, _number(1, 65535), "Where `accord work` tells a Prometheus its own figures."
    ),
    "ACCORD_LEASE_SECONDS": Setting(
        "lease_seconds",
        "20",
        _number(3, 3600),
        "After how many seconds without a sign of life a worker's run is taken over by another; the same for all.",
    ),
    "ACCORD_RANGE_RECORDS": Setting(
        "range_records",
        "10000",
        _number(1, 10_000_000),
        "How many records a range has that a worker takes by itself; a reading of two and more is cut so.",
    ),
    "ACCORD_OIDC_ISSUER": Setting(
        "oidc_issuer", None, _issuer, "An OpenID Connect provider whose tokens are taken, by its issuer identifier."
    ),
    "ACCORD_OIDC_AUDIENCE": Setting("oidc_audience", None, _word, "The audience that its tokens must name."),
    "ACCORD_OIDC_CLAIM": Setting("oidc_claim", "scope", _word, "The claim that says what a token allows."),
    "ACCORD_OIDC_SCOPES": Setting(
        "oidc_scopes",
        "read=accord:read,operate=accord:operate,admin=accord:admin",
        _scopes,
        "What the scopes are called in that claim.",
    ),
    "ACCORD_OIDC_CLIENT_ID": Setting(
        "oidc_client_id", None, _word, "What the provider knows the console as; set, people may sign in with it."
    ),
    "ACCORD_OIDC_CLIENT_SECRET": Setting(
        "oidc_client_secret", None, _client_secret, "The secret of that client; unset: it is a public client."
    ),
    "ACCORD_OIDC_SIGN_IN_SCOPE": Setting(
        "oidc_sign_in_scope", "openid profile", _sign_in_scope, "What the console asks the provider for."
    ),
    "ACCORD_OIDC_REDIRECT_URL": Setting(
        "oidc_redirect_url",
        None,
        _redirect_url,
        "Where the provider sends people back to, as a browser sees it; unset: as the request came.",
    ),
    "ACCORD_PRIVATE_NETWORKS": Setting(
        "private_networks",
        None,
        _networks,
        "Private networks that connections and webhooks may reach by a name, as 10.0.0.0/8,192.168.4.0/24.",
    ),
}
"""Everything one can say. `<NAME>_FILE` names a file that holds the value instead."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that an environment holds. Raises SettingsWrong, with a sentence for each that is wrong."""
    values: dict[str, Any] = {}
    wrong: list[Wrong] = []
    for name, setting in SETTINGS.items():
        try:
            values[setting.field] = _value(name, setting, environ)
        except Wrong as error:
            wrong.append(error)
    if not wrong and (values["oidc_issuer"] is None) != (values["oidc_audience"] is None):
        wrong.append(Wrong("ACCORD_OIDC_ISSUER and ACCORD_OIDC_AUDIENCE belong together; set both, or neither."))
    if not wrong and values["queue_url"] is not None and values["database_url"].startswith("sqlite"):
        wrong.append(Wrong("ACCORD_QUEUE_URL=procrastinate needs a PostgreSQL in ACCORD_DATABASE_URL."))
    if not wrong and values["oidc_client_id"] is not None and values["oidc_issuer"] is None:
        wrong.append(Wrong("ACCORD_OIDC_CLIENT_ID needs ACCORD_OIDC_ISSUER and ACCORD_OIDC_AUDIENCE."))
    if wrong:
        raise SettingsWrong(wrong)
    return Settings(**values)


def weak_secrets(settings: Settings) -> list[str]:
    """The names of the secrets that are short enough to be guessed."""
    keys = (settings.secret_key or "").split(",") if settings.secret_key else []
    weak = ["ACCORD_TOKEN"] if settings.token and len(settings.token) < LONG_ENOUGH else []
    return weak + (["ACCORD_SECRET_KEY"] if any(len(key) < LONG_ENOUGH for key in keys) else [])


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


def with_secrets(settings: Settings, announce: Callable[[Path, str], None]) -> Settings:
    """The settings with a token and a secret key: those that were given, those beside the database, or new ones.

    With PostgreSQL they are kept in the folder that the process was started in, and processes on several machines have
    to be given the same. `announce` is told a new token, and the file that it is kept in, once. Raises
    SettingsWrong where they cannot be kept.
    """
    if settings.secret_key is None:
        settings = replace(settings, secret_key=_kept(beside_database(settings, ".key"), _new_key)[0])
    if settings.token is None:
        place = beside_database(settings, ".token")
        token, made = _kept(place, make_text)
        settings = replace(settings, token=token)
        if made:
            announce(place, token)
    return settings


def beside_database(settings: Settings, ending: str) -> Path:
    """A file beside the database; with PostgreSQL, in the folder that the process was started in."""
    path = sqlite_path(settings.database_url) or Path("accord.db")
    return path.with_name(path.name + ending)


def database_name(settings: Settings) -> str:
    """The database as a text without credentials."""
    url = urlsplit(settings.database_url)
    return f"{url.hostname or ''}:{url.port or ''}{url.path}"


def secret_box(settings: Settings) -> SecretBox:
    """What encrypts credentials under the settings' keys."""
    return SecretBox(*(_fernet_key(key) for key in (settings.secret_key or "").split(",")))


def _fernet_key(text: str) -> str:
    """A Fernet key as it is; from any other text one is derived, so that any long enough secret will do."""
    try:
        Fernet(text)
    except ValueError:
        derived = HKDF(SHA256(), 32, salt=None, info=b"accord credentials").derive(text.encode())
        return base64.urlsafe_b64encode(derived).decode()
    return text


def _new_key() -> str:
    return Fernet.generate_key().decode()


def _kept(place: Path, make: Callable[[], str]) -> tuple[str, bool]:
    """What a file holds, and whether it was made just now, readable by its owner alone.

    The file appears with its content or not at all: of several processes that start at once, one makes it.
    """
    draft = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    try:
        if not place.exists():
            text = make()
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            try:
                os.link(draft, place)
                return text, True
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        kept = place.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsWrong([Wrong("{file} cannot be made or read: {detail}.", file=place, detail=error)]) from error
    if not kept:
        raise SettingsWrong([Wrong("{file} is empty; delete it to have a new one made.", file=place)])
    return kept, False

"""How the text of each setting is read; a wrong one is refused with a sentence in which the setting takes its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

from service.connectors.http.addresses import read_networks
from service.core.errors import Explained
from service.operations.tokens import Scope

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class Wrong(Explained):
    """One thing that is wrong with the settings; the place `{name}` is for the setting it is about."""


class SettingsWrong(Exception):
    """The service cannot start like this; each of `problems` says which setting is wrong, and why."""

    def __init__(self, problems: Sequence[Wrong]) -> None:
        super().__init__(" ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def host(text: str) -> str:
    if not text or any(character.isspace() for character in text):
        raise Wrong("{name} is not a host name or an address.")
    return text


def number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise Wrong("{name} is not a number from {least} to {highest}.", least=least, highest=most)
        return int(text)

    return parse


def database_url(text: str) -> str:
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("sqlite", "postgresql", "postgres"):
        raise Wrong("{name} is not a URL that starts with sqlite:/// or postgresql://.")
    return text


def queue_url(text: str) -> str:
    if text != "procrastinate":
        raise Wrong("{name} is not procrastinate; leave it out for the queue in the process.")
    return text


def token(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise Wrong("{name} may only have printable ASCII characters without blanks.")
    return text


def secret_key(text: str) -> str:
    if not all(text.split(",")):
        raise Wrong("{name} has an empty key; several keys are separated by commas.")
    return text


def rate_limit(text: str) -> str | None:
    if text == "off":
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,8}/(second|minute|hour)", text):
        raise Wrong("{name} is neither off nor a number of requests per second, minute or hour, such as 6000/minute.")
    return text


def issuer(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, plain = parts.hostname or "", parts.scheme == "https"
    except ValueError:
        host, plain = "", False
    if not host or "?" in text or "#" in text or not (plain or (parts.scheme == "http" and host in _THIS_MACHINE)):
        raise Wrong("{name} is not the https:// address of an OpenID Connect provider.")
    return text


def word(text: str) -> str:
    if any(character.isspace() for character in text):
        raise Wrong("{name} may not have blanks.")
    return text


def client_secret(text: str) -> str:
    if not text.isprintable():
        raise Wrong("{name} may only have printable characters.")
    return text


def sign_in_scope(text: str) -> str:
    if "openid" not in text.split():
        raise Wrong("{name} does not have the word openid.")
    return " ".join(text.split())


def redirect_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.query and not parts.fragment
    except ValueError:
        good = False
    if not good or not text.endswith("/console/oidc/back"):
        raise Wrong("{name} is not a web address that ends in /console/oidc/back.")
    return text


def scopes(text: str) -> Mapping[Scope, str]:
    pairs = [part.strip().partition("=") for part in text.split(",")]
    names = [name for name, _, _ in pairs]
    if not all(word for _, _, word in pairs) or len({*names}) < len(names) or not {*names} <= {*Scope}:
        raise Wrong("{name} is not of the form read=WORD,operate=WORD,admin=WORD.")
    return {Scope(name): word for name, _, word in pairs}


def log_format(text: str) -> str:
    if text not in ("console", "json"):
        raise Wrong("{name} is neither console nor json.")
    return text


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return read_networks(text)
    except ValueError as error:
        raise Wrong("{name} is not a list of networks such as 10.0.0.0/8,fd12::/16: {detail}", detail=error) from error


def log_level(text: str) -> str:
    if text not in ("debug", "info", "warning", "error"):
        raise Wrong("{name} is none of debug, info, warning and error.")
    return text

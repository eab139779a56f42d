"""Which language somebody reads: by the header of a request, or by the environment of a shell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

LANGUAGES: Mapping[str, str] = {"en": "English", "nb": "Norsk bokmål", "cs": "Čeština", "fr": "Français"}
"""Every language there is: its tag, and what it calls itself."""

DEFAULT = "en"

_ALIASES = {"no": "nb", "nn": "nb", "*": DEFAULT}
"""Who asks for Norwegian reads Bokmål, in whichever of its forms; who reads anything is given English."""

_RANGE = re.compile(r"^\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?))?\s*$")
_LOCALE = re.compile(r"^([A-Za-z]{2,8})(?:[_.@-].*)?$")
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


@lru_cache(1_000)
def negotiate(accept_language: str | None) -> str:
    """The language to answer in, for the value of an `Accept-Language` header (RFC 9110, section 12.5.4).

    Regions and scripts are left aside. Of two equal choices the first counts.
    """
    wanted = sorted(_ranges(accept_language or ""), key=lambda choice: -choice[1])
    return next((tag for tag, quality in wanted if tag in LANGUAGES and quality > 0), DEFAULT)


def from_environment(environ: Mapping[str, str]) -> str:
    """The language of a shell: the first of LC_ALL, LC_MESSAGES and LANG that is set, as POSIX has it."""
    text = next((environ[name] for name in _VARIABLES if environ.get(name)), "")
    matched = _LOCALE.match(text)
    tag = _known(matched[1]) if matched else DEFAULT
    return tag if tag in LANGUAGES else DEFAULT


def _ranges(header: str) -> Iterable[tuple[str, float]]:
    for part in header.split(","):
        matched = _RANGE.match(part)
        if matched:
            yield _known(matched[1]), float(matched[2] or 1)


def _known(tag: str) -> str:
    return _ALIASES.get(tag.lower(), tag.lower())

"""Passwords inside the addresses of a connection: kept with its credentials, never shown again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

# As much as can be read as a password is one: applications differ in how they read "/", "?" and "@" inside it.
_USER_INFO = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*://[^:/?#@]*):((?:[^?#]*|.*))@", re.DOTALL)
_PARAMETER = re.compile(r"([?&](?:password|passwd|pwd|sslpassword|secret|token|api_?key)=)([^&#]*)", re.IGNORECASE)


def mask(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings as they may be shown, and the texts that were masked in them, by name."""
    shown = {name: _masked(value) if isinstance(value, str) else value for name, value in settings.items()}
    return shown, {name: value for name, value in settings.items() if shown[name] != value}


def unmask(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Settings as they are used, and the names of those that are masked and whose secret is not known.

    A masked text stands for the secret one only when it is that one masked: the password never goes to another place.
    """
    known = {name: text for name, text in secrets.items() if settings.get(name) == _masked(text)}
    lost = [
        name for name, value in settings.items() if isinstance(value, str) and name not in known and _is_masked(value)
    ]
    return {**settings, **known}, lost


def _masked(text: str) -> str:
    return _PARAMETER.sub(rf"\g<1>{MASK}", _USER_INFO.sub(rf"\g<1>:{MASK}@", text))


def _is_masked(text: str) -> bool:
    found = [match[2] for pattern in (_USER_INFO, _PARAMETER) for match in pattern.finditer(text)]
    return MASK in found

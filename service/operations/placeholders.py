"""Secrets in a file that people read: named after variables of the environment, never written down.

`{"fromEnvironment": "ERP_PASSWORD"}` stands for a whole value, `${ERP_PASSWORD}` for a part of a text in the settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

from service.operations.secret_settings import MASK

Environment: TypeAlias = Callable[[str], str | None]
"""The value of a variable, None where it is not set."""

KEY = "fromEnvironment"
_INSIDE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def variable(*parts: str) -> str:
    """The name of a variable: `variable("erp", "password")` is `ERP_PASSWORD`."""
    return re.sub(r"[^A-Z0-9]+", "_", "_".join(parts).upper()).strip("_")


def named(connection: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings whose masked passwords are variables instead."""
    return {
        name: value.replace(MASK, f"${{{variable(connection, name, 'password')}}}") if isinstance(value, str) else value
        for name, value in settings.items()
    }


def filled(value: Any, environment: Environment, missing: Callable[[str], Any]) -> Any:
    """A value with its variables filled in; `missing` says what stands for one that is not set."""
    match value:
        case str():
            return _INSIDE.sub(lambda found: _part(found[1], environment, missing), value)
        case {"fromEnvironment": str(name)} if len(value) == 1:
            known = environment(name)
            return missing(name) if known is None else known
        case dict():
            return {name: filled(one, environment, missing) for name, one in value.items()}
        case list():
            return [filled(one, environment, missing) for one in value]
        case _:
            return value


def _part(name: str, environment: Environment, missing: Callable[[str], Any]) -> str:
    """A part of an address is written as addresses write it."""
    known = environment(name)
    if known is None:
        missing(name)
        return MASK
    return quote(known, safe="")

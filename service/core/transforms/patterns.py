"""Regular expressions in the syntax of RE2, which answers in time linear to the text, whatever the pattern."""

from __future__ import annotations

from typing import Any

import re2

_MEMORY = 1 << 20
"""Bytes that a compiled pattern may take."""


def compiled(pattern: str) -> Any:
    """A pattern that is ready for use. Raises re2.error."""
    options = re2.Options()
    options.max_mem, options.log_errors = _MEMORY, False
    return re2.compile(pattern, options)


def detail(error: re2.error) -> str:
    """What is wrong with a pattern, in the library's words."""
    said = error.args[0]
    return said.decode() if isinstance(said, bytes) else str(said)

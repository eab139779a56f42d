"""What differs within a value, in pieces that a page can mark."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Any

from service.core.conflicts import FieldView

_LONGEST_COMPARED = 2000

Pieces = list[tuple[bool, str]]
"""A value in pieces, each with whether it differs."""


def rows(fields: Iterable[FieldView], *, based: bool = True) -> list[dict[str, Any]]:
    """A row for each field of a pair, with the pieces of both sides. Where there is no base, the sides are compared."""
    return [
        {
            "field": field,
            "local": pieces(field.local, field.base if based else field.integration),
            "integration": pieces(field.integration, field.base if based else field.local),
        }
        for field in fields
    ]


def pieces(value: Any, other: Any) -> Pieces:
    """A value, marked where it differs from another one."""
    text, base = _text(value), _text(other)
    if text == base or not text:
        return [(False, text)]
    if max(len(text), len(base)) > _LONGEST_COMPARED:
        return [(True, text)]
    matcher = SequenceMatcher(None, base, text, autojunk=False)
    return [(tag != "equal", text[first:last]) for tag, _, _, first, last in matcher.get_opcodes() if last > first]


def _text(value: Any) -> str:
    return "" if value is None else str(value)

"""Keys of several parts: as one text and back, and the field that stands for all of them.

The field is named by its parts in their order ("order_no,line_no"), and so is a key ("1000,20"): between two parts
stands a comma, and what would be one inside a part, or the sign that says so, is written %2C and %25. Everything else
stays as it is. A key has exactly one text, and a text that is not written so is no key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from service.core.records import Field, FieldType


def joined(parts: Iterable[str]) -> str:
    """The text of two or more parts."""
    return ",".join([_escaped(part) if "," in part or "%" in part else part for part in parts])


def parted(text: str) -> list[str]:
    """The parts of a text. Raises ValueError for one that `joined` would not have made of them."""
    if "%" not in text:
        return text.split(",")
    parts = [part.replace("%2C", ",").replace("%25", "%") for part in text.split(",")]
    if joined(parts) != text:
        raise ValueError("not the text of a key of several parts")
    return parts


def field_of(names: Iterable[str]) -> Field:
    """The field that stands for a key of these fields. Nobody writes it: new records have it by its parts."""
    return Field(joined(names), FieldType.STRING, nullable=False, read_only=True)


def names_of(fields: Mapping[str, Field], key: str) -> tuple[str, ...]:
    """The fields that a key is made of: its parts, or itself."""
    whole = fields.get(key)
    if whole is None or "," not in key or not whole.read_only:
        return (key,)
    try:
        names = parted(key)
    except ValueError:
        return (key,)
    return tuple(names) if all(name in fields for name in names) else (key,)


def _escaped(part: str) -> str:
    return part.replace("%", "%25").replace(",", "%2C")

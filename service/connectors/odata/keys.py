"""Keys of one property and of several: as one text, as conditions, as the end of an address.

A key of several properties is a field of its own, and its text has the parts in their order, each in canonical form
(`service.core.keys`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from service.connectors.odata.tables import Property
from service.connectors.odata.values import key_segment, literal, reader
from service.core.keys import joined, parted

_PART = re.compile(r"\s*(\w+)\s*=\s*('(?:[^']|'')*'|[^,]*)")


def text_of(row: Mapping[str, Any], key: Property) -> str | None:
    """The parts of a row's key as one text; None where one is missing."""
    values = [row.get(part.source) for part in key.parts]
    if any(value is None for value in values):
        return None
    return joined(str(reader(part.edm)(value)) for part, value in zip(key.parts, values, strict=True))


def values_of(text: str, key: Property) -> list[str]:
    """The parts of a key, each as a canonical text."""
    return parted(text) if key.parts else [text]


def _parts_of(text: str, key: Property) -> list[str]:
    """The literals of a key's parts. Raises ValueError for a text that cannot be such a key."""
    return [literal(value, part.edm) for part, value in zip(key.parts, parted(text), strict=True)]


def sources(key: Property) -> Sequence[str]:
    """What a reading is ordered by to go by key."""
    return [part.source for part in key.parts] or [key.source]


def one_is(text: str, key: Property) -> str:
    """The condition that a record has this key of several parts. Raises ValueError."""
    pairs = zip(key.parts, _parts_of(text, key), strict=True)
    return "(" + " and ".join(f"{part.source} eq {value}" for part, value in pairs) + ")"


def beyond(text: str, key: Property) -> str:
    """The condition that a record comes after a key in the order of keys. Raises ValueError."""
    if not key.parts:
        return f"{key.source} gt {literal(text, key.edm, key.field.scale)}"
    found = ""
    for part, value in reversed(list(zip(key.parts, _parts_of(text, key), strict=True))):
        rest = f" or ({part.source} eq {value} and {found})" if found else ""
        found = f"({part.source} gt {value}{rest})"
    return found


def segment(text: str, key: Property) -> str:
    """A record's address inside its entity set. Raises ValueError."""
    if not key.parts:
        return key_segment(text, key.edm)
    return named_segment(values_of(text, key), key.parts)


def named_segment(values: Sequence[str], parts: Sequence[Property]) -> str:
    """A record's address inside its entity set by the values of some properties, in canonical form. Raises
    ValueError."""
    pairs = zip(parts, values, strict=True)
    literals = [(part.source, literal(value, part.edm)) for part, value in pairs]
    return "(" + ",".join(f"{name}={quote(value, safe=_IN_ADDRESS)}" for name, value in literals) + ")"


def through_segment(value: str, lookup: Property) -> str:
    """The address of what a lookup leads to, by the alternate key that it goes by. Raises ValueError."""
    name = lookup.source.rpartition("/")[2]
    return f"({name}={quote(literal(value, lookup.edm), safe=_IN_ADDRESS)})"


_IN_ADDRESS = "-._~!$'()*:@"


def said_in(brackets: str, key: Property) -> str:
    """The key that stands between the brackets of a record's address."""
    if not key.parts:
        return str(_value(brackets if brackets.startswith("'") else brackets.rpartition("=")[2], key))
    named = dict(_PART.findall(brackets))
    return joined(str(_value(named.get(part.source, ""), part)) for part in key.parts)


def _value(text: str, part: Property) -> Any:
    if text.startswith("'") and text.endswith("'"):
        return text[1:-1].replace("''", "'")
    return reader(part.edm)(text)

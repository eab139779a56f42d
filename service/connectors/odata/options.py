"""The options of fields: members of enumeration types in the metadata, and option sets as Dataverse tells them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from service.core.records import Option

_ENCODED = re.compile(r"_x([0-9A-Fa-f]{4})_")

LANGUAGES: Mapping[int, str] = {
    1025: "ar", 1026: "bg", 1027: "ca", 1028: "zh-TW", 1029: "cs", 1030: "da", 1031: "de", 1032: "el", 1033: "en",
    1035: "fi", 1036: "fr", 1037: "he", 1038: "hu", 1040: "it", 1041: "ja", 1042: "ko", 1043: "nl", 1044: "nb",
    1045: "pl", 1046: "pt-BR", 1048: "ro", 1049: "ru", 1050: "hr", 1051: "sk", 1053: "sv", 1054: "th", 1055: "tr",
    1057: "id", 1058: "uk", 1060: "sl", 1061: "et", 1062: "lv", 1063: "lt", 1066: "vi", 1069: "eu", 1081: "hi",
    1086: "ms", 1087: "kk", 1110: "gl", 2052: "zh-CN", 2070: "pt", 2074: "sr-Latn", 3076: "zh-HK", 3082: "es",
    3098: "sr",
}  # fmt: skip
"""Languages by the numbers that Microsoft's applications have for them (LCID), those that Dataverse can be used in."""


def member(name: str, label: Any = None) -> Option:
    """A member of an enumeration. What no name may contain is in it by its number: `_x0020_` is a blank."""
    shown = label if isinstance(label, str) else _ENCODED.sub(lambda code: chr(int(code[1], 16)), name)
    return Option(name, shown)


def option_sets(page: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Option, ...]]]:
    """Fields with their options, from an answer with the attributes of a table of Dataverse."""
    for row in page.get("value", []):
        found = (row.get("OptionSet") or row.get("GlobalOptionSet") or {}).get("Options") or []
        options = tuple(option(one) for one in found if isinstance(one.get("Value"), int))
        if options:
            yield str(row.get("LogicalName")), options


def option(told: Mapping[str, Any]) -> Option:
    """One option of a set, with its labels in every language that the environment has."""
    label = told.get("Label") or {}
    labels = {
        LANGUAGES.get(one.get("LanguageCode"), str(one.get("LanguageCode"))): str(one.get("Label") or "")
        for one in label.get("LocalizedLabels") or []
    }
    own = (label.get("UserLocalizedLabel") or {}).get("Label") or next(iter(labels.values()), "")
    return Option(told["Value"], str(own or told["Value"]), tuple(sorted(labels.items())))

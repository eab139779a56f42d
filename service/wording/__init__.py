"""Codes and parameters become sentences, in the reader's language. Everything people read is made here.

`english/` maps a code to `Words`. A code with a variant (`value_rejected.not_null`, the variant being the parameter
`rule`) goes before the plain code, and the plain code before its `bare` one: the first that has all its parameters is
said. English is complete; the catalogues under `service/locale` say the same in other languages, and what one of them
lacks is said in English.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from string import Formatter
from types import NoneType
from typing import Any

from service.wording.catalogues import translations
from service.wording.english import ENGLISH
from service.wording.formats import number
from service.wording.languages import DEFAULT, LANGUAGES, from_environment, negotiate
from service.wording.terms import TERMS
from service.wording.words import Counted, Said, Words

__all__ = ["LANGUAGES", "Said", "Words", "count", "from_environment", "known", "negotiate", "say", "term", "text"]

_LONGEST_VALUE = 200
_NUMBERS = {
    *("allowed", "attempts", "count", "coupled", "days", "deletions", "length", "limit", "looked", "max", "maximum"),
    *("min", "most", "number", "records", "seconds", "total"),
}
"""Parameters that say how many, and not which."""
_TERMS = {"noun", "expected", "side", "outcome", "reason", "status"}
"""Parameters that are words of ours. Codes that a caller writes in requests stay as they are."""


def say(code: str, params: Mapping[str, Any] | None = None, language: str = DEFAULT) -> Said:
    """The title, the message and the advice of a code, with the parameters filled in."""
    given = params or {}
    values = tuple(map(given.get, _used(code)))
    # The causes of a page of errors are few, and so are the sentences about them.
    if _PLAIN.issuperset(map(type, values)):
        return _said(code, language, *values)
    return _made(code, given, language)


@lru_cache(500, typed=True)
def _said(code: str, language: str, *values: Any) -> Said:
    """The same for the values of the parameters that can occur in it; `typed`, since 1 is not said as true is."""
    return _made(code, dict(zip(_used(code), values, strict=True)), language)


_PLAIN = frozenset({str, int, bool, NoneType})
"""Values that are what they are by their type and what they equal."""


@lru_cache(1_000)
def _used(code: str) -> tuple[str, ...]:
    """The parameters that can have a say in what is said about a code."""
    told = [words for name, words in ENGLISH.items() if name == code or name.startswith(f"{code}.")]
    counted = {words.message.by for words in told if isinstance(words.message, Counted)}
    return tuple(sorted({"rule"}.union(counted, *map(_needed, told))))


def _made(code: str, given: Mapping[str, Any], language: str) -> Said:
    filled = _Parameters(given, language)
    words = _find(code, filled)
    message = words.message
    if isinstance(message, Counted):
        message = _counted(message.one, message.many, given.get(message.by), language)
    told = translations(language)
    title, advice = (told.gettext(part) if part else "" for part in (words.title, words.advice))
    return Said(*(part.format_map(filled) for part in (title, told.gettext(message), advice)))


def text(english: str, language: str = DEFAULT, **params: Any) -> str:
    """A text that has no code, as a label or the answer of a command. Without parameters braces mean themselves."""
    told = translations(language).gettext(english)
    return told.format_map(_Parameters(params, language)) if params else told


def count(one: str, many: str, number: int, language: str = DEFAULT, **params: Any) -> str:
    """A text that depends on a number, which stands in it as `{number}`."""
    return _counted(one, many, number, language).format_map(_Parameters({"number": number, **params}, language))


def term(group: str, code: str, language: str = DEFAULT) -> str:
    """What a code of ours is called: `term("status", "queued")`."""
    english = TERMS.get(group, {}).get(code)
    return code if english is None else translations(language).pgettext(group, english)


def known(code: str) -> bool:
    """Whether there is a sentence for this code."""
    return code in ENGLISH


def _counted(one: str, many: str, number: Any, language: str) -> str:
    by = number if isinstance(number, int) else 2
    return translations(language).ngettext(one, many, by)


def _find(code: str, params: _Parameters) -> Words:
    variants = _variants(code, params.says("rule"))
    return next((words for words in variants if all(map(params.says, _needed(words)))), variants[-1])


@lru_cache(1_000)
def _variants(code: str, rule: str) -> tuple[Words, ...]:
    """What can be said about a code, the fullest first."""
    names = (f"{code}.{rule}", code, f"{code}.bare")
    plain = code.replace("_", " ").capitalize()
    return tuple(ENGLISH[name] for name in names if name in ENGLISH) or (Words(plain, f"{plain}."),)


@cache
def _needed(words: Words) -> frozenset[str]:
    """The parameters that a sentence has places for."""
    return frozenset(name for part in words.texts for _, name, _, _ in Formatter().parse(part) if name)


class _Parameters(dict[str, str]):
    """Values as a sentence shows them: lists in words, long texts cut, and a mark where there is none. A value is put
    into words when a sentence first asks for it; most are never asked for."""

    def __init__(self, given: Mapping[str, Any], language: str) -> None:
        super().__init__()
        self._given = given
        self._language = language

    def __missing__(self, name: str) -> str:
        return self.says(name) or translations(self._language).gettext("(unknown)")

    def says(self, name: str) -> str:
        """What is shown for a name; nothing where there is none."""
        value = self._given.get(name)
        if value is None:
            return ""
        if part := _shown(name, value, self._language):
            self[name] = part
        return part


def _shown(name: str, value: Any, language: str) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        part = ", ".join(_shown(name, item, language) for item in value)
    elif value is None:
        part = "null"
    elif name in _NUMBERS and isinstance(value, int | float) and not isinstance(value, bool):
        part = number(value, language)
    else:
        part = term(name, str(value), language) if name in _TERMS else str(value)
    return part if len(part) <= _LONGEST_VALUE else part[: _LONGEST_VALUE - 1] + "…"

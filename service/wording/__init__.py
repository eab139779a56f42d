"""Codes and parameters become sentences, in the reader's language. Everything people read is made here.

A catalogue maps a code to `Words`. A code with a variant (`value_rejected.not_null`, the variant being the parameter
`rule`) goes before the plain code, and the plain code before its `bare` one: the first that has all its parameters is
said. English is complete; what another catalogue lacks is said in English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from string import Formatter
from typing import Any

from service.wording.english import ENGLISH
from service.wording.words import Words

__all__ = ["CATALOGUES", "Words", "known", "negotiate", "say"]

CATALOGUES: Mapping[str, Mapping[str, Words]] = {"en": ENGLISH}
"""Every language there is, by its tag."""

_LONGEST_VALUE = 200
_RANGE = re.compile(r"^\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?))?\s*$")


def say(code: str, params: Mapping[str, Any] | None = None, language: str = "en") -> Words:
    """The title, the message and the advice of a code, with the parameters filled in."""
    filled = _Parameters(params or {})
    words = _find(code, filled, language)
    return Words(*(text.format_map(filled) for text in (words.title, words.message, words.advice)))


def known(code: str) -> bool:
    """Whether there is a sentence for this code."""
    return code in ENGLISH


def negotiate(accept_language: str | None) -> str:
    """The language to answer in, for the value of an `Accept-Language` header."""
    wanted = sorted(_ranges(accept_language or ""), key=lambda choice: -choice[1])
    return next((tag for tag, quality in wanted if tag in CATALOGUES and quality > 0), "en")


def _ranges(header: str) -> Iterable[tuple[str, float]]:
    for part in header.split(","):
        matched = _RANGE.match(part)
        if matched:
            yield matched[1].lower(), float(matched[2] or 1)


def _find(code: str, params: Mapping[str, str], language: str) -> Words:
    names = (f"{code}.{params.get('rule')}", code, f"{code}.bare")
    catalogue = CATALOGUES.get(language, ENGLISH)
    variants = [catalogue[name] for name in names if name in catalogue]
    variants += [ENGLISH[name] for name in names if name in ENGLISH]
    fitting = (words for words in variants if _needed(words) <= params.keys())
    plain = code.replace("_", " ").capitalize()
    return next(fitting, variants[-1] if variants else Words(plain, f"{plain}."))


@cache
def _needed(words: Words) -> frozenset[str]:
    """The parameters that a sentence has places for."""
    return frozenset(name for text in words for _, name, _, _ in Formatter().parse(text) if name)


class _Parameters(dict[str, Any]):
    """Values as a sentence shows them: lists in words, long texts cut, and a mark where there is none."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        shown = {name: _shown(value) for name, value in params.items() if value is not None}
        super().__init__({name: text for name, text in shown.items() if text})

    def __missing__(self, name: str) -> str:
        return "(unknown)"


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        text = ", ".join(_shown(item) for item in value)
    elif value is None:
        text = "null"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"

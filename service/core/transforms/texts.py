"""Transformations of texts. A value of another type is left as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import re2

from service.core.records import Scalar
from service.core.transforms.base import (
    LONGEST,
    TEXTS,
    Function,
    Given,
    Params,
    Step,
    Transform,
    Wrong,
    choice,
    refuse,
    text,
    whole,
)
from service.core.transforms.patterns import compiled, detail


def _plain(function: Callable[[str], str]) -> Transform:
    """A transformation without parameters."""
    return Transform(lambda _given, _params: _of_text(function), takes=TEXTS)


def _of_text(function: Callable[[str], str]) -> Function:
    def transform(value: Scalar) -> Scalar:
        return function(value) if isinstance(value, str) else value

    return transform


def _truncate(_given: Given, params: Params) -> Function:
    length = params["length"]
    return _of_text(lambda value: value[:length])


def _pad(_given: Given, params: Params) -> Function:
    length, filler = params["length"], params["with"]
    fill = str.rjust if params["side"] == "left" else str.ljust
    return _of_text(lambda value: fill(value, length, filler) if value else value)


def _unpad(_given: Given, params: Params) -> Function:
    filler, left = params["with"], params["side"] == "left"

    def strip(value: str) -> str:
        return (value.lstrip(filler) if left else value.rstrip(filler)) or value[:1]

    return _of_text(strip)


def _unpadding(params: Params) -> Step:
    return Step("unpad", {"with": params["with"], "side": params["side"]})


def _replace(given: Given, params: Params) -> Function:
    old, new = params["from"], params["to"]
    return _of_text(lambda value: _bounded(given, value.replace(old, new)))


def _regex(given: Given, params: Params) -> Function:
    pattern, new = compiled(params["pattern"]), params["to"]
    return _of_text(lambda value: _bounded(given, pattern.sub(new, value)))


def _bounded(given: Given, value: str) -> str:
    if len(value) > LONGEST:
        raise refuse(given, "grew_too_long", maximum=LONGEST)
    return value


def _wrong_pattern(params: Params) -> Wrong:
    try:
        pattern = compiled(params["pattern"])
        pattern.sub(params["to"], "")
        _assert_groups(pattern, params["to"])
    except re2.error as error:
        yield "pattern", "pattern_wrong", {"detail": detail(error)}
    except IndexError:
        yield "to", "pattern_group_unknown", {"groups": pattern.groups}


def _assert_groups(pattern: Any, new: str) -> None:
    """A text that nothing matches does not show that a group is missing."""
    used = re2.compile(r"\\(\d)").findall(new)
    if any(int(number) > pattern.groups for number in used):
        raise IndexError


SIDE = choice("left", "right", default="left")

TEXT_TRANSFORMS = {
    "trim": _plain(str.strip),
    "upper": _plain(str.upper),
    "lower": _plain(str.lower),
    "title": _plain(str.title),
    "truncate": Transform(_truncate, {"length": whole(1, 1_000_000)}, TEXTS),
    "pad": Transform(
        _pad, {"length": whole(1, 4000), "with": text(1, 1, default="0"), "side": SIDE}, TEXTS, back=_unpadding
    ),
    "unpad": Transform(_unpad, {"with": text(1, 1, default="0"), "side": SIDE}, TEXTS),
    "replace": Transform(_replace, {"from": text(1), "to": text()}, TEXTS),
    "regex": Transform(_regex, {"pattern": text(1), "to": text()}, TEXTS, wrong=_wrong_pattern),
}

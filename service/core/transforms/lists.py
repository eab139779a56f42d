"""Transformations between a composite field and a single one: parts are joined into a text, a text is split into parts.

`rest` says which part may hold the separator itself: the last one, then a text is cut at its first separators, or the
first one, then it is cut at its last ones. Where a text has fewer pieces than there are parts, the part of the rest and
those beside it stay empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import re2

from service.core.composites import joined, parted
from service.core.records import FieldType, Scalar
from service.core.transforms.base import (
    LONGEST,
    TEXTS,
    Function,
    Given,
    Params,
    Step,
    Transform,
    Wrong,
    always,
    choice,
    flag,
    refuse,
    text,
)
from service.core.transforms.patterns import compiled, detail
from service.core.transforms.values import as_text

Cut: TypeAlias = Callable[[str], Sequence[str]]


def _concat(given: Given, params: Params) -> Function:
    separator, keep_empty = params["separator"], params["keepEmpty"]
    count = len(given.field.parts)

    def concatenated(value: Scalar) -> Scalar:
        if value is None:
            return None
        texts = ["" if part is None else as_text(part) for part in _parts(given, value, count)]
        whole = str(separator).join(one for one in texts if one or keep_empty)
        if len(whole) > LONGEST:
            raise refuse(given, "grew_too_long", maximum=LONGEST)
        return whole

    return concatenated


def _parts(given: Given, value: Scalar, count: int) -> Sequence[Scalar]:
    try:
        return parted(value, count)
    except ValueError:
        raise refuse(given, "not_a", expected="list") from None


def _split(given: Given, params: Params) -> Function:
    count = 0 if given.target is None else len(given.target.parts)
    cut = _by_pattern(params, count) if params["pattern"] is not None else _by_separator(params, count)

    def split(value: Scalar) -> Scalar:
        if value is None or value == "":
            return None
        pieces = cut(as_text(value))
        missing = [""] * (count - len(pieces))
        return joined([*pieces, *missing] if params["rest"] == "last" else [*missing, *pieces])

    return split


def _by_separator(params: Params, count: int) -> Cut:
    separator, method = params["separator"], str.split if params["rest"] == "last" else str.rsplit
    return lambda value: method(value, separator, count - 1)


def _by_pattern(params: Params, count: int) -> Cut:
    pattern, last = compiled(params["pattern"]), params["rest"] == "last"

    def cut(value: str) -> Sequence[str]:
        found = [match.span() for match in pattern.finditer(value) if match.end() > match.start()]
        chosen = found[: count - 1] if last else found[max(0, len(found) - count + 1) :]
        starts, ends = [0, *(end for _, end in chosen)], [*(start for start, _ in chosen), len(value)]
        return [value[start:end] for start, end in zip(starts, ends, strict=True)]

    return cut


def _splitting(params: Params) -> Step | None:
    if not params["separator"]:
        return None
    return Step("split", {**params, "pattern": None})


def _concatenating(params: Params) -> Step | None:
    """What a pattern has cut away is not known any more."""
    if params["pattern"] is not None:
        return None
    return Step("concat", {name: params[name] for name in ("separator", "rest", "keepEmpty")})


def _wrong_split(params: Params) -> Wrong:
    if params["pattern"] is None:
        return
    try:
        compiled(params["pattern"])
    except re2.error as error:
        yield "pattern", "pattern_wrong", {"detail": detail(error)}


def _unfit_split(given: Given, _params: Params) -> Wrong:
    if given.target is None or not given.target.parts:
        yield "", "split_needs_parts", {"field": given.target.name if given.target else given.field.name}


_REST = choice("last", "first", default="last")

LIST_TRANSFORMS = {
    "concat": Transform(
        _concat,
        {"separator": text(0, 100, default=" "), "rest": _REST, "keepEmpty": flag(False)},
        takes=frozenset({FieldType.LIST}),
        gives=always(FieldType.STRING),
        back=_splitting,
    ),
    "split": Transform(
        _split,
        {
            "separator": text(1, 100, default=" "),
            "pattern": text(1, default=None),
            "rest": _REST,
            "keepEmpty": flag(False),
        },
        takes=TEXTS,
        gives=always(FieldType.LIST),
        back=_concatenating,
        wrong=_wrong_split,
        unfit=_unfit_split,
    ),
}

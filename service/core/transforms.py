"""Transformations of a value on its way to the other side: pure functions on canonical values, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from service.core.records import Scalar


def _text(function: Callable[[str], str]) -> Callable[[Scalar], Scalar]:
    """Apply to texts; leave everything else as it is."""

    def transform(value: Scalar) -> Scalar:
        return function(value) if isinstance(value, str) else value

    return transform


TRANSFORMS: Mapping[str, Callable[[Scalar], Scalar]] = {
    "trim": _text(str.strip),
    "upper": _text(str.upper),
    "lower": _text(str.lower),
    "title": _text(str.title),
}


def apply(names: Sequence[str], value: Scalar) -> Scalar:
    """`value` after the named transformations, in their order. Raises KeyError for a name that is not in the table."""
    for name in names:
        value = TRANSFORMS[name](value)
    return value

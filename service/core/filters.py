"""Whether a record's values pass a filter, where no application can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.core.records import Condition, Scalar


def passes(values: Mapping[str, Scalar], conditions: Sequence[Condition]) -> bool:
    """Whether canonical values pass every line of a filter; letter case counts. KeyError for a field they lack."""
    return all(_OPERATORS[line.op](values[line.field], line.value) for line in conditions)


def without_blanks(value: Scalar) -> Scalar:
    """A value as finding compares it: a text without trailing blanks."""
    return value.rstrip(" ") if isinstance(value, str) else value


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Scalar, Any], bool]:
    """Comparison by size: of numbers where both can be numbers (a decimal is a text), else of texts. Empty fails."""

    def passes(value: Scalar, wanted: Any) -> bool:
        if value is None or wanted is None:
            return False
        try:
            return compare(float(value), float(wanted))
        except (ValueError, TypeError):
            return compare(str(value), str(wanted))

    return passes


_OPERATORS: Mapping[str, Callable[[Scalar, Any], bool]] = {
    "eq": lambda value, wanted: value == wanted,
    "ne": lambda value, wanted: value != wanted,
    "lt": _ordered(lambda one, other: one < other),
    "le": _ordered(lambda one, other: one <= other),
    "gt": _ordered(lambda one, other: one > other),
    "ge": _ordered(lambda one, other: one >= other),
    "in": lambda value, wanted: value in wanted,
    "isNull": lambda value, wanted: (value is None) == (wanted is not False),
    "startsWith": lambda value, wanted: isinstance(value, str) and value.startswith(wanted),
    "contains": lambda value, wanted: isinstance(value, str) and wanted in value,
}

"""Filters that no record can pass: what contradicts itself, and what a field can never hold. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from service.core.records import Condition, Field, FieldType

_NUMBERS = frozenset({FieldType.INTEGER, FieldType.DECIMAL, FieldType.FLOAT})


def contradictions(conditions: Sequence[Condition], fields: Mapping[str, Field]) -> Iterator[tuple[int, str]]:
    """The places of conditions that no record can fulfil together with the others, with their field."""
    for name in dict.fromkeys(line.field for line in conditions):
        field = fields.get(name)
        own = [(place, line) for place, line in enumerate(conditions) if line.field == name]
        if field is not None and _impossible([line for _, line in own], field):
            yield own[-1][0], name


def _impossible(lines: Sequence[Condition], field: Field) -> bool:
    if any(_too_long(line, field) for line in lines) or _no_option(lines, field):
        return True
    empty = [line.value is not False for line in lines if line.op == "isNull"]
    others = [line for line in lines if line.op not in ("isNull", "ne")]
    if any(empty) and (others or not all(empty) or not field.nullable):
        return True
    candidates = _candidates(lines)
    if candidates is not None:
        return not any(all(_holds(value, line, field) for line in lines) for value in candidates)
    return _empty_range(lines, field) or _prefixes_differ(lines)


def _too_long(line: Condition, field: Field) -> bool:
    """Whether a field of this length can never hold what the condition asks for."""
    if field.length is None or field.type is not FieldType.STRING:
        return False
    match line.op:
        case "eq" | "startsWith" | "contains":
            return len(str(line.value).rstrip(" ")) > field.length
        case "in":
            return all(len(str(value).rstrip(" ")) > field.length for value in line.value)
        case _:
            return False


def _no_option(lines: Sequence[Condition], field: Field) -> bool:
    """Whether none of a field's options passes. Letter case is left to the application to judge, and so is the order of
    texts; a field without a value passes none of these conditions."""
    ordered = () if field.type is FieldType.STRING else ("lt", "le", "gt", "ge")
    asking = [line for line in lines if line.op in ("eq", "in", "startsWith", "contains", *ordered)]
    if not field.options or not asking:
        return False
    folded = [replace(line, value=_folded(line.value)) for line in asking]
    return not any(all(_holds(_folded(one.value), line, field) for line in folded) for one in field.options)


def _folded(value: Any) -> Any:
    if isinstance(value, list):
        return [_folded(one) for one in value]
    return value.casefold() if isinstance(value, str) else value


def _candidates(lines: Sequence[Condition]) -> list[Any] | None:
    """The only values that could pass; None where there is no such list."""
    for line in lines:
        if line.op == "eq":
            return [line.value]
        if line.op == "in":
            return list(line.value)
    return None


_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, wanted: bool(value == wanted),
    "ne": lambda value, wanted: bool(value != wanted),
    "lt": lambda value, wanted: bool(value < wanted),
    "le": lambda value, wanted: bool(value <= wanted),
    "gt": lambda value, wanted: bool(value > wanted),
    "ge": lambda value, wanted: bool(value >= wanted),
    "startsWith": lambda value, wanted: str(value).startswith(str(wanted)),
    "contains": lambda value, wanted: str(wanted) in str(value),
}


def _holds(value: Any, line: Condition, field: Field) -> bool:
    """Whether a value passes a condition; what cannot be compared here may."""
    if line.op == "in":
        return any(_same(value, one, field) for one in line.value)
    if line.op == "isNull":
        return line.value is False
    try:
        return _TESTS[line.op](_comparable(value, field), _comparable(line.value, field))
    except (TypeError, InvalidOperation):
        return True


def _same(one: Any, other: Any, field: Field) -> bool:
    try:
        return bool(_comparable(one, field) == _comparable(other, field))
    except (TypeError, InvalidOperation):
        return True


def _comparable(value: Any, field: Field) -> Any:
    if field.type in _NUMBERS and not isinstance(value, bool):
        return Decimal(str(value))
    return value.rstrip(" ") if isinstance(value, str) else value


def _empty_range(lines: Sequence[Condition], field: Field) -> bool:
    """Whether a lower bound lies above an upper one. The order of texts is the application's own."""
    if field.type is FieldType.STRING:
        return False
    lower = [line for line in lines if line.op in ("gt", "ge")]
    upper = [line for line in lines if line.op in ("lt", "le")]
    try:
        return any(
            _comparable(low.value, field) > _comparable(high.value, field)
            or (low.value == high.value and (low.op, high.op) != ("ge", "le"))
            for low in lower
            for high in upper
        )
    except (TypeError, InvalidOperation):
        return False


def _prefixes_differ(lines: Sequence[Condition]) -> bool:
    starts = [str(line.value) for line in lines if line.op == "startsWith"]
    return any(not one.startswith(other) and not other.startswith(one) for one in starts for other in starts)

"""Expressions in the Common Expression Language (CEL): for what no other transformation says.

CEL has no loops and no side effects. The macros that go through lists are left out, texts and expressions are of
bounded length, and the two functions that can make texts grow without bound may occur once: what an expression can
cost is bounded by these, so that no clock has to watch it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from cel_expr_python import cel

from service.core.compare import datetime_text
from service.core.records import FieldType, Scalar
from service.core.transforms.base import LONGEST, Function, Given, Params, Transform, Wrong, always, refuse, text

_LONGEST = 4000
"""Characters that a text may have to be used in an expression."""
_DIGITS = 15
"""Digits of a number that double arithmetic gets right."""
_GROWING = re.compile(r"\b(?:replace|join)\b")
_CONFIG = """
stdlib: {exclude_macros: [all, exists, exists_one, map, filter]}
extensions: [{name: strings, version: 2}]
"""
_NOT_TEXTS = frozenset({FieldType.INTEGER, FieldType.DECIMAL, FieldType.FLOAT, FieldType.BOOLEAN})


def _type(type: FieldType | None) -> Any:
    """A text is never null in an expression. Another value can be, and may be compared with null for that reason."""
    return cel.Type.DYN if type is None or type in _NOT_TEXTS else cel.Type.STRING


def _native(value: Scalar, type: FieldType | None) -> Any:
    if value is None:
        return None if type is None or type in _NOT_TEXTS else ""
    return float(value) if type in (FieldType.DECIMAL, FieldType.FLOAT) else value


def _compiled(given: Given, expression: str) -> Any:
    """The expression, checked against the type of its variable. Raises RuntimeError."""
    variables = {"value": _type(given.type)}
    return cel.NewEnv(config=cel.NewEnvConfigFromYaml(_CONFIG), variables=variables).compile(expression)


def _bind(given: Given, params: Params) -> Function:
    program = _compiled(given, params["expression"])

    def evaluated(value: Scalar) -> Scalar:
        if isinstance(value, str) and len(value) > _LONGEST:
            raise refuse(given, "grew_too_long", maximum=_LONGEST)
        found = program.eval(data={"value": _native(value, given.type)})
        if found.type() in (cel.Type.ERROR, cel.Type.UNKNOWN):
            raise refuse(given, "expression_failed", detail=_plain(str(found.value())))
        return _canonical(given, found.plain_value())

    return evaluated


def _canonical(given: Given, value: Any) -> Scalar:
    """What an expression gives, as a canonical value of its own type."""
    match value:
        case None | bool() | int():
            return value
        case str():
            if len(value) > LONGEST:
                raise refuse(given, "grew_too_long", maximum=LONGEST)
            return value
        case float():
            return float(f"{value:.{_DIGITS}g}")
        case datetime():
            return datetime_text(value)
        case _:
            raise refuse(given, "expression_failed", detail=f"{type(value).__name__} is no value for a field")


def _plain(message: str) -> str:
    """The first line of a message of the library, without the names of its error classes."""
    first = message.split("\n")[0].strip('"')
    return re.sub(r"^[A-Z_]+: (ERROR: <input>:)?| \[[A-Z_]+\]$|\(in container ''\)", "", first).strip().rstrip(".")


def _wrong(params: Params) -> Wrong:
    if len(_GROWING.findall(params["expression"])) > 1:
        yield "expression", "expression_grows", {}


def _unfit(given: Given, params: Params) -> Wrong:
    try:
        _compiled(given, params["expression"])
    except RuntimeError as error:
        yield "expression", "expression_wrong", {"detail": _plain(str(error))}


EXPRESSION = Transform(_bind, {"expression": text(1)}, gives=always(None), wrong=_wrong, unfit=_unfit)

"""Expressions in the Common Expression Language (CEL): for what no other transformation says.

CEL has no loops and no side effects. The macros that go through lists are left out, texts and expressions are of
bounded length, and the two functions that can make texts grow without bound may occur once: what an expression can
cost is bounded by these, so that no clock has to watch it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from cel_expr_python import cel

from service.core.compare import datetime_text
from service.core.composites import joined, parted
from service.core.records import Field, FieldType, Scalar
from service.core.transforms.base import LONGEST, Function, Given, Params, Transform, Wrong, always, refuse, text

_LONGEST = 4000
"""Characters that a text may have to be used in an expression."""
_DIGITS = 15
"""Digits of a number that double arithmetic gets right."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset(
    [
        "value",
        "in",
        "true",
        "false",
        "null",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "namespace",
        "package",
        "return",
        "var",
        "void",
        "while",
    ]
)
"""What cannot name a part: it means something else, or is kept free by the language."""
_GROWING = re.compile(r"\b(?:replace|join)\b")
_CONFIG = """
stdlib: {exclude_macros: [all, exists, exists_one, map, filter]}
extensions: [{name: strings, version: 2}]
"""
_NOT_TEXTS = frozenset({FieldType.INTEGER, FieldType.DECIMAL, FieldType.FLOAT, FieldType.BOOLEAN})


def _type(type: FieldType | None) -> Any:
    """A text is never null in an expression. Another value can be, and may be compared with null for that reason."""
    if type is FieldType.LIST:
        return cel.Type.List(cel.Type.DYN)
    return cel.Type.DYN if type is None or type in _NOT_TEXTS else cel.Type.STRING


def _native(value: Scalar, type: FieldType | None) -> Any:
    if value is None:
        return None if type is None or type in _NOT_TEXTS else ""
    return float(value) if type in (FieldType.DECIMAL, FieldType.FLOAT) else value


def _compiled(given: Given, expression: str) -> Any:
    """The expression, checked against the type of its variable. Raises RuntimeError."""
    variables = {"value": _type(given.type), **{name: _type(part.type) for name, part in _parts(given).items()}}
    return cel.NewEnv(config=cel.NewEnvConfigFromYaml(_CONFIG), variables=variables).compile(expression)


def _parts(given: Given) -> Mapping[str, Field]:
    """The parts of a composite field that have names which an expression can use."""
    if given.type is not FieldType.LIST:
        return {}
    return {part.name: part for part in given.field.parts if _NAME.fullmatch(part.name) and part.name not in _RESERVED}


def _bind(given: Given, params: Params) -> Function:
    program = _compiled(given, params["expression"])
    variables = _variables_of_parts(given) if given.type is FieldType.LIST else _variable(given.type)

    def evaluated(value: Scalar) -> Scalar:
        if isinstance(value, str) and len(value) > _LONGEST:
            raise refuse(given, "grew_too_long", maximum=_LONGEST)
        found = program.eval(data=variables(value))
        if found.type() in (cel.Type.ERROR, cel.Type.UNKNOWN):
            raise refuse(given, "expression_failed", detail=_plain(str(found.value())))
        return _canonical(given, found.plain_value())

    return evaluated


def _variable(type: FieldType | None) -> Callable[[Scalar], Mapping[str, Any]]:
    return lambda value: {"value": _native(value, type)}


def _variables_of_parts(given: Given) -> Callable[[Scalar], Mapping[str, Any]]:
    """The list of all parts, and those that can be named by their names."""
    fields, named = given.field.parts, _parts(given)

    def variables(value: Scalar) -> Mapping[str, Any]:
        try:
            parts = parted(value, len(fields))
        except ValueError:
            raise refuse(given, "not_a", expected="list") from None
        held = [_native(part, own.type) for part, own in zip(parts, fields, strict=True)] if fields else list(parts)
        return {"value": held, **{own.name: part for own, part in zip(fields, held, strict=False) if own.name in named}}

    return variables


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
        case list() if given.target is not None and given.target.parts:
            return joined([_canonical(replace(given, target=None), one) for one in value])
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

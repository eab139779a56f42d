"""Transformations of numbers. A number travels as its canonical text or as a Python number; each is exact."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal, InvalidOperation
from typing import Any

from service.core.compare import decimal_text
from service.core.records import FieldType, Scalar
from service.core.transforms.base import (
    NUMBERS,
    TEXTS,
    Function,
    Given,
    Params,
    Step,
    Transform,
    Wrong,
    always,
    choice,
    number,
    refuse,
    text,
    whole,
)

EXACT = Context(prec=120)
"""More digits than any application stores, so that multiplying loses none."""
MODES = {"halfEven": ROUND_HALF_EVEN, "halfUp": ROUND_HALF_UP, "up": ROUND_UP, "down": ROUND_DOWN}


def decimal(given: Given, value: Any) -> Decimal:
    """The number that a value is. Raises Unconvertible."""
    if not isinstance(value, bool):
        try:
            found = Decimal(value.strip() if isinstance(value, str) else repr(value))
        except InvalidOperation:
            raise refuse(given, "not_a", expected="number") from None
        if found.is_finite() and abs(found.adjusted()) < EXACT.prec:
            return found
    raise refuse(given, "not_a", expected="number")


def _round(given: Given, params: Params) -> Function:
    step, mode = Decimal(1).scaleb(-params["scale"]), MODES[params["mode"]]

    def rounded(value: Scalar) -> Scalar:
        if value is None or value == "":
            return value
        return decimal_text(decimal(given, value).quantize(step, rounding=mode, context=EXACT))

    return rounded


def _multiply(given: Given, params: Params) -> Function:
    by = Decimal(str(params["by"]))
    return lambda value: value if value in (None, "") else decimal_text(EXACT.multiply(decimal(given, value), by))


def _divide(given: Given, params: Params) -> Function:
    by = Decimal(str(params["by"]))
    return lambda value: value if value in (None, "") else decimal_text(EXACT.divide(decimal(given, value), by))


def _dividing(params: Params) -> Step:
    return Step("divide", dict(params))


def _multiplying(params: Params) -> Step | None:
    """Dividing by seven cannot be undone: its digits never end. By twos and fives it can; a ten does not matter."""
    rest = int("".join(map(str, Decimal(str(params["by"])).as_tuple().digits)))
    for prime in (2, 5):
        while rest and rest % prime == 0:
            rest //= prime
    return Step("multiply", dict(params)) if rest == 1 else None


def _wrong_factor(params: Params) -> Wrong:
    try:
        by = Decimal(str(params["by"]))
    except InvalidOperation:
        by = Decimal(0)
    if not by.is_finite() or by == 0 or abs(by.adjusted()) > 30:
        yield "by", "factor_wrong", {}


def _format(given: Given, params: Params) -> Function:
    decimals, point, group = params["decimals"], params["decimalSeparator"], params["groupSeparator"]
    step = Decimal(1).scaleb(-decimals)

    def formatted(value: Scalar) -> Scalar:
        if value is None or value == "":
            return value
        number = decimal(given, value).quantize(step, rounding=ROUND_HALF_EVEN, context=EXACT)
        plain = f"{number or abs(number):,f}"
        return plain.replace(",", "\0").replace(".", point).replace("\0", group)

    return formatted


def _parse(given: Given, params: Params) -> Function:
    point, group = params["decimalSeparator"], params["groupSeparator"]

    def parsed(value: Scalar) -> Scalar:
        if not isinstance(value, str):
            return value
        plain = value.strip().replace(group, "") if group else value.strip()
        if point != "." and "." in plain:
            raise refuse(given, "not_a", expected="number")
        return decimal_text(decimal(given, plain.replace(point, "."))) if plain else None

    return parsed


def _parsing(params: Params) -> Step:
    return Step("parseNumber", {name: params[name] for name in ("decimalSeparator", "groupSeparator")})


def _wrong_separators(params: Params) -> Wrong:
    if params["decimalSeparator"] == params["groupSeparator"]:
        yield "groupSeparator", "separators_equal", {}
    for name in ("decimalSeparator", "groupSeparator"):
        if params[name].isalnum() or params[name] in ("-", "+"):
            yield name, "separator_wrong", {"separator": params[name]}


_BY = {"by": number()}
_SEPARATORS = {"decimalSeparator": text(1, 1, default=","), "groupSeparator": text(0, 1, default="")}
_TO_DECIMAL = always(FieldType.DECIMAL)

NUMBER_TRANSFORMS = {
    "round": Transform(
        _round, {"scale": whole(0, 20, default=2), "mode": choice(*MODES, default="halfEven")}, NUMBERS, _TO_DECIMAL
    ),
    "multiply": Transform(_multiply, _BY, NUMBERS, _TO_DECIMAL, _dividing, _wrong_factor),
    "divide": Transform(_divide, _BY, NUMBERS, _TO_DECIMAL, _multiplying, _wrong_factor),
    "numberFormat": Transform(
        _format,
        {"decimals": whole(0, 20, default=2), **_SEPARATORS},
        NUMBERS,
        always(FieldType.STRING),
        _parsing,
        _wrong_separators,
    ),
    "parseNumber": Transform(_parse, _SEPARATORS, TEXTS, _TO_DECIMAL, wrong=_wrong_separators),
}

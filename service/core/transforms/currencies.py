"""Amounts in the decimals of their currency. The currency stands beside the amount, or is named by the mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from service.core.compare import decimal_text
from service.core.composites import parted
from service.core.records import FieldType, Scalar
from service.core.transforms.base import (
    NUMBERS,
    Function,
    Given,
    Params,
    Transform,
    Wrong,
    always,
    choice,
    refuse,
    text,
)
from service.core.transforms.numbers import EXACT, MODES, decimal

MINOR_UNITS: Mapping[str, int] = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
"""How many decimals the amounts of a currency have, by ISO 4217 (list one); all others have two."""

_CODE = re.compile("[A-Z]{3}")


def _round(given: Given, params: Params) -> Function:
    mode, named, beside = MODES[params["mode"]], params["currency"], given.type is FieldType.LIST

    def rounded(value: Scalar) -> Scalar:
        amount, code = _beside(given, value) if beside else (value, None)
        if amount is None or amount == "":
            return None
        places = _decimals(given, named if code in (None, "") else code)
        step = Decimal(1).scaleb(-places)
        return decimal_text(decimal(given, amount).quantize(step, rounding=mode, context=EXACT))

    return rounded


def _beside(given: Given, value: Scalar) -> tuple[Scalar, Scalar]:
    """The amount, and the currency in the field beside it."""
    try:
        amount, code = parted(value, 2)
    except ValueError:
        raise refuse(given, "not_a", expected="list") from None
    return amount, code


def _decimals(given: Given, code: Scalar) -> int:
    letters = str(code or "").strip().upper()
    if not _CODE.fullmatch(letters):
        raise refuse(given, "not_a_currency", value=f"“{code or ''}”")
    return MINOR_UNITS.get(letters, 2)


def _wrong(params: Params) -> Wrong:
    code = params["currency"]
    if code is not None and not _CODE.fullmatch(code.upper()):
        yield "currency", "currency_wrong", {"code": code}


def _unfit(given: Given, params: Params) -> Wrong:
    if given.type is not FieldType.LIST and params["currency"] is None:
        yield "currency", "transform_parameter_missing", {"name": "currencyRound", "parameter": "currency"}


CURRENCY_TRANSFORMS = {
    "currencyRound": Transform(
        _round,
        {"currency": text(3, 3, default=None), "mode": choice(*MODES, default="halfEven")},
        NUMBERS | {FieldType.LIST},
        always(FieldType.DECIMAL),
        wrong=_wrong,
        unfit=_unfit,
    ),
}

"""What is left out of account when records are matched: case, accents, punctuation, legal forms, ways to write numbers.

Two values match when their normal forms are equal. Which differences do not count is said for each match key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import phonenumbers
from anyascii import anyascii
from cleanco import basename

from service.core.records import Scalar

Normalizer = Callable[[str], str]

PHONE = "phone"


def _without_legal_form(text: str) -> str:
    """A company's name without what its law adds, unless nothing else is there."""
    return basename(text) or text


def _without_punctuation(text: str) -> str:
    return "".join(sign if sign.isalnum() else " " for sign in text)


STEPS: Mapping[str, Normalizer] = {
    "legalForms": _without_legal_form,
    "accents": anyascii,
    "case": str.casefold,
    "punctuation": _without_punctuation,
}
"""What can be left out of account, by its name; always done in this order, whatever order it is asked for in."""


def normalizer(names: Sequence[str]) -> Normalizer:
    """The function that gives the normal form of a text for these names of `STEPS`, `phone`, or `phone:NO`.

    Blanks at both ends and rows of blanks never count.
    """
    regions = [name for name in names if name.partition(":")[0] == PHONE]
    if regions:
        region = regions[0].partition(":")[2] or None
        return lambda text: _phone(text, region)
    steps = [step for name, step in STEPS.items() if name in names]

    def normalize(text: str) -> str:
        for step in steps:
            text = step(text)
        return " ".join(text.split())

    return normalize


def normal(function: Normalizer | None, value: Scalar) -> Scalar:
    """The normal form of a value; None for one of which nothing is left. Only texts have other forms than their own."""
    if function is None or not isinstance(value, str):
        return value.rstrip(" ") if isinstance(value, str) else value
    return function(value) or None


def _phone(text: str, region: str | None) -> str:
    """A telephone number in international form; without a country, what is left are its digits."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return "".join(sign for sign in text if sign.isdigit())
    whole = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{whole};ext={number.extension}" if number.extension else whole


def wrong(names: Sequence[str]) -> Iterator[tuple[int, str, dict[str, object]]]:
    """What is wrong with names of normalizations: the place, a code and its parameters."""
    known = [*STEPS, PHONE, f"{PHONE}:XX"]
    for place, name in enumerate(names):
        head, _, region = name.partition(":")
        if head == PHONE:
            if len(names) > 1:
                yield place, "normalization_alone", {"name": name}
            if region and region not in phonenumbers.SUPPORTED_REGIONS:
                yield place, "region_unknown", {"region": region}
        elif name not in STEPS:
            yield place, "normalization_unknown", {"name": name, "names": known}

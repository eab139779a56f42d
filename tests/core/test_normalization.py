"""What does not count when records are matched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.normalization import STEPS, normal, normalizer, wrong

EVERYTHING = tuple(STEPS)


@pytest.mark.parametrize(
    ("names", "one", "other"),
    [
        (("case",), "ACME  Trading ", "acme trading"),
        (("case",), "Straße", "STRASSE"),
        (("accents",), "Škoda Ødegård", "Skoda Odegard"),
        (("accents", "case"), "Ñandú", "nandu"),
        (("punctuation",), "Bolt & Nut, Inc.", "Bolt Nut Inc"),
        (("legalForms", "case"), "Ødegård AS", "ødegård a/s"),
        (EVERYTHING, "Müller G.m.b.H.", "MULLER GmbH"),
        (EVERYTHING, "Novák spol. s r.o.", "Novak, s.r.o."),
        (EVERYTHING, "Acme Ltd.", "ACME LIMITED"),
        (EVERYTHING, "Bergström & Söner AB", "bergstrom soner"),
        (("phone",), "+47 22 33 44 55", "(+47) 22.33.44.55"),
        (("phone:NO",), "22 33 44 55", "+4722334455"),
        (("phone:CZ",), "777 123 456", "00420 777 123 456"),
        (("phone",), "22 33 44 55", "22-33-44-55"),
    ],
)
def test_what_does_not_count(names: tuple[str, ...], one: str, other: str) -> None:
    form = normalizer(names)
    assert form(one) == form(other)


@pytest.mark.parametrize(
    ("names", "one", "other"),
    [
        (("case",), "Škoda", "Skoda"),
        (("accents",), "ACME", "acme"),
        (("accents", "case"), "Acme AS", "Acme"),
        (EVERYTHING, "Acme Nord", "Acme Sør"),
        (("phone",), "+47 22 33 44 55", "+46 22 33 44 55"),
        (("phone:NO",), "22334455 ext 1", "22334455 ext 2"),
    ],
)
def test_what_counts(names: tuple[str, ...], one: str, other: str) -> None:
    form = normalizer(names)
    assert form(one) != form(other)


def test_a_name_that_is_nothing_but_a_legal_form_stays() -> None:
    assert normalizer(("legalForms",))("Limited") == "Limited"


def test_a_value_of_which_nothing_is_left_matches_nothing() -> None:
    assert normal(normalizer(("punctuation",)), "--") is None
    assert normal(normalizer(("phone",)), "none") is None
    assert normal(normalizer(("case",)), 7) == 7
    assert normal(None, "a  ") == "a"


def test_what_cannot_be_meant() -> None:
    assert list(wrong(["case", "accents", "phone:NO"])) == [(2, "normalization_alone", {"name": "phone:NO"})]
    assert [code for _, code, _ in wrong(["phone:XX"])] == ["region_unknown"]
    assert [place for place, code, _ in wrong(["case", "soundex"]) if code == "normalization_unknown"] == [1]
    assert list(wrong(EVERYTHING)) == list(wrong(["phone"])) == []


@given(st.text(max_size=30), st.lists(st.sampled_from(EVERYTHING), unique=True))
def test_a_normal_form_is_made_of_any_text_and_without_blanks_around_it(text: str, names: list[str]) -> None:
    form = normalizer(names)(text)
    assert form == " ".join(form.split())
    assert form == normalizer(list(reversed(names)))(text), "the order in which they are named does not count"


@given(st.text(max_size=30))
def test_case_and_accents_are_left_out_once_and_for_all(text: str) -> None:
    form = normalizer(("accents", "case"))
    assert form(form(text)) == form(text)

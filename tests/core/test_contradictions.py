"""A filter that is said to match nothing matches nothing; and the plain contradictions are all seen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.contradictions import contradictions
from service.core.filters import passes
from service.core.records import Condition, Field, FieldType, Option

NUMBER, TEXT = Field("f", FieldType.INTEGER), Field("f", FieldType.STRING, length=3)
STATE = Field("f", FieldType.INTEGER, options=tuple(Option(value, str(value)) for value in (1, 2, 3)))
COLOUR = Field("f", FieldType.STRING, options=(Option("red", "Red"), Option("Green", "Green")))
NUMBERS, TEXTS = st.integers(0, 4), st.text("ab", max_size=4)


def lines(values: st.SearchStrategy[Any], operators: tuple[str, ...]) -> st.SearchStrategy[list[Condition]]:
    one = st.builds(Condition, st.just("f"), st.sampled_from(operators), values)
    many = st.builds(Condition, st.just("f"), st.just("in"), st.lists(values, min_size=1, max_size=3))
    empty = st.builds(Condition, st.just("f"), st.just("isNull"), st.booleans())
    return st.lists(st.one_of(one, many, empty), min_size=1, max_size=4)


@given(lines(NUMBERS, ("eq", "ne", "lt", "le", "gt", "ge")), st.one_of(st.none(), st.integers(-1, 5)))
def test_no_number_passes_what_matches_nothing(conditions: list[Condition], value: int | None) -> None:
    if list(contradictions(conditions, {"f": NUMBER})):
        assert not passes({"f": value}, conditions)


@given(lines(TEXTS, ("eq", "ne", "startsWith", "contains")), st.one_of(st.none(), st.text("ab", max_size=3)))
def test_no_text_that_fits_passes_what_matches_nothing(conditions: list[Condition], value: str | None) -> None:
    if list(contradictions(conditions, {"f": TEXT})):
        assert not passes({"f": value}, conditions)


@pytest.mark.parametrize(
    ("field", "conditions"),
    [
        (NUMBER, [("eq", 1), ("eq", 2)]),
        (NUMBER, [("in", [1, 2]), ("gt", 2)]),
        (NUMBER, [("gt", 2), ("lt", 2)]),
        (NUMBER, [("gt", 2), ("le", 2)]),
        (NUMBER, [("isNull", True), ("ge", 0)]),
        (NUMBER, [("isNull", True), ("isNull", False)]),
        (TEXT, [("eq", "abcd")]),
        (TEXT, [("startsWith", "a"), ("startsWith", "b")]),
        (TEXT, [("eq", "ab"), ("startsWith", "b")]),
        (Field("f", FieldType.STRING, nullable=False), [("isNull", True)]),
        (STATE, [("eq", 4)]),
        (STATE, [("in", [0, 4])]),
        (STATE, [("gt", 3)]),
        (COLOUR, [("eq", "blue")]),
        (COLOUR, [("startsWith", "b"), ("ne", "red")]),
        (Field("f", FieldType.DATE), [("ge", "2026-02-01"), ("lt", "2026-01-01")]),
    ],
    ids=str,
)
def test_what_contradicts_itself_is_seen(field: Field, conditions: list[tuple[str, Any]]) -> None:
    assert list(contradictions([Condition("f", op, value) for op, value in conditions], {"f": field}))


@pytest.mark.parametrize(
    "conditions",
    [[("eq", "green")], [("in", ["blue", "RED"])], [("ne", "red"), ("ne", "green")], [("gt", "z")], [("isNull", True)]],
    ids=str,
)
def test_options_may_be_written_in_any_case_and_be_empty(conditions: list[tuple[str, Any]]) -> None:
    assert not list(contradictions([Condition("f", op, value) for op, value in conditions], {"f": COLOUR}))


@given(lines(NUMBERS, ("eq", "ne", "lt", "le", "gt", "ge")), st.sampled_from([None, 1, 2, 3]))
def test_no_option_passes_what_matches_nothing(conditions: list[Condition], value: int | None) -> None:
    if list(contradictions(conditions, {"f": STATE})):
        assert not passes({"f": value}, conditions)

"""Several fields taken together: how their values travel, and that no part that is accepted comes back as another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.compare import Unconvertible, canonical, coerce, equal
from service.core.composites import found, joined, parted, parts_of, plain, with_composites
from service.core.records import Field, FieldType, Scalar
from service.core.transforms import steps_back, steps_of
from service.core.ways import Way

FIRST = Field("first", FieldType.STRING, length=10, nullable=False)
LAST = Field("last", FieldType.STRING, length=10)
AGE = Field("age", FieldType.INTEGER)
SHARE = Field("share", FieldType.DECIMAL, precision=6, scale=2)
FIELDS = {one.name: one for one in (FIRST, LAST, AGE, SHARE)} | {"a + b": Field("a + b", FieldType.STRING)}
NAME = Field("name", FieldType.STRING, length=25)


def composite(name: str) -> Field:
    made = found(FIELDS, name)
    assert made is not None
    return made


def test_a_composite_is_made_of_its_parts() -> None:
    made = composite("first + last + age")
    assert made.type is FieldType.LIST
    assert made.parts == (FIRST, LAST, AGE)
    assert made.nullable
    assert found(FIELDS, "first + nix") is None
    assert found(FIELDS, "first + first") is None
    assert found(FIELDS, "a + b") is FIELDS["a + b"]
    assert parts_of(FIELDS, "a + b") == ()
    assert plain(FIELDS, ["first + last", "a + b", "last", "nix"]) == ("first", "last", "a + b", "nix")
    assert with_composites(FIELDS, ["first + last", "age"]).keys() == FIELDS.keys() | {"first + last"}


def test_one_part_that_must_have_a_value_makes_the_whole_so() -> None:
    fields = {"a": Field("a", FieldType.INTEGER, nullable=False, required=True), "b": Field("b", FieldType.STRING)}
    made = found(fields, "a + b")
    assert made is not None
    assert (made.required, made.nullable, made.read_only) == (True, False, False)
    with pytest.raises(Unconvertible) as refused:
        coerce('[null,"x"]', None, made)
    assert refused.value.failure.params == {"field": "a", "rule": "not_null"}


@given(st.lists(st.one_of(st.none(), st.text(), st.integers(), st.booleans()), min_size=2, max_size=5))
def test_parts_come_out_as_they_went_in(values: list[Scalar]) -> None:
    whole = joined(values)
    assert whole == joined(parted(whole, len(values)))
    back = parted(whole, len(values))
    assert all(
        equal(one, other) or (one in (None, "") or not str(one).strip(" "))
        for one, other in zip(values, back, strict=True)
    )


@pytest.mark.parametrize("value", ["Ann", "{}", '["a"]', '["a","b","c"]', '[["a"],"b"]', "7"])
def test_what_is_no_list_of_the_parts_is_refused(value: str) -> None:
    with pytest.raises(Unconvertible) as refused:
        coerce(value, None, composite("first + last"))
    assert refused.value.failure.params["rule"] == "not_a"


@pytest.mark.parametrize(
    ("value", "code", "params"),
    [
        (["x" * 11, "y"], "value_too_long", {"field": "first", "length": 11, "maximum": 10}),
        (["x", "y" * 12], "value_too_long", {"field": "last", "length": 12, "maximum": 10}),
    ],
)
def test_a_part_that_does_not_fit_is_named(value: list[Scalar], code: str, params: dict[str, Any]) -> None:
    with pytest.raises(Unconvertible) as refused:
        coerce(joined(value), None, composite("first + last"))
    assert (refused.value.failure.code, refused.value.failure.params) == (code, params)


def test_each_part_takes_the_form_of_its_field() -> None:
    assert coerce('["x","7"]', None, composite("first + age")) == '["x",7]'
    assert coerce('["x","1.005"]', None, composite("first + share")) == '["x","1"]'
    assert coerce(None, None, composite("first + last")) is None


def ways(whole: Field, step: dict[str, Any]) -> tuple[Way, Way]:
    there = steps_of([step])
    back = steps_back(there)
    assert back
    target = NAME if whole is not NAME else composite("first + last")
    return Way(whole, target, there, back), Way(target, whole, back, there)


PARAMS = st.fixed_dictionaries(
    {
        "separator": st.sampled_from([" ", ", ", "-", "--", "1"]),
        "rest": st.sampled_from(["first", "last"]),
        "keepEmpty": st.booleans(),
    }
)
SHORT = st.one_of(st.none(), st.text(st.sampled_from("ab1 ,-"), max_size=6))


def rounded(out: Way, back: Way, value: Scalar) -> Scalar | None:
    """What a value is after it went there and back; None where it is refused."""
    try:
        return back.bound()(out.bound()(value))
    except Unconvertible:
        return None


@given(SHORT, SHORT, PARAMS)
def test_parts_that_are_accepted_come_back(first: str | None, last: str | None, params: dict[str, Any]) -> None:
    whole = composite("first + last")
    value = joined([first, last])
    returned = rounded(*ways(whole, {"concat": params}), value)
    assert returned is None or returned == value or (value is None and returned is None)


@given(SHORT, st.integers(-99, 999), PARAMS)
def test_parts_of_other_types_come_back_too(first: str | None, age: int, params: dict[str, Any]) -> None:
    whole = composite("first + age")
    value = joined([first, age])
    returned = rounded(*ways(whole, {"concat": params}), value)
    assert returned is None or returned == value


@given(
    st.text(st.sampled_from("abc"), min_size=1, max_size=6),
    st.text(st.sampled_from("abc"), min_size=1, max_size=6),
    PARAMS,
)
def test_parts_without_the_separator_are_accepted(first: str, last: str, params: dict[str, Any]) -> None:
    value = joined([first, last])
    assert rounded(*ways(composite("first + last"), {"concat": params}), value) == value


@given(SHORT, PARAMS, st.sampled_from(["trim", "upper", None]))
def test_a_text_that_is_accepted_is_split_for_good(text: str | None, params: dict[str, Any], also: str | None) -> None:
    """Steps beside may change a text; what it was split into stays what it is."""
    there = steps_of([*([also] if also else []), {"split": params}])
    back = steps_back(there)
    whole = composite("first + last")
    out, home = Way(NAME, whole, there, back), Way(whole, NAME, back, there)
    parts = rule = None
    try:
        parts = out.bound()(text)
    except Unconvertible as refused:
        rule = refused.failure.params["rule"]
    assert rule in (None, "parts_change")
    assert rule or equal(out.bound()(home.bound()(parts)), parts)


@given(SHORT, SHORT, PARAMS)
def test_one_way_nothing_is_refused(first: str | None, last: str | None, params: dict[str, Any]) -> None:
    made = Way(composite("first + last"), NAME, steps_of([{"concat": params}])).bound()(joined([first, last]))
    pieces = [one.rstrip(" ") for one in (first or "", last or "")]
    assert equal(made or "", params["separator"].join(one for one in pieces if one or params["keepEmpty"])) or not any(
        pieces
    )


def test_the_part_that_would_change_is_told() -> None:
    out, _ = ways(composite("first + last"), {"concat": {}})
    with pytest.raises(Unconvertible) as refused:
        out.bound()(joined(["Ann Marie", "Berg"]))
    assert refused.value.failure.code == "value_rejected"
    assert refused.value.failure.params == {
        "field": "first + last",
        "rule": "parts_change",
        "part": "first",
        "held": "“Ann Marie”",
        "back": "“Ann”",
    }
    assert canonical(["Ann", None], FieldType.LIST) == '["Ann",null]'

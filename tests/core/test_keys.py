"""A key of several parts and its text are inverse, whatever the parts hold."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core.keys import field_of, joined, names_of, parted
from service.core.records import Field, FieldType

_PARTS = st.lists(st.text() | st.text(alphabet="%,2C5c' \"\\/ø"), min_size=2, max_size=4)


@given(_PARTS)
@example(["", ""])
@example(["%2C", ","])
@example(["%252C", "%"])
@example([" a ", "b  "])
@example(["Ørsted", "東京 🙂"])
@example(["\ud800", "\0"])
def test_parts_come_back_from_their_text(parts: list[str]) -> None:
    assert parted(joined(parts)) == parts


@given(st.text() | st.text(alphabet="%,2C5c a"))
@example("1000,%2c")
@example("%,1")
@example("%C3%98,1")
def test_a_key_has_one_text(text: str) -> None:
    try:
        parts = parted(text)
    except ValueError:
        assert "%" in text
    else:
        assert joined(parts) == text


@given(_PARTS, _PARTS)
def test_different_keys_have_different_texts(one: list[str], other: list[str]) -> None:
    assert (joined(one) == joined(other)) is (one == other)


@pytest.mark.parametrize(
    ("parts", "text"),
    [(("1000", "20"), "1000,20"), (("a,b", "50%"), "a%2Cb,50%25"), (("", "ø b"), ",ø b"), (("'", '"'), "',\"")],
)
def test_a_text_can_be_read(parts: tuple[str, ...], text: str) -> None:
    assert joined(parts) == text


def test_the_field_is_named_by_its_parts() -> None:
    fields = {name: Field(name, FieldType.STRING) for name in ("a", "b, c", "d,e", "a,d")}
    whole = field_of(["a", "b, c"])
    assert (whole.name, whole.read_only, whole.nullable) == ("a,b%2C c", True, False)
    fields[whole.name] = whole
    assert names_of(fields, whole.name) == ("a", "b, c")
    assert names_of(fields, "a") == ("a",)
    assert names_of(fields, "a,d") == ("a,d",), "a column that really has a comma in its name"
    assert names_of(fields, "a,x") == ("a,x",)
    assert names_of({**fields, "a,%2c": field_of(["a", "%2c"])}, "a,%2c") == ("a,%2c",)

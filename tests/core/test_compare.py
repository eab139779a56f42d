"""Canonical forms, what a destination makes of a value, and equality."""

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.compare import Unconvertible, canonical, coerce, convertible, equal
from service.core.records import Field, FieldType, Option


@pytest.mark.parametrize(
    ("native", "type", "form"),
    [
        ("Ærø ", FieldType.STRING, "Ærø "),
        (12, FieldType.STRING, "12"),
        (Decimal("12.500"), FieldType.DECIMAL, "12.5"),
        (Decimal("1E+3"), FieldType.DECIMAL, "1000"),
        (Decimal("-0.00"), FieldType.DECIMAL, "0"),
        (0.1, FieldType.DECIMAL, "0.1"),
        ("007", FieldType.INTEGER, 7),
        (1.0, FieldType.INTEGER, 1),
        (1, FieldType.BOOLEAN, True),
        ("no", FieldType.BOOLEAN, False),
        (date(2026, 1, 2), FieldType.DATE, "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, 5, 60, UTC), FieldType.DATETIME, "2026-01-02T03:04:05.000060Z"),
        (
            datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))),
            FieldType.DATETIME,
            "2026-01-02T01:00:00.000000Z",
        ),
        ("2026-01-02 03:04:05", FieldType.DATETIME, "2026-01-02T03:04:05.000000Z"),
        (time(3, 4), FieldType.TIME, "03:04:00"),
        (uuid.UUID(int=1), FieldType.UUID, "00000000-0000-0000-0000-000000000001"),
        (b"\x00\xff", FieldType.BINARY, "AP8="),
        ({"b": 1, "a": [2]}, FieldType.JSON, '{"a":[2],"b":1}'),
        (None, FieldType.STRING, None),
    ],
)
def test_canonical_forms(native: object, type: FieldType, form: object) -> None:
    assert canonical(native, type) == form


@pytest.mark.parametrize(
    ("native", "type"),
    [
        ("x", FieldType.INTEGER),
        (1.5, FieldType.INTEGER),
        ("NaN", FieldType.DECIMAL),
        ("1e999999999", FieldType.DECIMAL),
        (float("inf"), FieldType.FLOAT),
        ("perhaps", FieldType.BOOLEAN),
        ("2026-13-01", FieldType.DATE),
        ("tomorrow", FieldType.DATETIME),
        ("25:00", FieldType.TIME),
        ("1234", FieldType.UUID),
    ],
)
def test_what_is_not_of_its_type_is_refused(native: object, type: FieldType) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical(native, type)


@pytest.mark.parametrize(
    ("value", "source", "field", "held"),
    [
        ("12.345", FieldType.DECIMAL, Field("f", FieldType.DECIMAL, precision=10, scale=2), "12.34"),
        ("12.355", FieldType.DECIMAL, Field("f", FieldType.DECIMAL, precision=10, scale=2), "12.36"),
        (5, FieldType.INTEGER, Field("f", FieldType.STRING, length=3), "5"),
        ("abc   ", FieldType.STRING, Field("f", FieldType.STRING, length=3), "abc"),
        (None, FieldType.STRING, Field("f", FieldType.STRING, nullable=False), ""),
        (
            "2026-01-02T03:04:05.678901Z",
            FieldType.DATETIME,
            Field("f", FieldType.DATETIME, scale=3),
            "2026-01-02T03:04:05.678000Z",
        ),
        ("2026-01-02", FieldType.DATE, Field("f", FieldType.DATETIME), "2026-01-02T00:00:00.000000Z"),
        (1, FieldType.INTEGER, Field("f", FieldType.BOOLEAN), True),
        (3, None, Field("f", FieldType.STRING), "3"),
    ],
)
def test_what_a_destination_makes_of_a_value(value: str, source: FieldType, field: Field, held: object) -> None:
    assert coerce(value, source, field) == held


GRADES = (Option("Gold", "Gold"), Option("silver", "Silver"))
STATES = (Option(0, "Active"), Option(1, "Inactive"))


@pytest.mark.parametrize("value", ["Gold", "gold", "silver ", None])
def test_options_are_held_in_any_letter_case(value: str | None) -> None:
    """Whether letter case matters is for the application to say: MariaDB writes down its own spelling."""
    assert coerce(value, FieldType.STRING, Field("f", FieldType.STRING, options=GRADES)) == value


@pytest.mark.parametrize(
    ("value", "source", "field", "code", "rule"),
    [
        ("abcd", FieldType.STRING, Field("f", FieldType.STRING, length=3), "value_too_long", None),
        (None, FieldType.INTEGER, Field("f", FieldType.INTEGER, nullable=False), "value_rejected", "not_null"),
        ("abc", FieldType.STRING, Field("f", FieldType.INTEGER), "value_rejected", "not_a"),
        (
            "123456",
            FieldType.DECIMAL,
            Field("f", FieldType.DECIMAL, precision=5, scale=2),
            "value_rejected",
            "out_of_range",
        ),
        (2**40, FieldType.INTEGER, Field("f", FieldType.INTEGER, precision=32), "value_rejected", "out_of_range"),
        ("bronze", FieldType.STRING, Field("f", FieldType.STRING, options=GRADES), "value_rejected", "not_an_option"),
        ("", FieldType.STRING, Field("f", FieldType.STRING, options=GRADES), "value_rejected", "not_an_option"),
        ("3", FieldType.STRING, Field("f", FieldType.INTEGER, options=STATES), "value_rejected", "not_an_option"),
    ],
)
def test_what_does_not_fit_is_refused_never_cut(
    value: str, source: FieldType, field: Field, code: str, rule: str | None
) -> None:
    with pytest.raises(Unconvertible) as refused:
        coerce(value, source, field)
    assert (refused.value.failure.code, refused.value.failure.params.get("rule")) == (code, rule)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a ", "a", True),
        (" a", "a", False),
        ("A", "a", False),
        (None, "", False),
        (True, 1, False),
        ("1", 1, False),
        (1, 1, True),
    ],
)
def test_equality(one: object, other: object, same: bool) -> None:
    assert equal(one, other) is same  # type: ignore[arg-type]
    assert equal(other, one) is same  # type: ignore[arg-type]


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12))
def test_a_decimal_keeps_its_value(number: Decimal) -> None:
    form = canonical(number, FieldType.DECIMAL)
    assert Decimal(str(form)) == number
    assert canonical(form, FieldType.DECIMAL) == form


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_keeps_its_value(moment: datetime) -> None:
    form = canonical(moment, FieldType.DATETIME)
    assert datetime.fromisoformat(str(form)) == moment


@given(st.sampled_from(list(FieldType)), st.sampled_from(list(FieldType)))
def test_everything_converts_to_text_and_to_itself(one: FieldType, other: FieldType) -> None:
    assert convertible(one, one)
    assert convertible(one, FieldType.STRING)
    assert not (convertible(one, other) and other is FieldType.UUID and one is FieldType.BOOLEAN)

"""What is made of a whole column is what would be made of each value by itself, or nothing is said about it."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.core.columns import new_rows
from service.core.compare import Unconvertible, convertible
from service.core.flow import Flow, Line, new_values
from service.core.records import Field, FieldType, Record, Scalar, Side

SCALARS: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.STRING: st.text(st.sampled_from("a b\u0301é🙂"), max_size=6),
    FieldType.INTEGER: st.integers(-40_000, 40_000),
    FieldType.DECIMAL: st.sampled_from(["0", "-0", "1", "12.5", "-7.25", "1234.5678", "0.001", "007", "1e5", "12.50"]),
    FieldType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.DATETIME: st.sampled_from(["2026-01-01T10:00:00.123456Z", "2026-01-01T10:00:00.000000Z"]),
}
TYPES = list(SCALARS)


def texts(value: Scalar) -> Scalar:
    return value.upper() if isinstance(value, str) else value


@st.composite
def cases(draw: st.DrawFn) -> tuple[Flow, list[Record]]:
    lines, columns = [], []
    count = draw(st.integers(0, 5))
    for number in range(draw(st.integers(1, 4))):
        type = draw(st.sampled_from(TYPES))
        field = Field(
            f"f{number}",
            draw(st.sampled_from([type, draw(st.sampled_from([to for to in TYPES if convertible(type, to)]))])),
            length=draw(st.sampled_from([None, 3, 5])),
            precision=draw(st.sampled_from([None, 4, 16])),
            scale=draw(st.sampled_from([None, 0, 2])),
            nullable=draw(st.booleans()),
        )
        # A column may hold what its type does not foresee.
        value = st.one_of(SCALARS[type], SCALARS[type], st.none(), st.just("odd"))
        columns.append(draw(st.lists(value, min_size=count, max_size=count)))
        constant = draw(st.sampled_from([False, False, False, True]))
        lines.append(
            Line(
                id=str(number),
                source=None if constant else number,
                source_type=None if constant else type,
                destination=number,
                field=field,
                transform=draw(st.sampled_from([None, None, texts])),
                constant="7" if constant else None,
                returns=False,
                not_null=False,
                is_key=False,
            )
        )
    records = [Record(str(place), 0, row) for place, row in enumerate(zip(*columns, strict=True))]
    return Flow(Side.LOCAL, tuple(lines), (), ()), records


def one(length: int | None, *values: Scalar) -> tuple[Flow, list[Record]]:
    line = Line("0", 0, FieldType.STRING, 0, Field("f", FieldType.STRING, length), None, None, False, False, False)
    return Flow(Side.LOCAL, (line,), (), ()), [Record(str(n), 0, (value,)) for n, value in enumerate(values)]


@settings(max_examples=300, deadline=None)
@given(case=cases())
@example(case=one(3, "abc", "abc "))
@example(case=one(3, "abc", "abcd"))
@example(case=one(None, None))
@example(case=one(3))
def test_columns_say_what_records_say(case: tuple[Flow, list[Record]]) -> None:
    flow, records = case
    found = new_rows(flow, records)
    try:
        expected = [new_values(flow, record) for record in records]
    except Unconvertible:
        assert found is None
        return
    assert found is not None
    assert [[(name, repr(value)) for name, value in row.items()] for row in found] == [
        [(name, repr(value)) for name, value in row.items()] for row in expected
    ]

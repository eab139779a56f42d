"""Answers are written by a plan, and say exactly what marshmallow would have said."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import marshmallow as ma
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.api.fields import (
    Answer,
    Body,
    Choice,
    Flag,
    Int,
    Json,
    Key,
    Listed,
    Moment,
    Part,
    Said,
    Scalar,
    Text,
    moment_text,
)
from service.core.records import moment_of


class Colour(StrEnum):
    RED = "red"


class Inner(Answer):
    """Has one field."""

    name = Said()


class Loose(Body):
    """Has fields that need not be there."""

    first = Text(load_default=None)
    second = Listed(Text(), allow_none=True, dump_default=list)


class Everything(Answer):
    """Has a field of each kind."""

    some_text = Said(allow_none=True)
    colour = Choice(Colour)
    number = Int(allow_none=True)
    named_otherwise = Int(attribute="other")
    yes = Flag()
    at = Moment(allow_none=True)
    anything = Json()
    scalar = Scalar(metadata={"optional": True})
    inner = Part(Inner, allow_none=True)
    inners = Listed(Part(Inner), allow_none=True)
    loose = Part(Loose)
    words = Listed(Said())
    numbers = Listed(Json())
    key = Key(dump_default="k")


@dataclass
class Item:
    name: Any


WHOLE: dict[str, Any] = {
    "some_text": "a",
    "colour": Colour.RED,
    "number": 7,
    "other": True,
    "yes": True,
    "at": 1_795_291_940_873_613,
    "anything": {"a": [1, None]},
    "inner": {"name": 5},
    "inners": [{"name": "x"}, Item("y"), {}],
    "loose": {},
    "words": ["a", 1, Colour.RED, None],
    "numbers": (1, 2),
    "key": "c1",
}
"""An item with values that are, and that are not, of the type in which they are said."""


def object_of(values: dict[str, Any]) -> Any:
    made = type("Object", (), {})()
    vars(made).update(values)
    return made


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scalar": "rare"},
        {"some_text": None, "number": None, "at": None, "inner": None, "inners": None, "colour": None},
        {"loose": {"first": "a", "second": None}, "inner": Item("z"), "number": 7.0, "some_text": 12},
        *({name: ma.missing} for name in WHOLE),
    ],
    ids=str,
)
@pytest.mark.parametrize("made", [dict, object_of])
def test_what_is_said(made: Any, changes: dict[str, Any]) -> None:
    values = {name: value for name, value in {**WHOLE, **changes}.items() if value is not ma.missing}
    schema = Everything()
    written = schema.dump(made(values))
    theirs = ma.Schema._serialize(schema, made(values))
    assert written == theirs
    assert list(written) == list(theirs)
    assert [type(value) for value in written.values()] == [type(value) for value in theirs.values()]
    assert schema.dump([made(values)] * 2, many=True) == [written] * 2


MANY: list[list[dict[str, Any]]] = [
    [WHOLE, {**WHOLE, "inner": None, "inners": None, "words": (), "at": None}, {**WHOLE, "number": 7.0}, WHOLE],
    [WHOLE, {**WHOLE, "scalar": "rare"}, WHOLE, {name: WHOLE[name] for name in WHOLE if name != "key"}],
    [{**WHOLE, "inners": [Item("a")]}, {**WHOLE, "inners": [{"name": None}, {"name": 3}]}, WHOLE, WHOLE, WHOLE],
    [{**WHOLE, "loose": {"first": "a", "second": ["b"]}, "words": ["a", 5]} for _ in range(5)],
    [],
]


@pytest.mark.parametrize("made", [dict, object_of])
@pytest.mark.parametrize("several", MANY, ids=len)
def test_what_is_said_of_many_is_what_is_said_of_each(made: Any, several: list[dict[str, Any]]) -> None:
    schema = Everything()
    written = schema.dump(list(map(made, several)), many=True)
    theirs = [ma.Schema._serialize(schema, one) for one in map(made, several)]
    assert orjson.dumps(written) == orjson.dumps(theirs)
    assert [[type(value) for value in one.values()] for one in written] == [
        [type(value) for value in one.values()] for one in theirs
    ]


def test_items_of_several_kinds() -> None:
    items = [WHOLE, object_of(WHOLE)] * 3
    assert Everything().dump(items, many=True) == [Everything().dump(WHOLE)] * 6


class Pair(Answer):
    """Has what an item has, by the same names."""

    left = Said()
    right = Int()


def test_items_that_are_what_they_say_are_not_changed_by_it() -> None:
    items = [{"left": "a", "right": 1}, {"left": "b", "right": 2}] * 3
    assert Pair().dump(items, many=True) == items
    assert Pair().dump([{**one, "secret": 3} for one in items], many=True) == items
    assert Pair().dump([{**one, "right": 1.0} for one in items], many=True)[0] == {"left": "a", "right": 1}


def test_json_that_is_there_already_is_passed_on() -> None:
    inner = orjson.Fragment(b'{"name":"x"}')
    items = [{**WHOLE, "inner": inner, "inners": orjson.Fragment(b"[]"), "anything": inner}] * 5
    for written in (Everything().dump(items[0]), Everything().dump(items, many=True)[3]):
        said = orjson.loads(orjson.dumps(written))
        assert (said["inner"], said["inners"], said["anything"]) == ({"name": "x"}, [], {"name": "x"})


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1) | st.integers(min_value=0, max_value=2**51))
@example(0)
@example(-1)
@example(253402300799_999999)
@example(253402300800_000000)
@example(-62135596800_000000)
@example(-62135596800_000001)
def test_moments(stamp: int) -> None:
    try:
        moment = moment_of(stamp)
    except OverflowError:
        moment = datetime.max.replace(tzinfo=UTC) if stamp > 0 else datetime.min.replace(tzinfo=UTC)
    assert moment_text(stamp) == f"{moment.isoformat(timespec='microseconds')[:26]}Z"

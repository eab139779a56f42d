"""Answers are written by a plan, and say exactly what marshmallow would have said."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import marshmallow as ma
import pytest

from service.api.fields import Answer, Body, Choice, Flag, Int, Json, Key, Listed, Moment, Part, Said, Scalar, Text


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

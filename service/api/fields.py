"""The kinds of values in requests and answers: strict where marshmallow is lenient, and documented just as strict.

A message of marshmallow is a code of `wording` here (`Fault`), so that `errors` can say it in the reader's language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, NoReturn

import marshmallow as ma
from marshmallow import fields

from service.api.writing import Plan
from service.core.records import stamp_of

INT64 = 2**63
MAX_ID = INT64 - 1
NO_NUL = r"^[^\x00]*$"
PLAIN = r"^[^\x00-\x1f\x7f]*$"
_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,12}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_DEPTH = 8


class Fault(str):
    """A message that is a code of `wording`, with the parameters of its sentence."""

    params: Mapping[str, Any]

    def __new__(cls, code: str, **params: Any) -> Fault:
        made = super().__new__(cls, code)
        made.params = params
        return made

    def format(self, *_: object, **__: object) -> Fault:
        """marshmallow formats messages; a code stays what it is."""
        return self


def refuse(code: str, **params: Any) -> NoReturn:
    """Refuse a value."""
    raise ma.ValidationError(Fault(code, **params))


def camel(name: str) -> str:
    """`mapping_id` as JSON says it: `mappingId`."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


class Shape(ma.Schema):
    """Every schema: names in camel case, codes for messages."""

    error_messages = {
        "unknown": Fault("unknown_field"),
        "type": Fault("not_an_object"),
        "invalid": Fault("not_an_object"),
    }

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.data_key = camel(field_obj.data_key or field_name)
        field_obj.error_messages |= {
            "required": Fault("required"),
            "null": Fault("not_null"),
            "validator_failed": Fault("invalid_value"),
        }


class Body(Shape):
    """What a request says. Unknown fields are refused."""

    class Meta:
        unknown = ma.RAISE


class Query(Body):
    """Parameters after the question mark. Unknown ones are refused."""

    error_messages = {"unknown": Fault("unknown_parameter")}


class Answer(Shape):
    """What an answer says: every field is always there."""

    class Meta:
        unknown = ma.EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        super().on_bind_field(field_name, field_obj)
        field_obj.required = not field_obj.metadata.get("optional", False)

    @cached_property
    def _plan(self) -> Plan:
        return Plan(self)

    def _serialize(self, obj: Any, *, many: bool = False) -> Any:
        """marshmallow's own way, with what it would look up for each item looked up once."""
        return self._plan.all_written(list(obj)) if many else self._plan.written(obj)


class Text(fields.String):
    """A text without NUL, of bounded length."""

    default_error_messages = {"invalid": Fault("not_a_text"), "invalid_utf8": Fault("not_a_text")}

    def __init__(self, *, min: int = 0, max: int = 4000, pattern: str = NO_NUL, **options: Any) -> None:
        described = {"pattern": pattern, "maxLength": max, **({"minLength": min} if min else {})}
        options["metadata"] = {**described, **options.get("metadata", {})}
        super().__init__(**options)
        self._min, self._max, self._allowed = min, max, re.compile(pattern)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            refuse("not_a_text")
        if not self._min <= len(value) <= self._max:
            refuse("text_length", min=self._min, max=self._max)
        if not self._allowed.fullmatch(value):
            refuse("forbidden_character")
        return value


class Key(fields.Raw):
    """The key of a record: a text, or the whole number that it is in its application."""

    def __init__(self, **options: Any) -> None:
        described = {"type": ["string", "integer"], "pattern": NO_NUL, "minLength": 1, "maxLength": 1000}
        options["metadata"] = {**described, "minimum": -INT64, "maximum": MAX_ID, **options.get("metadata", {})}
        super().__init__(**options)
        self._text, self._number = Text(min=1, max=1000), Int()

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        return self._text.deserialize(value) if isinstance(value, str) else str(self._number.deserialize(value))


class Said(fields.String):
    """A text of an answer."""


class Choice(fields.String):
    """One of several words."""

    def __init__(self, choices: Iterable[str], **options: Any) -> None:
        self.choices = tuple(str(choice) for choice in choices)
        allowed: list[str | None] = [*self.choices, *([None] if options.get("allow_none") else [])]
        options["metadata"] = {"enum": allowed, **options.get("metadata", {})}
        super().__init__(**options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            refuse("not_a_choice", choices=self.choices)
        return value


class Int(fields.Integer):
    """A whole number of a JSON body: no text, no boolean, within 64 bits."""

    def __init__(self, *, min: int = -INT64, max: int = MAX_ID, **options: Any) -> None:
        options["metadata"] = {"minimum": min, "maximum": max, **options.get("metadata", {})}
        super().__init__(**options)
        self._least, self._most = min, max

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            refuse("not_an_integer")
        return self._bounded(int(value))

    def _bounded(self, number: int) -> int:
        if not self._least <= number <= self._most:
            refuse("number_out_of_range", min=self._least, max=self._most)
        return number


class QueryInt(Int):
    """A whole number of a query, in plain digits."""

    _digits = re.compile(r"-?(0|[1-9][0-9]{0,18})")

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if not isinstance(value, str) or not self._digits.fullmatch(value):
            refuse("not_an_integer")
        return self._bounded(int(value))


def Id(**options: Any) -> Int:  # noqa: N802  (it stands where the fields stand)
    """The id of an item in a body."""
    return Int(min=1, **options)


def QueryId(**options: Any) -> QueryInt:  # noqa: N802
    """The id of an item in a query."""
    return QueryInt(min=1, **options)


class Flag(fields.Boolean):
    """true or false of a JSON body, nothing that resembles them."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            refuse("not_a_boolean")
        return value


class QueryFlag(fields.Boolean):
    """`true` or `false` of a query."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if value not in ("true", "false"):
            refuse("not_a_boolean")
        return bool(value == "true")


class Moment(fields.Field[int]):
    """A time: RFC 3339 outside, microseconds since 1970 inside."""

    def __init__(self, **options: Any) -> None:
        described = {"type": "string", "format": "date-time", "example": "2026-11-21T10:00:00.000000Z"}
        options["metadata"] = {**described, **options.get("metadata", {})}
        super().__init__(**options)

    def _serialize(self, value: Any, *_: Any, **__: Any) -> str | None:
        return None if value is None else moment_text(value)

    @staticmethod
    def written(value: int) -> str:
        """The same for a value that there is: what `writing` calls for each of thousands."""
        return moment_text(value)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            refuse("not_a_moment")
        try:
            return _stamp(*found.groups())
        except ValueError:
            refuse("not_a_moment")


def moment_text(stamp: int) -> str:
    """A stamp as answers say it; one beyond the years of the calendar as the nearest that is not.

    Put together from parts that are kept: a list has hundreds of moments, and most are of few days.
    """
    minutes, rest = divmod(stamp, 60_000_000)
    days, minute = divmod(minutes, 1_440)
    try:
        day = _day_text(days)
    except OverflowError:
        return _LAST if stamp > 0 else _FIRST
    seconds, fraction = divmod(rest, 1_000_000)
    return f"{day}T{_minute_text(minute)}:{seconds:02d}.{fraction:06d}Z"


_FIRST, _LAST = "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"
_EPOCH = date(1970, 1, 1)


@lru_cache(1_000)
def _day_text(days: int) -> str:
    """A day by its number since 1970. Raises OverflowError for one that no calendar has."""
    return (_EPOCH + timedelta(days)).isoformat()


@lru_cache(1_440)
def _minute_text(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _stamp(*parts: str | None) -> int:
    """The stamp of a matched time. A leap second counts as the second before it, the year 0 as the year 1."""
    year, month, day, hour, minute, second = (int(part or 0) for part in parts[:6])
    fraction, sign, hours, minutes = parts[6:]
    if int(hours or 0) > 23 or int(minutes or 0) > 59 or second > 60:
        raise ValueError
    moment = datetime(max(year, 1), month, day, hour, minute, min(second, 59), tzinfo=UTC)
    offset = (int(hours or 0) * 60 + int(minutes or 0)) * (-1 if sign == "-" else 1)
    return stamp_of(moment) + int((fraction or "0")[:6].ljust(6, "0")) - offset * 60_000_000


class Scalar(fields.Raw):
    """A single JSON value: a text, a number, true, false or null."""

    def __init__(self, **options: Any) -> None:
        described = {"type": ["string", "number", "boolean"], "pattern": NO_NUL}
        options["metadata"] = {**described, **options.get("metadata", {})}
        super().__init__(**{"allow_none": True, **options})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if isinstance(value, list | dict):
            refuse("not_a_scalar")
        _assert_storable(value, 0)
        return value


class Json(fields.Raw):
    """Any JSON, of bounded depth."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_none": True, **options})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        _assert_storable(value, 0)
        return value


def _assert_storable(value: Any, depth: int) -> None:
    """Refuse what a database cannot keep or nobody can read."""
    if depth > _DEPTH:
        refuse("nested_too_deep")
    if isinstance(value, str) and "\x00" in value:
        refuse("forbidden_character")
    if isinstance(value, int) and not -INT64 <= value < INT64:
        refuse("number_out_of_range", min=-INT64, max=MAX_ID)
    if isinstance(value, list | dict):
        for part in (*value, *value.values()) if isinstance(value, dict) else value:
            _assert_storable(part, depth + 1)


class Part(fields.Nested):
    """An object inside an object."""

    default_error_messages = {"type": Fault("not_an_object")}


class Items(fields.List[Any]):
    """A list of bounded length."""

    default_error_messages = {"invalid": Fault("not_a_list")}

    def __init__(self, inner: Any, *, min: int = 0, max: int = 1000, **options: Any) -> None:
        described = {"maxItems": max, **({"minItems": min} if min else {})}
        options["metadata"] = {**described, **options.get("metadata", {})}
        super().__init__(inner, **options)
        self._least, self._most = min, max

    def _deserialize(self, value: Any, *rest: Any, **options: Any) -> list[Any]:
        if isinstance(value, list) and not self._least <= len(value) <= self._most:
            refuse("list_length", min=self._least, max=self._most)
        return super()._deserialize(value, *rest, **options)


class Listed(fields.List[Any]):
    """A list of an answer."""


class Settings(Json):
    """An object whose names are free."""

    def __init__(self, **options: Any) -> None:
        options["metadata"] = {"type": "object", **options.get("metadata", {})}
        super().__init__(**{"allow_none": False, **options})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            refuse("not_an_object")
        _assert_storable(value, 0)
        return value


class Texts(Settings):
    """An object of texts, whose names are free."""

    def __init__(self, text: Text, **options: Any) -> None:
        self._text = text
        options["metadata"] = {
            "additionalProperties": {"type": "string", **text.metadata},
            **options.get("metadata", {}),
        }
        super().__init__(**options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        return {name: self._text.deserialize(text) for name, text in super()._deserialize(value).items()}

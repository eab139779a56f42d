"""Transformations, one by one; what they refuse; and that those which claim to be two-way are."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.core.compare import Unconvertible, canonical, datetime_text, decimal_text, equal
from service.core.composites import joined
from service.core.records import Field, FieldType, Scalar
from service.core.transforms import TRANSFORMS, chain, steps_back, steps_of, unfitting, wrong

TEXT, NUMBER = Field("text", FieldType.STRING), Field("number", FieldType.DECIMAL)
DATE, MOMENT = Field("date", FieldType.DATE), Field("moment", FieldType.DATETIME)
LIST = Field("first + last", FieldType.LIST, parts=(Field("first", FieldType.STRING), Field("last", FieldType.STRING)))
AMOUNT = Field("amount + currency", FieldType.LIST, parts=(NUMBER, Field("currency", FieldType.STRING)))
TIME, WHOLE, FLAG = Field("time", FieldType.TIME), Field("whole", FieldType.INTEGER), Field("flag", FieldType.BOOLEAN)


def done(steps: Sequence[Any], value: Scalar, source: Field = TEXT, target: Field = LIST) -> Scalar:
    """A value after steps as a mapping writes them, which must be without findings."""
    assert list(wrong(steps)) == []
    bound = steps_of(steps)
    assert list(unfitting(bound, source, target)) == []
    function = chain(bound, source, target).function
    assert function is not None
    return function(value)


MAP = {"NO": "Norway", "SE": "Sweden", "": "nowhere"}
EXAMPLES: list[tuple[Any, Scalar, Scalar, Field]] = [
    ("concat", '["Ann","Berg"]', "Ann Berg", LIST),
    ({"currencyRound": {"currency": "JPY", "mode": "halfUp"}}, "1999.5", "2000", NUMBER),
    ({"currencyRound": {"currency": "nok"}}, "19.995", "20", NUMBER),
    ("currencyRound", '["1.00051","KWD"]', "1.001", AMOUNT),
    ({"currencyRound": {"currency": "NOK"}}, '["1.005",null]', "1", AMOUNT),
    ("currencyRound", '[null,"KWD"]', None, AMOUNT),
    ("concat", '[null,"Berg"]', "Berg", LIST),
    ("concat", None, None, LIST),
    ({"concat": {"separator": ", ", "keepEmpty": True}}, '[null,"Berg"]', ", Berg", LIST),
    ("split", "Ann Marie Berg", '["Ann","Marie Berg"]', TEXT),
    ({"split": {"rest": "first"}}, "Ann Marie Berg", '["Ann Marie","Berg"]', TEXT),
    ("split", "Ann", '["Ann",null]', TEXT),
    ({"split": {"rest": "first"}}, "Berg", '[null,"Berg"]', TEXT),
    ("split", " ", None, TEXT),
    ({"split": {"pattern": ",? +"}}, "Berg,  Ann Marie", '["Berg","Ann Marie"]', TEXT),
    ({"split": {"pattern": " *", "rest": "first"}}, "Ann  Marie Berg", '["Ann  Marie","Berg"]', TEXT),
    ({"expression": "first + '/' + last"}, '["Ann",null]', "Ann/", LIST),
    ({"expression": "[value[1], value[0]]"}, '["Ann","Berg"]', '["Berg","Ann"]', LIST),
    ("trim", " a ", "a", TEXT),
    ("upper", "straße", "STRASSE", TEXT),
    ("lower", "ÅÄÖ", "åäö", TEXT),
    ("title", "anna berg", "Anna Berg", TEXT),
    ({"truncate": {"length": 2}}, "abc", "ab", TEXT),
    ({"pad": {"length": 5}}, "42", "00042", TEXT),
    ({"pad": {"length": 5}}, "", "", TEXT),
    ({"pad": {"length": 4, "with": "x", "side": "right"}}, "42", "42xx", TEXT),
    ({"unpad": {}}, "00042", "42", TEXT),
    ({"unpad": {}}, "000", "0", TEXT),
    ({"unpad": {"with": "x", "side": "right"}}, "42xx", "42", TEXT),
    ({"replace": {"from": "-", "to": ""}}, "1-2-3", "123", TEXT),
    ({"regex": {"pattern": r"(\d+)/(\d+)", "to": r"\2-\1"}}, "12/34", "34-12", TEXT),
    ({"round": {}}, "1.005", "1", NUMBER),
    ({"round": {"scale": 1, "mode": "halfUp"}}, "1.25", "1.3", NUMBER),
    ({"round": {"scale": 0, "mode": "down"}}, "-1.9", "-1", NUMBER),
    ({"round": {"scale": 0, "mode": "up"}}, "1.1", "2", NUMBER),
    ({"multiply": {"by": 0.01}}, "1999", "19.99", NUMBER),
    ({"multiply": {"by": 100}}, "19.99", "1999", NUMBER),
    ({"divide": {"by": "100"}}, 1999, "19.99", WHOLE),
    ({"numberFormat": {"groupSeparator": "."}}, "-1234567.891", "-1.234.567,89", NUMBER),
    ({"numberFormat": {"decimals": 0}}, "-0.4", "0", NUMBER),
    ({"parseNumber": {"groupSeparator": "."}}, "1.234.567,89", "1234567.89", TEXT),
    ({"parseNumber": {}}, " ", None, TEXT),
    ({"dateFormat": {"format": "%d.%m.%Y"}}, "0999-02-03", "03.02.0999", DATE),
    ({"dateFormat": {"format": "%H:%M"}}, "13:14:15", "13:14", TIME),
    ({"dateFormat": {"format": "%Y%m%dT%H%M%S"}}, "2026-11-21T10:20:30.500000Z", "20261121T102030", MOMENT),
    ({"parseDate": {"format": "%d.%m.%Y"}}, "21.11.2026", "2026-11-21", TEXT),
    ({"parseDate": {"format": "%d.%m.%Y %H.%M"}}, "21.11.2026 10.20", "2026-11-21T10:20:00.000000Z", TEXT),
    ({"parseDate": {"format": "%H%M"}}, "1314", "13:14:00", TEXT),
    ({"timeZone": {"from": "Europe/Oslo"}}, "2026-07-01T12:00:00.000000Z", "2026-07-01T10:00:00.000000Z", MOMENT),
    ({"timeZone": {"from": "UTC", "to": "Asia/Tokyo"}}, "2026-07-01T20:00:00Z", "2026-07-02T05:00:00.000000Z", MOMENT),
    ({"valueMap": {"map": MAP}}, "NO ", "Norway", TEXT),
    ({"valueMap": {"map": MAP}}, None, "nowhere", TEXT),
    ({"valueMap": {"map": MAP, "unmapped": "keep"}}, "DK", "DK", TEXT),
    ({"valueMap": {"map": MAP, "unmapped": "default", "default": "abroad"}}, "DK", "abroad", TEXT),
    ({"valueMap": {"map": {"true": 1, "false": 0}}}, True, 1, FLAG),
    ({"valueMap": {"map": {"5": "five"}}}, "5", "five", NUMBER),
    ({"default": {"value": 30}}, None, 30, WHOLE),
    ({"default": {"value": "-"}}, "", "-", TEXT),
    ({"default": {"value": 30}}, 0, 0, WHOLE),
    ({"expression": 'value.startsWith("+") ? value : "+47" + value'}, "123", "+47123", TEXT),
    ({"expression": 'value == "" ? "none" : value.lowerAscii()'}, None, "none", TEXT),
    ({"expression": "value * 3.0"}, "0.1", 0.3, NUMBER),
    ({"expression": "value == null ? 0 : value + 1"}, None, 0, WHOLE),
    (
        {"expression": 'timestamp(value) + duration("24h")'},
        "2026-07-01T12:00:00Z",
        "2026-07-02T12:00:00.000000Z",
        MOMENT,
    ),
]


@pytest.mark.parametrize(("step", "value", "result", "source"), EXAMPLES, ids=[str(row[0])[:60] for row in EXAMPLES])
def test_what_each_does(step: Any, value: Scalar, result: Scalar, source: Field) -> None:
    found = done([step], value, source)
    assert (found, type(found)) == (result, type(result))


def test_every_transformation_has_an_example() -> None:
    shown = {step if isinstance(step, str) else next(iter(step)) for step, *_ in EXAMPLES}
    assert shown == set(TRANSFORMS)


def test_steps_follow_one_another() -> None:
    steps = ["trim", {"parseDate": {"format": "%d.%m.%Y"}}, {"dateFormat": {"format": "%Y%m%d"}}]
    assert done(steps, " 21.11.2026 ") == "20261121"
    assert chain(steps_of(steps[:2]), TEXT).type is FieldType.DATE


REFUSED: list[tuple[Any, Scalar, Field, str, dict[str, Any]]] = [
    ({"valueMap": {"map": {"NO": 1}}}, "DK", TEXT, "value_not_mapped", {"field": "text", "value": "DK"}),
    ({"multiply": {"by": 2}}, "two", TEXT, "value_rejected", {"rule": "not_a", "expected": "number"}),
    ({"parseNumber": {}}, "1.5", TEXT, "value_rejected", {"rule": "not_a"}),
    ({"parseDate": {"format": "%d.%m.%Y"}}, "31.02.2026", TEXT, "value_rejected", {"rule": "not_of_form"}),
    ({"dateFormat": {"format": "%d"}}, "soon", TEXT, "value_rejected", {"rule": "not_a", "expected": "date"}),
    ({"timeZone": {"from": "Asia/Tokyo"}}, "0001-01-01T00:00:00Z", MOMENT, "value_rejected", {"expected": "datetime"}),
    ({"replace": {"from": "a", "to": "a" * 1000}}, "a" * 2000, TEXT, "value_rejected", {"rule": "grew_too_long"}),
    ({"expression": "1 / (value == 0 ? 0 : 1)"}, 0, WHOLE, "value_rejected", {"rule": "expression_failed"}),
    ("currencyRound", '["1","crown"]', AMOUNT, "value_rejected", {"rule": "not_a_currency", "value": "“crown”"}),
    ("currencyRound", '["much","NOK"]', AMOUNT, "value_rejected", {"rule": "not_a"}),
    ({"expression": "value"}, "a" * 4001, TEXT, "value_rejected", {"rule": "grew_too_long"}),
    ({"expression": 'duration("1s")'}, "", TEXT, "value_rejected", {"rule": "expression_failed"}),
]


@pytest.mark.parametrize(
    ("step", "value", "source", "code", "params"), REFUSED, ids=[str(row[0])[:50] for row in REFUSED]
)
def test_what_cannot_be_transformed(step: Any, value: Scalar, source: Field, code: str, params: dict[str, Any]) -> None:
    with pytest.raises(Unconvertible) as refused:
        done([step], value, source)
    assert refused.value.failure.code == code
    assert params.items() <= refused.value.failure.params.items()


WRONG: list[tuple[Any, str, str]] = [
    ("shout", "/0", "transform_unknown"),
    (7, "/0", "transform_form"),
    ({"trim": {}, "upper": {}}, "/0", "transform_form"),
    ({"pad": 5}, "/0/pad", "not_an_object"),
    ({"pad": {}}, "/0/pad/length", "transform_parameter_missing"),
    ({"pad": {"length": "5"}}, "/0/pad/length", "transform_parameter_wrong"),
    ({"pad": {"length": True}}, "/0/pad/length", "transform_parameter_wrong"),
    ({"pad": {"length": 5, "with": "ab"}}, "/0/pad/with", "transform_parameter_wrong"),
    ({"pad": {"length": 5, "side": "top"}}, "/0/pad/side", "transform_parameter_wrong"),
    ({"trim": {"what": "all"}}, "/0/trim/what", "transform_parameter_unknown"),
    ({"regex": {"pattern": "(a", "to": ""}}, "/0/regex/pattern", "pattern_wrong"),
    ({"regex": {"pattern": "(?<=a)b", "to": ""}}, "/0/regex/pattern", "pattern_wrong"),
    ({"regex": {"pattern": "(a)", "to": r"\2"}}, "/0/regex/to", "pattern_group_unknown"),
    ({"multiply": {"by": 0}}, "/0/multiply/by", "factor_wrong"),
    ({"divide": {"by": "ten"}}, "/0/divide/by", "factor_wrong"),
    ({"numberFormat": {"groupSeparator": ","}}, "/0/numberFormat/groupSeparator", "separators_equal"),
    ({"parseNumber": {"decimalSeparator": "1"}}, "/0/parseNumber/decimalSeparator", "separator_wrong"),
    ({"dateFormat": {"format": "%B"}}, "/0/dateFormat/format", "date_format_wrong"),
    ({"dateFormat": {"format": "no date"}}, "/0/dateFormat/format", "date_format_wrong"),
    ({"parseDate": {"format": "%d %d"}}, "/0/parseDate/format", "date_format_wrong"),
    ({"timeZone": {"from": "Mars/Olympus"}}, "/0/timeZone/from", "time_zone_unknown"),
    ({"timeZone": {"from": "../../etc/passwd"}}, "/0/timeZone/from", "time_zone_unknown"),
    ({"valueMap": {"map": {}}}, "/0/valueMap/map", "transform_parameter_wrong"),
    ({"valueMap": {"map": {"a": []}}}, "/0/valueMap/map", "transform_parameter_wrong"),
    ({"valueMap": {"map": {"a": 1, "a ": 2}}}, "/0/valueMap/map", "map_key_twice"),
    ({"valueMap": {"map": {"a": 1}, "unmapped": "default"}}, "/0/valueMap/default", "transform_parameter_missing"),
    ({"currencyRound": {"currency": "12a"}}, "/0/currencyRound/currency", "currency_wrong"),
    ({"split": {"pattern": "("}}, "/0/split/pattern", "pattern_wrong"),
    ({"split": {"separator": ""}}, "/0/split/separator", "transform_parameter_wrong"),
    ({"expression": 5}, "/0/expression", "transform_parameter_wrong"),
    ({"expression": 'value.replace("a", "b").replace("c", "d")'}, "/0/expression", "expression_grows"),
]


@pytest.mark.parametrize(("step", "pointer", "code"), WRONG, ids=[str(row[0])[:60] for row in WRONG])
def test_what_is_wrong_with_a_step(step: Any, pointer: str, code: str) -> None:
    assert [found[:2] for found in wrong([step])] == [(pointer, code)]


def test_everything_wrong_is_found_at_once() -> None:
    found = {pointer for pointer, _, _ in wrong(["trim", "shout", {"pad": {"with": "", "side": "up", "x": 1}}])}
    assert found == {"/1", "/2/pad/length", "/2/pad/with", "/2/pad/side", "/2/pad/x"}


@pytest.mark.parametrize(
    ("step", "source", "code"),
    [
        ({"multiply": {"by": 2}}, DATE, "transform_type_wrong"),
        ("concat", TEXT, "transform_type_wrong"),
        ("split", TEXT, "split_needs_parts"),
        ("currencyRound", NUMBER, "transform_parameter_missing"),
        ({"expression": "nix + 1"}, TEXT, "expression_wrong"),
        ({"expression": "value +"}, TEXT, "expression_wrong"),
        ({"expression": "value + 1"}, TEXT, "expression_wrong"),
        ({"expression": "[1, 2].map(x, x * 2)"}, TEXT, "expression_wrong"),
        ({"expression": "[1, 2].exists(x, x == 2)"}, TEXT, "expression_wrong"),
        ({"expression": "(" * 900 + "1" + ")" * 90}, TEXT, "expression_wrong"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_does_not_fit_the_field(step: Any, source: Field, code: str) -> None:
    assert list(wrong([step])) == []
    found = list(unfitting(steps_of([step]), source))
    assert found[0][1] == code
    assert "ERROR" not in str(found)


def test_patterns_and_expressions_are_done_in_time() -> None:
    """A pattern that takes others years, and the dearest expressions that may be written."""
    started = time.monotonic()
    assert done([{"regex": {"pattern": "^(a+)+$", "to": ""}}], "a" * 100_000 + "b") == "a" * 100_000 + "b"
    for source in ('value.replace("", value)', "[value, value].join(value)", "value + value", 'value.split("")[0]'):
        with suppress(Unconvertible):
            done([{"expression": source}], "x" * 4000)
    assert time.monotonic() - started < 5


# The laws


numbers = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12).map(
    decimal_text
)
moments = st.datetimes(datetime.fromisoformat("1000-01-01"), datetime.fromisoformat("9000-01-01"))
SEPARATORS = [(",", ""), (".", ""), (",", "."), (".", ","), (",", " "), ("'", " ")]
ZONES = ["UTC", "Europe/Oslo", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca"]


def _unambiguous(moment: datetime, zone: str) -> bool:
    """Whether a clock on the wall there shows this once, and shows it at all."""
    shown = moment.replace(tzinfo=ZoneInfo(zone))
    return shown.utcoffset() == shown.replace(fold=1).utcoffset()


@st.composite
def padded(draw: st.DrawFn) -> tuple[Any, Scalar, Field, Field]:
    side, filler = (
        draw(st.sampled_from(["left", "right"])),
        draw(st.characters(codec="utf-8", exclude_characters="\x00")),
    )
    value = draw(st.text())
    assume(value and (value[0] if side == "left" else value[-1]) != filler)
    return {"pad": {"length": draw(st.integers(1, 30)), "with": filler, "side": side}}, value, TEXT, TEXT


@st.composite
def multiplied(draw: st.DrawFn) -> tuple[Any, Scalar, Field, Field]:
    by = draw(st.one_of(st.integers(1, 10**9), st.decimals("-1000", "1000", places=4).filter(bool).map(str)))
    return {"multiply": {"by": by}}, draw(numbers), NUMBER, NUMBER


@st.composite
def divided(draw: st.DrawFn) -> tuple[Any, Scalar, Field, Field]:
    by = 2 ** draw(st.integers(0, 12)) * 5 ** draw(st.integers(0, 12)) * draw(st.sampled_from([1, -1]))
    return {"divide": {"by": str(Decimal(by).scaleb(draw(st.integers(-6, 6))))}}, draw(numbers), NUMBER, NUMBER


@st.composite
def formatted(draw: st.DrawFn) -> tuple[Any, Scalar, Field, Field]:
    point, group = draw(st.sampled_from(SEPARATORS))
    params = {"decimals": draw(st.integers(6, 10)), "decimalSeparator": point, "groupSeparator": group}
    return {"numberFormat": params}, draw(numbers), NUMBER, TEXT


@st.composite
def dated(draw: st.DrawFn) -> tuple[Any, Scalar, Field, Field]:
    moment = draw(moments).replace(tzinfo=UTC)
    day, clock = (
        draw(st.sampled_from(["%d.%m.%Y", "%Y%m%d", "%m/%d/%Y", "%Y-%j"])),
        draw(st.sampled_from(["%H:%M", "%H.%M.%S", "%H%M%S%f"])),
    )
    rest: dict[str, Any] = {"%H:%M": {"second": 0, "microsecond": 0}, "%H.%M.%S": {"microsecond": 0}}.get(clock, {})
    match draw(st.sampled_from(["date", "time", "both"])):
        case "date":
            return {"dateFormat": {"format": day}}, moment.date().isoformat(), DATE, TEXT
        case "time":
            return {"dateFormat": {"format": clock}}, moment.time().replace(**rest).isoformat(), TIME, TEXT
        case _:
            return {"dateFormat": {"format": f"{day} {clock}"}}, datetime_text(moment.replace(**rest)), MOMENT, TEXT


@st.composite
def zoned(draw: st.DrawFn) -> tuple[Any, Scalar, Field, Field]:
    here, there = draw(st.sampled_from(ZONES)), draw(st.sampled_from(ZONES))
    moment = draw(st.datetimes(datetime.fromisoformat("1980-01-01"), datetime.fromisoformat("2037-01-01")))
    assume(_unambiguous(moment, here))
    shown = moment.replace(tzinfo=ZoneInfo(here)).astimezone(ZoneInfo(there)).replace(tzinfo=None)
    assume(_unambiguous(shown, there))
    return {"timeZone": {"from": here, "to": there}}, datetime_text(moment), MOMENT, MOMENT


@st.composite
def valued(draw: st.DrawFn) -> tuple[Any, Scalar, Field, Field]:
    keys = st.text(st.characters(codec="utf-8", exclude_characters="\x00")).map(lambda text: text.rstrip(" "))
    left = draw(st.lists(keys, min_size=1, max_size=5, unique=True))
    right = draw(st.permutations(left)) if draw(st.booleans()) else [f"{index}." for index in range(len(left))]
    unmapped = draw(st.sampled_from(["error", "keep"]))
    value = draw(st.sampled_from(left))
    if unmapped == "keep":
        value = draw(st.one_of(st.just(value), keys.filter(lambda text: text not in right or text in left)))
    return {"valueMap": {"map": dict(zip(left, right, strict=True)), "unmapped": unmapped}}, value, TEXT, TEXT


@st.composite
def joined_parts(draw: st.DrawFn) -> tuple[Any, Scalar, Field, Field]:
    separator = draw(st.sampled_from([" ", ", ", "-", "aa"]))
    texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00 ,-a"), min_size=1)
    values = draw(st.lists(texts, min_size=2, max_size=2))
    params = {
        "separator": separator,
        "rest": draw(st.sampled_from(["last", "first"])),
        "keepEmpty": draw(st.booleans()),
    }
    return {"concat": params}, joined(values), LIST, TEXT


@st.composite
def split_texts(draw: st.DrawFn) -> tuple[Any, Scalar, Field, Field]:
    """Any text comes back whose pieces all have something in them."""
    separator, rest = draw(st.sampled_from([" ", ", ", "-"])), draw(st.sampled_from(["last", "first"]))
    texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00 ,-"), min_size=1)
    value = separator.join(draw(st.lists(texts, min_size=1, max_size=5)))
    return {"split": {"separator": separator, "rest": rest}}, value, TEXT, LIST


LAWS = {
    "concat": joined_parts(),
    "split": split_texts(),
    "pad": padded(),
    "multiply": multiplied(),
    "divide": divided(),
    "numberFormat": formatted(),
    "dateFormat": dated(),
    "timeZone": zoned(),
    "valueMap": valued(),
}
"""For each transformation that claims to be two-way: its parameters and values of the domain that it claims it for."""


@pytest.mark.parametrize("name", LAWS)
@given(data=st.data())
def test_there_and_back_is_where_it_was(name: str, data: st.DataObject) -> None:
    step, value, source, target = data.draw(LAWS[name])
    there = steps_of([step])
    back = steps_back(there)
    assert len(back) == 1, "it does not claim to be two-way"
    outward, inward = chain(there, source, target).function, chain(back, target, source).function
    assert outward is not None
    assert inward is not None
    returned = inward(outward(value))
    assert equal(canonical(returned, source.type), canonical(value, source.type))


def test_every_claim_is_put_to_the_proof() -> None:
    """Parameters under which each could be two-way; those that never are have no way back under any."""
    tried = {
        **{name: {} for name, row in TRANSFORMS.items() if not any(not p.optional for p in row.parameters.values())},
        "truncate": {"length": 5},
        "pad": {"length": 5},
        "replace": {"from": "a", "to": "b"},
        "regex": {"pattern": "a", "to": "b"},
        "multiply": {"by": 2},
        "divide": {"by": 2},
        "dateFormat": {"format": "%Y-%m-%d"},
        "parseDate": {"format": "%Y-%m-%d"},
        "timeZone": {"from": "UTC"},
        "valueMap": {"map": {"a": "b"}},
        "default": {"value": 1},
        "expression": "value",
        "concat": {},
        "split": {},
        "currencyRound": {},
    }
    assert tried.keys() == TRANSFORMS.keys()
    claiming = {name for name, params in tried.items() if steps_back(steps_of([{name: params}]))}
    assert claiming == LAWS.keys()


@pytest.mark.parametrize(
    "step",
    [
        {"divide": {"by": 7}},
        {"dateFormat": {"format": "%d.%m.%y"}},
        {"dateFormat": {"format": "%d.%m"}},
        {"dateFormat": {"format": "%Y-%m-%d %M"}},
        {"concat": {"separator": ""}},
        {"split": {"pattern": " +"}},
        {"valueMap": {"map": {"a": "x", "b": "x"}}},
        {"valueMap": {"map": {"a": "x"}, "unmapped": "default", "default": "y"}},
    ],
    ids=str,
)
def test_parameters_that_lose_something_claim_nothing(step: Any) -> None:
    assert steps_back(steps_of([step])) == ()


def test_the_way_back_of_several_steps_goes_backwards() -> None:
    steps = steps_of(["trim", {"multiply": {"by": 100}}, {"numberFormat": {}}])
    assert [step.name for step in steps_back(steps)] == ["parseNumber", "divide"]

"""The three-way merge (semantics.md section 3b) row for row, and what holds for every decision about a pair.

Idempotent: once a decision is carried out, there is nothing left to write. Symmetric: swapped sides get the mirrored
answer. Total: no pair has none. And nothing that a person typed disappears: it is on both sides afterwards, or it is
still where it was typed and still counts as a change, unless the mapping's policy preferred the other side's edit.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from service.core.compare import Unconvertible, equal
from service.core.decide import Decision, Do, winning_side
from service.core.flow import Coupled, Flow, Known, Line, flows, is_empty
from service.core.mapping import ConflictDetection, FieldMapping, MappedSide, SyncMapping, UpdateResolution
from service.core.merge import merge
from service.core.records import Direction, Field, FieldType, Record, Scalar, Selection, Side
from tests.core.pairs import Situation, line_of, situations, wanted

LOCAL, INTEGRATION = Side.LOCAL, Side.INTEGRATION


# Row for row


def merged_line(line: FieldMapping, here: Scalar, there: Scalar, base: Any) -> tuple[dict[Side, Scalar], bool]:
    """Merge a pair of one line; what is written per side, and whether it is in conflict. `base`: one value for both
    sides, a pair of them, or MISSING."""
    fields = {name: Field(name, FieldType.STRING, length=5) for name in ("id", "f")}
    names = {side: ("f",) if line.field(side) else () for side in Side}
    sides = {side: MappedSide(1, Selection("t", "id", "stamp", names[side]), "t", fields, False) for side in Side}
    mapping = SyncMapping(1, "m", Direction.BIDIRECTIONAL, sides[LOCAL], sides[INTEGRATION], (line,))
    bases = base if isinstance(base, tuple) else (base, base)
    known = {
        side: Known(1, None, {"1": value} if names[side] and value is not MISSING else {})
        for side, value in zip(Side, bases, strict=True)
    }
    values = {LOCAL: here, INTEGRATION: there}
    records = {side: Record("1", 1, (values[side],) if names[side] else ()) for side in Side}
    found = merge(flows(mapping), Coupled(1, dict.fromkeys(Side, "1"), known), records)
    assert (found.agreed == frozenset()) == bool(found.conflicts)
    return {side: written["f"] for side, written in found.writes.items() if written}, bool(found.conflicts)


MISSING = object()
BOTH = FieldMapping(1, "f", "f", Direction.BIDIRECTIONAL)
OUT = FieldMapping(1, "f", "f", Direction.TO_INTEGRATION)
BACK = FieldMapping(1, "f", "f", Direction.FROM_INTEGRATION)
UPPER = FieldMapping(1, "f", "f", Direction.BIDIRECTIONAL, transforms={Direction.TO_INTEGRATION: ("upper",)})
NOT_NULL = FieldMapping(1, "f", "f", Direction.BIDIRECTIONAL, not_null=True)
CONSTANT = FieldMapping(1, None, "f", Direction.TO_INTEGRATION, constant="c")

ROWS: list[tuple[str, FieldMapping, Scalar, Scalar, Any, dict[Side, Scalar], bool]] = [
    ("nobody changed it", BOTH, "a", "a", "a", {}, False),
    ("nobody changed it, held differently", BOTH, "a", "A", ("a", "A"), {}, False),
    ("changed here", BOTH, "b", "a", "a", {INTEGRATION: "b"}, False),
    ("changed there", BOTH, "a", "b", "a", {LOCAL: "b"}, False),
    ("changed on both sides to the same", BOTH, "b", "b", "a", {}, False),
    ("the same but for trailing blanks", BOTH, "b ", "b", "a", {}, False),
    ("changed on both sides differently", BOTH, "b", "c", "a", {}, True),
    ("emptied here", BOTH, "", "a", "a", {INTEGRATION: ""}, False),
    ("emptied here, changed there", BOTH, None, "b", "a", {}, True),
    ("each side has its own base", BOTH, "a", "C", ("a", "A"), {LOCAL: "C"}, False),
    ("flows out, changed here", OUT, "b", "a", "a", {INTEGRATION: "b"}, False),
    ("flows out, changed there", OUT, "a", "b", "a", {}, False),
    ("flows out, changed on both sides", OUT, "b", "c", "a", {INTEGRATION: "b"}, False),
    ("flows in, changed there", BACK, "a", "b", "a", {LOCAL: "b"}, False),
    ("flows in, changed here", BACK, "b", "a", "a", {}, False),
    ("transformed", UPPER, "b", "A", ("a", "A"), {INTEGRATION: "B"}, False),
    ("transformed, the same on both sides", UPPER, "b", "B", ("a", "A"), {}, False),
    ("transformed, changed there", UPPER, "a", "B", ("a", "A"), {LOCAL: "B"}, False),
    ("must not be emptied", NOT_NULL, "", "a", "a", {}, False),
    ("must not be emptied, changed there", NOT_NULL, "", "b", "a", {LOCAL: "b"}, False),
    ("a constant that is there", CONSTANT, None, "c", "c", {}, False),
    ("a constant for the first time", CONSTANT, None, None, MISSING, {INTEGRATION: "c"}, False),
    ("a constant that somebody changed", CONSTANT, None, "b", "c", {INTEGRATION: "c"}, False),
    ("no base, equal", BOTH, "a", "a", MISSING, {}, False),
    ("no base, different", BOTH, "a", "b", MISSING, {}, True),
    ("no base, empty there", BOTH, "a", "", MISSING, {INTEGRATION: "a"}, False),
    ("no base, empty here", BOTH, None, "a", MISSING, {LOCAL: "a"}, False),
    ("no base, flows out", OUT, "a", "b", MISSING, {INTEGRATION: "a"}, False),
    ("too long on both sides, nobody wants to write", BOTH, "aaaaaa", "aaaaaa", "aaaaaa", {}, False),
    ("too long there, changed here", BOTH, "b", "aaaaaa", ("a", "aaaaaa"), {INTEGRATION: "b"}, False),
]


@pytest.mark.parametrize(
    ("line", "here", "there", "base", "writes", "conflict"), [pytest.param(*row[1:], id=row[0]) for row in ROWS]
)
def test_the_merge_table(
    line: FieldMapping, here: Scalar, there: Scalar, base: Any, writes: Mapping[Side, Scalar], conflict: bool
) -> None:
    assert merged_line(line, here, there, base) == (writes, conflict)


def test_a_value_that_is_to_be_written_and_does_not_fit() -> None:
    with pytest.raises(Unconvertible):
        merged_line(BOTH, "too long", "a", "a")


# What holds for every pair


@given(situation=situations(), past=st.booleans())
def test_once_carried_out_nothing_is_left_to_write(situation: Situation, past: bool) -> None:
    """What does not fit on one side may have to wait for the other side's turn, so that the third run is quiet."""
    now = situation
    for _ in range(2):
        now, aside = run(now)
        if aside is not None:
            again = now.decide(aside)
            event("set aside")
            assert (again.do, any(again.writes.values())) == (Do.CONFLICT, False)
            return
    for source in now.sources:
        found = now.decide(source, past=past)
        event(found.do)
        assert not any(found.writes.values())
        now = now.after(found)


def run(situation: Situation) -> tuple[Situation, Side | None]:
    """What a run makes of a pair, and the source of the conflict that took it out of this run and all that follow."""
    for source in situation.sources:
        found = situation.decide(source)
        situation = situation.after(found)
        if found.do is Do.CONFLICT:
            return situation, source
    return situation, None


@given(situation=situations(ties=False), past=st.booleans(), source=st.sampled_from(list(Side)))
def test_swapped_sides_get_the_mirrored_answer(situation: Situation, past: bool, source: Side) -> None:
    one = situation.decide(source, past=past)
    two = situation.mirrored().decide(source.other, past=past)
    assert (one.do, one.outcome, one.agreed) == (two.do, two.outcome, two.agreed)
    assert {side.other: dict(written) for side, written in one.writes.items()} == two.writes


@given(situation=situations(detection=ConflictDetection.FIELD))
def test_field_by_field_it_does_not_matter_whose_candidate_it_is(situation: Situation) -> None:
    if situation.mapping.bidirectional:
        one, two = (situation.decide(source) for source in Side)
        assert (one.do, one.writes, one.agreed) == (two.do, two.writes, two.agreed)


@given(situation=situations(), past=st.booleans(), source=st.sampled_from(list(Side)))
def test_every_pair_has_an_answer(situation: Situation, past: bool, source: Side) -> None:
    found = situation.decide(source, past=past)
    event(found.do)
    assert (found.failure is not None) == (found.do in (Do.FAIL, Do.CONFLICT))
    if found.do is Do.FAIL:
        assert found.failure is not None
        assert any(does_not_fit(situation, flow, line) for flow in situation.flows.values() for line in flow.lines)
    try:
        merge(situation.flows, situation.coupled, situation.records)
    except Unconvertible as refusal:
        named = refusal.failure.params["field"]
        assert any(
            line.field.name == named and does_not_fit(situation, flow, line) and not unchanged(situation, side, line)
            for side, flow in situation.flows.items()
            for line in flow.lines
        )


def does_not_fit(situation: Situation, flow: Flow, line: Line) -> bool:
    return isinstance(wanted(flow, line, situation.records[flow.source]), Unconvertible)


def unchanged(situation: Situation, side: Side, line: Line) -> bool:
    if line.source is None:
        return False
    base = situation.base(side)
    return line.id in base and equal(situation.records[side].values[line.source], base[line.id])


@given(situation=situations(fitting=True), source=st.sampled_from(list(Side)))
def test_where_everything_fits_nothing_fails(situation: Situation, source: Side) -> None:
    assert situation.decide(source).do is not Do.FAIL


@given(situation=situations(), past=st.booleans(), data=st.data())
def test_nothing_that_a_person_typed_disappears(situation: Situation, past: bool, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(situation.sources or [LOCAL]))
    found = situation.decide(source, past=past)
    now = situation.after(found)
    for line in situation.mapping.field_mappings:
        for side in Side:
            name, base = line.field(side), situation.base(side)
            if name is not None and str(line.id) in base and typed(situation.value(side, name), base[str(line.id)]):
                event(f"typed, {found.do}")
                survives(situation, now, found, line, side, name)


def typed(value: Scalar, base: Scalar) -> bool:
    """Whether somebody changed a value; an empty text for no text is no change that could be missed."""
    return not equal(value, base) and not (is_empty(value) and is_empty(base))


def survives(was: Situation, now: Situation, found: Decision, line: FieldMapping, side: Side, name: str) -> None:
    """Assert that the value typed into a field did not disappear."""
    id, value = str(line.id), was.value(side, name)
    flowing, back = line_of(was.flows[side], id), line_of(was.flows[side.other], id)
    if flowing is None:
        return  # A field that only receives is the other side's.
    if line.not_null and is_empty(value) and equal(now.value(side, name), was.held_elsewhere(side, line)):
        return  # That it was emptied does not travel, and what was typed on the other side does.
    if not equal(now.value(side, name), value):
        assert overruled(was, now, side, name, back), "only a policy may overrule what was typed"
    elif id in now.base(side) and not equal(now.base(side)[id], was.base(side)[id]):
        assert found.do in (Do.WRITE, Do.REFRESH, Do.CONFLICT)
        assert arrived(was, now, line, side, flowing, back) or overruled(was, now, side, name, back), (
            "what counts as synchronized is on the other side"
        )
    else:
        assert now.base(side)[id] == was.base(side)[id], "it still counts as a change"


def overruled(was: Situation, now: Situation, side: Side, name: str, back: Line | None) -> bool:
    """Whether the policy preferred the other side, and that side's value is on both now."""
    winner = winning_side(was.mapping.update_resolution, side, was.records[side], was.records[side.other])
    if winner is not side.other or back is None:
        return False
    given = wanted(was.flows[winner], back, was.records[winner])
    return not isinstance(given, Unconvertible) and equal(now.value(side, name), now.held(side, given))


def arrived(was: Situation, now: Situation, line: FieldMapping, side: Side, flowing: Line, back: Line | None) -> bool:
    """Whether the other side holds what a side has, one way or the other."""
    there = now.records[side.other].values[flowing.destination]
    given = wanted(was.flows[side], flowing, was.records[side])
    if isinstance(given, Unconvertible):
        arrives = False
    else:
        arrives = (
            equal(there, now.held(side.other, given)) or equal(there, given) or (line.not_null and is_empty(given))
        )
    if arrives or back is None or back.source is None:
        return arrives
    returned = wanted(now.flows[side.other], back, now.records[side.other])
    return not isinstance(returned, Unconvertible) and equal(returned, was.records[side].values[back.destination])


@given(situation=situations(detection=ConflictDetection.FIELD), source=st.sampled_from(list(Side)))
def test_field_by_field_only_conflicting_fields_go_to_the_policy(situation: Situation, source: Side) -> None:
    if not situation.mapping.bidirectional:
        return
    try:
        merged = merge(situation.flows, situation.coupled, situation.records)
    except Unconvertible:
        return
    found = situation.decide(source)
    if not merged.conflicts:
        assert found.do in (Do.WRITE, Do.REFRESH)
        assert found.rule == ""
    elif situation.mapping.update_resolution is UpdateResolution.NONE:
        assert (found.do, found.agreed) == (Do.CONFLICT, merged.agreed)
        assert {s: dict(v) for s, v in found.writes.items() if v} == {s: dict(v) for s, v in merged.writes.items() if v}

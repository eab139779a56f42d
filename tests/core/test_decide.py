"""The decision table of semantics.md section 3a, row for row, and that it never knows which side is ours."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.compare import equal
from service.core.decide import Decision, Do, Pair, decide, decide_new
from service.core.flow import Coupled, Known, flows
from service.core.mapping import (
    ConflictDetection,
    DeletionResolution,
    FieldMapping,
    MappedSide,
    SyncMapping,
    UpdateResolution,
)
from service.core.outcomes import Outcome
from service.core.records import Direction, Field, FieldType, Record, Selection, Side

MIRRORED = {
    Direction.BIDIRECTIONAL: Direction.BIDIRECTIONAL,
    Direction.TO_INTEGRATION: Direction.FROM_INTEGRATION,
    Direction.FROM_INTEGRATION: Direction.TO_INTEGRATION,
}


def side(caption: str) -> MappedSide:
    fields = {name: Field(name, FieldType.STRING) for name in ("id", "name", "city", "limit")}
    return MappedSide(1, Selection(caption, "id", "stamp", ("name", "city", "limit")), caption, fields, False)


def mapping(direction: Direction = Direction.BIDIRECTIONAL, **given: object) -> SyncMapping:
    lines = (
        FieldMapping(1, "name", "name", Direction.BIDIRECTIONAL),
        FieldMapping(2, "city", "city", Direction.BIDIRECTIONAL),
        FieldMapping(3, "limit", "limit", Direction.TO_INTEGRATION),
    )
    return SyncMapping(1, "m", direction, side("Customer"), side("Account"), lines, **given)  # type: ignore[arg-type]


def pair(
    source: Side,
    here: tuple[str, str, str],
    there: tuple[str, str, str] | None,
    base: tuple[str, str, str] | None = ("n", "c", "l"),
    *,
    stamps: tuple[int, int] = (1, 1),
    past: bool = True,
) -> Pair:
    """A pair that was synchronized at stamp 1 on both sides as `base` says (None: without one)."""
    names = None if base is None else {"1": base[0], "2": base[1], "3": base[2]}
    known = Known(1, None, names)
    return Pair(
        source,
        Record("1", stamps[0], here),
        Coupled(7, {source: "1", source.other: "2"}, {Side.LOCAL: known, Side.INTEGRATION: known}),
        None if there is None else Record("2", stamps[1], there),
        past,
    )


def do(found: Decision) -> tuple[Do, Outcome]:
    return found.do, found.outcome


BASE = ("n", "c", "l")
EDITED = ("N", "c", "l")
OTHER = ("n", "C", "l")

TABLE = [
    ("equal", mapping(), pair(Side.LOCAL, EDITED, EDITED, stamps=(2, 2)), Do.REFRESH, Outcome.UNCHANGED),
    ("both edited", mapping(), pair(Side.LOCAL, EDITED, OTHER, stamps=(2, 2)), Do.CONFLICT, Outcome.SKIPPED),
    ("only the source", mapping(), pair(Side.LOCAL, EDITED, BASE, stamps=(2, 1)), Do.WRITE, Outcome.MODIFIED),
    ("the odd case", mapping(), pair(Side.LOCAL, BASE, OTHER, stamps=(1, 2)), Do.CONFLICT, Outcome.SKIPPED),
    ("read again", mapping(), pair(Side.LOCAL, BASE, OTHER, stamps=(1, 2), past=False), Do.NOTHING, Outcome.UNCHANGED),
    ("touched there", mapping(), pair(Side.LOCAL, EDITED, BASE, stamps=(2, 9)), Do.WRITE, Outcome.MODIFIED),
    ("one tick", mapping(), pair(Side.LOCAL, EDITED, BASE, stamps=(1, 1)), Do.WRITE, Outcome.MODIFIED),
    (
        "one way, both edited",
        mapping(Direction.TO_INTEGRATION),
        pair(Side.LOCAL, EDITED, OTHER, stamps=(2, 2)),
        Do.WRITE,
        Outcome.MODIFIED,
    ),
    (
        "one way, source not edited",
        mapping(Direction.TO_INTEGRATION),
        pair(Side.LOCAL, BASE, ("n", "c", "x"), stamps=(1, 2)),
        Do.NOTHING,
        Outcome.UNCHANGED,
    ),
    (
        "a one-way field edited there",
        mapping(),
        pair(Side.LOCAL, EDITED, ("n", "c", "L"), stamps=(2, 2)),
        Do.WRITE,
        Outcome.MODIFIED,
    ),
    (
        "no base, later there",
        mapping(),
        pair(Side.LOCAL, EDITED, BASE, None, stamps=(2, 2)),
        Do.CONFLICT,
        Outcome.SKIPPED,
    ),
    (
        "one way, no base, later there",
        mapping(Direction.TO_INTEGRATION),
        pair(Side.LOCAL, EDITED, BASE, None, stamps=(2, 2)),
        Do.WRITE,
        Outcome.MODIFIED,
    ),
    ("no base, not later", mapping(), pair(Side.LOCAL, EDITED, BASE, None, stamps=(2, 1)), Do.WRITE, Outcome.MODIFIED),
    ("partner gone", mapping(), pair(Side.LOCAL, BASE, None), Do.FAIL, Outcome.FAILED),
    (
        "partner gone, restore",
        mapping(deletion_resolution=DeletionResolution.RESTORE_RECORDS),
        pair(Side.LOCAL, BASE, None),
        Do.INSERT,
        Outcome.INSERTED,
    ),
    (
        "partner gone, remove coupling",
        mapping(deletion_resolution=DeletionResolution.REMOVE_COUPLING),
        pair(Side.INTEGRATION, BASE, None),
        Do.UNCOUPLE,
        Outcome.UNCOUPLED,
    ),
    (
        "partner gone, delete",
        mapping(deletion_resolution=DeletionResolution.DELETE_PARTNER),
        pair(Side.INTEGRATION, BASE, None),
        Do.DELETE,
        Outcome.DELETED,
    ),
]


@pytest.mark.parametrize(
    ("given", "wanted_do", "outcome"), [pytest.param((row[1], row[2]), row[3], row[4], id=row[0]) for row in TABLE]
)
def test_the_decision_table(given: tuple[SyncMapping, Pair], wanted_do: Do, outcome: Outcome) -> None:
    rules, candidate = given
    assert do(decide(rules, flows(rules), candidate)) == (wanted_do, outcome)


@pytest.mark.parametrize("source", list(Side))
def test_each_sides_clock_is_its_own(source: Side) -> None:
    """The one side's clock is far ahead of the other's; without a base the stamps decide."""
    rules = mapping()
    clocks = {Side.LOCAL: 1_000, Side.INTEGRATION: 1}
    coupled = Coupled(7, dict.fromkeys(Side, "1"), {side: Known(clocks[side]) for side in Side})
    here, there = Record("1", clocks[source] + 1, EDITED), Record("1", clocks[source.other], BASE)
    found = decide(rules, flows(rules), Pair(source, here, coupled, there, past=True))
    assert do(found) == (Do.WRITE, Outcome.MODIFIED)
    here, there = Record("1", clocks[source] + 1, EDITED), Record("1", clocks[source.other] + 1, BASE)
    found = decide(rules, flows(rules), Pair(source, here, coupled, there, past=True))
    assert do(found) == (Do.CONFLICT, Outcome.SKIPPED)
    here, there = Record("1", clocks[source], EDITED), Record("1", clocks[source.other], BASE)
    found = decide(rules, flows(rules), Pair(source, here, coupled, there, past=True))
    assert do(found) == (Do.NOTHING, Outcome.UNCHANGED)


def test_a_new_record_is_inserted_with_all_that_flows_to_it() -> None:
    rules = mapping()
    record = Record("1", 1, ("n", "c", "l"))
    assert do(decide_new(flows(rules), Side.LOCAL, record)) == (Do.INSERT, Outcome.INSERTED)
    assert decide_new(flows(rules), Side.LOCAL, record).writes == {
        Side.INTEGRATION: {"name": "n", "city": "c", "limit": "l"}
    }
    assert decide_new(flows(rules), Side.INTEGRATION, record).writes == {Side.LOCAL: {"name": "n", "city": "c"}}


def test_only_differing_fields_are_written() -> None:
    rules = mapping()
    found = decide(rules, flows(rules), pair(Side.LOCAL, ("N", "c", "l"), BASE, stamps=(2, 1)))
    assert found.writes == {Side.INTEGRATION: {"name": "N"}}


def test_a_conflict_names_the_tables_destination_first() -> None:
    rules = mapping()
    found = decide(rules, flows(rules), pair(Side.INTEGRATION, EDITED, OTHER, stamps=(2, 2)))
    assert found.failure is not None
    assert found.failure.params == {"destination": "Customer", "source": "Account"}


@pytest.mark.parametrize(
    ("policy", "written"),
    [
        (UpdateResolution.SEND_UPDATE_TO_INTEGRATION, {Side.INTEGRATION: {"name": "N", "city": "c"}}),
        (UpdateResolution.GET_UPDATE_FROM_INTEGRATION, {Side.LOCAL: {"name": "n", "city": "C"}}),
        (UpdateResolution.NEWEST_WINS, {Side.LOCAL: {"name": "n", "city": "C"}}),
    ],
)
def test_update_policies(policy: UpdateResolution, written: dict[Side, dict[str, str]]) -> None:
    rules = mapping(update_resolution=policy)
    found = decide(rules, flows(rules), pair(Side.LOCAL, EDITED, OTHER, stamps=(2, 3)))
    assert (found.outcome, dict(found.writes)) == (Outcome.MODIFIED, written)


def test_field_mode_writes_to_both_sides_at_once() -> None:
    rules = mapping(conflict_detection=ConflictDetection.FIELD)
    found = decide(rules, flows(rules), pair(Side.LOCAL, EDITED, OTHER, stamps=(2, 2)))
    assert dict(found.writes) == {Side.INTEGRATION: {"name": "N"}, Side.LOCAL: {"city": "C"}}


values = st.tuples(*[st.sampled_from(["", "a", "b", "a "])] * 3)


@given(
    here=values,
    there=values,
    base=st.none() | values,
    stamps=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    past=st.booleans(),
    direction=st.sampled_from(list(Direction)),
    detection=st.sampled_from(list(ConflictDetection)),
    policy=st.sampled_from([UpdateResolution.NONE, UpdateResolution.NEWEST_WINS]),
)
def test_swapping_the_sides_mirrors_the_answer(
    here: tuple[str, str, str],
    there: tuple[str, str, str],
    base: tuple[str, str, str] | None,
    stamps: tuple[int, int],
    past: bool,
    direction: Direction,
    detection: ConflictDetection,
    policy: UpdateResolution,
) -> None:
    if policy is UpdateResolution.NEWEST_WINS and stamps[0] == stamps[1]:
        policy = UpdateResolution.NONE
    rules = mapping(direction, conflict_detection=detection, update_resolution=policy)
    mirrored = replace(
        rules,
        direction=MIRRORED[direction],
        local=rules.integration,
        integration=rules.local,
        field_mappings=tuple(replace(line, direction=MIRRORED[line.direction]) for line in rules.field_mappings),
    )
    source = Side.INTEGRATION if direction is Direction.FROM_INTEGRATION else Side.LOCAL
    one = decide(rules, flows(rules), pair(source, here, there, base, stamps=stamps, past=past))
    two = decide(mirrored, flows(mirrored), pair(source.other, here, there, base, stamps=stamps, past=past))
    assert do(one) == do(two)
    assert {one_side.other: written for one_side, written in one.writes.items()} == two.writes
    assert one.agreed == two.agreed


@given(here=values, there=values, base=values)
def test_field_mode_loses_nothing_that_was_typed(
    here: tuple[str, str, str], there: tuple[str, str, str], base: tuple[str, str, str]
) -> None:
    """After a decision every edited value is on both sides, or still where it was typed."""
    rules = mapping(conflict_detection=ConflictDetection.FIELD)
    found = decide(rules, flows(rules), pair(Side.LOCAL, here, there, base, stamps=(2, 2)))
    for place, name in enumerate(("name", "city")):
        for own, values_here in ((Side.LOCAL, here), (Side.INTEGRATION, there)):
            typed = values_here[place]
            if typed.rstrip(" ") != base[place].rstrip(" "):
                assert equal(found.writes.get(own, {}).get(name, typed), typed)


NOT_NULL = replace(
    mapping(),
    field_mappings=(
        FieldMapping(1, "name", "name", Direction.BIDIRECTIONAL, not_null=True),
        FieldMapping(2, "city", "city", Direction.BIDIRECTIONAL),
    ),
)


@pytest.mark.parametrize("source", list(Side))
def test_an_edit_of_a_field_that_the_source_must_not_empty_still_counts(source: Side) -> None:
    """Emptied here, edited there: nothing flows out of here, and the edit has not arrived here yet."""
    found = decide(NOT_NULL, flows(NOT_NULL), pair(source, ("", "c", "l"), ("N", "c", "l"), stamps=(2, 2)))
    assert (do(found), found.agreed) == ((Do.REFRESH, Outcome.UNCHANGED), frozenset({"2"}))


@pytest.mark.parametrize("source", list(Side))
def test_whoever_wins_with_an_empty_field_takes_the_edit_that_it_must_not_empty(source: Side) -> None:
    rules = replace(NOT_NULL, update_resolution=UpdateResolution.NEWEST_WINS)
    found = decide(rules, flows(rules), pair(source, ("", "C", "l"), ("N", "c2", "l"), stamps=(3, 2)))
    assert found.writes == {source.other: {"city": "C"}, source: {"name": "N"}}

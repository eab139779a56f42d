"""Pairs of records as Hypothesis makes them up, and what becomes of one when decisions are carried out.

Lines flow one way, both ways or write a constant; values are transformed, rounded, too long or none of the other
side's type; bases are missing for all or for some lines; an application trims or upper-cases what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from service.core.compare import Unconvertible, coerce
from service.core.decide import Decision, Do, Pair, decide
from service.core.flow import Coupled, Flow, Known, Line, flows, remember
from service.core.mapping import ConflictDetection, FieldMapping, MappedSide, SyncMapping, UpdateResolution
from service.core.records import Direction, Field, FieldType, Record, Scalar, Selection, Side

MIRRORED_DIRECTION = {
    Direction.BIDIRECTIONAL: Direction.BIDIRECTIONAL,
    Direction.TO_INTEGRATION: Direction.FROM_INTEGRATION,
    Direction.FROM_INTEGRATION: Direction.TO_INTEGRATION,
}
MIRRORED_POLICY = {
    UpdateResolution.NONE: UpdateResolution.NONE,
    UpdateResolution.SEND_UPDATE_TO_INTEGRATION: UpdateResolution.GET_UPDATE_FROM_INTEGRATION,
    UpdateResolution.GET_UPDATE_FROM_INTEGRATION: UpdateResolution.SEND_UPDATE_TO_INTEGRATION,
    UpdateResolution.NEWEST_WINS: UpdateResolution.NEWEST_WINS,
}
POOLS: Mapping[FieldType, tuple[Scalar, ...]] = {
    FieldType.STRING: (None, "", "a", "A", "b", "a ", "ab", "1"),
    FieldType.DECIMAL: (None, "0", "1", "1.2", "1.25"),
    FieldType.INTEGER: (None, 0, 1, 2),
}


def _trimmed(value: Scalar) -> Scalar:
    return value.rstrip(" ") if isinstance(value, str) else value


def _upper(value: Scalar) -> Scalar:
    return value.upper() if isinstance(value, str) else value


def _as_it_is(value: Scalar) -> Scalar:
    return value


BEHAVIOURS: tuple[Callable[[Scalar], Scalar], ...] = (_as_it_is, _trimmed, _upper)
"""What an application makes of a value that it is given."""


_BOUND: dict[int, tuple[SyncMapping, dict[Side, Flow]]] = {}


def _bound(mapping: SyncMapping) -> dict[Side, Flow]:
    """The flows of a mapping; those of the last few are kept, since binding transformations takes most of the time."""
    if id(mapping) not in _BOUND:
        if len(_BOUND) > 8:
            _BOUND.clear()
        _BOUND[id(mapping)] = mapping, flows(mapping)
    return _BOUND[id(mapping)][1]


@dataclass(frozen=True)
class Situation:
    """A mapping, the pair as it is, and how each application treats what it is given."""

    mapping: SyncMapping
    records: Mapping[Side, Record]
    coupled: Coupled
    behaves: Mapping[Side, Callable[[Scalar], Scalar]]

    @property
    def flows(self) -> dict[Side, Flow]:
        return _bound(self.mapping)

    @property
    def sources(self) -> list[Side]:
        return [side for side in Side if self.flows[side].lines]

    def value(self, side: Side, name: str) -> Scalar:
        return self.records[side].values[self.mapping.side(side).index(name)]

    def base(self, side: Side) -> Mapping[str, Scalar]:
        return self.coupled.known[side].base or {}

    def held_elsewhere(self, side: Side, line: FieldMapping) -> Scalar:
        """What this side holds after it was given the other side's value of a line that flows both ways."""
        back = line_of(self.flows[side.other], str(line.id))
        given = None if back is None else wanted(self.flows[side.other], back, self.records[side.other])
        return None if isinstance(given, Unconvertible) else self.held(side, given)

    def held(self, side: Side, value: Scalar) -> Scalar:
        """What the application holds after it was given a value."""
        return self.behaves[side](value)

    def decide(self, source: Side, *, past: bool = True) -> Decision:
        pair = Pair(source, self.records[source], self.coupled, self.records[source.other], past)
        return decide(self.mapping, self.flows, pair)

    def after(self, decision: Decision) -> Situation:
        """The pair once a decision is carried out and written down, as the journal does it."""
        records = dict(self.records)
        for side, values in decision.writes.items():
            mapped, old = self.mapping.side(side), records[side]
            given = {name: self.held(side, value) for name, value in values.items()}
            new = tuple(given.get(name, value) for name, value in zip(mapped.selection.fields, old.values, strict=True))
            records[side] = replace(old, values=new, modified_on=(old.modified_on or 0) + 10)
        down = decision.do in (Do.WRITE, Do.REFRESH) or (decision.do is Do.CONFLICT and decision.writes)
        if not down:
            return replace(self, records=records)
        agreed = decision.agreed
        known = {
            side: remember(self.flows[side], records[side], self.coupled.known[side], agreed, side in decision.writes)
            for side in Side
        }
        return replace(self, records=records, coupled=replace(self.coupled, known=known))

    def mirrored(self) -> Situation:
        """The same with the sides swapped."""
        rules = self.mapping
        lines = tuple(
            FieldMapping(
                line.id,
                line.integration_field,
                line.local_field,
                MIRRORED_DIRECTION[line.direction],
                line.constant,
                {MIRRORED_DIRECTION[way]: names for way, names in (line.transforms or {}).items()},
                line.not_null,
            )
            for line in rules.field_mappings
        )
        mapping = replace(
            rules,
            direction=MIRRORED_DIRECTION[rules.direction],
            local=rules.integration,
            integration=rules.local,
            field_mappings=lines,
            update_resolution=MIRRORED_POLICY[rules.update_resolution],
        )
        known = {side: self.coupled.known[side.other] for side in Side}
        return Situation(
            mapping,
            {side: self.records[side.other] for side in Side},
            replace(self.coupled, known=known),
            {side: self.behaves[side.other] for side in Side},
        )


def line_of(flow: Flow, id: str) -> Line | None:
    """The line with this id, None where it does not flow this way."""
    return next((line for line in flow.lines if line.id == id), None)


def wanted(flow: Flow, line: Line, record: Record) -> Scalar | Unconvertible:
    """What a line wants to write, or why it cannot."""
    try:
        return flow.desired(line, record)
    except Unconvertible as refusal:
        return refusal


@st.composite
def situations(
    draw: st.DrawFn,
    *,
    detection: ConflictDetection | None = None,
    ties: bool = True,
    fitting: bool = False,
) -> Situation:
    """Any pair that can come about. `ties`: both stamps may be equal. `fitting`: every value fits everywhere."""
    sides: dict[Side, dict[str, Field]] = {side: {} for side in Side}
    lines = [draw(_lines(number, sides, fitting)) for number in range(1, draw(st.integers(1, 3)) + 1)]
    mapped = {side: _mapped(side, fields) for side, fields in sides.items()}
    mapping = SyncMapping(
        1,
        "m",
        draw(st.sampled_from([*Direction, Direction.BIDIRECTIONAL, Direction.BIDIRECTIONAL])),
        mapped[Side.LOCAL],
        mapped[Side.INTEGRATION],
        tuple(lines),
        conflict_detection=detection or draw(st.sampled_from(list(ConflictDetection))),
        update_resolution=draw(st.sampled_from([*UpdateResolution, UpdateResolution.NONE])),
    )
    stamps = {Side.LOCAL: draw(st.integers(1, 3)), Side.INTEGRATION: draw(st.integers(1, 3))}
    if not ties and stamps[Side.LOCAL] == stamps[Side.INTEGRATION]:
        stamps[Side.INTEGRATION] += 1
    records = {
        side: Record("1", stamps[side], tuple(draw(_value(field)) for field in _mapped_fields(mapped[side])))
        for side in Side
    }
    known = _known(draw, mapping, mapped, records)
    behaves = {side: draw(st.sampled_from(BEHAVIOURS)) for side in Side}
    return Situation(mapping, records, Coupled(7, dict.fromkeys(Side, "1"), known), behaves)


@st.composite
def _lines(draw: st.DrawFn, number: int, sides: dict[Side, dict[str, Field]], fitting: bool) -> FieldMapping:
    name = f"f{number}"
    one = draw(st.sampled_from(list(POOLS)))
    other = one if fitting else draw(st.sampled_from([one, one, one, *POOLS]))
    for side, type in ((Side.LOCAL, one), (Side.INTEGRATION, other)):
        sides[side][name] = Field(
            name,
            type,
            length=None if fitting or type is not FieldType.STRING else draw(st.sampled_from([None, None, 1])),
            scale=draw(st.sampled_from([None, 1])) if type is FieldType.DECIMAL else None,
            nullable=fitting or draw(st.sampled_from([True, True, True, False])),
        )
    constant = draw(st.sampled_from([False, False, False, True]))
    names = {Side.LOCAL: name, Side.INTEGRATION: name}
    direction = draw(st.sampled_from([*Direction, Direction.BIDIRECTIONAL]))
    if constant:
        side = draw(st.sampled_from(list(Side)))
        del sides[side][name]
        direction = Direction.out_of(side)
    return FieldMapping(
        number,
        names[Side.LOCAL] if name in sides[Side.LOCAL] else None,
        names[Side.INTEGRATION] if name in sides[Side.INTEGRATION] else None,
        direction,
        draw(_value(sides[direction.source.other][name])) if constant else None,
        {} if constant else draw(_transforms({Side.LOCAL: one, Side.INTEGRATION: other}, fitting)),
        draw(st.sampled_from([False, False, True])),
    )


_TEXT_STEPS: tuple[tuple[Any, ...], ...] = (
    ("upper",),
    ("trim",),
    ("trim", "lower"),
    ("title",),
    ({"truncate": {"length": 1}},),
    ({"pad": {"length": 2}},),
    ({"unpad": {"with": "a", "side": "right"}},),
    ({"replace": {"from": "a", "to": "b"}},),
    ({"regex": {"pattern": "^(a)(.*)$", "to": r"\2\1"}},),
    ({"valueMap": {"map": {"a": "b", "b": "a"}, "unmapped": "keep"}},),
    ({"default": {"value": "b"}},),
    ({"expression": "value.lowerAscii()"},),
)
_NUMBER_STEPS: tuple[tuple[Any, ...], ...] = (
    ({"multiply": {"by": 10}},),
    ({"round": {"scale": 0}},),
    ({"default": {"value": 1}},),
    ({"expression": "value == null ? 0 : int(value) + 1"},),
)
_REFUSING_STEPS: tuple[tuple[Any, ...], ...] = (
    ({"valueMap": {"map": {"a": "b", "1": "2"}}},),
    ({"divide": {"by": 8}},),
    ({"numberFormat": {"decimals": 1}},),
    ({"expression": "[1][2]"},),
)
"""What makes of some values something that the other side cannot hold, or nothing at all."""


@st.composite
def _transforms(draw: st.DrawFn, types: Mapping[Side, FieldType], fitting: bool) -> dict[Direction, tuple[Any, ...]]:
    """Transformations for both ways; a way may be left out, so that it undoes the other one."""
    drawn = {}
    for side in Side:
        steps = [(), (), *(_TEXT_STEPS if types[side] is FieldType.STRING else _NUMBER_STEPS)]
        refusing = [] if fitting or types[side] is FieldType.STRING else _REFUSING_STEPS
        drawn[Direction.out_of(side)] = draw(st.sampled_from([*steps, *refusing]))
    # What undoes a multiplication of whole numbers may have a fraction.
    left_out = None if fitting else draw(st.sampled_from([None, None, *drawn]))
    return {way: steps for way, steps in drawn.items() if way is not left_out}


def _mapped(side: Side, fields: Mapping[str, Field]) -> MappedSide:
    held = {**fields, "id": Field("id", FieldType.STRING)}
    return MappedSide(1, Selection(side.value, "id", "stamp", tuple(fields)), side.value, held, False)


def _mapped_fields(side: MappedSide) -> list[Field]:
    return [side.fields[name] for name in side.selection.fields]


def _value(field: Field) -> st.SearchStrategy[Scalar]:
    """A value that the field can hold."""
    return st.sampled_from([value for value in POOLS[field.type] if _holds(field, value)])


def _holds(field: Field, value: Scalar) -> bool:
    try:
        return bool(coerce(value, field.type, field) == value)
    except Unconvertible:
        return False


def _known(
    draw: st.DrawFn, mapping: SyncMapping, mapped: Mapping[Side, MappedSide], records: Mapping[Side, Record]
) -> dict[Side, Known]:
    """What is known of both sides: nothing, or a base for all or for some lines; half the values unchanged since."""
    if draw(st.sampled_from([False, False, False, True])):
        stamp = draw(st.sampled_from([None, 1, 2]))
        return {side: Known(stamp, None, None) for side in Side}
    ids = {str(line.id) for line in mapping.field_mappings}
    missing = draw(st.sets(st.sampled_from(sorted(ids)), max_size=1)) if draw(st.booleans()) else set()
    known = {}
    for side in Side:
        base: dict[str, Any] = {}
        for line in mapping.field_mappings:
            name = line.field(side)
            if name is None or str(line.id) in missing:
                continue
            now = records[side].values[mapped[side].index(name)]
            base[str(line.id)] = now if draw(st.booleans()) else draw(_value(mapped[side].fields[name]))
        known[side] = Known(1, None, base)
    return known

"""One direction of a mapping, prepared for many records: which value goes where, and what it becomes on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from operator import itemgetter

from service.core.compare import Unconvertible, coerce, equal
from service.core.failures import Failure
from service.core.mapping import FieldMapping, SyncMapping
from service.core.records import Direction, Field, FieldType, Record, Scalar, Side, Stamp
from service.core.references import Lookup, Missing, Pointer
from service.core.templates import Defaults, bound, defaults
from service.core.ways import Way


@dataclass(frozen=True, slots=True)
class Line:
    """A field mapping in one direction. `source` and `destination` are positions in `Record.values`; a line without
    a source writes `constant`. `transform`: what is done to the source's value on the way, None for nothing; the result
    is of `source_type`. `returns`: the same field mapping also flows the other way."""

    id: str
    source: int | None
    source_type: FieldType | None
    destination: int
    field: Field
    transform: Callable[[Scalar], Scalar] | None
    constant: Scalar
    returns: bool
    not_null: bool
    is_key: bool
    pointer: Pointer | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What a coupling remembers of one side: the stamp and version of the last synchronization, and the base.

    `base` maps `Line.id` to the value of then; None: there is none. `echo`: that state was made by a write of ours.
    """

    modified_on: Stamp | None = None
    version: str | None = None
    base: Mapping[str, Scalar] | None = None
    echo: bool = False


NOTHING_KNOWN = Known()

_NOTHING = object()
"""What no field holds."""


@dataclass(frozen=True, slots=True)
class Coupled:
    """A coupling as the decision needs it; `id` is 0 for one that is about to be made."""

    id: int
    keys: Mapping[Side, str]
    known: Mapping[Side, Known]


@dataclass(frozen=True, slots=True)
class Flow:
    """All lines whose values flow out of `source` into the other side.

    `watched` are (line id, position) of every field of the source side whose value flows out of it: a difference from
    the base there is a change of the source. `remembered` are those of every mapped field of the source side.
    `lookup`: the couplings of the records that those at hand refer to. `templates`: default values for new records.
    `ids`: those of the lines. `refers`: whether one of them leads to another record.
    """

    source: Side
    lines: tuple[Line, ...]
    watched: tuple[tuple[str, int], ...]
    remembered: tuple[tuple[str, int], ...]
    lookup: Lookup = field(default_factory=dict)
    templates: tuple[Defaults, ...] = ()
    _ids: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _pick: Callable[[Sequence[Scalar]], Sequence[Scalar]] = field(init=False, repr=False, compare=False)
    _ways: tuple[tuple[Line, str, int, int], ...] = field(init=False, repr=False, compare=False)
    ids: frozenset[str] = field(init=False, repr=False, compare=False)
    refers: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", tuple(id for id, _ in self.remembered))
        object.__setattr__(self, "_pick", _picker([position for _, position in self.remembered]))
        ways = [(line, line.id, line.source, line.destination) for line in self.lines if line.source is not None]
        object.__setattr__(self, "_ways", tuple(ways))
        object.__setattr__(self, "ids", frozenset(line.id for line in self.lines))
        object.__setattr__(self, "refers", any(line.pointer is not None for line in self.lines))

    def unsettled(self, source: Record, destination: Record, coupled: Coupled) -> list[Line]:
        """The lines that are not `settled`: something is new on one of the sides, or was never synchronized."""
        here, there = coupled.known[self.source].base, coupled.known[self.source.other].base
        if here is None or there is None or len(self._ways) < len(self.lines):
            return [line for line in self.lines if not settled(line, source, destination, coupled, self.source)]
        mine, theirs = source.values, destination.values
        return [
            line
            for line, id, place, other in self._ways
            if id not in there
            or id not in here
            # Nearly all are of one type and the same, and need no call.
            or not (((now := theirs[other]) == (then := there[id]) and type(now) is type(then)) or equal(now, then))
            or not (((now := mine[place]) == (then := here[id]) and type(now) is type(then)) or equal(now, then))
        ]

    def as_in_base(self, record: Record, known: Known) -> bool:
        """Whether every mapped field surely is as the base has it, told at one look; False does not mean that one is
        not."""
        if known.base is None:
            return False
        now, then = list(self._pick(record.values)), [known.base.get(id, _NOTHING) for id in self._ids]
        return now == then and list(map(type, now)) == list(map(type, then))

    @property
    def ids_of_base(self) -> tuple[str, ...]:
        """The ids of the lines in a base, in the order of `in_base`."""
        return self._ids

    def in_base(self, record: Record) -> Sequence[Scalar]:
        """The values of the record that a base has."""
        return self._pick(record.values)

    def base_of(self, record: Record) -> dict[str, Scalar]:
        """What the base is to be while the record is as it is: the values of its mapped fields by line id."""
        return dict(zip(self._ids, self._pick(record.values), strict=True))

    def desired(self, line: Line, record: Record) -> Scalar:
        """What the line wants the destination to hold. Raises Unconvertible."""
        if line.source is None:
            return coerce(line.constant, None, line.field)
        value = record.values[line.source]
        if line.pointer is not None:
            return self.translated(line, line.pointer, value)
        if line.transform is not None:
            value = line.transform(value)
        return coerce(value, line.source_type, line.field)

    def translated(self, line: Line, pointer: Pointer, value: Scalar) -> Scalar:
        """The key of the partner of the record that `value` refers to. Raises Unconvertible."""
        place = pointer.place(value)
        if place is None:
            return coerce(None, None, line.field)
        partner = self.lookup.get(place)
        if partner is None and not pointer.clear:
            raise Unconvertible(pointer.failure(place[2]))
        return coerce(partner, FieldType.STRING, line.field)

    def changed(self, record: Record, known: Known) -> bool:
        """Whether the source record is another than the coupling knows: by its stamp, its version or its values."""
        return self.stamp_is_later(record, known) or self.values_differ(record, known)

    def edited(self, record: Record, known: Known) -> bool:
        """Whether a value that flows out of the source has changed; without a base the stamp decides."""
        return self.stamp_is_later(record, known) if known.base is None else self.values_differ(record, known)

    @staticmethod
    def stamp_is_later(record: Record, known: Known) -> bool:
        if known.modified_on is None or record.modified_on is None:
            return known.modified_on is None and known.base is None
        return record.modified_on > known.modified_on

    def values_differ(self, record: Record, known: Known) -> bool:
        """Whether a value that flows out of the source is not that of the base, or has no base yet."""
        base = known.base
        if base is None or self.as_in_base(record, known):
            return False
        return any(differs_from_base(record, base, id, position) for id, position in self.watched)

    def drifted(self, record: Record, known: Known) -> bool:
        """Whether a field that nothing flows out of is not as it was left: somebody wrote over what we wrote."""
        base, watched = known.base or {}, {id for id, _ in self.watched}
        return any(
            differs_from_base(record, base, id, position)
            for id, position in self.remembered
            if id in base and id not in watched
        )

    def knows(self, record: Record, known: Known) -> bool:
        """Whether the record is exactly as the coupling left it."""
        return (
            known.base is not None
            and record.modified_on == known.modified_on
            and record.version == known.version
            and not self.values_differ(record, known)
        )


def _picker(positions: Sequence[int]) -> Callable[[Sequence[Scalar]], Sequence[Scalar]]:
    """The values at these positions, at the speed of the interpreter's own."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda values: [values[position] for position in positions]


def differs_from_base(record: Record, base: Mapping[str, Scalar], id: str, position: int) -> bool:
    """Whether a value is not that of the base; a line without a base counts as different."""
    return id not in base or not equal(record.values[position], base[id])


def flows(mapping: SyncMapping) -> dict[Side, Flow]:
    """The flow out of each side; one without lines where the mapping's direction does not allow it."""
    return {side: _flow(mapping, side) for side in Side}


def _flow(mapping: SyncMapping, source: Side) -> Flow:
    way = Direction.out_of(source)
    lines = tuple(_line(mapping, source, line) for line in mapping.flows(source))
    origin = mapping.side(source)
    remembered = tuple(
        (str(line.id), origin.index(name))
        for line in mapping.field_mappings
        if (name := line.field(source)) is not None
    )
    flowing = {str(line.id) for line in mapping.field_mappings if line.direction.allows(way)}
    watched = tuple(item for item in remembered if item[0] in flowing) if mapping.direction.allows(way) else ()
    names, target = origin.selection.fields, mapping.side(source.other)
    templates = bound(mapping.templates, way, names, origin.fields, target.fields) if lines else ()
    return Flow(source, lines, watched, remembered, templates=templates)


def _line(mapping: SyncMapping, source: Side, line: FieldMapping) -> Line:
    origin, target = mapping.side(source), mapping.side(source.other)
    way, back = Direction.out_of(source), Direction.out_of(source.other)
    name, goal = line.field(source), line.field(source.other)
    if goal is None:
        raise ValueError(f"field mapping {line.id} has no field on the {source.other} side")
    returns = name is not None and mapping.direction.allows(back) and line.direction.allows(back)
    undone = line.steps(back) if returns else None
    made = None if name is None else Way(origin.fields[name], target.fields[goal], line.steps(way), undone).chain()
    return Line(
        pointer=None if line.reference is None or name is None else line.reference.out_of(source, name),
        id=str(line.id),
        source=None if name is None else origin.index(name),
        source_type=None if made is None else made.type,
        destination=target.index(goal),
        field=target.fields[goal],
        transform=None if made is None else made.function,
        constant=line.constant,
        returns=returns,
        not_null=line.not_null,
        is_key=target.is_key(goal),
    )


def settled(line: Line, source: Record, destination: Record, coupled: Coupled, side: Side) -> bool:
    """Whether both values are still what they were when this line was last synchronized.

    A destination may trim, round or fold what it is given; then it never holds exactly what the source does, and yet
    there is nothing to write.
    """
    there = coupled.known[side.other].base
    if there is None or line.id not in there or not equal(destination.values[line.destination], there[line.id]):
        return False
    if line.source is None:
        return True
    here = coupled.known[side].base
    return here is not None and line.id in here and equal(source.values[line.source], here[line.id])


def repointed(flow: Flow, line: Line, source: Record, destination: Record) -> bool:
    """Whether a reference that nobody touched leads elsewhere now: the record it refers to has got another partner."""
    if line.pointer is None or line.source is None:
        return False
    place = line.pointer.place(source.values[line.source])
    if place is None or place not in flow.lookup:
        return False
    return not equal(flow.desired(line, source), destination.values[line.destination])


def missing(
    flows: Mapping[Side, Flow], coupled: Coupled | None, records: Mapping[Side, Record | None]
) -> tuple[Missing, ...]:
    """The references of these records that cannot be translated and would have to be, of both directions."""
    refer = [(side, flow) for side, flow in flows.items() if flow.refers]
    return tuple(found for side, flow in refer for found in _missing_of(flow, coupled, records, side))


def _missing_of(
    flow: Flow, coupled: Coupled | None, records: Mapping[Side, Record | None], side: Side
) -> Iterator[Missing]:
    record, partner = records.get(side), records.get(side.other)
    for line in flow.lines:
        if record is None or line.pointer is None or line.source is None or line.pointer.clear:
            continue
        place = line.pointer.place(record.values[line.source])
        if place is None or place in flow.lookup:
            continue
        if coupled is None or partner is None or not settled(line, record, partner, coupled, side):
            yield Missing(side, line.id, line.pointer, place[2])


def without(flows: Mapping[Side, Flow], ids: Collection[str]) -> Mapping[Side, Flow]:
    """The flows as if these lines were not there, for now."""
    if not ids:
        return flows
    return {
        side: replace(
            flow,
            lines=tuple(line for line in flow.lines if line.id not in ids),
            watched=tuple(item for item in flow.watched if item[0] not in ids),
        )
        for side, flow in flows.items()
    }


def is_empty(value: Scalar) -> bool:
    """Whether there is nothing in a field: no value, or a text without characters."""
    return value is None or value == ""


def new_values(flow: Flow, source: Record) -> dict[str, Scalar]:
    """The values of a record to be created on the other side, by field name. Raises Unconvertible.

    Where a template has a value, it stands for one that the source does not have.
    """
    known = defaults(flow.templates, source)
    values = dict(known)
    for line in flow.lines:
        name = line.field.name
        try:
            value = flow.desired(line, source)
        except Unconvertible as refusal:
            if name not in known or refusal.failure.params.get("rule") != "not_null":
                raise
            continue
        if name not in known or not is_empty(value):
            values[name] = value
    return values


def withheld(flow: Flow, source: Record, destination: Record, coupled: Coupled) -> set[str]:
    """The lines that do not flow because they must not empty a field, although that field was edited: the edit has to
    flow back, or it would be on one side alone for ever."""
    base = coupled.known[flow.source.other].base or {}
    found = set()
    for line in flow.lines:
        present = destination.values[line.destination]
        if not (line.not_null and line.returns) or is_empty(present):
            continue
        if differs_from_base(destination, base, line.id, line.destination) and _empties(flow, line, source):
            found.add(line.id)
    return found


def _empties(flow: Flow, line: Line, source: Record) -> bool:
    try:
        return is_empty(flow.desired(line, source))
    except Unconvertible:
        return False


def differences(
    flow: Flow,
    source: Record,
    destination: Record,
    coupled: Coupled,
    *,
    returning: bool = True,
    besides: Container[str] = (),
) -> dict[str, tuple[Line, Scalar]]:
    """The lines whose destination does not hold what it should, with what it should hold, by line id.

    `returning` False leaves out the lines that also flow the other way, `besides` those with these ids. Raises
    Unconvertible, also for a key that would have to change: the application would make another record of it.
    """
    found: dict[str, tuple[Line, Scalar]] = {}
    open_ones = flow.unsettled(source, destination, coupled)
    if flow.lookup:
        ids = {line.id for line in open_ones}
        open_ones = [line for line in flow.lines if line.id in ids or repointed(flow, line, source, destination)]
    for line in open_ones:
        present = destination.values[line.destination]
        if line.returns and not returning and line.id not in besides:
            continue
        wanted = flow.desired(line, source)
        if equal(wanted, present) or (line.not_null and is_empty(wanted)):
            continue
        if line.is_key:
            params = {"field": line.field.name, "rule": "key_cannot_change"}
            raise Unconvertible(Failure("value_rejected", params, (line.field.name, "key_cannot_change")))
        found[line.id] = (line, wanted)
    return found


def remember(flow: Flow, record: Record, known: Known, agreed: Set[str] | None, echo: bool) -> Known:
    """What a coupling is to remember of `flow.source` after a visit that left `record` there.

    The base of the lines in `agreed` (None: of all) is renewed; the others keep what they had, so that a change that
    did not travel yet still counts as one.
    """
    fresh = flow.base_of(record)
    if agreed is not None and not fresh.keys() <= agreed:
        old = known.base or {}
        fresh = {id: fresh[id] if id in agreed else old[id] for id in fresh if id in agreed or id in old}
    return Known(record.modified_on, record.version, fresh, echo)

"""Which fields of two tables seem to be the same: by their names, by what names mean, by types, and by values.

The same two tables and samples always give the same proposals, in the same order. Every proposed pair can be mapped in
the direction that is proposed; whether it should be is for a person to say.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.core.compare import convertible
from service.core.composites import JOINT
from service.core.naming import MEANING_OF, alike, naming, parts_of_name
from service.core.records import Direction, Field, FieldType, KeyStatus, Scalar, Table
from service.core.transforms.values import as_text

Sample = Mapping[str, Sequence[Scalar]]
"""Some values of each field, those of one record at the same place in each."""

LEAST = 0.5
"""Pairs with a lower score are not proposed."""

_TELLING = ("number", "email", "vat")
"""What tells records apart, best first."""

_FEWEST_VALUES = 4
"""A yes or no and other small sets of values are shared by fields that have nothing in common."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two fields that seem to be the same. `score`: from 0 to 1. `reason` is a code of `wording` with `params`."""

    local_field: str
    integration_field: str
    direction: Direction
    score: float
    reason: str
    params: Mapping[str, Any]
    match_key: int | None = None
    transforms: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    value_map: Mapping[str, Scalar] | None = None
    """For two fields with options that have the same labels and other values: the values of the integration field by
    those of the local one."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The proposed pairs, best first, and the fields of each table that have no partner."""

    suggestions: tuple[Suggestion, ...]
    unmatched_local: tuple[Field, ...]
    unmatched_integration: tuple[Field, ...]


def propose(local: Table, integration: Table, local_sample: Sample, integration_sample: Sample) -> Proposal:
    """The pairs that seem to be the same, each field in one of them at most."""
    candidates = sorted(
        _candidates(local, integration, local_sample, integration_sample),
        key=lambda one: (-one.score, one.local_field, one.integration_field),
    )
    taken: tuple[set[str], set[str]] = (set(), set())
    chosen: list[Suggestion] = []
    for one in candidates:
        if one.local_field not in taken[0] and one.integration_field not in taken[1]:
            chosen.append(one)
            taken[0].add(one.local_field)
            taken[1].add(one.integration_field)
    names = _joined_name(local, integration, taken) or _turned(_joined_name(integration, local, (taken[1], taken[0])))
    if names is not None:
        chosen.append(names)
        taken[0].update(names.local_field.split(JOINT))
        taken[1].update(names.integration_field.split(JOINT))
    unique = {(one.local_field, one.integration_field) for one in chosen if _is_unique(one, local, integration)}
    keyed = _with_match_key(chosen, local_sample, integration_sample, unique)
    return Proposal(tuple(keyed), _left(local, taken[0]), _left(integration, taken[1]))


_JOINED = 0.7
"""The score of a name that is in two fields on one side and in one on the other."""


def _joined_name(local: Table, integration: Table, taken: tuple[set[str], set[str]]) -> Suggestion | None:
    """The first and last name of the local side as the one name of the other, where both are without a partner."""
    free = (_free(local, taken[0]), _free(integration, taken[1]))
    first, last = free[0].get("firstname"), free[0].get("lastname")
    whole = free[1].get("name") or free[1].get("contact")
    if first is None or last is None or whole is None:
        return None
    out, back = not whole.read_only, not (first.read_only or last.read_only)
    if not out and not back:
        return None
    direction = Direction.BIDIRECTIONAL if out and back else Direction.TO_INTEGRATION if out else None
    # The rest belongs to the first name: of several names, all but the last are given ones.
    concat, split = {"concat": {"rest": "first"}}, {"split": {"rest": "first"}}
    steps = {"fromIntegration": [split]} if direction is None else {"toIntegration": [concat]}
    params = {"local": f"{first.name}{JOINT}{last.name}", "integration": whole.name}
    way = direction or Direction.FROM_INTEGRATION
    return Suggestion(params["local"], whole.name, way, _JOINED, "joined_name", params, transforms=steps)


def _free(table: Table, taken: set[str]) -> dict[str, Field]:
    """The texts without a partner, by what they mean."""
    left = (one for one in _left(table, taken) if one.type is FieldType.STRING)
    found: dict[str, Field] = {}
    for one in left:
        meaning = naming(table, one.name).meaning
        if meaning is not None:
            found.setdefault(meaning, one)
    return found


_MIRRORED = {
    Direction.TO_INTEGRATION: Direction.FROM_INTEGRATION,
    Direction.FROM_INTEGRATION: Direction.TO_INTEGRATION,
}


def _turned(one: Suggestion | None) -> Suggestion | None:
    """A proposal with its sides swapped."""
    if one is None:
        return None
    params = {"local": one.integration_field, "integration": one.local_field}
    steps = {_MIRRORED[Direction(way)].value: list(given) for way, given in one.transforms.items()}
    direction = _MIRRORED.get(one.direction, one.direction)
    local, integration = one.integration_field, one.local_field
    changed = dataclasses.replace(one, direction=direction, params=params, transforms=steps)
    return dataclasses.replace(changed, local_field=local, integration_field=integration)


def _left(table: Table, taken: set[str]) -> tuple[Field, ...]:
    return tuple(field for name, field in table.fields.items() if name not in taken and _may_be_mapped(table, field))


def _may_be_mapped(table: Table, field: Field) -> bool:
    """Stamps are Accord's own business, and keys that an application makes mean nothing elsewhere."""
    made = field.name == table.key and (table.generates_keys or field.type is not FieldType.STRING)
    return field.name != table.modified_on and not made


def _candidates(
    local: Table, integration: Table, local_sample: Sample, integration_sample: Sample
) -> Iterator[Suggestion]:
    theirs = [(field, naming(integration, name)) for name, field in integration.fields.items()]
    for name, field in local.fields.items():
        if not _may_be_mapped(local, field):
            continue
        words = naming(local, name)
        for other, other_words in theirs:
            direction = _direction(field, other) if _may_be_mapped(integration, other) else None
            if direction is None:
                continue
            shared = _shared(local_sample.get(name, ()), integration_sample.get(other.name, ()))
            found = _scored(field, other, direction, alike(words, other_words), shared)
            if found.score >= LEAST:
                yield found


def _direction(local: Field, integration: Field) -> Direction | None:
    """The widest direction in which the mapping's rules let values flow; None where they let none."""
    out = convertible(local.type, integration.type) and not integration.read_only
    back = convertible(integration.type, local.type) and not local.read_only
    if out and back:
        return Direction.BIDIRECTIONAL
    return Direction.TO_INTEGRATION if out else Direction.FROM_INTEGRATION if back else None


def _scored(
    local: Field, integration: Field, direction: Direction, alike: tuple[float, str], shared: float
) -> Suggestion:
    """The score of a pair: what the names say, raised by shared values, lowered where the types are not the same."""
    by_name, reason = alike
    score = 1 - (1 - by_name) * (1 - 0.85 * shared)
    if by_name < LEAST <= score:
        reason = "same_values"
    if local.type is not integration.type:
        score *= 0.85
    if local.length and integration.length and local.length != integration.length:
        score *= 0.99
    options = _options_alike(local, integration)
    if options is not None:
        score = 1 - (1 - score) * (1 - 0.85 * options) if options else score * 0.6
        reason = "same_options" if by_name < LEAST <= score else reason
    params = {"local": local.name, "integration": integration.name, "percent": round(shared * 100)}
    values = _value_map(local, integration)
    return Suggestion(
        local.name, integration.name, direction, round(score, 3), reason, params, value_map=values or None
    )


def _labels(field: Field) -> dict[str, Scalar]:
    """The values of options by what people read, in plain letters."""
    return {"".join(parts_of_name(one.label)) or one.label: one.value for one in field.options}


def _options_alike(local: Field, integration: Field) -> float | None:
    """Which part of the options of the one field are those of the other, by label or by value; None where one has
    none."""
    if not local.options or not integration.options:
        return None
    labels = (_labels(local).keys(), _labels(integration).keys())
    values = [_plain([one.value for one in field.options]) for field in (local, integration)]
    fewest = min(len(local.options), len(integration.options))
    return max(len(labels[0] & labels[1]), len(values[0] & values[1])) / fewest


def _value_map(local: Field, integration: Field) -> dict[str, Scalar]:
    """The options of two fields with the same labels, where their values are others; empty where none is needed, or
    where it would leave one out."""
    ours, theirs = _labels(local), _labels(integration)
    if not ours or ours.keys() != theirs.keys() or len(ours) < len(local.options) or ours == theirs:
        return {}
    return {as_text(value): theirs[label] for label, value in ours.items()}


# Values


def _shared(one: Sequence[Scalar], other: Sequence[Scalar]) -> float:
    """Which part of the smaller set of values is in the larger one too."""
    sets = (_plain(one), _plain(other))
    fewest = min(map(len, sets))
    return len(sets[0] & sets[1]) / fewest if fewest >= _FEWEST_VALUES else 0.0


def _plain(values: Sequence[Scalar]) -> set[str]:
    return {str(value).strip().casefold() for value in values if value not in (None, "")}


def _is_unique(one: Suggestion, local: Table, integration: Table) -> bool:
    """Whether a side keeps to it that no two records have the same value: an alternate key of one field."""
    sides = ((local, one.local_field), (integration, one.integration_field))
    return any(
        key.fields == (field,) and key.status is KeyStatus.ACTIVE
        for table, field in sides
        for key in table.alternate_keys
    )


def _with_match_key(
    chosen: Sequence[Suggestion], local: Sample, integration: Sample, unique: Container[tuple[str, str]]
) -> list[Suggestion]:
    """The same, the pair that tells best which records are the same with `match_key` 1: one that is `unique` above all,
    then what its name says."""
    fitting = [
        (rank, index)
        for index, one in enumerate(chosen)
        if (rank := -1 if (one.local_field, one.integration_field) in unique else _telling(one)) is not None
        and _tells_apart(local.get(one.local_field, ()))
        and _tells_apart(integration.get(one.integration_field, ()))
    ]
    best = min(fitting)[1] if fitting else None
    return [one if index != best else dataclasses.replace(one, match_key=1) for index, one in enumerate(chosen)]


def _telling(one: Suggestion) -> int | None:
    """The rank of what a pair says about a record, None where it tells nothing apart."""
    meanings = {MEANING_OF.get("".join(parts_of_name(name))) for name in (one.local_field, one.integration_field)}
    meanings |= {MEANING_OF.get(re.sub(r"\d+", "", "".join(parts_of_name(name)))) for name in (one.integration_field,)}
    return next((rank for rank, meaning in enumerate(_TELLING) if meaning in meanings), None)


def _tells_apart(values: Sequence[Scalar]) -> bool:
    """Whether no value is there twice, and few records have none; what has no values yet may do."""
    given = [value for value in values if value not in (None, "")]
    return len(set(given)) == len(given) and len(given) * 10 >= len(values) * 9

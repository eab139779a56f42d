"""What a transformation is: how its parameters look, what it does to a value, and which one undoes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from service.core.compare import Unconvertible
from service.core.failures import Failure
from service.core.records import Field, FieldType, Scalar

Function: TypeAlias = Callable[[Scalar], Scalar]
Params: TypeAlias = Mapping[str, Any]
Wrong: TypeAlias = Iterator[tuple[str, str, Mapping[str, Any]]]
"""What is wrong: the name of a parameter, a code of `wording`, and the parameters of its sentence."""

NO_DEFAULT: Any = object()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: a JSON schema of a single type, and its default where it may be left out."""

    schema: Mapping[str, Any]
    default: Any = NO_DEFAULT

    @property
    def optional(self) -> bool:
        return self.default is not NO_DEFAULT


@dataclass(frozen=True, slots=True)
class Step:
    """A transformation with its parameters, defaults filled in."""

    name: str
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Given:
    """What a step is bound to: the source field, the type of the value when it comes to the step, None where each
    value is of its own type, and the field that the last step is for."""

    field: Field
    type: FieldType | None
    target: Field | None = None


@dataclass(frozen=True, slots=True)
class Transform:
    """A row of the table.

    `bind` makes the function for one field and one set of parameters; it gets canonical values and raises
    Unconvertible. `takes`: the types of values that it works on, None for all. `gives`: the type of what comes out, by
    the type of what went in; None: each value is of its own type. `back`: the step that undoes it, None where it does
    not claim to be two-way. `wrong`: what is wrong with parameters that have the right form; `unfit`: what is wrong
    with them for this field.
    """

    bind: Callable[[Given, Params], Function]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    takes: frozenset[FieldType] | None = None
    gives: Callable[[FieldType | None, Params], FieldType | None] = lambda type, _: type
    back: Callable[[Params], Step | None] = lambda _: None
    wrong: Callable[[Params], Wrong] = lambda _: iter(())
    unfit: Callable[[Given, Params], Wrong] = lambda _given, _params: iter(())


def always(type: FieldType | None) -> Callable[[FieldType | None, Params], FieldType | None]:
    """What comes out has one type, whatever went in."""
    return lambda _type, _params: type


LONGEST = 1_000_000
"""Characters that a text may grow to."""
TEXTS = frozenset({FieldType.STRING, FieldType.UUID})
NUMBERS = frozenset({FieldType.INTEGER, FieldType.DECIMAL, FieldType.FLOAT, FieldType.STRING})
MOMENTS = frozenset({FieldType.DATE, FieldType.DATETIME, FieldType.TIME, FieldType.STRING})


def text(min: int = 0, max: int = 1000, default: Any = NO_DEFAULT) -> Parameter:
    """A text of bounded length."""
    return Parameter({"type": "string", "minLength": min, "maxLength": max, "pattern": r"^[^\x00]*$"}, default)


def whole(min: int, max: int, default: Any = NO_DEFAULT) -> Parameter:
    """A whole number."""
    return Parameter({"type": "integer", "minimum": min, "maximum": max}, default)


def choice(*words: str, default: Any = NO_DEFAULT) -> Parameter:
    """One of several words."""
    return Parameter({"type": "string", "enum": list(words)}, default)


def flag(default: bool) -> Parameter:
    """True or false."""
    return Parameter({"type": "boolean"}, default)


def number() -> Parameter:
    """A number, or the text of one, which is exact however long it is."""
    return Parameter({"type": ["number", "string"], "maxLength": 100})


def scalar(default: Any = NO_DEFAULT) -> Parameter:
    """A single value of any type."""
    return Parameter({"type": ["string", "number", "boolean"]}, default)


def table(max: int = 1000) -> Parameter:
    """An object that maps texts to single values."""
    inner = {"type": ["string", "number", "boolean"]}
    return Parameter({"type": "object", "minProperties": 1, "maxProperties": max, "additionalProperties": inner})


def refuse(given: Given, rule: str, **params: Any) -> Unconvertible:
    """A value that a transformation can make nothing of."""
    return Unconvertible(
        Failure("value_rejected", {"field": given.field.name, "rule": rule, **params}, (given.field.name, rule))
    )

"""Transformations of a value on its way to the other side: pure functions on canonical values.

A mapping writes one as its name, or as an object of its name and its parameters: `"trim"`, `{"pad": {"length": 8}}`.
They are bound once for a run; what is left is one function per field and direction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from service.core.records import Field, FieldType, Scalar
from service.core.transforms.base import Function, Given, Parameter, Step, Transform
from service.core.transforms.currencies import CURRENCY_TRANSFORMS
from service.core.transforms.expressions import EXPRESSION
from service.core.transforms.lists import LIST_TRANSFORMS
from service.core.transforms.moments import MOMENT_TRANSFORMS
from service.core.transforms.numbers import NUMBER_TRANSFORMS
from service.core.transforms.texts import TEXT_TRANSFORMS
from service.core.transforms.values import VALUE_TRANSFORMS

__all__ = ["TRANSFORMS", "Chain", "Finding", "Step", "chain", "steps_back", "steps_of", "unfitting", "wrong"]

TRANSFORMS: Mapping[str, Transform] = {
    **TEXT_TRANSFORMS,
    **NUMBER_TRANSFORMS,
    **MOMENT_TRANSFORMS,
    **VALUE_TRANSFORMS,
    **LIST_TRANSFORMS,
    **CURRENCY_TRANSFORMS,
    "expression": EXPRESSION,
}
"""Every transformation, by the name that a mapping uses."""

Finding: TypeAlias = tuple[str, str, Mapping[str, Any]]
"""What is wrong: where (a JSON pointer into the list of steps), a code of `wording`, and its parameters."""

_SHORT = "expression"
"""The one transformation whose parameter is its whole value: `{"expression": "value + 1"}`."""

_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
}


@dataclass(frozen=True, slots=True)
class Chain:
    """Bound steps: the function, None where there is nothing to do, and the type of what comes out."""

    function: Function | None
    type: FieldType | None


def chain(steps: Sequence[Step], source: Field, target: Field | None = None) -> Chain:
    """The steps, bound to the field whose values they get and the one that these are for. They must be without
    findings."""
    functions: list[Function] = []
    result: FieldType | None = source.type
    for step in steps:
        row = TRANSFORMS[step.name]
        functions.append(row.bind(Given(source, result, target), step.params))
        result = row.gives(result, step.params)
    if len(functions) < 2:
        return Chain(functions[0] if functions else None, result)

    def all_of_them(value: Scalar) -> Scalar:
        for function in functions:
            value = function(value)
        return value

    return Chain(all_of_them, result)


def steps_of(written: Sequence[Any]) -> tuple[Step, ...]:
    """The steps that a mapping writes; only for what `wrong` finds nothing wrong with."""
    return tuple(_step(one) for one in written)


def steps_back(steps: Sequence[Step]) -> tuple[Step, ...]:
    """What undoes these steps, last first; a step that cannot be undone is left out."""
    backward = (TRANSFORMS[step.name].back(step.params) for step in reversed(steps))
    return tuple(step for step in backward if step is not None)


def _step(written: Any) -> Step:
    name, params = _named(written)
    declared = TRANSFORMS[name].parameters
    return Step(name, {key: params.get(key, parameter.default) for key, parameter in declared.items()})


def _named(written: Any) -> tuple[str, Any]:
    if isinstance(written, str):
        return written, {}
    (name, params), *_ = written.items()
    return name, {name: params} if name == _SHORT else params


def wrong(written: Sequence[Any]) -> Iterator[Finding]:
    """Everything that is wrong with steps as a mapping writes them, whatever fields they are for."""
    for place, one in enumerate(written):
        yield from _wrong_step(one, f"/{place}")


def _wrong_step(one: Any, pointer: str) -> Iterator[Finding]:
    if not isinstance(one, str) and (not isinstance(one, Mapping) or len(one) != 1):
        yield pointer, "transform_form", {}
        return
    name, params = _named(one)
    if name not in TRANSFORMS:
        yield pointer, "transform_unknown", {"name": name, "names": sorted(TRANSFORMS)}
        return
    row, inside = TRANSFORMS[name], "" if name == _SHORT else f"/{name}"
    if not isinstance(params, Mapping):
        yield pointer + inside, "not_an_object", {}
        return
    found = list(_wrong_params(name, row.parameters, params, pointer + inside))
    if not found:
        found = [(_below(pointer + inside, key), code, said) for key, code, said in row.wrong(_step(one).params)]
    yield from found


def _wrong_params(
    name: str, declared: Mapping[str, Parameter], params: Mapping[str, Any], pointer: str
) -> Iterator[Finding]:
    for key in params.keys() - declared.keys():
        said = {"name": name, "parameter": key, "parameters": sorted(declared)}
        yield _below(pointer, key), "transform_parameter_unknown", said
    for key, parameter in declared.items():
        if key not in params:
            if not parameter.optional:
                yield _below(pointer, key), "transform_parameter_missing", {"name": name, "parameter": key}
        elif not fits(params[key], parameter.schema):
            said = {"name": name, "parameter": key, **_expected(parameter.schema)}
            yield _below(pointer, key), "transform_parameter_wrong", said


def _below(pointer: str, key: str) -> str:
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}" if key else pointer


def unfitting(steps: Sequence[Step], source: Field, target: Field | None = None) -> Iterator[Finding]:
    """What is wrong with steps between two fields: a type that one cannot work on, an expression that is none."""
    type: FieldType | None = source.type
    for place, step in enumerate(steps):
        row, pointer = TRANSFORMS[step.name], f"/{place}"
        if type is not None and row.takes is not None and type not in row.takes:
            takes = sorted(kind.value for kind in row.takes)
            yield pointer, "transform_type_wrong", {"name": step.name, "type": type.value, "takes": takes}
        inside = pointer if step.name == _SHORT else f"{pointer}/{step.name}"
        for key, code, said in row.unfit(Given(source, type, target), step.params):
            yield _below(inside, key), code, said
        type = row.gives(type, step.params)


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value is what a parameter's schema asks for."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if isinstance(value, bool) and "boolean" not in types:
        return False
    if not isinstance(value, tuple(kind for name in types for kind in _JSON_TYPES[name])):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, str):
        return bool(schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1000))
    if isinstance(value, dict):
        inner = schema["additionalProperties"]
        return 0 < len(value) <= schema["maxProperties"] and all(fits(one, inner) for one in value.values())
    if "minimum" in schema:
        return bool(schema["minimum"] <= value <= schema["maximum"])
    return True


def _expected(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a schema asks for, as parameters of the sentence that says so."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "enum" in schema:
        return {"rule": "choice", "choices": schema["enum"]}
    if "minimum" in schema:
        return {"rule": "range", "expected": types, "min": schema["minimum"], "max": schema["maximum"]}
    if types == ["string"]:
        return {"rule": "length", "min": schema.get("minLength", 0), "max": schema["maxLength"]}
    return {"expected": types}

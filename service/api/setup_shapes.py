"""What the file of `accord apply` and `GET /export` looks like: the API's own shapes, with names instead of ids."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields

from service.api.connections import NewConnection
from service.api.errors import problems_of
from service.api.fields import (
    PLAIN,
    Answer,
    Body,
    Int,
    Items,
    Listed,
    Part,
    Said,
    Settings,
    Shape,
    Text,
    refuse,
)
from service.api.mapping_answers import MappingAnswer
from service.api.mapping_lines import LineAnswer
from service.api.mapping_shapes import NewMapping, stored
from service.api.mapping_sides import MappedSide, SideAnswer
from service.api.setup_yaml import YamlWrong, load_yaml
from service.core.errors import Invalid, Problem
from service.operations.mapping_drafts import Document

FORMAT = 1
"""The version of the format; a file names it as `accord: 1`."""

_READ_ONLY = ("id", "watermarks", "status", "created_at", "updated_at")
_SIDES = ("local", "integration")
_PLAIN = ("name", "kind", "settings", "credentials")


def _declared(shape: type[Shape], *left_out: str) -> dict[str, Any]:
    """The fields of another shape, as fields of one's own."""
    return {name: copy.deepcopy(one) for name, one in shape().declared_fields.items() if name not in left_out}


def _name(**options: Any) -> Text:
    return Text(min=1, max=200, pattern=PLAIN, **options)


# Reading a file

_Connection: type[Shape] = type(
    "SetupConnection",
    (Body,),
    {**_declared(NewConnection, "credentials"), "credentials": Settings(allow_none=True)},
)
_Side: type[Shape] = type(
    "SetupSide", (Body,), {**_declared(MappedSide, "connection_id"), "connection": _name(required=True)}
)
_Mapping: type[Shape] = type(
    "SetupMapping",
    (Body,),
    {
        "name": _name(required=True),
        **{side: Part(_Side, required=True) for side in _SIDES},
        **_declared(NewMapping, "name", *_SIDES, "depends_on"),
        "depends_on": Items(_name(), max=100, load_default=list),
    },
)


class _Format(Int):
    """The version of the format."""

    def _deserialize(self, value: Any, *rest: Any, **options: Any) -> int:
        if super()._deserialize(value, *rest, **options) != FORMAT:
            refuse("format_unknown", format=FORMAT)
        return FORMAT


class Setup(Body):
    """Connections and mappings, keyed by their names."""

    accord = _Format(required=True)
    connections = Items(Part(_Connection), max=1000, load_default=list)
    mappings = Items(Part(_Mapping), max=1000, load_default=list)


def read(text: str) -> Document:
    """The setup in a file, YAML or JSON. Raises Invalid with every problem."""
    try:
        loaded = Setup().load(load_yaml(text))
    except YamlWrong as error:
        raise Invalid([Problem("", "invalid_yaml", {"detail": str(error)})]) from error
    except ValidationError as error:
        raise Invalid(problems_of(error.normalized_messages())) from error  # type: ignore[no-untyped-call]
    return {**loaded, "mappings": [stored(mapping) for mapping in loaded["mappings"]]}


class SetParameter(Body):
    """Something that a mapping set has to be told."""

    name = _name(required=True)
    default = Text(min=1, max=500, allow_none=True, load_default=None)


class SetFile(Body):
    """A mapping set: mappings whose connections are `local` and `integration`, with places for parameters."""

    accord = _Format(required=True)
    local = Items(Text(min=1, max=50), min=1, required=True)
    integration = Items(Text(min=1, max=50), min=1, required=True)
    parameters = Items(Part(SetParameter), load_default=list)
    mappings = Items(Part(_Mapping), min=1, required=True)


def read_set(text: str) -> Document:
    """A mapping set in a file. Raises Invalid with every problem."""
    loaded = SetFile().load(load_yaml(text))
    return {**loaded, "mappings": [stored(mapping) for mapping in loaded["mappings"]]}


# Writing one


class _Written(Answer):
    """What is left out is the default."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        super().on_bind_field(field_name, field_obj)
        field_obj.required = False


_WrittenLine: type[Shape] = type("SetupFieldMappingAnswer", (_Written,), _declared(LineAnswer))
_WrittenSide: type[Shape] = type(
    "SetupSideAnswer", (_Written,), {"connection": Said(), **_declared(SideAnswer, "connection_id")}
)
_WrittenMapping: type[Shape] = type(
    "SetupMappingAnswer",
    (_Written,),
    {
        "name": Said(),
        **{side: Part(_WrittenSide) for side in _SIDES},
        "field_mappings": Listed(Part(_WrittenLine)),
        **_declared(MappingAnswer, "name", *_READ_ONLY, *_SIDES, "field_mappings", "depends_on"),
        "depends_on": Listed(Said()),
    },
)
_WrittenConnection: type[Shape] = type(
    "SetupConnectionAnswer",
    (_Written,),
    {
        "name": Said(),
        "kind": Said(),
        "settings": Settings(),
        "credentials": Settings(),
        **_declared(NewConnection, *_PLAIN),
    },
)


class SetMappingAnswer(_WrittenMapping):  # type: ignore[misc, valid-type]
    """A mapping of a set, as a setup file has it. Its connections are `local` and `integration`."""


def compact_mappings(mappings: Sequence[Document]) -> list[Document]:
    """Mappings without what is the default anyway."""
    return [_compact(_Mapping, item) for item in mappings]


def written_mappings(mappings: Sequence[Document]) -> list[Document]:
    """Mappings as a file shows them, for what `compact_mappings` gave."""
    shown: list[Document] = SetMappingAnswer(many=True).dump(mappings)
    return shown


class SetupAnswer(Answer):
    """Connections and mappings as one document. What is the default is left out."""

    accord = Int()
    connections = Listed(Part(_WrittenConnection))
    mappings = Listed(Part(_WrittenMapping))


def written(setup: Document) -> Document:
    """A setup as the file shows it."""
    shown: Document = SetupAnswer().dump(compact(setup))
    return shown


def compact(setup: Document) -> Document:
    """A setup without what is the default anyway, to be shown as a `SetupAnswer`."""
    connections = [_compact(_Connection, item) for item in setup["connections"]]
    mappings = [_compact(_Mapping, item) for item in setup["mappings"]]
    return {"accord": FORMAT, "connections": connections, "mappings": mappings}


def _compact(shape: Callable[[], Schema], document: Mapping[str, Any]) -> Document:
    """A document without the values that its shape fills in, in the order of the shape."""
    declared = shape().fields
    kept: Document = {}
    for name in (name for name in declared if name in document):
        value, one = document[name], declared[name]
        if value == (one.load_default() if callable(one.load_default) else one.load_default):
            continue
        if isinstance(one, Part) and isinstance(value, Mapping) and name in _SIDES:
            value = _compact(type(one.schema), value)
        elif isinstance(one, Items) and name == "field_mappings":
            value = [_compact(type(one.inner.schema), item) for item in value]  # type: ignore[attr-defined]
        kept[name] = value
    return kept

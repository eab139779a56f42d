"""What `$metadata` says, XML or JSON: entity sets as tables, with the names and types that requests need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import orjson

from service.connectors.odata.annotations import ALTERNATE_KEYS, json_terms, xml_terms
from service.connectors.odata.options import member
from service.core.records import Option

_NUMBERS = ("Precision", "Scale", "MaxLength")


class NoMetadata(Exception):
    """A text that is no metadata document; the message says why."""


@dataclass(frozen=True, slots=True)
class RawProperty:
    """A structural property as CSDL declares it. `terms` are the annotations by the last part of their name."""

    name: str
    type: str
    nullable: bool = True
    facets: Mapping[str, int] = field(default_factory=dict)
    has_default: bool = False
    terms: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RawNavigation:
    """A navigation property to one record. `constraint` is the property that holds the other's key."""

    name: str
    type: str
    constraint: str | None


@dataclass(frozen=True, slots=True)
class RawType:
    """An entity type, without what it inherits from `base`."""

    name: str
    base: str | None
    key: tuple[str, ...]
    properties: tuple[RawProperty, ...]
    navigations: tuple[RawNavigation, ...]
    alternate_keys: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class RawSet:
    """An entity set: the name of its type, where its navigation properties lead, and its caption, if it has one."""

    name: str
    type: str
    bindings: Mapping[str, str]
    terms: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Schema:
    """A whole document. `enums` are the members of enumeration types (none of one whose members may be combined),
    `definitions` the types behind other names."""

    types: Mapping[str, RawType]
    sets: Mapping[str, RawSet]
    enums: Mapping[str, tuple[Option, ...]]
    definitions: Mapping[str, str]

    def properties(self, type_name: str) -> list[RawProperty]:
        """All properties of a type, inherited ones first."""
        return [one for type in self._line(type_name) for one in type.properties]

    def navigations(self, type_name: str) -> list[RawNavigation]:
        return [one for type in self._line(type_name) for one in type.navigations]

    def alternate_keys(self, set_name: str) -> list[tuple[str, ...]]:
        """The names of the properties of each alternate key, as annotated."""
        found = self.sets.get(set_name)
        if found is None:
            return []
        own: tuple[tuple[str, ...], ...] = found.terms.get(ALTERNATE_KEYS, ())
        inherited = (key for type in self._line(found.type) for key in type.alternate_keys)
        return list(dict.fromkeys([*own, *inherited]))

    def key(self, type_name: str) -> tuple[str, ...]:
        return next((type.key for type in self._line(type_name) if type.key), ())

    def _line(self, type_name: str) -> list[RawType]:
        """A type and those it inherits from, the oldest first."""
        line: list[RawType] = []
        found = self.types.get(type_name)
        while found is not None and found not in line:
            line.insert(0, found)
            found = self.types.get(found.base or "")
        return line


def read_metadata(text: bytes, content_type: str) -> Schema:
    """The schema in a metadata document. Raises NoMetadata."""
    if "json" in content_type or text.lstrip()[:1] == b"{":
        return _read_json(text)
    return _read_xml(text)


class _Builder(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002
        raise NoMetadata("a document with a DOCTYPE")


def _read_xml(text: bytes) -> Schema:
    try:
        root = ElementTree.fromstring(text, ElementTree.XMLParser(target=_Builder()))  # noqa: S314
    except (ElementTree.ParseError, ValueError) as error:
        raise NoMetadata(f"no XML: {error}") from error
    schemas = [item for item in root.iter() if _tag(item) == "Schema"]
    if not schemas:
        raise NoMetadata("an XML document without a schema")
    aliases = {
        item.get("Alias", ""): item.get("Namespace", "") for item in root.iter() if item.get("Alias") is not None
    }
    notes = _annotations(schemas, aliases)
    types: dict[str, RawType] = {}
    sets: dict[str, RawSet] = {}
    enums: dict[str, tuple[Option, ...]] = {}
    definitions: dict[str, str] = {}
    for schema in schemas:
        space = schema.get("Namespace", "")
        for item in schema:
            name = f"{space}.{item.get('Name', '')}"
            match _tag(item):
                case "EntityType":
                    types[name] = _xml_type(item, name, aliases, notes)
                case "EnumType":
                    enums[name] = _xml_members(item)
                case "TypeDefinition":
                    definitions[name] = item.get("UnderlyingType", "")
                case "EntityContainer":
                    sets |= {
                        one.get("Name", ""): _xml_set(one, name, aliases, notes) for one in _all(item, "EntitySet")
                    }
    return Schema(types, sets, enums, definitions)


def _xml_members(item: ElementTree.Element) -> tuple[Option, ...]:
    if item.get("IsFlags") == "true":
        return ()
    return tuple(member(one.get("Name", ""), _caption(xml_terms(one))) for one in _all(item, "Member"))


def _json_members(item: Mapping[str, Any]) -> tuple[Option, ...]:
    if item.get("$IsFlags"):
        return ()
    names = [name for name in item if "$" not in name and "@" not in name]
    return tuple(member(name, _caption(json_terms(item, name))) for name in names)


def _caption(terms: Mapping[str, Any]) -> Any:
    return terms.get("Label") or terms.get("Description")


def _tag(item: ElementTree.Element) -> str:
    return item.tag.rpartition("}")[2]


def _all(item: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return [one for one in item if _tag(one) == tag]


def _full(name: str, aliases: Mapping[str, str]) -> str:
    """A type's name with its namespace instead of an alias; a collection's stays one."""
    if name.startswith("Collection("):
        return f"Collection({_full(name[11:-1], aliases)})"
    space, _, rest = name.rpartition(".")
    return f"{aliases.get(space, space)}.{rest}" if space else name


def _annotations(schemas: list[ElementTree.Element], aliases: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Annotations that stand apart from what they are about, by target."""
    found: dict[str, dict[str, Any]] = {}
    for group in (one for schema in schemas for one in _all(schema, "Annotations")):
        path = group.get("Target", "")
        head, slash, tail = path.partition("/")
        found.setdefault(_full(head, aliases) + slash + tail, {}).update(xml_terms(group))
    return found


def _xml_type(
    item: ElementTree.Element, name: str, aliases: Mapping[str, str], notes: Mapping[str, Mapping[str, Any]]
) -> RawType:
    base = item.get("BaseType")
    properties = [
        RawProperty(
            one.get("Name", ""),
            _full(one.get("Type", ""), aliases),
            one.get("Nullable", "true") != "false",
            {facet: int(number) for facet in _NUMBERS if (number := one.get(facet, "")).isdigit()},
            one.get("DefaultValue") is not None,
            {**notes.get(f"{name}/{one.get('Name')}", {}), **xml_terms(one)},
        )
        for one in _all(item, "Property")
    ]
    navigations = [
        RawNavigation(
            one.get("Name", ""),
            _full(one.get("Type", ""), aliases),
            next((line.get("Property") for line in _all(one, "ReferentialConstraint")), None),
        )
        for one in _all(item, "NavigationProperty")
        if not one.get("Type", "").startswith("Collection(")
    ]
    key = tuple(reference.get("Name", "") for part in _all(item, "Key") for reference in _all(part, "PropertyRef"))
    alternate = {**notes.get(name, {}), **xml_terms(item)}.get(ALTERNATE_KEYS, ())
    return RawType(name, base and _full(base, aliases), key, tuple(properties), tuple(navigations), alternate)


def _xml_set(
    item: ElementTree.Element, container: str, aliases: Mapping[str, str], notes: Mapping[str, Mapping[str, Any]]
) -> RawSet:
    bindings = {one.get("Path", ""): one.get("Target", "") for one in _all(item, "NavigationPropertyBinding")}
    terms = {**notes.get(f"{container}/{item.get('Name')}", {}), **xml_terms(item)}
    return RawSet(item.get("Name", ""), _full(item.get("EntityType", ""), aliases), bindings, terms)


def _read_json(text: bytes) -> Schema:
    """CSDL JSON (OData 4.01): schemas are members of the document, and so are types of schemas."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NoMetadata(f"no JSON: {error}") from error
    if not isinstance(document, dict) or "$EntityContainer" not in document:
        raise NoMetadata("a JSON document without an entity container")
    spaces = {name: value for name, value in document.items() if isinstance(value, dict) and name[0] not in "$@"}
    aliases = {value["$Alias"]: name for name, value in spaces.items() if isinstance(value.get("$Alias"), str)}
    types: dict[str, RawType] = {}
    sets: dict[str, RawSet] = {}
    enums: dict[str, tuple[Option, ...]] = {}
    definitions: dict[str, str] = {}
    for space, members in spaces.items():
        for short, item in members.items():
            if not isinstance(item, dict) or short[0] in "$@":
                continue
            name = f"{space}.{short}"
            match item.get("$Kind"):
                case "EntityType":
                    types[name] = _json_type(item, name, aliases)
                case "EnumType":
                    enums[name] = _json_members(item)
                case "TypeDefinition":
                    definitions[name] = str(item.get("$UnderlyingType", ""))
                case "EntityContainer":
                    sets |= _json_sets(item, aliases)
    return Schema(types, sets, enums, definitions)


def _members(item: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: one for name, one in item.items() if isinstance(one, dict) and name[0] not in "$@"}


def _json_type(item: Mapping[str, Any], name: str, aliases: Mapping[str, str]) -> RawType:
    properties, navigations = [], []
    for label, one in _members(item).items():
        type_name = _full(str(one.get("$Type", "Edm.String")), aliases)
        if one.get("$Kind") == "NavigationProperty":
            if not one.get("$Collection"):
                constraint = next(iter(one.get("$ReferentialConstraint", {})), None)
                navigations.append(RawNavigation(label, type_name, constraint))
            continue
        facets = {facet: one["$" + facet] for facet in _NUMBERS if isinstance(one.get("$" + facet), int)}
        typed = f"Collection({type_name})" if one.get("$Collection") else type_name
        nullable = bool(one.get("$Nullable", False))
        properties.append(RawProperty(label, typed, nullable, facets, "$DefaultValue" in one, json_terms(one)))
    base = item.get("$BaseType")
    key = tuple(part for part in item.get("$Key", ()) if isinstance(part, str))
    alternate = json_terms(item).get(ALTERNATE_KEYS, ())
    return RawType(name, base and _full(str(base), aliases), key, tuple(properties), tuple(navigations), alternate)


def _json_sets(container: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, RawSet]:
    return {
        name: RawSet(
            name, _full(str(one.get("$Type", "")), aliases), one.get("$NavigationPropertyBinding", {}), json_terms(one)
        )
        for name, one in _members(container).items()
        if one.get("$Collection")
    }

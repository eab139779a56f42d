"""From metadata to tables: what each entity set is to the engine, and what its fields are called in requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service.connectors.base import TableName
from service.connectors.naming import modified_on_among
from service.connectors.odata.metadata import RawNavigation, RawProperty, RawSet, Schema
from service.connectors.odata.values import EDM, STAMPS
from service.core.failures import Failure, SideFailed
from service.core.keys import field_of, joined
from service.core.records import Field, FieldType, Option, Table

_BITS: Mapping[str, int] = {"Edm.SByte": 8, "Edm.Int16": 16, "Edm.Byte": 16, "Edm.Int32": 32, "Edm.Int64": 64}


@dataclass(frozen=True, slots=True)
class Property:
    """A field, and what it is called where it is read (`source`). `bind` is the entity set that a lookup leads to: it
    is written as "name@odata.bind". `target` is the type of what it leads to, where the same source has several.
    `through`: the lookup that leads to the record whose property this is, which `source` is the path to.
    `made_of`: what the dialect makes the value of, for a field that the service itself does not have. `parts`: the
    properties that a key is made of, where it has several."""

    field: Field
    source: str
    edm: str
    bind: str | None = None
    target: str | None = None
    made_of: tuple[str, ...] = ()
    parts: tuple[Property, ...] = ()
    through: str | None = None


@dataclass(frozen=True, slots=True)
class EntitySet:
    """An entity set. `type_name` is its type's name without the namespace. `upsertable`: whether the metadata says that
    a record may be created by a PATCH to its address."""

    table: Table
    properties: Mapping[str, Property]
    type_name: str
    upsertable: bool = False

    @property
    def name(self) -> str:
        return self.table.name

    def property(self, name: str) -> Property:
        """SideFailed(`field_not_found`)."""
        try:
            return self.properties[name]
        except KeyError:
            params = {"table": self.name, "field": name}
            raise SideFailed(Failure("field_not_found", params, (self.name, name))) from None


def table_names(schema: Schema) -> list[TableName]:
    """Every entity set, by name."""
    found = [TableName(name, _caption(one)) for name, one in schema.sets.items() if one.type in schema.types]
    return sorted(found, key=lambda table: table.name)


def entity_set(schema: Schema, name: str, *, lookups: bool, generated_guids: bool) -> EntitySet:
    """One entity set. `lookups`: references to one record are fields by the name of their navigation property;
    `generated_guids`: a key that is a GUID is made by the service. SideFailed(`table_not_found`)."""
    raw = schema.sets.get(name)
    if raw is None or raw.type not in schema.types:
        raise SideFailed(Failure("table_not_found", {"table": name}, (name,)))
    keys = schema.key(raw.type)
    key = joined(keys) or None
    declared = {one.name: one for one in schema.properties(raw.type)}
    properties = {
        one.name: _property(schema, one, is_key=one.name in keys)
        for one in declared.values()
        if one.type != "Edm.Stream"
    }
    if lookups:
        properties |= _lookups(raw, schema.navigations(raw.type), properties)
    made = len(keys) > 1 or (len(keys) == 1 and _is_made(declared[keys[0]], generated_guids))
    if len(keys) > 1 and key is not None:
        properties[key] = _several(tuple(properties[one] for one in keys))
    elif made and key is not None:
        properties[key] = _optional(properties[key])
    stamps = [name for name, one in properties.items() if one.edm in STAMPS]
    fields = {name: one.field for name, one in properties.items()}
    caption = _caption(raw)
    return EntitySet(
        Table(name, fields, key, modified_on_among(stamps), caption, made, _is_tracked(raw)),
        properties,
        raw.type.rpartition(".")[2],
        _is_upsertable(raw),
    )


def _is_tracked(raw: RawSet) -> bool:
    """Whether the service tells what changed in a set since a moment (Org.OData.Capabilities.V1.ChangeTracking)."""
    said = raw.terms.get("ChangeTracking")
    return said is True or (isinstance(said, dict) and said.get("Supported") in (True, None))


def _is_upsertable(raw: RawSet) -> bool:
    """Whether records are created by an update of what is not there (Org.OData.Capabilities.V1.UpdateRestrictions)."""
    said = raw.terms.get("UpdateRestrictions")
    return isinstance(said, dict) and said.get("Upsertable") is True


def with_keys_of_its_own(table: EntitySet) -> EntitySet:
    """A table whose service makes every key itself, though its metadata does not say so."""
    key = table.table.key
    if key is None or table.properties[key].parts:
        return table
    own = table.properties[key]
    properties = {**table.properties, key: replace(own, field=replace(own.field, read_only=True, required=False))}
    fields = {name: one.field for name, one in properties.items()}
    return replace(table, properties=properties, table=replace(table.table, fields=fields, generates_keys=True))


def with_options(table: EntitySet, options: Mapping[str, tuple[Option, ...]]) -> EntitySet:
    """A table whose fields have these options besides those of its metadata."""
    if not options:
        return table
    properties = {
        name: replace(one, field=replace(one.field, options=options.get(one.source) or one.field.options))
        for name, one in table.properties.items()
    }
    fields = {name: one.field for name, one in properties.items()}
    return replace(table, properties=properties, table=replace(table.table, fields=fields))


def _caption(raw: RawSet) -> str:
    label = raw.terms.get("Label") or raw.terms.get("Description")
    return label if isinstance(label, str) else raw.name


def _is_made(key: RawProperty, generated_guids: bool) -> bool:
    made = key.terms.get("Computed") is True or key.terms.get("ComputedDefaultValue") is True
    return made or (generated_guids and key.type == "Edm.Guid")


def _property(schema: Schema, raw: RawProperty, *, is_key: bool) -> Property:
    edm = schema.definitions.get(raw.type, raw.type)
    kind = FieldType.STRING if edm in schema.enums else EDM.get(edm, FieldType.JSON)
    # What Microsoft's services call read-only is a permission.
    read_only = raw.terms.get("Computed") is True or str(raw.terms.get("Permissions", "")).endswith("Read")
    read_only = read_only or kind is FieldType.JSON
    precision = raw.facets.get("Precision")
    scale = raw.facets.get("Scale")
    if kind is FieldType.DECIMAL and precision is not None and scale is None:
        scale = 0  # So says the standard.
    if kind in (FieldType.DATETIME, FieldType.TIME):
        scale, precision = precision, None
    filled = raw.has_default or raw.terms.get("ComputedDefaultValue") is True
    return Property(
        Field(
            raw.name,
            kind,
            length=raw.facets.get("MaxLength") if kind is FieldType.STRING else None,
            precision=_BITS.get(edm, precision),
            scale=scale,
            required=not raw.nullable and not read_only and not filled and (is_key or kind is not FieldType.BOOLEAN),
            nullable=raw.nullable,
            read_only=read_only,
            options=schema.enums.get(edm, ()),
        ),
        raw.name,
        edm,
    )


def _several(parts: tuple[Property, ...]) -> Property:
    """A key of several properties as a field."""
    sources = tuple(part.source for part in parts)
    field = field_of(part.field.name for part in parts)
    return Property(field, field.name, "Edm.String", made_of=sources, parts=parts)


def _optional(key: Property) -> Property:
    """A key that the service makes need not be given."""
    field = key.field
    return Property(
        Field(field.name, field.type, field.length, field.precision, read_only=field.read_only), key.source, key.edm
    )


def _lookups(raw: RawSet, navigations: list[RawNavigation], known: Mapping[str, Property]) -> dict[str, Property]:
    """References to one record, read from the property with its key and written by binding. Where several lead to one
    property (a customer is an account or a contact), each is told from the others by its type."""
    by_source: dict[str, int] = {}
    for one in navigations:
        by_source[one.constraint or ""] = by_source.get(one.constraint or "", 0) + 1
    found = {}
    for one in navigations:
        bind = raw.bindings.get(one.name)
        if bind is None or one.constraint not in known or one.name in known:
            continue
        several = by_source[one.constraint or ""] > 1
        field = Field(one.name, FieldType.UUID)
        target = one.type.rpartition(".")[2] if several else None
        found[one.name] = Property(field, one.constraint or "", "Edm.Guid", bind, target)
    return found

"""Alternate keys: what metadata and Dataverse tell of them, and the fields of lookups that go by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from service.connectors.odata.tables import EntitySet, Property
from service.core.records import AlternateKey, FieldType, KeyStatus

STATUS: Mapping[str, KeyStatus] = {"Active": KeyStatus.ACTIVE, "Failed": KeyStatus.FAILED}
"""What Dataverse says of the index of a key. Everything else, such as Pending and InProgress, is on its way."""

_UNSAFE = frozenset("/<>*%&:\\?+")
"""Dataverse does not take these in the value of an alternate key that stands in an address."""

Targets: TypeAlias = Mapping[str, tuple[EntitySet, Sequence[AlternateKey]]]
"""Entity sets that lookups lead to, with their alternate keys."""


def from_metadata(table: EntitySet, declared: Iterable[Sequence[str]]) -> tuple[AlternateKey, ...]:
    """The keys that a service annotates (Org.OData.Core.V1.AlternateKeys), which it keeps to."""
    keys = (_fields(table, names) for names in declared)
    return tuple(AlternateKey(",".join(fields), fields) for fields in keys if fields)


def from_definitions(table: EntitySet, page: Mapping[str, Any]) -> tuple[AlternateKey, ...]:
    """The keys that Dataverse lists (EntityKeyMetadata), with how far their indexes are."""
    rows = [row for row in page.get("value", []) if isinstance(row, dict)]
    found = [(row, _fields(table, row.get("KeyAttributes") or ())) for row in rows]
    return tuple(
        AlternateKey(
            str(row.get("LogicalName")), fields, STATUS.get(str(row.get("EntityKeyIndexStatus")), KeyStatus.BUILDING)
        )
        for row, fields in found
        if fields
    )


def _fields(table: EntitySet, names: Iterable[str]) -> tuple[str, ...]:
    """Attributes as fields of the table, a lookup's by its navigation property; none where one is no field."""
    lookups = {one.source: name for name, one in table.properties.items() if one.bind is not None}
    fields = [name if name in table.properties else lookups.get(f"_{name}_value") for name in names]
    return tuple(name for name in fields if name is not None) if None not in fields else ()


def active(table: EntitySet, keys: Iterable[AlternateKey]) -> list[tuple[Property, ...]]:
    """The properties of each key that records can be addressed by."""
    found = [tuple(table.properties[name] for name in key.fields) for key in keys if key.status is KeyStatus.ACTIVE]
    return [parts for parts in found if all(one.bind is None and one.field.type is not FieldType.JSON for one in parts)]


def is_addressable(text: str) -> bool:
    """Whether every service, Dataverse among them, takes a text as part of an address by an alternate key."""
    return not _UNSAFE & set(text)


def with_lookups_by_key(table: EntitySet, targets: Targets) -> EntitySet:
    """A table with one field more for each lookup and each alternate key of one field that it may go by:
    "parentcustomerid_account/accountnumber" is the account number of the account that it leads to. Reading expands the
    lookup, filters name it by that path, and it is written by the address that the key makes."""
    more = {
        f"{name}/{key.source}": _through(name, one, key)
        for name, one in table.properties.items()
        if one.bind is not None and one.bind in targets and one.through is None
        for (key, *others) in active(*targets[one.bind])
        if not others
    }
    if not more:
        return table
    properties = {**table.properties, **more}
    fields = {name: one.field for name, one in properties.items()}
    return replace(table, properties=properties, table=replace(table.table, fields=fields))


def _through(name: str, lookup: Property, key: Property) -> Property:
    path = f"{name}/{key.source}"
    field = replace(key.field, name=path, required=False, nullable=True, read_only=False)
    return Property(field, path, key.edm, bind=lookup.bind, through=name)

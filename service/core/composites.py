"""Composite fields: several fields of one table that a field mapping takes as one value, as a first and a last name.

A mapping writes one as the names of its parts with ` + ` between them. Its value is the list of the parts' values, as a
text in JSON, and absent when every part is empty. A table that really has a field of that name keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from service.core.records import Field, FieldType, Scalar

JOINT = " + "


def parts_of(fields: Mapping[str, Field], name: str) -> tuple[str, ...]:
    """The names of the parts of a composite field; none for a single field, whether the table has it or not."""
    return tuple(name.split(JOINT)) if name not in fields and JOINT in name else ()


def plain(fields: Mapping[str, Field], names: Iterable[str]) -> tuple[str, ...]:
    """The single fields behind some names, each once."""
    return tuple(dict.fromkeys(one for name in names for one in parts_of(fields, name) or (name,)))


def found(fields: Mapping[str, Field], name: str) -> Field | None:
    """The field of a table with this name, made of its parts where it is a composite; None where there is none."""
    parts = parts_of(fields, name)
    if not parts:
        return fields.get(name)
    held = [fields[part] for part in parts if part in fields]
    if len(held) < len(parts) or len(set(parts)) < len(parts):
        return None
    return Field(
        name,
        FieldType.LIST,
        required=any(field.required for field in held),
        nullable=all(field.nullable or field.type is FieldType.STRING for field in held),
        read_only=any(field.read_only for field in held),
        parts=tuple(held),
    )


def with_composites(fields: Mapping[str, Field], names: Iterable[str]) -> Mapping[str, Field]:
    """The fields of a table, and those of these names that are composites of them."""
    made = {name: field for name in names if name not in fields and (field := found(fields, name)) is not None}
    return {**fields, **made}


def joined(values: Sequence[Scalar]) -> Scalar:
    """One value for those of the parts. Trailing blanks do not count, and nothing is nothing."""
    bare = [value.rstrip(" ") if isinstance(value, str) else value for value in values]
    held = [None if value == "" else value for value in bare]
    if all(value is None for value in held):
        return None
    return json.dumps(held, ensure_ascii=False, separators=(",", ":"))


def parted(value: Scalar, count: int) -> tuple[Scalar, ...]:
    """The values of the parts. Raises ValueError for what is no list of so many single values (0: of any number)."""
    if value is None or value == "":
        return (None,) * count
    parts = json.loads(value) if isinstance(value, str) else None
    if not isinstance(parts, list) or len(parts) != (count or len(parts)):
        raise ValueError(f"not a list of {count} values")
    if any(isinstance(one, list | dict) for one in parts):
        raise ValueError("a list of lists")
    return tuple(parts)

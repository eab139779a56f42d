"""Filters as Tryton's domains: lists of clauses that all hold, or any of them after "OR"."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from service.connectors.tryton import values
from service.connectors.tryton.tables import STAMP
from service.core.compare import canonical
from service.core.failures import Failure, SideFailed
from service.core.records import Condition, Field, Scalar, Stamp, Table

Domain = list[Any]
NOTHING: Domain = [["id", "in", []]]
"""What no record fulfils."""

LOOSE = ("startsWith", "contains")
"""Operators that find more than is meant: whether "like" minds letter case, and how it takes a percent sign literally,
is up to the database behind the server. Whoever reads looks again."""

_CREATED = "create_date"


def of_filter(conditions: Sequence[Condition], table: Table) -> Domain:
    """The domain of a filter. SideFailed(`mapping_invalid`) for a value that the field cannot have."""
    return [_clause(line, table.fields[line.field]) for line in conditions]


def _clause(line: Condition, field: Field) -> Any:
    if line.op == "isNull":
        return [field.name, "!=" if line.value is False else "=", None]
    if line.op in LOOSE:
        pattern = re.sub(r"[\\%_]", "_", str(line.value))
        return [field.name, "like", f"{pattern}%" if line.op == "startsWith" else f"%{pattern}%"]
    if line.op == "in":
        listed = [_native(field, value) for value in line.value if value is not None]
        clause = [field.name, "in", listed]
        return ["OR", [clause], [[field.name, "=", None]]] if None in line.value else clause
    if line.value is None:
        return [field.name, "!=", None] if line.op == "ne" else [field.name, "=", None] if line.op == "eq" else NOTHING
    return _COMPARISONS[line.op](field.name, _native(field, line.value))


_COMPARISONS: Mapping[str, Callable[[str, Any], Any]] = {
    "eq": lambda name, value: [name, "=", value],
    "ne": lambda name, value: ["OR", [[name, "!=", value]], [[name, "=", None]]],
    "lt": lambda name, value: [name, "<", value],
    "le": lambda name, value: [name, "<=", value],
    "gt": lambda name, value: [name, ">", value],
    "ge": lambda name, value: [name, ">=", value],
}


def _native(field: Field, value: Any) -> Any:
    try:
        return values.written(canonical(value, field.type), field)
    except (ValueError, TypeError, OverflowError):
        params = {"field": field.name, "type": field.type.value}
        raise SideFailed(Failure("mapping_invalid", params, (field.name,))) from None


def finding(fields: Sequence[Field], wanted: Collection[tuple[Scalar, ...]]) -> Domain | None:
    """The domain of records that have one of the combinations; None where no record can."""
    sendable = []
    for one in wanted:
        try:
            sendable.append([values.written(_trimmed(value), field) for value, field in zip(one, fields, strict=True)])
        except (ValueError, TypeError, OverflowError):
            continue  # No record can hold what cannot be sent.
    if not sendable:
        return None
    if len(fields) == 1:
        return [[fields[0].name, "in", [one[0] for one in sendable]]]
    return ["OR", *([[field.name, "=", value] for field, value in zip(fields, one, strict=True)] for one in sendable)]


def _trimmed(value: Scalar) -> Scalar:
    return value.rstrip(" ") if isinstance(value, str) else value


# Stamps: of a record that was never written since it was created there is only when that was.


def unstamped(stamp: str, after: int | None) -> Domain:
    """Records without any stamp, from behind a key."""
    domain: Domain = [[stamp, "=", None]]
    if stamp == STAMP:
        domain.append([_CREATED, "=", None])
    return domain if after is None else [*domain, ["id", ">", after]]


def stamped(name: str, since: Stamp | None, after: tuple[Stamp, int] | None, until: Stamp | None = None) -> Domain:
    """Records by one of the two fields: at or after a moment, from behind a stamp and key, up to a moment."""
    domain: Domain = [[name, "!=", None]]
    if name == _CREATED:
        domain.append([STAMP, "=", None])
    if since is not None:
        domain.append([name, ">=", values.moment(since)])
    if until is not None:
        domain.append([name, "<=", values.moment(until)])
    if after is not None:
        moment = values.moment(after[0])
        domain.append(["OR", [[name, ">", moment]], [[name, "=", moment], ["id", ">", after[1]]]])
    return domain


def stamp_fields(stamp: str) -> tuple[str, ...]:
    """The fields in which a record's stamp may be."""
    return (_CREATED, stamp) if stamp == STAMP else (stamp,)

"""Dataverse's bulk messages, `CreateMultiple` and `UpdateMultiple`: many records of one table in one transaction.

A call is all or nothing. What it refuses is written by `$batch`, where every record has an outcome of its own, and so
are tables that do not know the messages. Neither message takes `If-Match`, so that guarded updates never go this way.
Elastic tables are left to `$batch` too, for theirs may succeed in part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from service.connectors.http import Answer
from service.connectors.odata.batch import LARGEST_BATCH
from service.connectors.odata.plan import Plan
from service.connectors.odata.service import METADATA_LIFE, opened
from service.core.failures import Failure, SideFailed

MOST = 500
"""Records of one call: a page of a run. A thousand small ones are what Microsoft starts with."""

OWN_HAND = ("_createdby_value", "_modifiedby_value")
"""Who made a record, and who changed it last. Answers of `CreateMultiple` have keys alone: only these two tell whether
somebody else has written to a new record before it was read."""

_UNKNOWN = (404, 405, 501)
_ELASTIC = "partitionid"
_SPACE = "Microsoft.Dynamics.CRM"


def create(plan: Plan, bodies: Mapping[int, bytes]) -> dict[int, str]:
    """The keys of the records that were created, by place; what is not among them was not created. SideFailed."""
    if not all(name in plan.table.properties for name in OWN_HAND):
        return {}
    made: dict[int, str] = {}
    for portion, answer in _calls(plan, "CreateMultiple", bodies):
        keys = opened(answer, exact=False).get("Ids")
        if not isinstance(keys, list) or len(keys) != len(portion):
            raise SideFailed(Failure("connection_failed", {"detail": "records were created without saying their keys"}))
        made |= {place: plan.key_said(str(key)) for place, key in zip(portion, keys, strict=True)}
    return made


def update(plan: Plan, bodies: Mapping[int, bytes]) -> set[int]:
    """The places of the records that were written to; the others are as they were. Bodies name their record's key."""
    return {place for portion, _ in _calls(plan, "UpdateMultiple", bodies) for place in portion}


def _calls(plan: Plan, message: str, bodies: Mapping[int, bytes]) -> Iterator[tuple[Mapping[int, bytes], Answer]]:
    """The portions that were carried out, each with its answer."""
    service = plan.service
    known = f"{message} {plan.selection.table}"
    if not service.dialect.multiple or service.settings.more.get("bulk") == "off" or len(bodies) < 2:
        return
    if plan.own_key is not plan.key or plan.key.parts or _ELASTIC in plan.table.properties:
        return
    if not service.shared.keep(known, lambda: (True, METADATA_LIFE)):
        return
    left = list(_portions(bodies))
    while left:
        portion = left.pop(0)
        service.permit()
        target = f"{plan.place}/{_SPACE}.{message}"
        headers = {"Content-Type": "application/json"}
        answer = service.client.send("POST", target, headers=headers, body=_body(plan, portion.values()))
        if answer.ok:
            yield portion, answer
        elif answer.status == 413 and len(portion) > 1:
            places = list(portion)
            left[:0] = [{place: portion[place] for place in some} for some in _halves(places)]
        elif answer.status in _UNKNOWN:
            service.shared.forget(known)
            service.shared.keep(known, lambda: (False, METADATA_LIFE))
            return
        elif answer.status >= 500:  # Whether it was rolled back is for whoever asked to find out.
            raise SideFailed(Failure("connection_failed", {"detail": f"{message} was answered with {answer.status}"}))


def _portions(bodies: Mapping[int, bytes]) -> Iterator[dict[int, bytes]]:
    portion: dict[int, bytes] = {}
    size = 0
    for place, body in bodies.items():
        size += len(body)
        if portion and (len(portion) >= MOST or size > LARGEST_BATCH):
            yield portion
            portion, size = {}, len(body)
        portion[place] = body
    if portion:
        yield portion


def _halves(places: list[int]) -> list[list[int]]:
    middle = len(places) // 2
    return [places[:middle], places[middle:]]


def _body(plan: Plan, bodies: Iterable[bytes]) -> bytes:
    """Every target says its type; the members of each are ready."""
    kind = orjson.dumps(f"{_SPACE}.{plan.table.type_name}")
    typed = [b'{"@odata.type":' + kind + (b"," if body != b"{}" else b"") + body[1:] for body in bodies]
    targets: Any = [orjson.Fragment(one) for one in typed]
    return orjson.dumps({"Targets": targets})

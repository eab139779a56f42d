"""Accord as a contender: its own engine as its worker runs it, with everything that it writes down."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from cryptography.fernet import Fernet

from scripts.benchmarks.databases import Place
from scripts.benchmarks.tables import CRM, ERP, SHAPES, Shape
from service.core.records import Direction
from service.operations import connections, mappings, runs
from service.operations.context import Context, SecretBox
from service.operations.runs import RunRequest
from service.store.database import database, migrate, open_database
from service.store.models import SkippedRecord
from service.worker import run_until_idle


class AccordContender:
    """Runs are queued, claimed and carried out as by the worker."""

    def __init__(
        self, place: Place, matching: bool, integration: dict[str, Any] | None = None, shape: Shape = CRM
    ) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        open_database(place.state)
        migrate()
        database.connect()
        self._context = Context(
            SecretBox(Fernet.generate_key().decode()),
            lease=3_600_000_000,  # Signs of life go by the clock, and would be counted on a slow machine.
        )
        erp = self._connection("erp", "sql", {"url": place.erp})
        crm = self._connection("crm", **(integration or {"kind": "sql", "settings": {"url": place.crm}}))
        document = mapping_document((erp, crm), matching, (ERP, shape))
        self._mapping: int = mappings.create(self._context, document, "bench")["id"]
        self._run = 0

    def _connection(
        self, name: str, kind: str, settings: dict[str, Any], credentials: dict[str, Any] | None = None
    ) -> int:
        given: dict[str, Any] = {"settings": settings, "credentials": credentials, "enabled": True, "actor": "bench"}
        made: int = connections.create(self._context, name=name, kind=kind, **given).id
        return made

    def ask(self, what: str) -> None:
        kind = "match" if what == "match" else "modified"
        request = RunRequest(
            self._mapping,
            kind,
            direction=Direction.TO_INTEGRATION if what == "copy" else None,
            create_unmatched=what == "match",
        )
        self._run = runs.start(self._context, request, "bench").id

    def work(self) -> None:
        run_until_idle(self._context)

    def outcome(self) -> tuple[int, int]:
        counts = runs.get(self._run).counts[Direction.TO_INTEGRATION]
        return counts["modified"], counts["failed"]

    def set_aside(self) -> int:
        kept = SkippedRecord.select().where(SkippedRecord.reason == "conflict", SkippedRecord.seen.is_null(False))
        return int(kept.count())

    def close(self) -> None:
        database.close()


def mapping_document(ids: tuple[int, int], matching: bool, shapes: tuple[Shape, Shape] = SHAPES) -> dict[str, Any]:
    """The mapping of the two applications, both ways, with all columns; in a first match the ERP is right."""
    given = {"direction": "bidirectional", "transforms": {}, "clear_on_failed_lookup": False, "reference": None,
             "normalize": [], "not_null": False, "enabled": True}  # fmt: skip
    sides = [
        {"connection_id": id, "table": side.table, "key": side.key, "modified_on": side.stamp, "caption": side.table}
        for id, side in zip(ids, shapes, strict=True)
    ]
    lines = [
        {"local_field": one, "integration_field": other, "match_key": 1 if matching and one == ERP.number else None}
        for one, other in zip(shapes[0].columns, shapes[1].columns, strict=True)
    ]
    return {
        "name": "customers",
        "synch_only_coupled_records": False,
        "update_conflict_resolution": "sendUpdateToIntegration" if matching else "none",
        "local": {**sides[0], "filter": []},
        "integration": {**sides[1], "filter": []},
        "field_mappings": [{**line, **given} for line in lines],
    }


def contender(name: str, place: Place, matching: bool) -> AccordContender:  # noqa: ARG001 - there is only one.
    """Accord, with both applications connected and mapped."""
    return AccordContender(place, matching)

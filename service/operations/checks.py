"""Setup checks: what would keep a connection's mapped tables from synchronizing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.connectors.base import Check, Connector
from service.core import composites
from service.core.errors import Unavailable
from service.core.failures import FAILURES, Failure, SideFailed
from service.core.records import Selection, Side, SideTable
from service.operations.connections import connected
from service.operations.context import Context
from service.operations.mapping_drafts import MappingDraft, draft_of_row
from service.store import mappings

_WORSE = ("pass", "warn", "fail")


def check(context: Context, connection_id: int) -> tuple[str, Sequence[Check]]:
    """The overall status, and every finding. A connection that cannot be opened is a finding too."""
    try:
        with connected(context, connection_id) as connector:
            selections, findings = _mapped(connector, connection_id)
            findings = [*connector.check(selections), *findings]
    except Unavailable as error:
        findings = [_finding(error.failure)]
    return overall(findings), findings


ERROR_CODES: Mapping[str, str] = {
    "reachable": "connection_failed",
    "credentials": "credentials_rejected",
    "password_change": "password_change_required",
    "user_is_administrator": "integration_user_is_administrator",
    "read_access": "permission_denied",
    "write_access": "permission_denied",
    "company": "permission_denied",
    "exchange_rates": "exchange_rate_missing",
    "rate_limits": "rate_limited",
}
"""What a run calls the cause that a check looks for."""


def error_code(finding: Check) -> str | None:
    """The code of the error that a run would end with for what a check has found; None where it found nothing, or what
    no run is stopped by."""
    if finding.status not in ("warn", "fail"):
        return None
    if finding.code in FAILURES:
        return finding.code
    told = finding.params.get("code")
    return told if told in FAILURES else ERROR_CODES.get(finding.code)


def overall(findings: Sequence[Check]) -> str:
    """The worst status there is; `unknown` makes nothing worse."""
    return max((item.status for item in findings if item.status in _WORSE), key=_WORSE.index, default="pass")


def _finding(failure: Failure) -> Check:
    return Check(failure.code, "fail", failure.responsibility.value, failure.params)


def _mapped(connector: Connector, connection_id: int) -> tuple[list[Selection], list[Check]]:
    """What mappings ask of this connection; a table that cannot be described is a finding."""
    selections: list[Selection] = []
    findings: list[Check] = []
    rows = mappings.of_connection(connection_id)
    lines = mappings.lines([row.id for row in rows])
    names = mappings.names()
    for draft in (draft_of_row(row, lines[row.id], names) for row in rows):
        for side in Side:
            if draft.side(side).connection_id == connection_id:
                try:
                    selections.append(_selection(connector, draft, side))
                except SideFailed as error:
                    findings.append(_finding(error.failure))
    return selections, findings


def _selection(connector: Connector, draft: MappingDraft, side: Side) -> Selection:
    own = draft.side(side)
    table = connector.describe(own.table)
    named = (line.field(side) for line in draft.field_mappings if line.enabled)
    fields = composites.plain(table.fields, (name for name in named if name is not None))
    stamp: str | SideTable = own.modified_on or table.modified_on or ""
    return Selection(own.table, own.key or table.key or "", stamp, fields, own.filter)

"""The list of setup checks, complete: what a kind cannot tell is `unknown`, with the reason why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from service.connectors.base import Check
from service.core.records import Selection

NOT_REACHED = "not_reached"
"""The application, or the table, could not be asked."""


def completed(
    found: Sequence[Check],
    selections: Collection[Selection],
    of_connection: Iterable[str],
    of_table: Iterable[str],
    reasons: Mapping[str, str],
) -> list[Check]:
    """The findings, and every other check as unknown. `reasons`: why a kind cannot make a check, by the check's code; a
    variant of `check_not_made` in `wording`. What failed before is the reason for all the rest."""
    made = {(one.code, one.params.get("table")) for one in found}
    closed = {
        one.params.get("table") for one in found if one.status == "fail" and one.code in ("reachable", "read_access")
    }
    refused = any(one.code == "credentials" and one.status == "fail" for one in found)
    wanted: list[tuple[str, str | None]] = [(code, None) for code in of_connection]
    wanted += [(code, selection.table) for selection in selections for code in of_table]
    missing = []
    for code, table in wanted:
        if (code, table) not in made:
            unasked = refused or None in closed or (table is not None and table in closed)
            why = NOT_REACHED if unasked or code not in reasons else reasons[code]
            missing.append(Check(code, "unknown", "none", {"why": why, **({"table": table} if table else {})}))
    return [*found, *missing]

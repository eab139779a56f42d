"""What PostgreSQL tells about the user of a connection: may it be one, and what may it do."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from service.connectors.base import Check
from service.core.records import Selection, SideTable

_USER = """
SELECT r.rolsuper, extract(epoch FROM r.rolvaliduntil - now()) / 86400,
       (r.rolsuper OR pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE')) AND NOT pg_is_in_recovery()
FROM pg_roles AS r WHERE r.rolname = current_user
"""
_MAY = """
SELECT has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'),
       has_any_column_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = :table AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND CASE WHEN CAST(:schema AS text) IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = :schema END
"""
_LEFT = """
SELECT least(
    CAST(current_setting('max_connections') AS int) - CAST(current_setting('superuser_reserved_connections') AS int)
        - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    (SELECT CASE WHEN r.rolconnlimit >= 0 THEN
         r.rolconnlimit - (SELECT count(*) FROM pg_stat_activity AS a WHERE a.usename = r.rolname) END
     FROM pg_roles AS r WHERE r.rolname = current_user))
"""
_FEW_LEFT = 5
_PASSWORD_DAYS = 14
"""A password that ends within this many days is worth a warning."""

Rows = Callable[..., list[Any]]


def check_user(rows: Rows, schema: str | None, selections: Collection[Selection]) -> list[Check]:
    """The checks of the user and of its rights to the tables. Raises what `rows` raises."""
    found = rows(_USER)
    checks = [Check("credentials", "pass", "none")]
    if found:
        administrator, days, sees_all = found[0]
        checks += [_administrator(administrator), _password(days), _horizon(sees_all)]
    checks.append(connections_left(int(rows(_LEFT)[0][0])))
    for selection in selections:
        checks += _rights(rows, schema, selection)
    return checks


def connections_left(left: int) -> Check:
    """How many more connections the server accepts from this user; a few are for those who have to look why."""
    return Check("rate_limits", "pass" if left > _FEW_LEFT else "warn", "administrator", {"left": left})


def _administrator(administrator: bool) -> Check:
    return Check("user_is_administrator", "warn" if administrator else "pass", "administrator")


def _password(days: float | None) -> Check:
    """PostgreSQL refuses the login itself once the password has ended, so this is about the days before."""
    if days is None:
        return Check("password_change", "pass", "none")
    status = "fail" if days <= 0 else "warn" if days <= _PASSWORD_DAYS else "pass"
    return Check("password_change", status, "administrator", {"days": max(0, int(days))})


def _horizon(sees_all: bool) -> Check:
    """Where others' transactions are not seen, as on a standby, the overlap alone covers those that commit late."""
    return Check("open_transactions", "pass" if sees_all else "warn", "administrator")


def _rights(rows: Rows, schema: str | None, selection: Selection) -> list[Check]:
    found = rows(_MAY, table=selection.table, schema=schema)
    if not found:
        params = {"table": selection.table}
        return [Check(code, "unknown", "administrator", params) for code in ("read_access", "write_access")]
    read, *write = found[0]
    if isinstance(selection.modified_on, SideTable):
        side = rows(_MAY, table=selection.modified_on.table, schema=schema)
        read = read and bool(side) and side[0][0]
    missing = [name for name, may in zip(("INSERT", "UPDATE", "DELETE"), write, strict=True) if not may]
    params = {"table": selection.table}
    return [
        Check("read_access", "pass" if read else "fail", "administrator", params),
        Check("write_access", "warn" if missing else "pass", "administrator", {**params, "missing": missing}),
    ]

"""What MariaDB tells about the user of a connection: may it be one, and what may it do."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from service.connectors.base import Check
from service.core.records import Selection, SideTable

_GRANT = re.compile(r"GRANT (.+?) ON (?:TABLE )?(\*|`(?:[^`]|``)+`)\.(\*|`(?:[^`]|``)+`) TO ", re.DOTALL)
_ADMINISTRATES = {"ALL PRIVILEGES", "SUPER", "CREATE USER"}

_FEW_LEFT = 5

Rows = Callable[..., list[Any]]


@dataclass(frozen=True, slots=True)
class _Grant:
    """One line of SHOW GRANTS, which lists those of the roles in force too: rights, database, table (None: all)."""

    rights: frozenset[str]
    database: str | None
    table: str | None

    def covers(self, database: str, table: str) -> bool:
        return (self.database is None or _like(database, self.database)) and self.table in (None, table)


def check_user(rows: Rows, schema: str | None, selections: Collection[Selection], *, sees_all: bool) -> list[Check]:
    """The checks of the user and of its rights to the tables. Raises what `rows` raises. An expired password lets
    nobody in, so whoever gets here need not change it."""
    grants = [grant for row in rows("SHOW GRANTS") if (grant := _read(row[0])) is not None]
    database = schema or rows("SELECT COALESCE(DATABASE(), '')")[0][0]
    administrator = any(grant.database is None and grant.rights & _ADMINISTRATES for grant in grants)
    return [
        Check("credentials", "pass", "none"),
        Check("user_is_administrator", "warn" if administrator else "pass", "administrator"),
        Check("password_change", "pass", "none"),
        Check("open_transactions", "pass" if sees_all else "warn", "administrator"),
        _connections_left(rows),
        *(check for selection in selections for check in _of_table(grants, database, selection)),
    ]


def _connections_left(rows: Rows) -> Check:
    """How many more connections the server accepts."""
    used = int(rows("SHOW GLOBAL STATUS LIKE 'Threads_connected'")[0][1])
    left = int(rows("SELECT @@max_connections")[0][0]) - used
    return Check("rate_limits", "pass" if left > _FEW_LEFT else "warn", "administrator", {"left": left})


def _read(line: str) -> _Grant | None:
    found = _GRANT.match(line)
    if found is None:
        return None  # A role is granted: its own lines follow.
    rights = re.sub(r"\([^)]*\)", "", found[1])
    database, table = (None if name == "*" else name[1:-1].replace("``", "`") for name in found.groups()[1:])
    return _Grant(frozenset(right.strip() for right in rights.split(",")), database, table)


def _like(database: str, pattern: str) -> bool:
    """Whether a database is meant: in a grant, % and _ stand for others unless they are escaped."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wanted = "".join({"%": ".*", "_": "."}.get(part, re.escape(part[-1])) for part in parts)
    return re.fullmatch(wanted, database, re.DOTALL) is not None


def _of_table(grants: Sequence[_Grant], database: str, selection: Selection) -> list[Check]:
    def missing(table: str, *wanted: str) -> list[str]:
        rights = {right for grant in grants if grant.covers(database, table) for right in grant.rights}
        return [] if "ALL PRIVILEGES" in rights else [right for right in wanted if right not in rights]

    read = not missing(selection.table, "SELECT")
    if isinstance(selection.modified_on, SideTable):
        read = read and not missing(selection.modified_on.table, "SELECT")
    lacking = missing(selection.table, "INSERT", "UPDATE", "DELETE")
    params = {"table": selection.table}
    return [
        Check("read_access", "pass" if read else "fail", "administrator", params),
        Check("write_access", "warn" if lacking else "pass", "administrator", {**params, "missing": lacking}),
    ]

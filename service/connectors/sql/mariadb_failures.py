"""From an error of MariaDB to a failure: by its number, never by its sentence, which a server may say in any language.

Names of columns and constraints are taken out of the sentence where it quotes them; values are left there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from service.connectors.sql.failures import (
    Context,
    connection_failed,
    permission_denied,
    unreadable_value,
    value_rejected,
)
from service.core.failures import Failure

_RULES: Mapping[int, str] = {
    1022: "unique",
    1062: "unique",
    1586: "unique",
    1048: "not_null",
    1364: "not_null",
    1263: "not_null",
    1216: "foreign_key",
    1217: "foreign_key",
    1451: "foreign_key",
    1452: "foreign_key",
    1369: "check",  # a view's CHECK OPTION
    4025: "check",
    1264: "out_of_range",
    1690: "out_of_range",
    1265: "not_a",  # an enumeration has no such member
    1292: "not_a",
    1366: "not_a",
    1367: "not_a",
    1411: "not_a",
    1906: "read_only",  # a generated column
    1644: "trigger",
}
_TOO_LONG = (1153, 1406)
_CREDENTIALS = (1045, 1251, 1275, 1524, 1698)
_PASSWORD = (1820, 1862)
_RIGHTS = (1044, 1142, 1143, 1227, 1288, 1290, 1347, 1348, 1370, 1393, 1394, 1395, 1471, 1556, 1792, 1836)
_LOCKED = (1020, 1205, 1213)
_TIMEOUTS = (1317, 1969)
_NO_TABLE = (1109, 1146, 1356)
_NO_FIELD = (1054,)
_CONNECTION = range(2000, 3000)
_SERVER = (1040, 1049, 1053, 1077, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1927, 4031)

_QUOTED = re.compile(r"[`']([^`']*)[`']")
Named = Callable[[str, str], str | None]
"""The column behind a unique index, by table and index; None where there are several, or nobody knows."""


def mariadb_failure(error: Exception, context: Context, named: Named) -> Failure:
    """The failure that an error of PyMySQL stands for."""
    code, text = _said(error)
    if code is None:
        return unreadable_value(error) if isinstance(error, ValueError | OverflowError) else connection_failed(text)
    if code in _RULES:
        return _rule(code, text, context, named)
    if code in _TOO_LONG:
        name = _column(text)
        return Failure("value_too_long", {"field": name} if name else {}, (name,) if name else ())
    if code in _CREDENTIALS:
        return Failure("credentials_rejected", {"detail": f"error {code}"})
    if code in _PASSWORD:
        return Failure("password_change_required", {"detail": f"error {code}"})
    if code in _RIGHTS:
        return permission_denied(context, text)
    if code in _LOCKED:
        return Failure("record_locked", {"table": context.table})
    if code in _TIMEOUTS:
        return Failure("timeout", {"table": context.table})
    return _rest(code, text, context)


def _said(error: Exception) -> tuple[int | None, str]:
    """The number and the sentence of an error of the driver."""
    code = error.args[0] if error.args else None
    text = error.args[1] if len(error.args) > 1 else error
    return (code if isinstance(code, int) and code else None), str(text)


def _rest(code: int, text: str, context: Context) -> Failure:
    if code in _NO_TABLE:
        return Failure("table_not_found", {"table": context.table}, (context.table,))
    if code in _NO_FIELD:
        quoted = _QUOTED.search(text)
        params = {"table": context.table, "field": quoted[1].rpartition(".")[2] if quoted else ""}
        return Failure("field_not_found", params, (context.table, params["field"]))
    if code in _CONNECTION or code in _SERVER:
        return connection_failed(f"error {code}: {text}")
    return Failure("internal_error", {"detail": f"error {code}", "sqlstate": str(code)}, (str(code),))


def _rule(code: int, text: str, context: Context, named: Named) -> Failure:
    rule = _RULES[code]
    quoted = _QUOTED.findall(text)
    match rule:
        case "trigger":
            return value_rejected(rule, detail=text)
        case "unique":
            index = quoted[-1].rpartition(".")[2] if quoted else ""
            field = named(context.table, index)
            return value_rejected(rule, field=field, constraint=None if field else index)
        case "foreign_key":
            found = re.search(r"CONSTRAINT `([^`]*)` FOREIGN KEY \(`([^`]*)`\)", text)
            return value_rejected(rule, field=found[2], constraint=found[1]) if found else value_rejected(rule)
        case "check" if quoted:
            return value_rejected(rule, constraint=quoted[0])
        case "not_null" | "read_only" if quoted:
            return value_rejected(rule, field=quoted[0])
        case _:
            return value_rejected(rule, field=_column(text))


def _column(text: str) -> str | None:
    """The column that a sentence names before "at row": the last that it quotes ("`erp`.`customer`.`visits`")."""
    head, _, _ = text.rpartition(" at row ")
    quoted = _QUOTED.findall(head or text)
    return quoted[-1] if quoted else None

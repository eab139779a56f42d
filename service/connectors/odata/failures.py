"""From an answer to a failure: by status and by what the body says, because services agree on neither alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.connectors.http import PASSWORD_ENDED, shorten
from service.core.failures import Failure


class Refused(Exception):
    """A request that the service refused; `failure` says why. Inside this package only."""

    def __init__(self, failure: Failure, status: int = 0) -> None:
        super().__init__(failure.code, dict(failure.params))
        self.failure = failure
        self.status = status


@dataclass(frozen=True, slots=True)
class Context:
    """What a request was about: the table, what was done with it, and the texts that no failure may quote. `address`:
    the key that the record has there, where that is another one than its mapping knows it by."""

    table: str = ""
    privilege: str = "read"
    fields: Collection[str] = ()
    key: str | None = None
    values: Collection[Any] = field(default=(), repr=False)
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says: its status, and from its body the code, the message and the target of the error."""

    status: int
    code: str = ""
    message: str = ""
    target: str = ""

    @classmethod
    def of(cls, status: int, body: Any) -> Said:
        """From a body as JSON gave it (or None). The innermost detail names the field."""
        error = body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict):
            return cls(status)
        message = error.get("message")
        message = message.get("value", "") if isinstance(message, dict) else message
        details = [one for one in error.get("details") or () if isinstance(one, dict)]
        target = error.get("target") or next((one.get("target") for one in details if one.get("target")), "")
        detail = next((str(one.get("message")) for one in details if one.get("message")), "")
        return cls(status, str(error.get("code") or ""), str(message or detail or ""), str(target or ""))

    @property
    def text(self) -> str:
        return f"{self.code} {self.message}"


def _pattern(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.IGNORECASE)


# Codes first (they are not translated), then English words. Dataverse's numbers are those of its error code page.
_NO_RIGHT = _pattern(
    "0x80040220", "0x80048306", "0x8004160f", "Authorization_", "PermissionDenied", r"\bprv[A-Z]\w+",
    r"(do(es)? not have|missing|lacks?|insufficient|no).{0,40}(permission|privilege|authori[sz]ation|right)",
    r"permission denied", r"not authori[sz]ed", r"access (is )?denied", "read-only user",
)  # fmt: skip
_ADMINISTRATOR = _pattern(
    r"(integration|synchroni[sz]ation|application) user.{0,60}(is an? |has the |must not be an? ).{0,30}administrator",
    r"administrators? (can|may|must) ?not.{0,40}(integrat|synchroni)",
)
_RATE = _pattern(
    r"(no|without an?|lacks? an?|missing) exchange rate",
    r"exchange rate.{0,40}(is missing|is not defined|not found|must be)",
)
_MOVED = _pattern(
    "EntityChanged", "0x80060882", "RowVersion", "already changed", "concurren", "has been (modified|changed)",
)  # fmt: skip
_UNIQUE = _pattern(
    "EntityWithSameKeyExists", "0x80040237", "0x80060892", "DuplicateRecord", "already exists",
    "duplicate", "unique", "already in use",
)  # fmt: skip
_MISSING = _pattern(
    "cannot be null", "must not be null", "not nullable", "is required", "must have a value", "NotNull", "is mandatory",
)  # fmt: skip
_LONG = _pattern(
    "StringExceededLength", "0x80044331", "too long", "exceed(s|ed)?.{0,30}length", "maximum length", "MaxLength",
)  # fmt: skip
_REFERENCE = _pattern(
    "InvalidTableRelation", "0x80040217", "0x80060891", "related .{0,20}not (exist|found)",
    "cannot be found in the related table",
)  # fmt: skip
_ABSENT = _pattern("0x80040217", "0x80060891", r"\bWith Ids? = ", "specified key values does not exist")
"""A record that is not there, named by Dataverse: the one that is written to, or one that it refers to."""
_FIELD = _pattern(
    "could not find a property", "no property", "unknown property", "property .{0,60}does not exist", "not a property",
)  # fmt: skip
_PASSING = _pattern(
    "timeout", "timed out", "deadlock", "try again", "temporar", "unavailable", "too busy", "overload", "is locked",
)  # fmt: skip


def failure_of(said: Said, context: Context) -> Failure:
    """The failure that an answer stands for. Whole answers with 401, 429 and 503 have been dealt with before; here they
    are those of a batch's parts."""
    status, text = said.status, said.text
    named = {"table": context.table, "key": context.key} if context.key is not None else {"table": context.table}
    detail = _detail(said, context)
    if PASSWORD_ENDED.search(text):
        return Failure("password_change_required", {"detail": detail})
    if status == 401:
        return Failure("credentials_rejected", {"detail": detail})
    if status >= 400 and _ADMINISTRATOR.search(text):
        return Failure("integration_user_is_administrator", {"detail": detail})
    if status >= 400 and _RATE.search(text):
        return Failure("exchange_rate_missing", {"detail": detail}, (context.table,))
    if status == 403 or (status >= 400 and status != 409 and _NO_RIGHT.search(text)):
        params = {"table": context.table, "privilege": context.privilege, "detail": detail}
        return Failure("permission_denied", params, (context.table, context.privilege))
    if status in (405, 501):
        params = {"table": context.table, "privilege": context.privilege, "detail": detail}
        return Failure("permission_denied", params, (context.table, context.privilege))
    if status == 423:
        return Failure("record_locked", named)
    if status in (408, 504):
        return Failure("timeout", {"detail": detail})
    if status == 429:
        return Failure("rate_limited", {"detail": detail})
    if status in (502, 503):
        return Failure("connection_failed", {"detail": detail})
    if _is_stale(said, context):
        return Failure("record_moved", named)
    if status in (404, 410):
        return _reference(context, detail) if _is_about_another(said, context) else _missing(context, detail)
    return _rejected(said, context, detail)


def _is_stale(said: Said, context: Context) -> bool:
    """Whether a write came too late: 412, 428 and 409 alike, unless they are about a value that is taken."""
    if _MOVED.search(said.text) and said.status in (400, 409, 412, 428):
        return True
    taken = _UNIQUE.search(said.text) is not None
    return not taken and (said.status in (412, 428) or (said.status == 409 and context.privilege != "insert"))


def _is_about_another(said: Said, context: Context) -> bool:
    """Whether what was not found is a record that the written one refers to."""
    if context.privilege not in ("insert", "update") or not _ABSENT.search(said.text):
        return False
    return not any(key.lower() in said.message.lower() for key in (context.key, context.address) if key)


def _reference(context: Context, detail: str) -> Failure:
    return Failure("value_rejected", {"rule": "foreign_key", "detail": detail}, ("foreign_key", context.table))


def _missing(context: Context, detail: str) -> Failure:
    if context.key is not None:
        return Failure("partner_deleted", {"table": context.table, "key": context.key}, (context.table,))
    return Failure("table_not_found", {"table": context.table, "detail": detail}, (context.table,))


def _rejected(said: Said, context: Context, detail: str) -> Failure:
    """A record that breaks a rule, told by the words; a question that cannot be asked; or a service in trouble."""
    text = said.text
    name = _field(said, context)
    if _FIELD.search(text):
        params = {"table": context.table, "field": name, "detail": detail}
        return Failure("field_not_found", _without_none(params), (context.table,))
    if said.status >= 500 and (_PASSING.search(text) or not text.strip()):
        code = "record_locked" if context.key is not None and text.strip() else "connection_failed"
        return Failure(code, {"table": context.table, "detail": detail or f"status {said.status}"})
    if context.privilege == "read":
        return Failure("connection_failed", {"detail": shorten(f"status {said.status}: {detail}")})
    if _LONG.search(text):
        return Failure("value_too_long", _without_none({"field": name, "detail": detail}), (name or "",))
    rules = ((_UNIQUE, "unique"), (_MISSING, "not_null"), (_REFERENCE, "foreign_key"))
    rule = next((rule for pattern, rule in rules if pattern.search(text)), None)
    if rule == "unique" and name is None and said.status == 409:
        name = next(iter(context.fields), None) if context.privilege == "insert" else None
    params = {"field": name, "rule": rule, "detail": detail or f"status {said.status}"}
    return Failure(
        "value_rejected", _without_none(params), tuple(part for part in (name, rule) if part) or (said.code,)
    )


def _without_none(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _field(said: Said, context: Context) -> str | None:
    """The field that an error is about: its target, or the first of the table's names that its message has."""
    target = said.target.rpartition("/")[2].rpartition(".")[2]
    if target in context.fields:
        return target
    words = set(re.findall(r"\w+", said.message))
    return next((name for name in context.fields if name in words), None)


def _detail(said: Said, context: Context) -> str:
    """What the service says, without the values of the record, on one short line."""
    text = said.message or said.code
    for value in sorted(
        {str(one) for one in context.values if isinstance(one, str) and len(one) > 1}, key=len, reverse=True
    ):
        text = text.replace(value, "…")
    return shorten(text)

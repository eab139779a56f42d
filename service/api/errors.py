"""Errors become HTTP here, and nowhere else: one table says which status, `wording` says the sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import orjson
import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from service import wording
from service.api.access import NotAllowed, NotSignedIn
from service.api.conditions import InvalidHeader
from service.api.fields import Fault
from service.api.limiting import TooMany
from service.api.paging import InvalidCursor
from service.api.smorest import PROBLEM_TYPE, InvalidJson, Refused
from service.core.errors import AccordError, Conflict, Invalid, NotFound, Problem, Stale, Unavailable
from service.operations.context import SecretLost
from service.operations.errors import SelectionRequired
from service.operations.health import BROKEN_RULE, MISTAKES, UNREACHABLE, NotReady
from service.operations.idempotency import KeyReused
from service.operations.notifications import NotificationRefused
from service.operations.oidc import ProviderUnreachable

STATUS: Mapping[type[AccordError], int] = {
    SelectionRequired: 400,
    NotSignedIn: 401,
    NotAllowed: 403,
    NotificationRefused: 403,
    NotFound: 404,
    Conflict: 409,
    Stale: 412,
    Invalid: 422,
    KeyReused: 422,
    # Not a 5xx: this service is well, and a load balancer must not think otherwise; another system is not.
    Unavailable: 424,
    TooMany: 429,
    NotReady: 503,
    ProviderUnreachable: 503,
}
"""The status of each refusal."""

_BY_TYPE: Mapping[type[HTTPException], str] = {
    InvalidJson: "invalid_json",
    InvalidCursor: "invalid_cursor",
    InvalidHeader: "invalid_header",
    Refused: "validation_failed",
}
_BY_STATUS: Mapping[int, str] = {
    404: "path_not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    412: "precondition_failed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "validation_failed",
    428: "precondition_required",
    500: "internal_error",
}
_logger = structlog.get_logger()


def install(app: Flask) -> None:
    """Handle every error there can be."""
    app.register_error_handler(AccordError, _refusal)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(BROKEN_RULE, _broken_rule)
    for unreachable in UNREACHABLE:
        app.register_error_handler(unreachable, _unreachable)
    for mistake in MISTAKES:
        app.register_error_handler(mistake, _unexpected)
    app.register_error_handler(SecretLost, _secret_lost)
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_in_a_language)


def problem(
    status: int,
    code: str,
    params: Mapping[str, Any] | None = None,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer that says what is wrong (RFC 9457)."""
    words = wording.say(code, params, language())
    body: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": words.title,
        "status": status,
        "detail": words.message,
        "instance": quote(request.path),
        "code": code,
        **({"advice": words.advice} if words.advice else {}),
        **({"errors": errors} if errors is not None else {}),
        "traceId": g.get("accord_trace", ""),
    }
    return Response(orjson.dumps(body), status, headers=dict(headers or {}), content_type=PROBLEM_TYPE)


def language() -> str:
    """The language of the answer."""
    return wording.negotiate(request.headers.get("Accept-Language"))


def _in_a_language(response: Response) -> Response:
    """Say which language an answer is in, and that another may be asked for."""
    response.headers.setdefault("Content-Language", language())
    response.vary.add("Accept-Language")
    return response


def _refusal(error: AccordError) -> Response:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 409)
    errors = None
    if isinstance(error, Invalid):
        errors = [_item("pointer", one.pointer, one.code, one.params) for one in error.problems]
    elif status in (400, 422):
        errors = []
    return problem(status, error.code, error.params, errors, _headers(error))


def _headers(error: AccordError) -> dict[str, str]:
    if isinstance(error, NotSignedIn | NotAllowed):
        return {"WWW-Authenticate": error.challenge}
    if isinstance(error, ProviderUnreachable):
        return {"Retry-After": "30"}
    return {"Retry-After": str(error.seconds)} if isinstance(error, TooMany) else {}


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    code = next((_BY_TYPE[kind] for kind in type(error).__mro__ if kind in _BY_TYPE), None)
    params: dict[str, Any] = {}
    if isinstance(error, RequestEntityTooLarge):
        params["limit"] = request.max_content_length
    if isinstance(error, InvalidHeader):
        params["header"] = error.header
    headers = {
        name: value for name, value in error.get_headers(request.environ) if not name.lower().startswith("content-")
    }
    code = code or _BY_STATUS.get(status, "bad_request")
    return problem(status, code, params, _items(error) if status in (400, 422) else None, headers)


def _broken_rule(error: Exception) -> Response:
    _logger.warning("a rule of the database was broken", error=str(error))
    return problem(409, "conflict")


def _unreachable(error: Exception) -> Response:
    _logger.error("the database cannot be used", error=str(error))
    return problem(503, "database_unreachable", headers={"Retry-After": "5"})


def _secret_lost(_error: Exception) -> Response:
    return problem(500, "secret_lost")


def _unexpected(error: Exception) -> Response:
    _logger.error("unexpected error", exc_info=error)
    return problem(500, "internal_error")


def _items(error: HTTPException) -> list[dict[str, str]]:
    if isinstance(error, InvalidCursor):
        return [_item("parameter", "cursor", "invalid_cursor", {})]
    if isinstance(error, InvalidHeader):
        return [_item("parameter", error.header, "invalid_header", {"header": error.header})]
    if not isinstance(error, Refused):
        return []
    found = []
    for location, messages in error.messages.items():
        for path, fault in _flattened(messages, ()):
            where = _pointer(path) if location == "json" else ".".join(path)
            found.append(_item("pointer" if location == "json" else "parameter", where, str(fault), _params(fault)))
    return found


def problems_of(messages: Any) -> list[Problem]:
    """Marshmallow's messages as problems with JSON pointers."""
    return [Problem(_pointer(path), str(fault), _params(fault)) for path, fault in _flattened(messages, ())]


def _flattened(messages: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Marshmallow's messages, nested like the values, as pairs of path and message."""
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _flattened(inner, path if name == "_schema" else (*path, str(name)))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flattened(inner, path)
    else:
        yield path, messages


def _pointer(path: tuple[str, ...]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def _params(fault: str) -> Mapping[str, Any]:
    return fault.params if isinstance(fault, Fault) else {}


def _item(kind: str, where: str, code: str, params: Mapping[str, Any]) -> dict[str, str]:
    return {kind: where, "detail": wording.say(code, params, language()).message, "code": code}

"""What every operation of the API has around its view, and how the document says so.

A view is load, call, return. `operation` is the outermost decorator: it asks for the token and its scope, for the
version where the request must name one, and answers a repeated POST as before; in this order, before anything of the
request is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import flask_smorest
from flask import Response, g, make_response, request
from werkzeug.exceptions import NotAcceptable

from service.api.access import assert_may
from service.api.conditions import ETAG_PATTERN, assert_condition, with_digest
from service.api.idempotency import KEY_PATTERN, answered_once
from service.api.smorest import BODY_OPTIONAL, PROBLEM_TYPE, StrictParser
from service.operations.tokens import Scope
from service.store.database import connection

View = Callable[..., Any]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """What the document says of an operation besides its schemas. `links`: to another operation, by which values of
    this answer."""

    id: str
    scope: Scope | None
    if_match: str | None = None
    etag: str | None = None
    location: bool = False
    body_optional: bool = False
    waits: bool = False
    refuses: tuple[int, ...] = ()
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def operation(
    id: str,
    scope: Scope | None,
    *,
    if_match: str | None = None,
    etag: str | None = None,
    location: bool = False,
    body_optional: bool = False,
    at_once: bool = False,
    afterwards: Callable[[Response], Response] | None = None,
    produces: str = "application/json",
    refuses: tuple[int, ...] = (),
    links: Mapping[str, Mapping[str, str]] | None = None,
) -> Callable[[View], View]:
    """Make a view an operation. `scope` None: for everybody. `if_match`: "required" or "optional". `etag`: "version"
    where the item's version covers all that is shown, "content" where more is shown.

    `produces`: the media types of a good answer, with blanks between them. `at_once`: everything it does is in our own
    database, and done in the transaction of its idempotency key. `afterwards` is handed the answer once all is
    committed and no connection is held, and gives the one to be sent.
    """
    waits = afterwards is not None
    described = Operation(id, scope, if_match, etag, location, body_optional, waits, refuses, links or {})

    def decorate(view: View) -> View:
        def answered(*args: Any, **kwargs: Any) -> Response:
            response = make_response(view(*args, **kwargs))
            if etag == "content":
                with_digest(response)
            return _bare(response)

        @wraps(view)
        def admitted(*args: Any, **kwargs: Any) -> Response:
            _assert_acceptable(produces)
            g.setdefault(BODY_OPTIONAL, body_optional)
            if scope is None:
                return answered(*args, **kwargs)
            with connection():
                assert_may(scope)
                if if_match is not None or etag is not None:
                    assert_condition(if_match == "required")
                if request.method != "POST":
                    return answered(*args, **kwargs)
                response = answered_once(lambda: answered(*args, **kwargs), at_once=at_once)
            return response if afterwards is None else afterwards(response)

        admitted._apidoc = {**getattr(view, "_apidoc", {}), "operation": described}  # type: ignore[attr-defined]
        return admitted

    return decorate


def _bare(response: Response) -> Response:
    """An answer without content has no body, not even the JSON of nothing."""
    if response.status_code == 204:
        response.set_data(b"")
        del response.headers["Content-Type"]
    return response


def _assert_acceptable(produces: str) -> None:
    accepted = request.accept_mimetypes
    if accepted and not any(accepted[kind] for kind in (*produces.split(), PROBLEM_TYPE)):
        raise NotAcceptable


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A blueprint whose views are operations."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, import_name: str, description: str) -> None:
        super().__init__(name, import_name, description=description)
        self._prepare_doc_cbks.append(_described)


def _described(document: Document, info: Document, *, method: str, **_: Any) -> Document:
    """Complete an operation's document; an operation without `operation` is refused when the app is made."""
    own: Operation = info["operation"]
    document["operationId"] = own.id
    parameters = [*document.get("parameters", []), *_header_parameters(own, method)]
    if parameters:
        document["parameters"] = parameters
    if own.body_optional:
        document["requestBody"]["required"] = False
    document["security"] = [] if own.scope is None else [{"bearerAuth": []}]
    if own.scope is not None:
        document["x-scope"] = own.scope.value
    _describe_responses(document, own, method)
    return document


_TAG = {"schema": {"type": "string", "pattern": ETAG_PATTERN}, "example": '"v1"'}
_PREFER = {"schema": {"type": "string"}, "example": "wait=10"}
_KEY = {"schema": {"type": "string", "pattern": KEY_PATTERN}, "example": "4f1c0c2e-3f0a-4b0e-9a53-0b8a7d1f5c11"}


def _header_parameters(own: Operation, method: str) -> list[Document]:
    """The headers that an operation reads."""
    wanted = []
    if own.if_match is not None:
        required = own.if_match == "required"
        wanted.append({"name": "If-Match", "required": required, "description": "The version it is about.", **_TAG})
    if own.etag is not None and method == "get":
        wanted.append({"name": "If-None-Match", "description": "Versions that the caller has.", **_TAG})
    if method == "post" and own.scope is not None:
        text = "A request with the same key and body is answered as the first one was."
        wanted.append({"name": "Idempotency-Key", "description": text, **_KEY})
    if own.waits:
        text = "`wait=10`: answer when the work has ended, or after so many seconds."
        wanted.append({"name": "Prefer", "description": text, **_PREFER})
    return [{"in": "header", **parameter} for parameter in wanted]


def _describe_responses(document: Document, own: Operation, method: str) -> None:
    responses = {code: response for code, response in document["responses"].items() if int(code) < 400}
    headers, links = _headers(own), _links(own)
    for success in responses.values():
        if headers:
            success.setdefault("headers", {}).update(headers)
        if links:
            success["links"] = links
    if own.etag and method == "get":
        responses[304] = {"description": "The caller has this version already."}
    document["responses"] = responses | {code: f"Problem{code}" for code in sorted(_errors(document, own, method))}


def _links(own: Operation) -> Document:
    return {name: {"operationId": name, "parameters": dict(parameters)} for name, parameters in own.links.items()}


def _headers(own: Operation) -> Document:
    described: Document = {}
    if own.etag:
        described["ETag"] = {"description": "The version of the item.", "required": True, "schema": {"type": "string"}}
    if own.location:
        schema = {"type": "string", "format": "uri-reference"}
        described["Location"] = {"description": "Where the item is.", "required": True, "schema": schema}
    if own.waits:
        text = "Said when the caller's wish to wait was met."
        described["Preference-Applied"] = {"description": text, "schema": {"type": "string"}}
    return described


def _errors(document: Document, own: Operation, method: str) -> set[int]:
    """Every status that this operation can refuse with."""
    errors = {406, *own.refuses}
    parameters = [parameter for parameter in document.get("parameters", []) if isinstance(parameter, Mapping)]
    if own.scope is not None:
        errors |= {401, 403, 429, 503}
    if "requestBody" in document:
        errors |= {400, 413, 415, 422}
    if any(parameter["in"] == "query" for parameter in parameters):
        errors |= {400, 422}
    if own.etag is not None:
        errors.add(400)
    if own.if_match is not None:
        errors |= {400, 412}
    if own.if_match == "required":
        errors.add(428)
    if method == "post" and own.scope is not None:
        errors |= {400, 409, 422}
    return errors

"""flask-smorest with its defaults corrected: strict parsing, plain documents. What each line mends is said there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import flask_smorest
import orjson
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, Request, g
from flask_smorest.spec.plugins import FlaskPlugin
from flask_smorest.utils import prepare_response
from marshmallow import RAISE, ValidationError
from webargs import missing
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.routing import BaseConverter
from werkzeug.routing import ValidationError as NoSuchPath

from service.api.fields import MAX_ID, Answer, Fault, Listed, Part, Said, camel

PROBLEM_TYPE = "application/problem+json"
BODY_OPTIONAL = "accord_body_optional"
"""Set in `flask.g` while an operation runs whose body may be left out."""


ERRORS: Mapping[int, str] = {
    400: "The request cannot be understood.",
    401: "The token is missing or not valid.",
    403: "The token lacks the scope.",
    404: "There is no such item.",
    406: "The request refuses JSON.",
    409: "What is stored now does not allow it; `code` says why.",
    412: "The item was changed since it was read.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Well-formed, but wrong values; `errors` lists all of them.",
    424: "The business application does not answer as it should; `code` says how.",
    428: "`If-Match` is missing.",
    429: "Too many requests; `Retry-After` says how long to wait.",
    503: "The service's own database, or the provider of the token, cannot be used now.",
}
"""Every status of an error that an operation can answer with, and what it means."""


class IdConverter(BaseConverter):
    """The id of an item in a path: plain digits, from 1 to what 64 bits hold; anything else is not found."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        if int(value) > MAX_ID:
            raise NoSuchPath
        return int(value)


class StrictParser(FlaskParser):
    """Parses bodies with orjson, which refuses what the standard library lets through: half surrogates, NaN, nesting
    without end. Refuses other media types, and parameters given twice."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}

    def _raw_load_json(self, req: Request) -> Any:
        if g.get(BODY_OPTIONAL) and not req.get_data(cache=True):
            return missing
        if req.mimetype != "application/json":
            raise UnsupportedMediaType
        data = req.get_data(cache=True)
        # A body that does not say how long it is comes cut off at the limit.
        if req.max_content_length is not None and len(data) >= req.max_content_length:
            raise RequestEntityTooLarge
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            raise InvalidJson from None

    def load_querystring(self, req: Request, schema: Any) -> Any:
        repeated = {name: [Fault("repeated_parameter")] for name, values in req.args.lists() if len(values) > 1}
        if repeated:
            raise ValidationError(repeated)
        return super().load_querystring(req, schema)

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> NoReturn:
        raise Refused(error.normalized_messages())  # type: ignore[no-untyped-call]


class InvalidJson(BadRequest):
    """The body is no JSON."""


class Refused(HTTPException):
    """The values of a request are wrong; `messages` has marshmallow's findings by location, nested like the values."""

    code = 422

    def __init__(self, messages: Mapping[str, Any]) -> None:
        super().__init__()
        self.messages = messages


class ProblemItemAnswer(Answer):
    """One thing that is wrong: where, in words, and as a code."""

    pointer = Said(metadata={"optional": True, "description": "Where in the body, as a JSON pointer."})
    parameter = Said(metadata={"optional": True, "description": "Which parameter."})
    detail = Said()
    code = Said()


class ProblemAnswer(Answer):
    """What went wrong with a request (RFC 9457)."""

    type = Said(metadata={"format": "uri-reference", "example": "/problems/not_found"})
    title = Said()
    status = Said(metadata={"type": "integer"})
    detail = Said()
    instance = Said(metadata={"format": "uri-reference"})
    code = Said(metadata={"example": "not_found"})
    advice = Said(metadata={"optional": True})
    errors = Listed(Part(ProblemItemAnswer), metadata={"optional": True})
    trace_id = Said()


class _PathsPlugin(FlaskPlugin):  # type: ignore[misc]
    """Names of path parameters in camel case, as everywhere."""

    @staticmethod
    def flaskpath2openapi(path: str) -> str:
        parts = FlaskPlugin.flaskpath2openapi(path).split("{")
        return "{".join([parts[0], *(_camel_head(part) for part in parts[1:])])

    def rule_to_params(self, rule: Any) -> list[dict[str, Any]]:
        return [
            {**param, "name": camel(param["name"]), **({"example": 1} if param["schema"]["type"] == "integer" else {})}
            for param in super().rule_to_params(rule)
        ]


def _camel_head(part: str) -> str:
    name, rest = part.split("}", 1)
    return f"{camel(name)}}}{rest}"


_NAMED_OTHERWISE = {"Mapping": "TableMapping"}
"""Names that would hide a type of the language in clients that are generated from the document."""


def schema_name(schema: Any) -> str:
    """The name of a schema in the document: the class, without what it is for us."""
    kind = schema if isinstance(schema, type) else type(schema)
    name = kind.__name__.removesuffix("Answer")
    return _NAMED_OTHERWISE.get(name, name)


class Api(flask_smorest.Api):  # type: ignore[misc]
    """The API and its document."""

    ERROR_SCHEMA = ProblemAnswer
    # A default response would document every status there is, so that no wrong one could be noticed.
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask) -> None:
        plugins = {"flask_plugin": _PathsPlugin(), "marshmallow_plugin": MarshmallowPlugin(schema_name)}
        super().__init__(app, spec_kwargs=plugins)

    def _register_error_handlers(self) -> None:
        """`api.errors` handles all of them."""

    def _register_responses(self) -> None:
        """One response for each error status, by names that are the same in every version of Python."""
        for status, description in ERRORS.items():
            response: dict[str, Any] = {"description": description, "schema": self.ERROR_SCHEMA}
            prepare_response(response, self.spec, PROBLEM_TYPE)
            self.spec.components.response(f"Problem{status}", response, lazy=True)


def id_parameter(_converter: IdConverter) -> dict[str, Any]:
    """How the document describes an id in a path."""
    return {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}

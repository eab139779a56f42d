"""The requests in docs/api.md are requests that the API takes: address, parameters, body, version where needed."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from service.api import document
from tests.docs.pages import Request, page, requests

DOCUMENT = document.document()
EXAMPLES = list(requests(page("docs/api.md")))


def _operation(request: Request) -> dict[str, Any]:
    for path, item in DOCUMENT["paths"].items():
        pattern = re.sub(r"\\\{\w+Id\\\}", r"[1-9][0-9]*", re.escape(path))
        pattern = re.sub(r"\\\{\w+\\\}", r"[^/]+", pattern)
        if re.fullmatch(pattern, request.path) and request.method.lower() in item:
            found: dict[str, Any] = item[request.method.lower()]
            return found
    raise AssertionError(f"there is no {request.method} {request.path}")


def test_there_are_examples_of_every_noun() -> None:
    nouns = {path.split("/")[1] for path in DOCUMENT["paths"]} - {"health"}
    assert {request.path.split("/")[1] for request in EXAMPLES} == nouns


@pytest.mark.parametrize("request_", EXAMPLES, ids=lambda request: f"{request.method} {request.path}?{request.query}")
def test_example(request_: Request) -> None:
    operation = _operation(request_)
    named = {item["name"]: item for item in operation.get("parameters", [])}
    for name, value in parse_qsl(request_.query, keep_blank_values=True, strict_parsing=bool(request_.query)):
        assert value in named[name]["schema"].get("enum", [value])
    headers = {header.partition(":")[0] for header in request_.headers}
    assert {name for name, item in named.items() if item["in"] == "header" and item.get("required")} <= headers
    wanted = operation.get("requestBody")
    assert request_.body is not None or not (wanted and wanted.get("required"))
    if request_.body is not None:
        assert wanted is not None, "this takes no body"
        schema = wanted["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(json.loads(request_.body))

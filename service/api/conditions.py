"""Versions of items: `ETag` in answers, `If-Match` and `If-None-Match` in requests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, PreconditionRequired

from service.core.errors import Stale

ETAG_PATTERN = r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$'

_HEADER = re.compile(ETAG_PATTERN)
_OWN = re.compile(r'(?<!W/)"v([1-9][0-9]{0,18})(?:-[0-9a-f]+)?"')


class InvalidHeader(BadRequest):
    """A header has a form that is not allowed."""

    def __init__(self, header: str) -> None:
        super().__init__()
        self.header = header


def tagged(item: Any, version: int) -> tuple[Any, dict[str, str]]:
    """An answer with the version of its item."""
    return item, {"ETag": f'"v{version}"'}


def with_digest(response: Response) -> None:
    """Make the tag differ whenever the answer does: some show more of the world than their item's own version knows.

    A change of the item is conditional on its version alone.
    """
    tag = response.headers.get("ETag", "").strip('"')
    if tag:
        digest = hashlib.blake2b(response.get_data(), digest_size=6).hexdigest()
        response.headers["ETag"] = f'"{tag}-{digest}"'


def assert_condition(required: bool) -> None:
    """Refuse a request that must say which version it is about and does not, or says it in no proper form."""
    if required and "If-Match" not in request.headers:
        raise PreconditionRequired
    for name in ("If-Match", "If-None-Match"):
        header = request.headers.get(name)
        if header is not None and not _HEADER.fullmatch(header.strip()):
            raise InvalidHeader(name)


def expected_version(noun: str, id: int, current: Callable[[], int]) -> int | None:
    """The version that the request is good for, None for any. Raises Stale where the item has none of those named."""
    header = request.headers.get("If-Match", "*").strip()
    if header == "*":
        return None
    version = current()
    if version not in {int(number) for number in _OWN.findall(header)}:
        raise Stale(noun, id)
    return version


def install(app: Flask) -> None:
    """Answer 304 where the caller already has what they ask for."""

    @app.after_request
    def not_modified(response: Response) -> Response:
        if request.method == "GET" and response.status_code == 200 and "ETag" in response.headers:
            response.make_conditional(request)
        return response

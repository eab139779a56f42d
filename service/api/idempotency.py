"""`Idempotency-Key`: a POST that arrives twice is carried out once, and answered the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from flask import Response, current_app, request

from service.api.access import context, principal
from service.api.conditions import InvalidHeader
from service.api.errors import language
from service.operations import idempotency
from service.operations.idempotency import Answer

KEY_PATTERN = r"^[!-~]{1,255}$"

_KEY = re.compile(KEY_PATTERN)
_KEPT = ("Content-Type", "Location", "ETag")


def answered_once(work: Callable[[], Response], *, at_once: bool) -> Response:
    """Do the work unless it was done before under the same key; then answer as before."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return work()
    if not _KEY.fullmatch(key):
        raise InvalidHeader("Idempotency-Key")
    begun = idempotency.begin(context(), principal().identity, key, _digest())
    if isinstance(begun, Answer):
        return _replayed(begun)

    def keeping() -> tuple[Response, Answer]:
        response = work()
        return response, _answer(response)

    response: Response = idempotency.carry_out(context(), begun, keeping, at_once=at_once)
    return response


def answered_otherwise(response: Response) -> None:
    """Give this answer to whoever repeats the request: the one that its caller gets in the end."""
    key = request.headers.get("Idempotency-Key")
    if key is not None:
        idempotency.answer_otherwise(context(), principal().identity, key, _answer(response))


def _digest() -> str:
    """The same for two requests that ask for the same."""
    asked = hashlib.sha256(f"{request.method} {request.full_path}\n{request.headers.get('If-Match')}\n".encode())
    asked.update(request.get_data(cache=True))
    return asked.hexdigest()


def _answer(response: Response) -> Answer:
    headers = tuple((name, response.headers[name]) for name in _KEPT if name in response.headers)
    headers += (("Content-Language", language()),)
    return Answer(response.status_code, headers, response.get_data(as_text=True))


def _replayed(answer: Answer) -> Response:
    response = current_app.response_class(answer.body, answer.status, list(answer.headers))
    response.headers["Idempotency-Replayed"] = "true"
    return response

"""`Prefer: wait=10` (RFC 7240): a caller who would rather wait for the end of work than ask for it again and again."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

from flask import Flask, Response, current_app, request

from service.api.idempotency import answered_otherwise
from service.store.database import connection

LONGEST = "ACCORD_LONGEST_WAIT"
"""Where the app's configuration keeps how many seconds anybody may wait: well below what proxies allow an answer."""

_PLACES = "accord-waiting"
_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?=;|,|$)', re.IGNORECASE)


def install(app: Flask, places: int) -> None:
    """Let so many callers wait at once; each holds a thread that others may need."""
    app.config.setdefault(LONGEST, 30.0)
    app.extensions[_PLACES] = threading.BoundedSemaphore(places)


def waited(response: Response, look: Callable[[], tuple[bool, Response]]) -> Response:
    """The answer after waiting as long as the caller prefers.

    `look` gives whether the work has ended, and the answer as of now; it is called with a connection open. The answer
    stays what it is when the caller has no such wish, when it is a repeated one, or when too many wait already.
    """
    wished = _WAIT.search(request.headers.get("Prefer", ""))
    if wished is None or response.status_code != 202 or "Idempotency-Replayed" in response.headers:
        return response
    places: threading.BoundedSemaphore = current_app.extensions[_PLACES]
    if not places.acquire(blocking=False):
        return response
    try:
        seconds = min(float(wished[1]), current_app.config[LONGEST])
        response = _waited(look, seconds)
    finally:
        places.release()
    with connection():
        answered_otherwise(response)
    response.headers["Preference-Applied"] = f"wait={seconds:g}"
    return response


def _waited(look: Callable[[], tuple[bool, Response]], seconds: float) -> Response:
    """Look until there is an end or the time is up: soon again at first, since most work is short."""
    until, pause = time.monotonic() + seconds, 0.02
    while True:
        with connection():
            ended, response = look()
        left = until - time.monotonic()
        if ended or left <= 0:
            return response
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.5)

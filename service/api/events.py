"""Server-sent events: how something stands, told again whenever that changes, until it has ended.

Every event is a whole picture from the database, so that a reader who comes back after a broken connection, or to
another process of the service, has missed nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from flask import Flask, Response, current_app, stream_with_context

from service.api.limiting import TooMany
from service.store.database import connection

LONGEST = "ACCORD_LONGEST_STREAM"
"""Where the app's configuration keeps for how many seconds a stream stays open; its reader then comes back."""

CONTENT_TYPE = "text/event-stream; charset=utf-8"
PAUSE = 0.5
"""Seconds between two looks at the database."""

_QUIET = 15.0
_STATE = "accord-streams"


class _Streams:
    """How many streams may be open, each of which holds a thread that others may need, and whether they are to end."""

    def __init__(self, places: int) -> None:
        self.places = threading.BoundedSemaphore(places)
        self.ending: Callable[[], bool] = lambda: False


def install(app: Flask, places: int) -> None:
    """Let so many callers watch at once."""
    app.config.setdefault(LONGEST, 600.0)
    app.extensions[_STATE] = _Streams(places)


def end_with(app: Flask, ending: Callable[[], bool]) -> None:
    """Let streams end as soon as `ending` says so: a server that stops would wait for them."""
    app.extensions[_STATE].ending = ending


def stream(look: Callable[[], tuple[bool, str, str]]) -> Response:
    """A stream of what `look` gives: whether this is the end, the version, and the picture as JSON on one line.

    It is called with a connection open and in the context of the request. Raises TooMany.
    """
    streams: _Streams = current_app.extensions[_STATE]
    if not streams.places.acquire(blocking=False):
        raise TooMany(5)
    told = stream_with_context(_told(look, streams.ending, current_app.config[LONGEST]))
    response = Response(told, content_type=CONTENT_TYPE)
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(streams.places.release)
    return response


def _told(look: Callable[[], tuple[bool, str, str]], ending: Callable[[], bool], longest: float) -> Iterator[str]:
    until, last, spoken = time.monotonic() + longest, "", time.monotonic()
    yield "retry: 2000\n\n"
    while True:
        with connection():
            ended, version, picture = look()
        if ended or picture != last:
            yield f"id: {version}\nevent: {'end' if ended else 'progress'}\ndata: {picture}\n\n"
            last, spoken = picture, time.monotonic()
        elif time.monotonic() - spoken > _QUIET:
            # Otherwise nobody between us would know that the reader still waits.
            yield ": nothing new\n\n"
            spoken = time.monotonic()
        if ended or ending() or time.monotonic() + PAUSE > until:
            return
        time.sleep(PAUSE)

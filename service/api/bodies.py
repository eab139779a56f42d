"""Bodies that nobody read: of a refused request, or one that is too large.

A server that answers and closes while the caller still sends makes the network drop the answer: the caller sees a
broken connection and never learns why. So what is left is read and thrown away, up to a bound.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, request

_AT_MOST = 32 * 1024 * 1024
_PIECE = 64 * 1024


def install(app: Flask) -> None:
    """Read what is left of every body before it is answered."""

    @app.after_request
    def drain(response: Response) -> Response:
        # Only where the server says that reading ends by itself with the body.
        if request.environ.get("wsgi.input_terminated"):
            _drain(request.environ["wsgi.input"])
        return response


def _drain(stream: Any) -> None:
    left = _AT_MOST
    try:
        while left > 0 and (piece := stream.read(_PIECE)):
            left -= len(piece)
    except (OSError, ValueError):
        return  # The caller is gone, or sends nonsense: there is nobody to be polite to.

"""An id for each request, in the log and in the problems it answers with; one line of log for each."""

from __future__ import annotations

import re
import secrets
import time

import structlog
from flask import Flask, Response, g, request

from service.operations.audit import REQUEST_ID

_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_QUIET = ("/health/", "/metrics")
_logger = structlog.get_logger()


def install(app: Flask) -> None:
    """Give requests ids and log them."""

    @app.before_request
    def begin() -> None:
        g.accord_trace, g.accord_started = _trace_id(), time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(**{REQUEST_ID: g.accord_trace})

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Trace-Id"] = g.get("accord_trace", "")
        if not request.path.startswith(_QUIET):
            _log(response)
        return response


def _trace_id() -> str:
    """The caller's own trace (W3C Trace Context), or a new one."""
    matched = _TRACEPARENT.match(request.headers.get("traceparent", ""))
    return matched[1] if matched else secrets.token_hex(16)


def _log(response: Response) -> None:
    took = round((time.perf_counter() - g.get("accord_started", time.perf_counter())) * 1000, 1)
    _logger.info("request", method=request.method, path=request.path, status=response.status_code, milliseconds=took)

"""An id for each request, in the log and in the problems it answers with; one line of log, and one span, for each."""

from __future__ import annotations

import secrets
import time

import structlog
from flask import Flask, Response, g, request
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.operations.audit import REQUEST_ID

_QUIET = ("/health/", "/metrics")
_logger = structlog.get_logger()


def install(app: Flask) -> None:
    """Give requests ids and log them."""

    @app.before_request
    def begin() -> None:
        span = _span()
        g.accord_span, g.accord_started = span, time.perf_counter()
        g.accord_trace = _trace_id(span)
        g.accord_in_span = otel.attach(trace.set_span_in_context(span))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(**{REQUEST_ID: g.accord_trace})

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Trace-Id"] = g.get("accord_trace", "")
        _describe(response)
        if not request.path.startswith(_QUIET):
            _log(response)
        return response

    @app.teardown_request
    def leave(_error: BaseException | None) -> None:
        if "accord_in_span" in g:
            otel.detach(g.pop("accord_in_span"))
            g.pop("accord_span").end()


def _span() -> trace.Span:
    """A span that continues the caller's own trace (W3C Trace Context), if they say one."""
    parent = TraceContextTextMapPropagator().extract({name.lower(): value for name, value in request.headers.items()})
    name = f"{request.method} {request.url_rule.rule}" if request.url_rule else request.method
    return trace.get_tracer("accord").start_span(name, parent, trace.SpanKind.SERVER)


def _trace_id(span: trace.Span) -> str:
    """The id of the trace: the caller's own, or a new one."""
    id = span.get_span_context().trace_id
    return trace.format_trace_id(id) if id else secrets.token_hex(16)


def _describe(response: Response) -> None:
    span: trace.Span = g.get("accord_span", trace.INVALID_SPAN)
    span.set_attributes(
        {
            "http.request.method": request.method,
            "http.route": request.url_rule.rule if request.url_rule else "",
            "http.response.status_code": response.status_code,
        }
    )
    if response.status_code >= 500:
        span.set_status(trace.StatusCode.ERROR)


def _log(response: Response) -> None:
    took = round((time.perf_counter() - g.get("accord_started", time.perf_counter())) * 1000, 1)
    _logger.info("request", method=request.method, path=request.path, status=response.status_code, milliseconds=took)

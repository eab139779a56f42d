"""Traces that go on from a request to the run that it asked for, whichever process works on it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bound_contextvars, get_contextvars

from service.operations.audit import REQUEST_ID
from service.store.models import SyncRun


def traceparent() -> str | None:
    """Where we are, for whoever goes on later; None outside of any trace."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    if carrier:
        return carrier["traceparent"]
    known = get_contextvars().get(REQUEST_ID)
    return f"00-{known}-{secrets.token_hex(8)}-00" if known else None


@contextmanager
def run_traced(run: SyncRun, mapping: str) -> Iterator[None]:
    """What is logged and traced inside carries the ids of the run and of the trace that asked for it."""
    parent = TraceContextTextMapPropagator().extract({"traceparent": run.traceparent or ""})
    asked = trace.get_current_span(parent).get_span_context().trace_id
    tracer = trace.get_tracer("accord")
    with tracer.start_as_current_span("run", parent, record_exception=False) as span:
        span.set_attributes({"accord.run": run.id, "accord.mapping": mapping, "accord.kind": run.kind})
        id = span.get_span_context().trace_id or asked
        ids = {"run_id": run.id, REQUEST_ID: trace.format_trace_id(id) if id else secrets.token_hex(16)}
        with bound_contextvars(**ids):
            yield

"""Where traces go: to the OTLP endpoint that the standard environment variables of OpenTelemetry name, or nowhere."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace

from service import __version__
from service.core.errors import Explained

_MODULES = (
    "opentelemetry.sdk.trace",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.sdk.resources",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
)
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class TracingUnavailable(Explained):
    """The environment asks for traces, and what sends them is not installed; the text says what to do."""


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and any(environ.get(name) for name in _ENDPOINTS)


def assert_available(environ: Mapping[str, str]) -> None:
    """Raise TracingUnavailable where traces are asked for and cannot be sent."""
    if wanted(environ):
        _parts()


def start(environ: Mapping[str, str]) -> None:
    """Send traces from now on, if the environment asks for it. Raises TracingUnavailable.

    Once in each process, and after it was forked: the sender has a thread.
    """
    if not wanted(environ):
        return
    sdk, export, resources, otlp = _parts()
    # What OTEL_RESOURCE_ATTRIBUTES says besides comes along by itself.
    named = {"service.name": environ.get("OTEL_SERVICE_NAME") or "accord", "service.version": __version__}
    provider = sdk.TracerProvider(resource=resources.Resource.create(named))
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _parts() -> list[Any]:
    """What sends traces; not everybody has it installed."""
    try:
        return [importlib.import_module(name) for name in _MODULES]
    except ImportError as error:
        raise TracingUnavailable(
            "{name} asks for traces; install accord-sync[otel], which can send them.", name=_ENDPOINTS[0]
        ) from error


def stop() -> None:
    """Send what is left."""
    shutdown = getattr(trace.get_tracer_provider(), "shutdown", None)
    if shutdown is not None:
        shutdown()

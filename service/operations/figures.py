"""Figures that an operator watches. Most are counted in the state when somebody asks, so that every process tells the
same; calls to business applications are counted where they are made, each process for itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache, wraps
from typing import Any

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric, SummaryMetricFamily

from service.connectors.base import Connector
from service.core.failures import SideFailed
from service.operations.context import Context
from service.store import figures as store

HELP = {
    "accord_runs": "Runs by status.",
    "accord_errors": "Errors by status.",
    "accord_skipped_records": "Skipped records by status.",
    "accord_open_errors": "Open errors by mapping and cause.",
    "accord_webhook_deliveries": "Deliveries to webhooks by status.",
    "accord_webhooks_disabled": "Webhooks that the service has disabled, by reason.",
    "accord_skipped_oldest_seconds": "Since when the oldest skipped record of a mapping waits for a person.",
    "accord_queue_oldest_seconds": "Since when the oldest queued run waits for a worker.",
    "accord_webhook_oldest_seconds": "Since when the oldest event waits for its delivery.",
    "accord_mapping_freshness_seconds": "How old a change may be that an enabled mapping has not synchronized.",
    "accord_run_seconds": "How long runs took.",
    "accord_run_wait_seconds": "How long runs waited for a worker.",
}

CALLS = (
    *("tables", "describe", "check", "clock", "read", "cut", "read_range", "count", "fetch", "find", "changes"),
    *("insert", "update", "delete"),
)
"""The calls of a connector that reach its application."""

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Counted:
    """What this process counts by itself."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "accord_connector_calls",
            "Calls to business applications; `rate_limited` is one that was throttled.",
            ["connection", "call", "outcome"],
            registry=self.registry,
        )
        self.took = Histogram(
            "accord_connector_call_seconds",
            "How long calls to business applications took.",
            ["connection", "call"],
            buckets=_SECONDS,
            registry=self.registry,
        )


@cache
def counted() -> Counted:
    """The counters of this process."""
    return Counted()


class Standing:
    """The figures of the state, and those of this process, as Prometheus collects them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        for (name, labels), rows in {**store.standing(), **store.ages(self._context.now())}.items():
            gauge = GaugeMetricFamily(name, HELP[name], labels=labels)
            for *values, number in rows:
                gauge.add_metric(values, number)
            yield gauge
        for (name, labels), rows in store.sums().items():
            summary = SummaryMetricFamily(name, HELP[name], labels=labels)
            for *values, number, seconds in rows:
                summary.add_metric(values, number, seconds)
            yield summary
        yield from counted().registry.collect()

    def describe(self) -> list[Metric]:
        """Nothing is counted before somebody asks."""
        return []


def observed(connector: Connector, name: str) -> Connector:
    """The same connector; its calls are counted and traced under the name of its connection."""
    for call in CALLS:
        setattr(connector, call, _observed(getattr(connector, call), name, call))
    return connector


def _observed(method: Callable[..., Any], name: str, call: str) -> Callable[..., Any]:
    figures, tracer = counted(), trace.get_tracer("accord")

    @wraps(method)
    def observe(*args: Any, **kwargs: Any) -> Any:
        began, outcome = time.perf_counter(), "error"
        # What an application says may hold values of records: the code alone goes into the trace.
        with tracer.start_as_current_span(f"connector {call}", record_exception=False) as span:
            span.set_attributes({"accord.connection": name, "accord.call": call})
            try:
                result = method(*args, **kwargs)
                outcome = "ok"
                return result
            except SideFailed as error:
                outcome = error.failure.code
                raise
            finally:
                span.set_attribute("accord.outcome", outcome)
                figures.calls.labels(name, call, outcome).inc()
                figures.took.labels(name, call).observe(time.perf_counter() - began)

    return observe

"""`/metrics`: what a Prometheus asks for."""

from __future__ import annotations

import time
from typing import Any

from flask import Flask, Response, current_app, g, request
from flask.views import MethodView
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from service.api.operation import Blueprint, operation
from service.operations.context import Context
from service.operations.figures import Standing
from service.operations.tokens import Scope

TEXT = "text/plain; version=0.0.4; charset=utf-8"

blp = Blueprint("metrics", __name__, description="Figures for a Prometheus.")


@blp.route("/metrics")
class Metrics(MethodView):
    @operation("getMetrics", Scope.READ, produces="text/plain")
    @blp.response(200, {"type": "string"}, content_type=TEXT, description="Figures, in Prometheus text.")
    def get(self) -> Any:
        """Give the figures of the service, as Prometheus reads them."""
        return Response(generate_latest(current_app.extensions["accord-metrics"]), content_type=TEXT)


def install(app: Flask, context: Context | None) -> None:
    """Count requests, each application for itself. Without a context there is no state to count in: only a document."""
    registry = CollectorRegistry()
    asked = Counter("accord_requests", "Requests.", ["operation", "status"], registry=registry)
    took = Histogram("accord_request_seconds", "How long requests took.", ["operation"], registry=registry)
    if context is not None:
        registry.register(Standing(context))
    app.extensions["accord-metrics"] = registry

    @app.after_request
    def count(response: Response) -> Response:
        name = f"{request.method} {request.url_rule.rule}" if request.url_rule else "none"
        asked.labels(name, response.status_code).inc()
        if "accord_started" in g:
            took.labels(name).observe(time.perf_counter() - g.accord_started)
        return response

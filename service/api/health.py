"""`/health`: for whoever watches the service."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from service.api.fields import Answer, Choice
from service.api.operation import Blueprint, operation
from service.operations import health

blp = Blueprint("health", __name__, description="Whether the service is alive and ready.")


class HealthAnswer(Answer):
    """All is well; otherwise the answer is a problem."""

    status = Choice(("pass",))


@blp.route("/health/live")
class Live(MethodView):
    @operation("getLiveness", None)
    @blp.response(200, HealthAnswer)
    def get(self) -> Any:
        """Say whether the process answers."""
        return {"status": "pass"}


@blp.route("/health/ready")
class Ready(MethodView):
    @operation("getReadiness", None, refuses=(503,))
    @blp.response(200, HealthAnswer)
    def get(self) -> Any:
        """Say whether the service can do its work: 503 with the reason when it cannot."""
        health.assert_ready()
        return {"status": "pass"}

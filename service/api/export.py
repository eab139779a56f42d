"""`/export`: the connections and mappings as the file that `accord apply` takes."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask.views import MethodView

from service.api.access import context
from service.api.operation import Blueprint, operation
from service.api.setup_shapes import SetupAnswer, compact, written
from service.api.setup_yaml import dump_yaml
from service.operations import exports
from service.operations.tokens import Scope

YAML = "application/yaml"

blp = Blueprint("export", __name__, description="Connections and mappings as one file.")


@blp.route("/export")
class Export(MethodView):
    @operation("exportSetup", Scope.READ, produces=f"application/json {YAML}")
    @blp.response(200, SetupAnswer)
    @blp.doc(responses={200: {"content": {YAML: {"schema": {"type": "string"}}}}})
    def get(self) -> Any:
        """Show all connections and mappings as one document, as JSON or as YAML.

        Names stand for ids, and variables of the environment for secrets. `accord apply` makes it so again.
        """
        setup = exports.export(context())
        if request.accept_mimetypes.best_match(["application/json", YAML]) == YAML:
            return Response(dump_yaml(written(setup)), content_type=YAML)
        return compact(setup)

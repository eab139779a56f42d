"""The contract to read: `/openapi.json`, `/docs` without any outside host, and `/problems/<code>`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask_swagger_ui
import orjson
from flask import Flask, Response, abort, request, send_from_directory

from service import wording
from service.api.smorest import Api

SPEC_OPTIONS: dict[str, Any] = {
    "info": {
        "description": (
            "Accord keeps the records of two business applications the same, both ways, without losing an edit.\n\n"
            "Every error is `application/problem+json`; its `code` never changes. Lists come in pages, newest first. "
            "Items carry an `ETag`. A POST with an `Idempotency-Key` is carried out once.\n\n"
            "Texts are in the language that `Accept-Language` asks for (`en`, `nb`, `cs`, `fr`), as `Content-Language` "
            "says; codes never change."
        ),
        "license": {"name": "MIT", "identifier": "MIT"},
    },
    "servers": [{"url": "/"}],
    "security": [{"bearerAuth": []}],
    "components": {"securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer"}}},
}

_ASSETS = Path(flask_swagger_ui.__file__).with_name("dist")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Accord: the API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_ENGLISH = {"Content-Language": "en"}
_START = """window.ui = SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", validatorUrl: null, deepLinking: true, persistAuthorization: false,
  docExpansion: "none", presets: [SwaggerUIBundle.presets.apis]
});
"""
# Swagger UI writes style attributes; scripts come from files alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def install(app: Flask, api: Api) -> None:
    """Serve the document of `api` and what explains it."""
    document = orjson.dumps(api.spec.to_dict())

    @app.get("/openapi.json")
    def openapi() -> Response:
        return Response(document, content_type="application/json", headers=_ENGLISH)

    @app.get("/docs")
    def documentation() -> Response:
        return Response(
            _PAGE, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY, **_ENGLISH}
        )

    @app.get("/docs/start.js")
    def start() -> Response:
        return Response(_START, content_type="text/javascript; charset=utf-8")

    @app.get("/docs/assets/<path:name>")
    def assets(name: str) -> Response:
        return send_from_directory(_ASSETS, name)

    @app.get("/problems/<code>")
    def explanation(code: str) -> Response:
        if not wording.known(code):
            abort(404)
        words = wording.say(code, {}, wording.negotiate(request.headers.get("Accept-Language")))
        body = {"code": code, "title": words.title, "detail": words.message, "advice": words.advice}
        return Response(orjson.dumps(body), content_type="application/json")

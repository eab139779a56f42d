"""The API: one file per noun, schemas on top, views below. `RESOURCES` lists them all."""

from __future__ import annotations

import hashlib

import orjson
from flask import Flask
from flask.json.provider import JSONProvider

from service import __version__
from service.api import (
    bodies,
    conditions,
    connections,
    couplings,
    docs,
    error_list,
    errors,
    events,
    export,
    health,
    limiting,
    mapping_kept,
    mapping_sets,
    mapping_suggestions,
    mappings,
    metrics,
    notifications,
    runs,
    skipped,
    tokens,
    tracing,
    waiting,
    webhooks,
)
from service.api.paging import CURSOR_KEY
from service.api.smorest import Api, IdConverter, id_parameter

RESOURCES = (
    connections.blp,
    mappings.blp,
    mapping_suggestions.blp,
    mapping_sets.blp,
    couplings.blp,
    runs.blp,
    error_list.blp,
    skipped.blp,
    notifications.blp,
    tokens.blp,
    export.blp,
    webhooks.blp,
    health.blp,
    metrics.blp,
)
"""Every noun of the API."""

MAX_BODY = 1024 * 1024
"""Bytes that the body of a request may have."""


class Orjson(JSONProvider):
    """Answers are written with orjson."""

    def dumps(self, obj: object, **_: object) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_: object) -> object:
        return orjson.loads(s)


def install(app: Flask, cursor_secret: str, places: int = 8, per_token: str | None = None) -> Api:
    """Give an application the whole API.

    `cursor_secret`: cursors are good for all processes that share it. `places`: how many callers may hold a thread to
    wait for the end of work; half as many more may watch runs. `per_token`: how many requests one caller may send.
    """
    app.json = Orjson(app)
    app.url_map.strict_slashes = False
    app.url_map.converters["id"] = IdConverter
    app.config |= {
        "API_TITLE": "Accord",
        "API_VERSION": __version__,
        "OPENAPI_VERSION": "3.1.0",
        "API_SPEC_OPTIONS": docs.SPEC_OPTIONS,
        "MAX_CONTENT_LENGTH": MAX_BODY,
        CURSOR_KEY: hashlib.sha256(b"cursor:" + cursor_secret.encode()).digest(),
    }
    waiting.install(app, places)
    events.install(app, max(1, places // 2))
    limiting.install(app, per_token)
    mapping_kept.install(app)
    metrics.install(app, app.extensions.get("accord"))
    for part in (tracing, bodies, errors, conditions):
        part.install(app)
    api = Api(app)
    api.register_converter(IdConverter, id_parameter)
    for blueprint in RESOURCES:
        api.register_blueprint(blueprint)
    docs.install(app, api)
    return api

"""The web application: everything the service has, put together."""

from __future__ import annotations

import logging
import sys

import structlog
from flask import Flask, Response, request

from service import api, console
from service.api import access
from service.operations.context import Context
from service.operations.oidc import Oidc
from service.operations.oidc_sign_in import SignIn
from service.settings.environment import Settings

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    # Answers belong to who asked; with an ETag they may be kept, and are asked for anew each time.
    "Cache-Control": "private, no-cache",
}


def create_app(settings: Settings, context: Context) -> Flask:
    """The application; `context` is what its operations are handed. Opens nothing and starts nothing."""
    app = Flask("accord", static_folder=None)
    app.extensions["accord"] = context
    # Half of the threads stay free for those who do not wait.
    api.install(app, settings.secret_key or "", places=max(1, settings.threads // 2), per_token=settings.rate_limit)
    provider, client, sign_in = settings.provider, settings.client, None
    if provider is not None:
        oidc = app.extensions[access.OIDC] = Oidc(provider, context.private_networks)
        sign_in = SignIn(oidc, client) if client is not None else None
    console.install(app, settings.secret_key or "", access.authenticated, sign_in)
    app.after_request(_secure)
    return app


def _secure(response: Response) -> Response:
    """What every answer tells browsers."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path.startswith("/docs/assets/"):
        response.headers["Cache-Control"] = "public, max-age=86400"
    return response


def configure_logging(log_format: str, log_level: str) -> None:
    """Log to standard error, a line each: for people, or as JSON for machines.

    `debug` is for us and what we use: it tells statements and the values in them, never a secret.
    """
    level = logging.getLevelNamesMapping()[log_level.upper()]
    if level < logging.INFO:
        logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(name)s %(message)s")
        # It tells whole addresses, and those of webhooks often have a secret in their path.
        logging.getLogger("urllib3").setLevel(logging.INFO)
    renderer: structlog.types.Processor = structlog.processors.JSONRenderer()
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Fancier ones print the values of variables, and those may be secrets.
            exception_formatter=structlog.dev.plain_traceback,
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            *([structlog.processors.format_exc_info] if log_format == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )

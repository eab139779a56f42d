"""A1 and the console: how long an answer takes when the state has much in it, in a process of its own.

Requests go through the whole application as its server calls it, one after the other, without a network. Beside them is
a view that returns a constant through the same stack: what any request costs. Prints one JSON document.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import structlog
from flask import Flask
from flask.views import MethodView
from werkzeug.test import EnvironBuilder

from scripts.benchmarks.databases import Place
from scripts.benchmarks.filled import Extent, fill
from service.api.operation import Blueprint, operation
from service.app import create_app
from service.operations.context import Context
from service.operations.tokens import Scope, ensure_first
from service.settings.environment import read_settings
from service.settings.secrets import secret_box
from service.store.database import database, migrate, open_database

TOKEN = "accord_token-of-the-bench"
CONSTANT = "/constant"
FAR = "occurredAfter=2040-01-01T00:00:00Z"

LISTS = (
    "/connections", "/connections/1", "/mappings", "/mappings?limit=500", "/mappings/1", "/mappings/200",
    "/couplings", "/couplings?limit=500", "/couplings?mappingId=1", "/couplings?mappingId=200",
    "/couplings?localKey=k500000", "/couplings?integrationKey=c7", "/couplings?mappingId=1&localKey=k500000",
    "/couplings?skipped=true", "/couplings?skipped=false", "/couplings?mappingId=200&skipped=true",
    "/couplings/500000", "/couplings/500000/history",
    "/sync-runs", "/sync-runs?mappingId=200", "/sync-runs?status=succeeded", "/sync-runs?status=failed",
    "/sync-runs?kind=full", "/sync-runs?kind=match", "/sync-runs?createdAfter=2040-01-01T00:00:00Z", "/sync-runs/100",
    "/sync-runs/{runs}/records", "/sync-runs/{runs}/records?outcome=failed",
    "/sync-runs/{runs}/records?outcome=deleted",
    "/errors", "/errors?limit=500", "/errors?mappingId=1", "/errors?mappingId=200", "/errors?status=open",
    "/errors?mappingId=200&status=open", "/errors?runId=77", "/errors?code=timeout", "/errors?code=mass_deletion",
    "/errors?category=setup", "/errors?responsibility=administrator", f"/errors?{FAR}",
    "/errors?mappingId=1&code=mass_deletion", "/errors?mappingId=1&category=setup&status=open",
    "/errors/500000", "/errors/groups", "/errors/groups?mappingId=1", "/errors/groups?status=open",
    "/skipped", "/skipped?mappingId=1", "/skipped?status=open", "/skipped?status=resolved", "/skipped?status=resolving",
    "/skipped?reason=deleted", "/skipped?mappingId=1&reason=ambiguous&status=open",
    "/exclusions", "/webhooks", "/tokens", "/audit", "/audit?noun=mapping", "/audit?actor=nobody",
)  # fmt: skip
"""What A1 asks for: every list with its filters, common and rare values of them, and single items."""

PAGES = (
    "/console", "/console/mappings/1", "/console/mappings/200", "/console/runs", "/console/runs/{runs}",
    "/console/skipped", "/console/skipped?mapping=1", "/console/skipped?status=resolved", "/console/errors",
    "/console/errors?mapping=1", "/console/couplings", "/console/couplings?mapping=1&key=k500000",
    "/console/couplings/500000", "/console/connections",
)  # fmt: skip
"""The pages of the console."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked, of a state of which extent. `asked`: "A1" or "console"."""

    asked: str
    rows: int
    skipped: int
    times: int
    place: dict[str, Any]


class Caller:
    """Sends requests into the application, as its server does."""

    def __init__(self, app: Flask, headers: dict[str, str]) -> None:
        self._app = app
        self._headers = list(headers.items())

    def ask(self, path: str, method: str = "GET", form: dict[str, str] | None = None) -> Answer:
        """The answer, whatever it is."""
        return self._answer(EnvironBuilder(path, method=method, headers=self._headers, data=form).get_environ())

    def measure(self, path: str, times: int) -> dict[str, float]:
        """Milliseconds of wall and CPU for one answer. Raises Wrong for a refusal."""
        environ = EnvironBuilder(path, headers=self._headers).get_environ()
        walls = []
        cpu = time.process_time()
        for _ in range(times):
            began = time.perf_counter()
            status = self._answer(dict(environ)).status
            walls.append((time.perf_counter() - began) * 1000)
            if status != 200:
                raise Wrong(f"GET {path} was answered {status}")
        ordered = quantiles(walls, n=100, method="inclusive")
        return {"median": median(walls), "p99": ordered[98], "cpu": (time.process_time() - cpu) / times * 1000}

    def _answer(self, environ: dict[str, Any]) -> Answer:
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Callable[[bytes], object]:
            told.extend((status, headers))
            return told.append

        body: Any = self._app.wsgi_app(environ, start)
        with closing(body):
            return Answer(int(told[0][:3]), told[1], b"".join(body))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Wrong(Exception):
    """What is measured is not answered."""


def application(place: Place, extent: Extent) -> tuple[Flask, Context]:
    """The service on a state that is filled."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    settings = read_settings(
        {"ACCORD_TOKEN": TOKEN, "ACCORD_SECRET_KEY": "secret", "ACCORD_RATE_LIMIT": "10000000/hour"}
    )
    context = Context(secret_box(settings))
    open_database(place.state)
    migrate()
    with database.connection_context():
        fill(context, Path(place.folder), extent)
        ensure_first(context, TOKEN)
    app = create_app(settings, context)
    app.register_blueprint(_constant())
    return app, context


def _constant() -> Blueprint:
    blueprint = Blueprint("constant", __name__, description="Nothing is looked up for it.")

    @blueprint.route(CONSTANT)
    class Constant(MethodView):
        @operation("getConstant", Scope.READ)
        @blueprint.response(200)
        def get(self) -> Any:
            """Return a constant."""
            return {"items": [], "nextCursor": None}

    return blueprint


def ask_lists(app: Flask, extent: Extent, times: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Every list and item, and the constant before and after them."""
    caller = Caller(app, {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"})
    caller.measure(CONSTANT, times)
    for path in (CONSTANT, *LISTS, CONSTANT):
        address = path.format(runs=extent.runs).replace("500000", str(extent.rows // 2))
        caller.measure(address, 3)
        yield path, caller.measure(address, times)


def ask_pages(app: Flask, extent: Extent, times: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Every page of the console, as somebody who signed in."""
    cookie = _signed_in(app)
    caller = Caller(app, {"Cookie": cookie})
    for path in PAGES:
        address = path.format(runs=extent.runs).replace("500000", str(extent.rows // 2))
        caller.measure(address, 2)
        yield path, caller.measure(address, times)


def _signed_in(app: Flask) -> str:
    shown = Caller(app, {}).ask("/console/sign-in")
    word = re.search(rb'name="csrf" value="([^"]*)"', shown.body)
    form = {"token": TOKEN, "csrf": word[1].decode() if word else ""}
    answer = Caller(app, {"Cookie": _cookies(shown.headers)}).ask("/console/sign-in", "POST", form)
    if answer.status != 303:
        raise Wrong(f"signing in was answered {answer.status}")
    return _cookies(answer.headers)


def _cookies(headers: list[tuple[str, str]]) -> str:
    return "; ".join(value.partition(";")[0] for name, value in headers if name.lower() == "set-cookie")


def main() -> None:
    asking = Asking(**json.loads(sys.argv[1]))
    extent = Extent(asking.rows, asking.skipped)
    app, _ = application(Place(**asking.place), extent)
    ask = ask_lists if asking.asked == "A1" else ask_pages
    print(json.dumps(list(ask(app, extent, asking.times))))


if __name__ == "__main__":
    main()

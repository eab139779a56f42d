"""`st run` against a real server of the API, for tests/api/test_schemathesis.py; arguments go to `st run`.

The server runs in a thread of this process, so that its world can be put back before each request outside the
sequences: a warning is then about the request, not about what an earlier one deleted. Every other proper request names
what there is, for no schema can say which mappings and connections these are.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import schemathesis
from schemathesis.cli import schemathesis as command
from schemathesis.generation.meta import TestPhase
from werkzeug.serving import WSGIRequestHandler, make_server

from service.app import configure_logging
from tests.api.examples import FIRST, data_of
from tests.api.preconditions import good_precondition
from tests.api.world import ROLES, Kept, World, make_app, make_lively
from tests.docs.pages import ROOT


class Quiet(WSGIRequestHandler):
    """Says nothing of each request."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None: ...


class Furnished:
    """The world that the requests meet; counts the proper ones that each phase has sent for an operation."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._sent: dict[tuple[str, TestPhase], int] = {}

    def before_call(self, case: Any) -> None:
        """Put the world back, and let every other proper request be about what there is."""
        good_precondition(case)
        phase = case.meta.phase.name
        if phase is TestPhase.STATEFUL:
            return
        world = self._kept.fresh()
        if not case.meta.generation.mode.is_positive:
            return
        key = (case.operation.label, phase)
        self._sent[key] = self._sent.get(key, 0) + 1
        if self._sent[key] % 2:
            fill(world, case)


def fill(world: World, case: Any) -> None:
    """Give a request the ids and the body that succeed."""
    described = case.operation.definition.raw
    first = FIRST.get(described["operationId"])
    named, query, body = data_of(case.path, described, {} if first is None else first(world))
    case.path_parameters = {**(case.path_parameters or {}), **named}
    case.query = {**(case.query or {}), **dict(parse_qsl(query))}
    if "If-Match" in case.operation.headers:
        case.headers["If-Match"] = "*"
    if body is not None:
        case.body = body


def main() -> None:
    """Serve, and run."""
    configure_logging("console", "error")
    app = make_app()
    with tempfile.TemporaryDirectory() as folder:
        furnished = Furnished(Kept(Path(folder), app, make_lively))

        @schemathesis.hook
        def before_call(context: Any, case: Any, kwargs: Any) -> None:
            furnished.before_call(case)

        server = make_server("127.0.0.1", 0, app, threaded=False, request_handler=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.environ["ACCORD_TEST_TOKEN"] = ROLES["admin"]
        options = [f"--config-file={ROOT / 'schemathesis.toml'}", "run", f"http://127.0.0.1:{server.port}/openapi.json"]
        command([*options, *sys.argv[1:]])


if __name__ == "__main__":
    main()

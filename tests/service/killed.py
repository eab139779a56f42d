"""The service, killed while it answers a `POST /sync-runs`: `python -m tests.service.killed PLACE FILE start`.

PLACE is `before` (the run is written, and nothing is committed yet) or `after` (all is committed, and nothing was
answered yet). It happens once, while FILE is there.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

from service.cli import main, processes
from service.store import idempotency

PLACE, FILE = sys.argv[1], Path(sys.argv[2])


def die() -> None:
    """End at once, like a process that lost its power."""
    if FILE.exists():
        FILE.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


if PLACE == "before":
    finish = idempotency.finish

    def finish_or_die(*arguments: Any) -> None:
        die()
        finish(*arguments)

    idempotency.finish = finish_or_die  # type: ignore[assignment]
else:
    load = processes.Server.load

    def load_mortal(self: Any) -> Flask:
        app = load(self)

        @app.after_request
        def after(response: Response) -> Response:
            if request.method == "POST" and response.status_code == 202:
                die()
            return response

        return app

    processes.Server.load = load_mortal  # type: ignore[method-assign]

sys.argv = ["accord", *sys.argv[3:]]
main()

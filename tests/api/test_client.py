"""A typed Python client, generated from the document as it stands, works against a running service."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from service.api.document import FILE
from tests.environments import programs
from tests.service.live import live

PINNED = ("openapi-python-client==0.29.1", "mypy==2.4.1", "ruff==0.17.5")
"""The generator, which brings what clients need, and a type checker."""


def call(folder: Path, *command: str | Path) -> str:
    """Run a program of that environment; what it said."""
    environment = {"PATH": f"{Path(command[0]).parent}:{os.environ['PATH']}", "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_generated_client_works(tmp_path: Path) -> None:
    tools = programs("openapi-client", *PINNED)
    said = call(
        tmp_path, tools / "openapi-python-client", "generate", "--path", FILE, "--output-path", "client", "--meta=none"
    )
    assert "arning" not in said, "every operation and every schema is understood"
    shutil.copy(Path(__file__).with_name("client_program.py"), tmp_path / "program.py")
    # Its own client.py is not strict; whoever uses it can be.
    call(tmp_path, tools / "mypy", "--strict", "--follow-imports=silent", "program.py")
    for name in ("erp", "crm"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as made, made:
            made.execute("CREATE TABLE customer (id TEXT PRIMARY KEY, name TEXT, stamp TEXT)")
            if name == "erp":
                made.execute("INSERT INTO customer VALUES ('1', 'Zoë', '2026-01-01 10:00:00')")
    with live(tmp_path) as service:
        url = f"http://127.0.0.1:{service.port}"
        assert "succeeded" in call(tmp_path, tools / "python", "program.py", url, service.token, str(tmp_path))

"""The Python program in docs/api.md, carried out as it stands there against a running service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.docs.pages import blocks, page, section
from tests.service.live import live
from tests.service.test_idempotency import furnish


def test_the_program_does_what_it_says(tmp_path: Path) -> None:
    (example,) = [
        block for block in blocks(section(page("docs/api.md"), "From a program")) if block.language == "python"
    ]
    with live(tmp_path) as service:
        furnish(service, tmp_path)
        done = subprocess.run(
            [sys.executable, "-c", example.text],
            env={"ACCORD": f"http://127.0.0.1:{service.port}", "ACCORD_TOKEN": service.token},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("customers succeeded 0\n", "")

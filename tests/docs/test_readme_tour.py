"""The tour in the README, carried out: its shell blocks, as they stand there, against a real service; each answer that
the README shows must be the answer that comes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.live_service import PATIENCE, Service, running_service
from tests.docs.pages import Block, blocks, page, section

# Does what the tour asks of curl, where curl may not be installed, and takes no other option.
CURL = """#!{python}
import argparse, sys, urllib.error, urllib.request
parser = argparse.ArgumentParser()
parser.add_argument("-s", action="store_true")
parser.add_argument("-S", action="store_true")
parser.add_argument("-H", action="append", default=[])
parser.add_argument("-d")
parser.add_argument("-X")
parser.add_argument("url")
given = parser.parse_args()
data = None if given.d is None else given.d.encode()
headers = dict(header.split(": ", 1) for header in given.H)
request = urllib.request.Request(given.url, data=data, headers=headers, method=given.X)
try:
    answer = urllib.request.urlopen(request, timeout=20)
except urllib.error.HTTPError as error:
    answer = error
with answer:
    sys.stdout.write(answer.read().decode())
"""

_VARIES = {
    "a moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
    "a key": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}
"""Texts that are others each time, but of the same form."""


def test_the_tour(tmp_path: Path) -> None:
    tour = blocks(section(page("README.md"), "A five-minute tour"))
    start, definitions, *steps = tour
    assert "accord start" in start.text
    assert "api()" in definitions.text
    shim = tmp_path / "bin" / "curl"
    shim.parent.mkdir()
    shim.write_text(CURL.format(python=sys.executable))
    shim.chmod(0o755)
    folder = tmp_path / "tour"
    folder.mkdir()
    answers = 0
    with running_service(folder) as service:
        words = _adapted(start, definitions.text, service)
        for number, step in enumerate(steps):
            if step.language != "sh":
                continue
            said = _carried_out(words + step.text, folder, shim.parent)
            if number + 1 < len(steps) and steps[number + 1].language == "json":
                differences = list(_differences(_documented(steps[number + 1].text), json.loads(said), "answer"))
                assert not differences, f"{step.text}\n{differences}\n{said}"
                answers += 1
            _let_runs_end(service)
    assert answers == sum(step.language == "json" for step in steps) > 10


def _adapted(start: Block, definitions: str, service: Service) -> str:
    """The definitions with the address and the token of the service that is really running."""
    found = re.search(r"ACCORD_TOKEN=(\S+)", start.text)
    assert found is not None
    assert found[1] in definitions
    assert "http://127.0.0.1:8080" in definitions
    return definitions.replace(found[1], service.token).replace("http://127.0.0.1:8080", service.url) + "\n"


def _carried_out(script: str, folder: Path, programs: Path) -> str:
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=folder, env={"PATH": path}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), script
    return done.stdout


def _let_runs_end(service: Service) -> None:
    """What a reader does by reading on."""
    deadline = time.monotonic() + PATIENCE
    while any(service.get(f"/sync-runs?status={status}")["items"] for status in ("queued", "running")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _documented(text: str) -> Any:
    """An answer as the page shows it; a line of dots means that more follows."""
    return json.loads(re.sub(r"^\s*\.\.\.$", '"...": 0', text, flags=re.MULTILINE))


def _differences(told: Any, real: Any, where: str) -> Iterator[str]:
    if isinstance(told, dict) and isinstance(real, dict):
        names = told.keys() - {"..."}
        if names - real.keys() or ("..." not in told and real.keys() - names):
            yield f"{where}: {sorted(names)} are told, and there are {sorted(real)}"
        for name in names & real.keys():
            yield from _differences(told[name], real[name], f"{where}.{name}")
    elif isinstance(told, list) and isinstance(real, list):
        if len(told) != len(real):
            yield f"{where}: {len(told)} items are told, and there are {len(real)}"
        for index, (one, other) in enumerate(zip(told, real, strict=False)):
            yield from _differences(one, other, f"{where}[{index}]")
    elif told != real and not _same_form(told, real):
        yield f"{where}: {told!r} is told, and it is {real!r}"


def _same_form(told: Any, real: Any) -> bool:
    return any(
        isinstance(text, str) and isinstance(other, str) and bool(form.fullmatch(text) and form.fullmatch(other))
        for form in _VARIES.values()
        for text, other in [(told, real)]
    )

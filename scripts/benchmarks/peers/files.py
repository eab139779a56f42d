"""Unison: two folders with a file for each row. It compares all of them every time; both versions of a conflict are
kept (`copyonconflict`), the newer one under the name."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from scripts.benchmarks.meters import Cost, own_cpu
from scripts.benchmarks.peers.places import NotHere, unison
from scripts.benchmarks.tables import CHANGED, CONFLICTS, ERP, OVERLAP, differing, number_of, values

MOST = 100_000
"""Rows beyond which it is left out: so many files in one folder."""

_OPTIONS = ("-batch", "-silent", "-auto", "-fastcheck", "true", "-prefer", "newer", "-copyonconflict", "-ui", "text")


class Wrong(Exception):
    """The two folders do not hold what they should, so that the time does not count."""


def tell(folder: Path, size: int) -> dict[str, dict[str, float]]:
    """The costs of all items. Raises NotHere."""
    if size > MOST:
        raise NotHere(f"{size:,} files are left out")
    program, found, half = unison(), {}, CHANGED // 2
    with tempfile.TemporaryDirectory(prefix="unison-", dir=folder) as here:
        erp, crm = _made(Path(here, "erp"), range(size)), _made(Path(here, "crm"), ())
        found["W1"] = _measured(program, erp, crm)
        found["W5"] = _measured(program, erp, crm)
        _edit(erp, range(half), " A/S")
        _edit(crm, range(half, CHANGED), " A/S")
        found["W3"] = _measured(program, erp, crm)
        _edit(erp, range(CHANGED, CHANGED + half), " here")
        _edit(crm, range(CHANGED + half - CONFLICTS, 2 * CHANGED - CONFLICTS), " there")
        found["W4"] = _measured(program, erp, crm)
        if len(_names(erp) | _names(crm)) != size + CONFLICTS:
            raise Wrong("not every conflict was kept")
    with tempfile.TemporaryDirectory(prefix="unison-", dir=folder) as here:
        tenth = size // OVERLAP
        erp, crm = _made(Path(here, "erp"), range(size - tenth)), _made(Path(here, "crm"), range(tenth, size), True)
        found["W2"] = _measured(program, erp, crm)
    return {item: cost.document() for item, cost in found.items()}


def _made(folder: Path, numbers: Iterable[int], other: bool = False) -> Path:
    folder.mkdir()
    for n in numbers:
        row = (differing if other else values)(n)
        (folder / f"{number_of(n)}.json").write_text(json.dumps(dict(zip(ERP.columns, row, strict=True))))
    return folder


def _edit(folder: Path, numbers: Iterable[int], suffix: str) -> None:
    for n in numbers:
        file = folder / f"{number_of(n)}.json"
        document = json.loads(file.read_text())
        file.write_text(json.dumps({**document, "contact": document["contact"] + suffix}))


def _measured(program: Path, one: Path, other: Path) -> Cost:
    """One run, its start included; its memory is not measured."""
    environ = {**os.environ, "UNISON": str(one.parent / "archives"), "HOME": str(one.parent)}
    cpu, wall = own_cpu(), time.perf_counter()
    done = subprocess.run([program, one, other, *_OPTIONS], env=environ, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise Wrong(done.stderr[-500:])
    wall = time.perf_counter() - wall
    if _contents(one) != _contents(other):
        raise Wrong("the two folders differ")
    return Cost(own_cpu() - cpu, 0.0, wall, 0.0)


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def _contents(folder: Path) -> dict[str, str]:
    """What is in a folder, without the copies of conflicts: they are on one side until the next run."""
    return {file.name: file.read_text() for file in folder.iterdir() if "conflict" not in file.name}


PEERS = {"Unison": tell}
"""By name, what tells the costs."""

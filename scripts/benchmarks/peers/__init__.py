"""Others at the same work, each in an environment of its own that is made when it is first asked for.

dlt carries one way and keeps nothing of the records; its W1 is a first load, its W3 a thousand changes of one side.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from scripts.benchmarks.databases import Databases, Place
from scripts.benchmarks.rounds import Key
from scripts.benchmarks.tables import CHANGED, ERP, Edit
from tests.environments import programs

DLT = ("dlt[sql_database,postgres]==1.31.0", "psycopg2-binary==2.9.13", "sqlalchemy>=2,<2.1")

BACKENDS = {"dlt": "sqlalchemy"}
"""By the name of a peer, how it reads."""


def measure(found: Databases, size: int, runs: int) -> Iterator[tuple[Key, list[dict[str, float]]]]:
    """What each peer's items cost, run by run; they are asked for PostgreSQL alone."""
    for _ in range(runs if found.kind == "postgresql" else 0):
        for name, backend in BACKENDS.items():
            with found.place(size, False) as place:
                for item, costs in _dlt(place, backend).items():
                    yield (found.kind, size, item, name), [costs]


def _dlt(place: Place, backend: str) -> dict[str, dict[str, float]]:
    given = {
        "erp": place.erp.replace("postgresql://", "postgresql+psycopg2://"),
        "crm": place.crm,
        "folder": place.folder,
        "backend": backend,
        "server": place.server,
        "edit": Edit(ERP, 0, CHANGED, " A/S").statement(),
    }
    program = Path(__file__).with_name("dlt_program.py")
    command = [str(programs("dlt", *DLT) / "python"), str(program), json.dumps(given)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    costs: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return costs

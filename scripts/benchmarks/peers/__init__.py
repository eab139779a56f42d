"""Others at the same work, each in an environment of its own that is made when it is first asked for.

dlt carries one way from PostgreSQL and keeps nothing of the records; PouchDB replicates documents of its own, and
Unison files: their figures are of the same rows, but not of the same databases.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from scripts.benchmarks.databases import Databases, Place
from scripts.benchmarks.peers import files, pouchdb
from scripts.benchmarks.peers.places import NotHere
from scripts.benchmarks.rounds import Key
from scripts.benchmarks.tables import CHANGED, ERP, Edit
from tests.environments import programs

DLT = ("dlt[sql_database,postgres]==1.31.0", "psycopg2-binary==2.9.13", "sqlalchemy>=2,<2.1")

BACKENDS = {"dlt": "sqlalchemy", "dlt pyarrow": "pyarrow"}
"""By the name of a peer, how it reads."""

OWN = "own"
"""What stands in the place of the databases for peers that have stores of their own."""

STORES: Mapping[str, Callable[[Path, int], dict[str, dict[str, float]]]] = {**pouchdb.PEERS, **files.PEERS}

Measured = Iterator[tuple[Key, list[dict[str, float]]]]


def measure(found: Databases, size: int, runs: int) -> Measured:
    """What the items of each peer that asks databases cost, run by run; all of these want PostgreSQL."""
    for _ in range(runs if found.kind == "postgresql" else 0):
        for name, backend in BACKENDS.items():
            with found.place(size, False) as place:
                for item, costs in _dlt(place, backend).items():
                    yield (found.kind, size, item, name), [costs]


def measure_stores(folder: Path, sizes: Sequence[int], runs: int) -> Measured:
    """The same of peers with stores of their own, below a folder. One that cannot be had is named in a line."""
    for size in sizes:
        for name, tell in STORES.items():
            try:
                for _ in range(runs):
                    for item, costs in tell(folder, size).items():
                        yield (OWN, size, item, name), [costs]
            except NotHere as error:
                print(f"{name} is not here: {error}")


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

"""PouchDB: databases of documents that replicate with each other, in memory and in LevelDB."""

from __future__ import annotations

import json
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from scripts.benchmarks.peers.places import NotHere, node_modules
from scripts.benchmarks.tables import ERP, values

MOST = 100_000
"""Rows beyond which it is left out: it keeps everything in memory, two gigabytes for these."""


def tell(adapter: str, folder: Path, size: int) -> dict[str, dict[str, float]]:
    """The costs of all items. Raises NotHere."""
    if size > MOST:
        raise NotHere(f"{size:,} rows are more than its memory is good for")
    with tempfile.TemporaryDirectory(prefix="pouchdb-", dir=folder) as here:
        rows = Path(here, "rows.jsonl")
        with rows.open("w", encoding="utf-8") as file:
            for n in range(size):
                file.write(json.dumps(dict(zip(ERP.columns, values(n), strict=True))) + "\n")
        given = {"modules": str(node_modules()), "rows": str(rows), "folder": here, "adapter": adapter}
        program = Path(__file__).with_name("pouchdb_program.cjs")
        command = ["node", "--max-old-space-size=8192", str(program), json.dumps(given)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        costs: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return costs


PEERS = {"PouchDB": partial(tell, "leveldb"), "PouchDB memory": partial(tell, "memory")}
"""By name, what tells the costs."""

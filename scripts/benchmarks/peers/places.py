"""Where the programs of peers come from: fetched once into a folder of their own, pinned; a peer that cannot be had is
left out with a line that says so."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.environments import CACHE

POUCHDB = ("pouchdb@9.0.0", "pouchdb-adapter-memory@9.0.0")
UNISON = "unison-2.52"


class NotHere(Exception):
    """A peer that this machine cannot have; the message says why."""


def node_modules() -> Path:
    """A folder in which node finds PouchDB. Raises NotHere."""
    if not (npm := shutil.which("npm")) or not shutil.which("node"):
        raise NotHere("node and npm are not installed")
    place = CACHE / "pouchdb-9.0.0"
    if not (place / "done").exists():
        place.mkdir(parents=True, exist_ok=True)
        _done([npm, "install", "--no-fund", "--no-audit", "--silent", "--prefix", str(place), *POUCHDB], place)
        (place / "done").touch()
    return place


def unison() -> Path:
    """Unison: the machine's own, else the program out of Debian's package, which is not installed. Raises NotHere."""
    if own := shutil.which("unison"):
        return Path(own)
    place = CACHE / UNISON
    program = place / "usr" / "bin" / UNISON
    if not program.exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            raise NotHere("it is not installed, and Debian's package cannot be fetched")
        place.mkdir(parents=True, exist_ok=True)
        _done(["apt-get", "download", UNISON], place)
        package = max(place.glob(f"{UNISON}_*.deb"))
        _done(["dpkg", "-x", package.name, "."], place)
    return program


def _done(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHere(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")

"""Third parties' programs for the tests, each in an environment of its own: installed once, pinned, then kept.

They are kept in `~/.cache/accord-tests`, or where ACCORD_TEST_CACHE says; later runs need no network.
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("ACCORD_TEST_CACHE") or Path.home() / ".cache" / "accord-tests")


def programs(name: str, *requirements: str) -> Path:
    """The folder with the programs of an environment that has exactly these requirements; made when it is missing."""
    place = CACHE / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Several runs of the tests may start at once.
        stamp = place / "requirements"
        if not stamp.exists() or stamp.read_text() != "\n".join(requirements):
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
            pip = f"{place}/bin/python -m pip --disable-pip-version-check --quiet install".split()
            done = subprocess.run([*pip, *requirements], capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{name} cannot be installed: {done.stderr[-2000:]}")
            stamp.write_text("\n".join(requirements))
    return place / "bin"

"""Where this process connects to, heard from the interpreter itself."""

from __future__ import annotations

import sys
from typing import Any

CONNECTED: list[Any] = []
"""Every address that a socket of this process was connected to, since the fixture `connected` cleared it."""


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        CONNECTED.append(arguments[1])


sys.addaudithook(_hear)

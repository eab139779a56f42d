"""The command `accord` as if on a machine of another name: `python -m tests.service.elsewhere NAME work`.

What knows that a process of its own machine is dead need not wait; on several machines nobody knows that.
"""

from __future__ import annotations

import socket
import sys

from service.cli import main

NAME = sys.argv[1]
socket.gethostname = lambda: NAME
sys.argv = ["accord", *sys.argv[2:]]
main(prog_name="accord")

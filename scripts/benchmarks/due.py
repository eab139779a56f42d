"""A2: two hundred mappings due at once, and nothing changed; in a process of its own, with one worker.

Prints one JSON document: what it cost until the last run had ended.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import structlog
from cryptography.fernet import Fernet

from scripts.benchmarks.databases import Place
from scripts.benchmarks.filled import MAPPINGS, connect_and_map
from scripts.benchmarks.meters import measure
from service.operations.context import Context, SecretBox
from service.store import sql
from service.store.database import database, migrate, open_database
from service.worker import run_until_idle, start_due


class Wrong(Exception):
    """Not every mapping had its run."""


def main() -> None:
    place = Place(**json.loads(sys.argv[1]))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    context = Context(SecretBox(Fernet.generate_key().decode()))
    open_database(place.state)
    migrate()
    with database.connection_context():
        connect_and_map(context, Path(place.folder), MAPPINGS, tables_each=MAPPINGS)
        sql.execute("UPDATE mappings SET schedule = ?", '{"everyMinutes": 30}')
        _run_all(context)  # Reads everything once.
        _run_all(context)  # Prepares what asks for changes.
        costs = measure(lambda: _run_all(context), place.server)
    print(json.dumps(costs.document()))


def _run_all(context: Context) -> None:
    """Let all be due now, as their schedules would, and work until nothing is left."""
    sql.execute("UPDATE mappings SET next_due = ?", context.now() - 1)
    while start_due(context):
        pass
    if (done := run_until_idle(context)) != MAPPINGS:
        raise Wrong(f"{done} runs for {MAPPINGS} mappings")


if __name__ == "__main__":
    main()

"""What is known about the installation as a whole."""

from __future__ import annotations

import peewee as pw

from service.store.models.base import State


class Note(State):
    """One thing to remember about this state: which schema of the queue it has, which versions may work on it."""

    name = pw.TextField(primary_key=True)
    value = pw.TextField()

    class Meta:
        table_name = "notes"


class Process(State):
    """A process of the service, as it was last seen. `level`: the newest migration that it knows; `seen_at`: by the
    clock of the database; `clock_ahead`: how far its own was ahead of that, both in microseconds."""

    name = pw.TextField(primary_key=True)
    kind = pw.TextField()
    version = pw.TextField()
    level = pw.TextField()
    started_at = pw.BigIntegerField()
    seen_at = pw.BigIntegerField()
    clock_ahead = pw.BigIntegerField()

    class Meta:
        table_name = "processes"

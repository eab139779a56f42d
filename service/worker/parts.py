"""The parts that need procrastinate, which not everybody has installed."""

from __future__ import annotations

import importlib
from typing import Any

from service.core.errors import Explained


class QueueUnavailable(Explained):
    """The settings ask for a queue that cannot be used; the text says what to do."""


def part(name: str) -> Any:
    """The module `jobs`, `queue_schema` or `distributed`. Raises QueueUnavailable."""
    try:
        return importlib.import_module(f"service.worker.{name}")
    except ImportError as error:
        raise QueueUnavailable(
            "ACCORD_QUEUE_URL asks for procrastinate; install accord-sync[procrastinate], which has it."
        ) from error

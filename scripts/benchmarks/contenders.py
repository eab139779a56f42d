"""What is measured, behind the same few words: Accord, and the two loops."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from scripts.benchmarks.databases import Place

MODULES = {"accord": "engine", "plain": "loop", "tuned": "loop"}
"""Imported when it is wanted, so that the memory of the loops is their own."""

NAMES = tuple(MODULES)


class Contender(Protocol):
    """Somebody who keeps both applications the same."""

    def ask(self, what: str) -> None:
        """Ask for a piece of work: `copy` (out of the ERP only), `run` (both ways), `match`."""

    def work(self) -> None:
        """Do what was asked for. Only this is measured."""

    def set_aside(self) -> int:
        """How many conflicts are kept with both versions."""
        ...

    def outcome(self) -> tuple[int, int] | None:
        """How many records the last work wrote into the CRM, and how many failed; None: nobody counts that."""

    def close(self) -> None:
        """Give up what is held open."""


def contender(name: str, place: Place, matching: bool) -> Contender:
    """The contender of that name, ready for work."""
    made = import_module(f"scripts.benchmarks.{MODULES[name]}").contender(name, place, matching)
    return cast(Contender, made)

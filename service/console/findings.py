"""Findings and problems of a mapping, to be shown beside the line that each is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from service import wording
from service.console.pages import language
from service.core.errors import Problem
from service.operations.linter import Finding


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that is said. `pointer`: what it is about, as a JSON pointer into the mapping."""

    severity: str
    pointer: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that is said about a mapping. A page takes each at its place, and the rest at the end."""

    remarks: tuple[Remark, ...]

    @classmethod
    def of_linter(cls, found: Iterable[Finding]) -> Findings:
        """What the linter found."""
        return cls(tuple(Remark(one.severity, one.pointer, _sentence(one.code, one.params)) for one in found))

    @classmethod
    def of_problems(cls, found: Iterable[Problem]) -> Findings:
        """What keeps a mapping from being saved."""
        return cls(tuple(Remark("error", one.pointer, _sentence(one.code, one.params)) for one in found))

    def at(self, *places: str) -> list[Remark]:
        """Those about one of these places, or about something inside it."""
        return [one for one in self.remarks if any(_inside(one.pointer, place) for place in places)]

    def elsewhere(self, *places: str) -> list[Remark]:
        """Those about none of these places."""
        taken = self.at(*places)
        return [one for one in self.remarks if one not in taken]

    def count(self, severity: str) -> int:
        """How many are of this kind."""
        return sum(one.severity == severity for one in self.remarks)


def _inside(pointer: str, place: str) -> bool:
    return pointer == place or pointer.startswith(place + "/")


def _sentence(code: str, params: Mapping[str, Any]) -> str:
    words = wording.say(code, params, language())
    return f"{words.message} {words.advice}".strip()

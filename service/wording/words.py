"""What is said about a code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Counted(NamedTuple):
    """A sentence that depends on a number: the parameter `by` says which. Other languages may have more forms."""

    one: str
    many: str
    by: str


class Words(NamedTuple):
    """A short title, the sentence on this case, and what the reader can do about it."""

    title: str
    message: str | Counted
    advice: str = ""

    @property
    def texts(self) -> Iterator[str]:
        """Every English text of it, both forms of a counted sentence included."""
        yield self.title
        yield from self.message[:2] if isinstance(self.message, Counted) else (self.message,)
        yield self.advice


class Said(NamedTuple):
    """`Words` in one language, with the parameters filled in."""

    title: str
    message: str
    advice: str

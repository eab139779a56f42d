"""What is said about a code."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """A short title, the sentence on this case, and what the reader can do about it."""

    title: str
    message: str
    advice: str = ""

"""How many requests schemathesis made, by operation; those of `st run` are together."""

from __future__ import annotations

from collections import Counter

MADE: Counter[str] = Counter()

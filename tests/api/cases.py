"""How many requests schemathesis made, by operation."""

from __future__ import annotations

from collections import Counter

MADE: Counter[str] = Counter()

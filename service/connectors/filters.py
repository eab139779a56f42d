"""Filters for applications that have none: what the core knows of them, for connectors."""

from __future__ import annotations

from service.core.filters import passes, without_blanks

__all__ = ["passes", "without_blanks"]

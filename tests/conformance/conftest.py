"""The engine's own two applications, on each database that can hold our state."""

from tests.engine.conftest import state, world

__all__ = ["state", "world"]

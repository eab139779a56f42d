"""Accord keeps the records of two business applications the same, both ways, without losing an edit."""

__version__ = "0.1.0"

"""Saving a mapping, with what the linter has to say about it: warnings do not keep it from being saved.

The linter asks the applications, so it does before anything is written: no transaction waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.operations import linter, mappings
from service.operations.context import Context
from service.operations.linter import Finding
from service.operations.mapping_drafts import Document, draft_of
from service.operations.mappings import Prepared


@dataclass(frozen=True, slots=True)
class Saved:
    """A mapping as it is stored now. `findings`: None where nothing changed that the applications have a say in, and
    they were not asked."""

    document: Document
    findings: list[Finding] | None


def create(context: Context, given: Document, actor: str) -> Saved:
    """A new mapping. Raises as `mappings.create`."""
    return _saved(context, mappings.prepared_new(context, given), None, actor)


def replace(context: Context, id: int, given: Document, expected: int | None, actor: str) -> Saved:
    """Make a mapping what is given. Raises as `mappings.replace`."""
    return _saved(context, mappings.prepared_replacement(context, id, given), expected, actor)


def change(context: Context, id: int, changes: Mapping[str, Any], expected: int | None, actor: str) -> Saved:
    """Change some of a mapping. Raises as `mappings.change`."""
    return _saved(context, mappings.prepared_change(context, id, changes), expected, actor)


def _saved(context: Context, prepared: Prepared, expected: int | None, actor: str) -> Saved:
    own_id = None if prepared.row is None else int(prepared.row.id)
    asked = prepared.optional is not None
    findings = linter.warnings(context, draft_of(prepared.document), own_id) if asked else None
    return Saved(mappings.save(context, prepared, expected, actor), findings)

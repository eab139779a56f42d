"""What the linter says of the mappings of a plan, before it is carried out."""

from __future__ import annotations

from collections.abc import Mapping

from service.operations import linter
from service.operations.context import Context
from service.operations.linter import Finding
from service.operations.mapping_drafts import draft_of
from service.operations.planning import Plan


def plan_findings(context: Context, plan: Plan) -> Mapping[str, list[Finding]]:
    """The findings by the name of the mapping: of those that are new or work otherwise than before."""
    return {
        name: linter.warnings(context, draft_of(wanted.document), wanted.id, plan.around)
        for name, wanted in plan.mappings.items()
        if wanted.optional is not None
    }

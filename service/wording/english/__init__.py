"""The English catalogue: one entry for each code, by what it is about. Parameters stand in braces."""

from __future__ import annotations

from collections.abc import Mapping

from service.wording.english.connections import CHECKS, CONNECTION_PROBLEMS
from service.wording.english.failures import FAILURES
from service.wording.english.findings import FINDINGS
from service.wording.english.installation import INSTALLATION
from service.wording.english.mappings import MAPPING_PROBLEMS
from service.wording.english.refusals import REFUSALS, RUN_PROBLEMS, VALUES
from service.wording.english.transformations import TRANSFORM_PROBLEMS
from service.wording.words import Words

ENGLISH: Mapping[str, Words] = {
    **FAILURES,
    **REFUSALS,
    **VALUES,
    **RUN_PROBLEMS,
    **CONNECTION_PROBLEMS,
    **CHECKS,
    **MAPPING_PROBLEMS,
    **TRANSFORM_PROBLEMS,
    **FINDINGS,
    **INSTALLATION,
}

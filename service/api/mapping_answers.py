"""What a mapping looks like in answers, with its standing, the review and the linter's findings."""

from __future__ import annotations

from service.api.fields import Answer, Choice, Flag, Id, Int, Json, Listed, Moment, Part, Said
from service.api.mapping_lines import LineAnswer
from service.api.mapping_sides import SideAnswer
from service.api.mapping_templates import TemplateAnswer
from service.api.runs import RunAnswer
from service.core.mapping import ConflictDetection, DeletionResolution, UpdateResolution
from service.core.records import Direction
from service.operations.linter import SEVERITIES
from service.operations.review import Recommendation


class WatermarksAnswer(Answer):
    """How far each side has been read."""

    local = Moment(allow_none=True)
    integration = Moment(allow_none=True)


class BySideAnswer(Answer):
    """A number for each side."""

    local = Int(min=0)
    integration = Int(min=0)


class InSyncAnswer(Answer):
    """What the last run of kind `reconcile` found: of `coupled` pairs, `inSync` were as they should be at `asOf`."""

    as_of = Moment(metadata={"description": "When that run began to read."})
    run_id = Id()
    coupled = Int(min=0)
    in_sync = Int(min=0)
    slipped = Part(BySideAnswer, metadata={"description": "Records that no run of changes would have come to."})
    drifted = Int(min=0, metadata={"description": "Pairs with a field that was changed where nothing flows back."})
    out_of_filter = Int(min=0, metadata={"description": "Pairs with a record outside the mapping's filter."})
    uncoupled = Part(BySideAnswer, metadata={"description": "Records inside the filter that are in no coupling."})


class StandingAnswer(Answer):
    """What has become of a mapping so far."""

    last_run = Part(RunAnswer, allow_none=True)
    next_run_at = Moment(allow_none=True)
    open_errors = Int(min=0)
    open_skipped = Int(min=0)
    oldest_skipped_at = Moment(allow_none=True, metadata={"description": "Since when somebody has been waited for."})
    waiting = Int(min=0, metadata={"description": "Records that refer to others that are not coupled yet."})
    oldest_waiting_at = Moment(allow_none=True, metadata={"description": "Since when the oldest of them has waited."})
    coupled = Int(min=0)
    in_sync = Part(InSyncAnswer, allow_none=True)
    restored_at = Moment(
        allow_none=True,
        metadata={"description": "The service's state was restored then; the next run looks at everything, with care."},
    )


class FindingAnswer(Answer):
    """One thing to be said about a mapping."""

    severity = Choice(SEVERITIES)
    code = Said()
    pointer = Said(metadata={"description": "Where in the mapping, as a JSON pointer."})
    message = Said()
    advice = Said()
    params = Json(allow_none=False, metadata={"type": "object"})


_FINDINGS = (
    "Said when a mapping is saved: what is likely to go wrong; null where nothing changed that the applications have a"
    " say in."
)


class MappingAnswer(Answer):
    """A mapping, and its standing."""

    id = Id()
    name = Said()
    direction = Choice(Direction)
    local = Part(SideAnswer)
    integration = Part(SideAnswer)
    field_mappings = Listed(Part(LineAnswer))
    synch_only_coupled_records = Flag()
    conflict_detection = Choice(ConflictDetection)
    update_conflict_resolution = Choice(UpdateResolution)
    deletion_conflict_resolution = Choice(DeletionResolution)
    max_delete_percent = Int(allow_none=True)
    max_delete_count = Int(allow_none=True)
    depends_on = Listed(Id())
    templates = Listed(Part(TemplateAnswer))
    schedule = Json(metadata={"type": "object"})
    enabled = Flag()
    watermarks = Part(WatermarksAnswer)
    status = Part(StandingAnswer)
    findings = Listed(Part(FindingAnswer), allow_none=True, metadata={"optional": True, "description": _FINDINGS})
    created_at = Moment()
    updated_at = Moment()


class SideFigures(Answer):
    """A figure of each side; null where the application does not count."""

    local = Int(allow_none=True)
    integration = Int(allow_none=True)


class AdviceAnswer(Answer):
    """What to do first with a mapping, and why."""

    mapping_id = Id()
    name = Said()
    recommendation = Choice(Recommendation)
    reason = Said(metadata={"description": "A stable code."})
    message = Said()
    advice = Said()
    coupled = Int(min=0)
    records = Part(SideFigures, metadata={"description": "How many records are inside the filter."})
    uncoupled = Part(SideFigures, metadata={"description": "How many of them are in no coupling, by these figures."})
    match_keys = Flag()
    last_full_run_at = Moment(allow_none=True)
    needs = Listed(Id(), metadata={"description": "Mappings that come before this one."})


class ReviewAnswer(Answer):
    """The mappings in the order in which they run."""

    items = Listed(Part(AdviceAnswer))


class FindingsAnswer(Answer):
    """Everything there is to say about a mapping, errors first."""

    findings = Listed(Part(FindingAnswer))

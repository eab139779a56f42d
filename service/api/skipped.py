"""`/skipped` and `/exclusions`: records that were set aside for a person, and what the person says."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView
from marshmallow import fields, validates_schema

from service import wording
from service.api.access import actor, context
from service.api.conditions import expected_version, tagged
from service.api.errors import language
from service.api.fields import (
    Answer,
    Body,
    Choice,
    Id,
    Int,
    Items,
    Json,
    Listed,
    Moment,
    Part,
    QueryId,
    Said,
    Scalar,
    refuse,
)
from service.api.operation import Blueprint, operation
from service.api.paging import PageQuery, page, page_of
from service.core.conflicts import FieldState, Resolution
from service.core.errors import AccordError
from service.core.records import Side
from service.operations import skipped
from service.operations.tokens import Scope

blp = Blueprint("skipped", __name__, description="Records that are set aside for a person.")

REASONS = ("conflict", "deleted", "repeatedFailure", "ambiguous")
STATUSES = ("open", "resolving", "resolved")
_CHOICE = {
    "oneOf": [
        {"type": "string", "enum": ["local", "integration"]},
        {
            "type": "object",
            "properties": {"value": {"type": ["string", "number", "boolean", "null"], "pattern": r"^[^\x00]*$"}},
            "required": ["value"],
            "additionalProperties": False,
        },
    ]
}


class SkippedQuery(PageQuery):
    """Which skipped records."""

    mapping_id = QueryId()
    reason = Choice(REASONS)
    status = Choice(STATUSES)


class Choices(fields.Field[Any]):
    """For each local field which side's value to keep, or another value."""

    def __init__(self, **options: Any) -> None:
        described = {"type": "object", "maxProperties": 1000, "additionalProperties": _CHOICE}
        super().__init__(metadata=described, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            refuse("not_an_object")
        if len(value) > 1000 or not all(_is_choice(choice) for choice in value.values()):
            refuse("choice_form")
        return value


def _is_choice(choice: Any) -> bool:
    if isinstance(choice, dict) and choice.keys() == {"value"}:
        Scalar().deserialize(choice["value"])
        return True
    return choice in ("local", "integration")


class Decision(Body):
    """What is to be done about a skipped record."""

    resolution = Choice(Resolution, required=True)
    fields_ = Choices(data_key="fields", attribute="choices", allow_none=True, load_default=None)


class WhichSkipped(Body):
    """Open skipped records of a mapping, or with a reason."""

    mapping_id = Id()
    reason = Choice(REASONS)

    @validates_schema
    def says_which(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            refuse("filter_empty")


class Decisions(Decision):
    """The same for many skipped records: those named, or up to 500 that are open."""

    ids = Items(Id(), min=1, max=500)
    filter = Part(WhichSkipped)

    @validates_schema
    def says_which(self, data: dict[str, Any], **_: Any) -> None:
        if ("ids" in data) == ("filter" in data):
            refuse("one_of_ids_and_filter")


class SkippedAnswer(Answer):
    """A record that is set aside."""

    id = Id()
    mapping_id = Id()
    coupling_id = Int(allow_none=True)
    reason = Choice(REASONS)
    status = Choice(STATUSES)
    local_key = Said(allow_none=True)
    integration_key = Said(allow_none=True)
    error_id = Int(allow_none=True)
    resolution = Choice(Resolution, allow_none=True)
    resolved_by = Said(allow_none=True)
    resolved_at = Moment(allow_none=True)
    run_id = Int(allow_none=True)
    created_at = Moment()


class FieldComparisonAnswer(Answer):
    """One field of both sides."""

    local_field = Said(allow_none=True)
    integration_field = Said(allow_none=True)
    local = Scalar()
    integration = Scalar()
    base = Scalar(metadata={"description": "What it was when both were last in step."})
    state = Choice(FieldState)


class SkippedDetailAnswer(SkippedAnswer):
    """A record that is set aside, side by side as both records are now (null: deleted)."""

    local = Json(metadata={"type": "object"})
    integration = Json(metadata={"type": "object"})
    base = Json(allow_none=False, metadata={"type": "object"})
    fields_ = Listed(Part(FieldComparisonAnswer), data_key="fields", attribute="fields")
    resolutions = Listed(Choice(Resolution), metadata={"description": "Those that fit the record as it is now."})


class RefusalAnswer(Answer):
    """Why one of many was refused."""

    code = Said()
    detail = Said()


class ResolvedItemAnswer(Answer):
    """What became of one of many."""

    id = Id()
    skipped = Part(SkippedAnswer, allow_none=True)
    run_id = Int(allow_none=True)
    error = Part(RefusalAnswer, allow_none=True)


class ResolvedAnswer(Answer):
    """What became of each."""

    items = Listed(Part(ResolvedItemAnswer))


class ExclusionQuery(PageQuery):
    """Which exclusions."""

    mapping_id = QueryId()


class ExclusionAnswer(Answer):
    """A record that was uncoupled and is left alone."""

    id = Id()
    mapping_id = Id()
    side = Choice(Side)
    key = Said()
    excluded_by = Said(allow_none=True)
    created_at = Moment()


_FIRST = {"skippedId": "$response.body#/items/0/id"}
_ONE = {"skippedId": "$response.body#/id"}


@blp.route("/skipped")
class SkippedRecords(MethodView):
    @operation("listSkipped", Scope.READ, links={"getSkipped": _FIRST, "resolveSkipped": _FIRST})
    @blp.arguments(SkippedQuery, location="query")
    @blp.response(200, page_of(SkippedAnswer, "Skipped"))
    def get(self, query: dict[str, Any]) -> Any:
        """List skipped records, newest first."""
        return page(skipped.list_skipped(**query), query["limit"])


@blp.route("/skipped/<id:skipped_id>")
class Skipped(MethodView):
    @operation("getSkipped", Scope.READ, etag="content", refuses=(404, 424), links={"resolveSkipped": _ONE})
    @blp.response(200, SkippedDetailAnswer)
    def get(self, skipped_id: int) -> Any:
        """Show a skipped record: both sides as they are now, the base, and the state of each field."""
        view = skipped.show(context(), skipped_id)
        return tagged(_detail(view), view.record.version)


@blp.route("/skipped/<id:skipped_id>/resolve")
class SkippedResolution(MethodView):
    @operation(
        "resolveSkipped",
        Scope.OPERATE,
        if_match="optional",
        etag="content",
        location=True,
        refuses=(404, 424),
        links={"getRun": {"runId": "$response.body#/runId"}, "getSkipped": _ONE},
    )
    @blp.arguments(Decision, example={"resolution": "keepLocal"})
    @blp.response(202, SkippedAnswer)
    def post(self, body: dict[str, Any], skipped_id: int) -> Any:
        """Say what is to be done about a skipped record; a run does it.

        It holds for both records as they were last shown: if one has changed since, nothing is written.
        """
        expected = expected_version("skipped", skipped_id, lambda: skipped.get(skipped_id).version)
        record, run = skipped.resolve(
            context(), skipped_id, body["resolution"], body["choices"], actor(), expected_version=expected
        )
        shown, headers = tagged(record, record.version)
        return shown, {**headers, **({} if run is None else {"Location": f"/sync-runs/{run.id}"})}


@blp.route("/skipped/resolve")
class SkippedResolutions(MethodView):
    @operation("resolveManySkipped", Scope.OPERATE)
    @blp.arguments(Decisions, example={"resolution": "keepLocal", "filter": {"mappingId": 1, "reason": "conflict"}})
    @blp.response(202, ResolvedAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Say the same about many skipped records; a refusal of one does not stop the others."""
        chosen = body.get("filter", {})
        results = skipped.resolve_many(
            context(),
            body.get("ids"),
            chosen.get("mapping_id"),
            chosen.get("reason"),
            body["resolution"],
            body["choices"],
            actor(),
        )
        return {
            "items": [
                {"id": id, "skipped": record, "run_id": run_id, "error": _refusal(error)}
                for id, record, run_id, error in results
            ]
        }


@blp.route("/exclusions")
class Exclusions(MethodView):
    @operation("listExclusions", Scope.READ, links={"deleteExclusion": {"exclusionId": "$response.body#/items/0/id"}})
    @blp.arguments(ExclusionQuery, location="query")
    @blp.response(200, page_of(ExclusionAnswer, "Exclusion"))
    def get(self, query: dict[str, Any]) -> Any:
        """List records that were uncoupled and are left alone, newest first."""
        return page(skipped.list_exclusions(**query), query["limit"])


@blp.route("/exclusions/<id:exclusion_id>")
class Exclusion(MethodView):
    @operation("deleteExclusion", Scope.OPERATE, refuses=(404,))
    @blp.response(204)
    def delete(self, exclusion_id: int) -> Any:
        """Let runs see a record again."""
        skipped.delete_exclusion(context(), exclusion_id, actor())


def _detail(view: skipped.SkippedView) -> dict[str, Any]:
    return {
        **view.record.__data__,
        "local": view.local,
        "integration": view.integration,
        "base": {line.local_field or line.integration_field: line.base for line in view.fields},
        "fields": view.fields,
        "resolutions": view.resolutions,
    }


def _refusal(error: AccordError | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {"code": error.code, "detail": wording.say(error.code, error.params, language()).message}

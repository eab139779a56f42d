"""`/mappings/suggest`: which fields of two tables seem to correspond."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView
from marshmallow import fields

from service import wording
from service.api.access import context
from service.api.errors import language
from service.api.fields import Answer, Body, Flag, Id, Listed, Part, Said, Text
from service.api.mapping_lines import LineAnswer
from service.api.operation import Blueprint, operation
from service.core.records import Direction, Field, Side
from service.core.suggestions import Suggestion
from service.core.transforms.values import as_text
from service.operations.mapping_suggestions import Place, suggest
from service.operations.tokens import Scope

blp = Blueprint("mapping suggestions", __name__, description="Proposed field mappings.")

EXAMPLE = {
    "local": {"connectionId": 1, "table": "customer"},
    "integration": {"connectionId": 2, "table": "account"},
}


class TablePlace(Body):
    """A table of a connection."""

    connection_id = Id(required=True)
    table = Text(min=1, max=500, required=True)


class TwoTables(Body):
    """The tables whose fields are to be compared."""

    local = Part(TablePlace, required=True)
    integration = Part(TablePlace, required=True)


class SuggestionReasonAnswer(Answer):
    """Why two fields seem to be the same."""

    code = Said()
    message = Said()


class SuggestedLine(LineAnswer):
    """A field mapping as `POST /mappings` takes it, and how sure the proposal is."""

    score = fields.Float(metadata={"minimum": 0, "maximum": 1})
    reason = Part(SuggestionReasonAnswer)


class LeftField(Answer):
    """A field that seems to have no partner. One that is required needs a value in each new record."""

    field = Said()
    required = Flag()


class LeftFields(Answer):
    """The fields without a partner, by side."""

    local = Listed(Part(LeftField))
    integration = Listed(Part(LeftField))


class SuggestionAnswer(Answer):
    """Proposed field mappings, best first."""

    field_mappings = Listed(Part(SuggestedLine))
    unmatched = Part(LeftFields)


@blp.route("/mappings/suggest")
class MappingSuggestions(MethodView):
    @operation("suggestMapping", Scope.ADMIN, refuses=(424,))
    @blp.arguments(TwoTables, example=EXAMPLE)
    @blp.response(200, SuggestionAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Propose field mappings for two tables.

        Names, what names mean, types and values of some records are compared. Nothing is stored. Each proposal is one
        that a mapping may have; take out `score` and `reason` before it is sent to `POST /mappings`.
        """
        found = suggest(context(), {side: Place(**body[side]) for side in Side})
        return {
            "field_mappings": [_line(one) for one in found.suggestions],
            "unmatched": {"local": _left(found.unmatched_local), "integration": _left(found.unmatched_integration)},
        }


def _line(one: Suggestion) -> dict[str, Any]:
    return {
        "local_field": one.local_field,
        "integration_field": one.integration_field,
        "direction": one.direction,
        "transforms": _transforms(one),
        "reference": None,
        "clear_on_failed_lookup": False,
        "normalize": [],
        "not_null": False,
        "match_key": one.match_key,
        "enabled": True,
        "score": one.score,
        "reason": {"code": one.reason, "message": wording.say(one.reason, one.params, language()).message},
    }


def _transforms(one: Suggestion) -> dict[str, Any]:
    """What is done between the two; a map between options that have the same labels and other values is undone by
    itself on the way back."""
    if one.value_map is None:
        return {way: list(steps) for way, steps in one.transforms.items()}
    if one.direction is Direction.FROM_INTEGRATION:
        turned = {as_text(value): key for key, value in one.value_map.items()}
        return {Direction.FROM_INTEGRATION.value: [{"valueMap": {"map": turned}}]}
    return {Direction.TO_INTEGRATION.value: [{"valueMap": {"map": dict(one.value_map)}}]}


def _left(found: tuple[Field, ...]) -> list[dict[str, Any]]:
    return [{"field": one.name, "required": one.required and not one.read_only} for one in found]

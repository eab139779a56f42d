"""`/couplings`: which records are known to be the same thing."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from service import wording
from service.api.access import actor, context
from service.api.conditions import expected_version, tagged
from service.api.errors import language
from service.api.fields import (
    Answer,
    Body,
    Choice,
    Flag,
    Id,
    Int,
    Json,
    Key,
    Listed,
    Moment,
    Part,
    QueryFlag,
    QueryId,
    Said,
    Text,
)
from service.api.operation import Blueprint, operation
from service.api.paging import PageQuery, page, page_of
from service.core.outcomes import Outcome
from service.core.records import Direction, Side
from service.operations import coupling_story, couplings
from service.operations.runs import KINDS, TRIGGERS
from service.operations.tokens import Scope

blp = Blueprint("couplings", __name__, description="Pairs of records that are known to be the same thing.")


class CouplingQuery(PageQuery):
    """Which couplings."""

    mapping_id = QueryId()
    local_key = Text(min=1, max=1000)
    integration_key = Text(min=1, max=1000)
    skipped = QueryFlag()


class NewCoupling(Body):
    """Two records that are the same thing."""

    mapping_id = Id(required=True)
    local_key = Key(required=True)
    integration_key = Key(required=True)


class CouplingAnswer(Answer):
    """Two records that are the same thing, and when they last were in step."""

    id = Id()
    mapping_id = Id()
    local_key = Said()
    integration_key = Said()
    last_synch_local_modified_on = Moment(allow_none=True)
    last_synch_integration_modified_on = Moment(allow_none=True)
    last_result = Choice(("success", "failure"), allow_none=True)
    last_run_id = Int(allow_none=True)
    skipped = Flag()


class EpisodeAnswer(Answer):
    """What one run did to a pair, or in a dry run would have done. `side` is the side whose record was looked at."""

    id = Id()
    run_id = Id()
    kind = Choice(KINDS)
    trigger = Choice(TRIGGERS)
    dry_run = Flag()
    at = Moment()
    direction = Choice(Direction)
    side = Choice(Side)
    outcome = Choice(Outcome)
    fields_ = Json(attribute="fields", data_key="fields", metadata={"description": "The fields that changed."})
    rule = Said(allow_none=True, metadata={"description": "The policy or the resolution that decided."})
    by = Said(allow_none=True, metadata={"description": "Who asked for the run."})
    error_id = Int(allow_none=True)
    error_code = Said(allow_none=True)


class ReasonAnswer(Answer):
    """One thing that explains a pair's state."""

    code = Said()
    message = Said()
    advice = Said()
    params = Json(allow_none=False, metadata={"type": "object"})


class ExplanationAnswer(Answer):
    """Why a pair is not synchronized now, or what the next run would do with it."""

    coupling_id = Id()
    reasons = Listed(Part(ReasonAnswer))
    would = Json(
        allow_none=False,
        metadata={"type": "object", "description": "Per direction, the outcome that the pair would have now."},
    )


_FIRST = {"couplingId": "$response.body#/items/0/id"}
_ONE = {"couplingId": "$response.body#/id"}
_LINKS = {"getCoupling": _ONE, "getHistory": _ONE, "explainCoupling": _ONE, "deleteCoupling": _ONE}


@blp.route("/couplings")
class Couplings(MethodView):
    @operation("listCouplings", Scope.READ, links={"getCoupling": _FIRST, "deleteCoupling": _FIRST})
    @blp.arguments(CouplingQuery, location="query")
    @blp.response(200, page_of(CouplingAnswer, "Coupling"))
    def get(self, query: dict[str, Any]) -> Any:
        """List couplings, newest first."""
        return page(couplings.list_couplings(**query), query["limit"])

    @operation("createCoupling", Scope.OPERATE, etag="content", location=True, refuses=(404, 424), links=_LINKS)
    @blp.arguments(NewCoupling, example={"mappingId": 1, "localKey": "c9", "integrationKey": "a9"})
    @blp.response(201, CouplingAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Couple two records by hand; if they differ, the next run settles the difference."""
        coupling = couplings.create(context(), **body, actor=actor())
        shown, headers = tagged(coupling, coupling.version)
        return shown, {**headers, "Location": f"/couplings/{coupling.id}"}


@blp.route("/couplings/<id:coupling_id>")
class Coupling(MethodView):
    @operation("getCoupling", Scope.READ, etag="content", refuses=(404,), links=_LINKS)
    @blp.response(200, CouplingAnswer)
    def get(self, coupling_id: int) -> Any:
        """Show a coupling."""
        coupling = couplings.get(coupling_id)
        return tagged(coupling, coupling.version)

    @operation("deleteCoupling", Scope.OPERATE, if_match="optional", refuses=(404, 409))
    @blp.response(204)
    def delete(self, coupling_id: int) -> Any:
        """End a coupling; both records stay, and runs leave them alone until somebody couples them again."""
        expected_version("coupling", coupling_id, lambda: couplings.get(coupling_id).version)
        couplings.delete(context(), coupling_id, actor())


@blp.route("/couplings/<id:coupling_id>/history")
class History(MethodView):
    @operation("getHistory", Scope.READ, refuses=(404,))
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, page_of(EpisodeAnswer, "Episode"))
    def get(self, query: dict[str, Any], coupling_id: int) -> Any:
        """Tell what every run did to a pair, field by field, by which rule or person; newest first."""
        return page(coupling_story.history(coupling_id, **query), query["limit"])


@blp.route("/couplings/<id:coupling_id>/explain")
class Explain(MethodView):
    @operation("explainCoupling", Scope.READ, refuses=(404,))
    @blp.response(200, ExplanationAnswer)
    def get(self, coupling_id: int) -> Any:
        """Look at both records now and say why the pair is not synchronized, or what the next run would do."""
        found = coupling_story.explain(context(), coupling_id)
        return {
            "coupling_id": found.coupling_id,
            "reasons": [_said(one) for one in found.reasons],
            "would": found.would,
        }


def _said(reason: coupling_story.Reason) -> dict[str, Any]:
    words = wording.say(reason.code, reason.params, language())
    return {"code": reason.code, "message": words.message, "advice": words.advice, "params": dict(reason.params)}

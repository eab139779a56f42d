"""`/mappings`: which tables are kept the same, and by which rules."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask.views import MethodView

from service import wording
from service.api.access import actor, context
from service.api.conditions import expected_version, tagged
from service.api.errors import language
from service.api.mapping_answers import FindingsAnswer, MappingAnswer, ReviewAnswer
from service.api.mapping_kept import with_lines
from service.api.mapping_shapes import EXAMPLE, MappingChanges, NewMapping, SidesToReset, stored
from service.api.operation import Blueprint, operation
from service.api.paging import PageQuery, page, page_of
from service.api.runs import shown as shown_run
from service.core.records import Side
from service.operations import linter, mappings, review, saving
from service.operations.tokens import Scope

blp = Blueprint("mappings", __name__, description="Two tables that are kept the same, and the rules for it.")

_FIRST = {"mappingId": "$response.body#/items/0/id"}
_ONE = {"mappingId": "$response.body#/id"}
_VERSIONED = {**_ONE, "header.If-Match": "$response.header.ETag"}
_LINKS = {
    "getMapping": _ONE,
    "updateMapping": _VERSIONED,
    "deleteMapping": _ONE,
    "resetMapping": _ONE,
    "listCouplings": {"query.mappingId": "$response.body#/id"},
}


@blp.route("/mappings")
class Mappings(MethodView):
    @operation("listMappings", Scope.READ, links={"getMapping": _FIRST, "deleteMapping": _FIRST})
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, page_of(MappingAnswer, "Mapping"))
    def get(self, query: dict[str, Any]) -> Any:
        """List mappings, newest first."""
        body, headers = page(mappings.list_standings(**query), query["limit"], lambda document: document["id"])
        return {**body, "items": list(map(_shown, with_lines(body["items"])))}, headers

    @operation("createMapping", Scope.ADMIN, etag="content", location=True, links=_LINKS)
    @blp.arguments(NewMapping, example=EXAMPLE)
    @blp.response(201, MappingAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Make a mapping, if it can work with its two tables as they are now.

        `findings` has what is likely to go wrong all the same; it keeps nothing from being saved.
        """
        document, headers = _saved(saving.create(context(), stored(body), actor()))
        return document, {**headers, "Location": f"/mappings/{document['id']}"}


@blp.route("/mappings/review")
class MappingReview(MethodView):
    @operation("reviewMappings", Scope.READ)
    @blp.response(200, ReviewAnswer)
    def get(self) -> Any:
        """Say for each enabled mapping, in the order in which they run, what to do first: before anything is written.

        Both applications of each mapping are asked how many records they have.
        """
        return {"items": [_advised(advice) for advice in review.review(context())]}


@blp.route("/mappings/lint")
class MappingLint(MethodView):
    @operation("lintMapping", Scope.OPERATE)
    @blp.arguments(NewMapping, example=EXAMPLE)
    @blp.response(200, FindingsAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Say everything that is wrong with a mapping, or likely to be, without saving it.

        An `error` would keep it from being saved. A mapping with the name of one that is stored is a change of that.
        """
        return {"findings": [_finding(one) for one in linter.lint(context(), stored(body))]}


@blp.route("/mappings/<id:mapping_id>")
class Mapping(MethodView):
    @operation("getMapping", Scope.READ, etag="content", refuses=(404,), links=_LINKS)
    @blp.response(200, MappingAnswer)
    def get(self, mapping_id: int) -> Any:
        """Show a mapping."""
        return _answer(with_lines([mappings.get_standing(mapping_id)])[0])

    @operation("replaceMapping", Scope.ADMIN, if_match="required", etag="content", refuses=(404, 409))
    @blp.arguments(NewMapping, example=EXAMPLE)
    @blp.response(200, MappingAnswer)
    def put(self, body: dict[str, Any], mapping_id: int) -> Any:
        """Replace a mapping; what is left out becomes the default."""
        return _saved(saving.replace(context(), mapping_id, stored(body), _expected(mapping_id), actor()))

    @operation("updateMapping", Scope.ADMIN, if_match="required", etag="content", refuses=(404, 409))
    @blp.arguments(MappingChanges, example={"enabled": False})
    @blp.response(200, MappingAnswer)
    def patch(self, body: dict[str, Any], mapping_id: int) -> Any:
        """Change some of a mapping.

        `local` and `integration` are merged with what is there, everything else is replaced.
        """
        return _saved(saving.change(context(), mapping_id, stored(body), _expected(mapping_id), actor()))

    @operation("deleteMapping", Scope.ADMIN, if_match="optional", refuses=(404, 409))
    @blp.response(204)
    def delete(self, mapping_id: int) -> Any:
        """Delete a mapping with its couplings, runs and errors; the records stay where they are."""
        mappings.delete(context(), mapping_id, _expected(mapping_id), actor())


@blp.route("/mappings/<id:mapping_id>/reset")
class MappingReset(MethodView):
    @operation("resetMapping", Scope.ADMIN, etag="content", body_optional=True, at_once=True, refuses=(404,))
    @blp.arguments(SidesToReset, example={"side": "local"})
    @blp.response(200, MappingAnswer)
    def post(self, body: dict[str, Any], mapping_id: int) -> Any:
        """Forget how far both sides, or one, have been read: the next run reads from the beginning."""
        sides = list(Side) if body["side"] is None else [Side(body["side"])]
        return _answer(mappings.reset(context(), mapping_id, sides, actor()))


def _finding(one: linter.Finding) -> dict[str, Any]:
    words = wording.say(one.code, one.params, language())
    message = words.message
    if one.about and not any(name in message for name in one.about):
        message = f"{' → '.join(one.about)}: {message}"
    said = {"message": message, "advice": words.advice, "params": dict(one.params)}
    return {"severity": one.severity, "code": one.code, "pointer": one.pointer, **said}


def _expected(mapping_id: int) -> int | None:
    return expected_version("mapping", mapping_id, lambda: int(mappings.get_standing(mapping_id)["version"]))


def _advised(advice: review.Advice) -> dict[str, Any]:
    words = wording.say(advice.reason, advice.params, language())
    return {**asdict(advice), "message": words.message, "advice": words.advice}


def _saved(saved: saving.Saved) -> tuple[Any, dict[str, str]]:
    document, headers = _answer(saved.document)
    findings = None if saved.findings is None else [_finding(one) for one in saved.findings]
    return {**document, "findings": findings}, headers


def _answer(document: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    return tagged(_shown(document), document["version"])


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    status = document["status"]
    last = status["last_run"]
    return {**document, "status": {**status, "last_run": None if last is None else shown_run(last)}}

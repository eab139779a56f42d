"""`/errors`: what went wrong, by record and by cause, and the clean-up of it."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from service import wording
from service.api.access import actor, context
from service.api.conditions import tagged
from service.api.errors import language
from service.api.fields import (
    Answer,
    Choice,
    Id,
    Int,
    Json,
    Listed,
    Moment,
    Part,
    Query,
    QueryFlag,
    QueryId,
    Said,
    Text,
    refuse,
)
from service.api.operation import Blueprint, operation
from service.api.paging import PageQuery, page, page_of
from service.core.failures import FAILURES, Category, Responsibility
from service.core.records import Direction, Side
from service.operations import errors
from service.operations.tokens import Scope

blp = Blueprint("errors", __name__, description="What went wrong with records and runs.")

STATUSES = ("open", "resolved")
ONE_WAY = (Direction.TO_INTEGRATION, Direction.FROM_INTEGRATION)


class Age(Text):
    """An age, as `<n>s|m|h|d|w` or as a duration of ISO 8601."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max=40, pattern=errors.AGE_PATTERN, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str) or not self._allowed.fullmatch(value):
            refuse("not_an_age")
        return value


class ErrorQuery(PageQuery):
    """Which errors."""

    mapping_id = QueryId()
    run_id = QueryId()
    code = Choice(FAILURES)
    category = Choice(Category)
    responsibility = Choice(Responsibility)
    status = Choice(STATUSES)
    occurred_after = Moment()


class GroupQuery(PageQuery):
    """Which causes."""

    mapping_id = QueryId()
    status = Choice(STATUSES)


class CleanUp(Query):
    """Which errors are deleted: `olderThan` or `all=true` must be given."""

    older_than = Age(metadata={"example": "7d"})
    all_ = QueryFlag(data_key="all", attribute="all", load_default=False)
    mapping_id = QueryId()
    include_open = QueryFlag(
        load_default=False, metadata={"description": "Also those that still explain why a record waits."}
    )
    dry_run = QueryFlag(load_default=False, metadata={"description": "Only tell how many."})


class ErrorRecordAnswer(Answer):
    """The record that an error is about."""

    side = Choice(Side)
    connection_id = Int(attribute="connectionId")
    table = Said()
    key = Said(allow_none=True)
    description = Said(allow_none=True)
    url = Said(allow_none=True, metadata={"description": "Opens the record in its own application."})


class ErrorAnswer(Answer):
    """One thing that went wrong."""

    id = Id()
    run_id = Int(allow_none=True)
    mapping_id = Id()
    direction = Choice(ONE_WAY, allow_none=True)
    code = Choice(FAILURES)
    category = Choice(Category)
    responsibility = Choice(Responsibility)
    message = Said()
    advice = Said()
    params = Json(allow_none=False, metadata={"type": "object"})
    source = Part(ErrorRecordAnswer, allow_none=True)
    destination = Part(ErrorRecordAnswer, allow_none=True)
    group_id = Id()
    status = Choice(STATUSES)
    occurred_at = Moment()


class ErrorGroupAnswer(Answer):
    """All errors of one mapping with one cause."""

    id = Id()
    mapping_id = Id()
    code = Choice(FAILURES)
    category = Choice(Category)
    responsibility = Choice(Responsibility)
    count = Int()
    open = Int()
    first_seen = Moment()
    last_seen = Moment()
    message = Said()
    advice = Said()
    samples = Listed(Part(ErrorAnswer), metadata={"description": "The newest of them."})


class CleanedUpAnswer(Answer):
    """How many went, and how many were kept because they still explain why a record waits."""

    deleted = Int(min=0)
    kept = Int(min=0)


@blp.route("/errors")
class Errors(MethodView):
    @operation(
        "listErrors",
        Scope.READ,
        links={
            "getError": {"errorId": "$response.body#/items/0/id"},
            "deleteError": {"errorId": "$response.body#/items/0/id"},
        },
    )
    @blp.arguments(ErrorQuery, location="query")
    @blp.response(200, page_of(ErrorAnswer, "Error"))
    def get(self, query: dict[str, Any]) -> Any:
        """List errors, newest first."""
        body, headers = page(errors.list_errors(context(), **query), query["limit"])
        reader = language()
        return {**body, "items": [_shown(error, reader) for error in body["items"]]}, headers

    @operation("cleanUpErrors", Scope.OPERATE)
    @blp.arguments(CleanUp, location="query")
    @blp.response(200, CleanedUpAnswer)
    def delete(self, query: dict[str, Any]) -> Any:
        """Delete old errors, or all.

        Those that still explain an open skipped record, or one that waits for its retry, are kept unless `includeOpen`
        is true.
        """
        deleted, kept = errors.clean_up(context(), **{"older_than": None, "mapping_id": None, **query}, actor=actor())
        return {"deleted": deleted, "kept": kept}


@blp.route("/errors/groups")
class ErrorGroups(MethodView):
    @operation("listErrorGroups", Scope.READ)
    @blp.arguments(GroupQuery, location="query")
    @blp.response(200, page_of(ErrorGroupAnswer, "ErrorGroup"))
    def get(self, query: dict[str, Any]) -> Any:
        """List the causes of errors, newest first."""
        body, headers = page(errors.list_groups(context(), **query), query["limit"])
        reader = language()
        return {**body, "items": [_group(group, reader) for group in body["items"]]}, headers


@blp.route("/errors/<id:error_id>")
class Error(MethodView):
    @operation(
        "getError",
        Scope.READ,
        etag="content",
        refuses=(404,),
        links={"deleteError": {"errorId": "$response.body#/id"}},
    )
    @blp.response(200, ErrorAnswer)
    def get(self, error_id: int) -> Any:
        """Show an error."""
        return tagged(_shown(errors.get(context(), error_id), language()), 1)

    @operation("deleteError", Scope.OPERATE, refuses=(404,))
    @blp.response(204)
    def delete(self, error_id: int) -> Any:
        """Delete an error."""
        errors.delete(context(), error_id, actor())


_GROUP = ("id", "mapping_id", "code", "count", "open", "first_seen", "last_seen")


def _shown(error: Any, reader: str) -> dict[str, Any]:
    words = wording.say(error.code, error.params, reader)
    return {**error.__data__, "message": words.message, "advice": words.advice}


def _group(group: Any, reader: str) -> dict[str, Any]:
    newest = group.samples[0]
    words = wording.say(group.code, newest.params, reader)
    return {
        **{name: getattr(group, name) for name in _GROUP},
        "category": newest.category,
        "responsibility": newest.responsibility,
        "message": words.message,
        "advice": words.advice,
        "samples": [_shown(error, reader) for error in group.samples],
    }

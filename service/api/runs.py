"""`/sync-runs`: starting runs, watching them, stopping them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from flask import Response
from flask.views import MethodView

from service import wording
from service.api import events
from service.api.access import actor, context
from service.api.conditions import tagged
from service.api.errors import language
from service.api.fields import (
    Answer,
    Body,
    Choice,
    Flag,
    Id,
    Int,
    Items,
    Json,
    Key,
    Listed,
    Moment,
    Part,
    QueryId,
    Said,
)
from service.api.operation import Blueprint, operation
from service.api.paging import PageQuery, page, page_of
from service.api.waiting import waited
from service.core.errors import Invalid, Problem
from service.core.outcomes import Outcome, no_counts
from service.core.records import Direction, Side
from service.operations import run_groups, runs
from service.operations.tokens import Scope

blp = Blueprint("sync-runs", __name__, description="Runs: one execution for one mapping each.")

STATUSES = ("queued", "running", "succeeded", "completedWithErrors", "failed", "cancelled")
EXAMPLE = {"mappingId": 1, "kind": "modified"}


class ChosenRecords(Body):
    """Records by their keys."""

    local = Items(Key(), load_default=())
    integration = Items(Key(), load_default=())


class NewRun(Body):
    """What is to be run."""

    mapping_id = Id(load_default=None, allow_none=True, metadata={"description": "The mapping."})
    mapping_ids = Items(Id(), min=1, max=500, metadata={"description": "Instead: several of them."})
    all_ = Flag(data_key="all", load_default=False, metadata={"description": "Instead: every enabled mapping."})
    kind = Choice(runs.KINDS, load_default="modified")
    direction = Choice(Direction, allow_none=True, load_default=None, metadata={"description": "Narrows it."})
    records = Part(ChosenRecords, load_default=dict, metadata={"description": "For `records` and `uncouple`."})
    coupling_ids = Items(Id(), load_default=())
    dry_run = Flag(load_default=False, metadata={"description": "Tell what would happen, and write nothing."})
    allow_mass_delete = Flag(load_default=False, metadata={"description": "Lift the limits of deletion for this once."})
    synchronize = Flag(load_default=False, metadata={"description": "After `match`: synchronize what was coupled."})
    create_unmatched = Flag(load_default=False, metadata={"description": "After `match`: also create what has none."})


class RunQuery(PageQuery):
    """Which runs."""

    mapping_id = QueryId()
    status = Choice(STATUSES)
    kind = Choice(runs.KINDS)
    created_after = Moment()
    group_id = QueryId()


CountsAnswer = type(
    "CountsAnswer",
    (Answer,),
    {"__doc__": "How many records had which outcome; `read` is their sum.", **{name: Int() for name in no_counts()}},
)


class RunCountsAnswer(Answer):
    """The counters of both directions."""

    to_integration = Part(CountsAnswer, attribute="toIntegration")
    from_integration = Part(CountsAnswer, attribute="fromIntegration")


class RunAnswer(Answer):
    """One execution for a mapping."""

    id = Id()
    mapping_id = Id()
    group_id = Int(allow_none=True, metadata={"description": "The first of the runs that were asked for together."})
    kind = Choice(runs.KINDS)
    direction = Choice(Direction)
    trigger = Choice(runs.TRIGGERS)
    dry_run = Flag()
    status = Choice(STATUSES)
    counts = Part(RunCountsAnswer)
    progress = Json(allow_none=False, metadata={"type": "object"})
    created_at = Moment()
    started_at = Moment(allow_none=True)
    finished_at = Moment(allow_none=True)
    requested_by = Said(allow_none=True)
    code = Said(allow_none=True, metadata={"description": "Why the run failed or stopped."})
    message = Said(allow_none=True, metadata={"description": "The same in words."})


class StartedAnswer(RunAnswer):
    """The run that was started, the first where there are several; `items` are all of them, in their order."""

    items = Listed(Part(RunAnswer))


class RecordQuery(PageQuery):
    """Which records of a run."""

    outcome = Choice(Outcome)


class RunRecordAnswer(Answer):
    """What a run did, or in a dry run would do, with one record. `side` is the record's own."""

    id = Id()
    side = Choice(Side)
    direction = Choice(Direction)
    source_key = Said()
    destination_key = Said(allow_none=True)
    coupling_id = Int(allow_none=True)
    outcome = Choice(Outcome)
    fields_ = Json(attribute="fields", data_key="fields", metadata={"description": "The fields that changed."})
    rule = Said(allow_none=True, metadata={"description": "The policy or the resolution that decided."})
    waits_for = Json(metadata={"description": "What it refers to and is not coupled: field, mapping, side and key."})
    error_id = Int(allow_none=True)


EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The version of the run."},
        "event": {"type": "string", "enum": ["progress", "end"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Run"},
            "description": "The run as JSON.",
        },
    },
    "required": ["id", "event", "data"],
}
_NOTHING = dict.fromkeys(RunAnswer._declared_fields)
_FIRST = {"runId": "$response.body#/items/0/id"}
_ONE = {"runId": "$response.body#/id"}
LINKS = {"getRun": _ONE, "listRunRecords": _ONE, "cancelRun": _ONE}


def _at_its_end(response: Response) -> Response:
    """The answer to starting a run for callers who wait: the run once it has ended, else as it was then."""
    where = response.headers.get("Location", "")
    return waited(response, lambda: _look(int(where.rpartition("/")[2])))


def _look(run_id: int) -> tuple[bool, Response]:
    run = runs.get(run_id)
    together = [run] if run.group_id is None else run_groups.members(run.group_id)
    ended = all(one.status in runs.FINISHED for one in together)
    body, headers = started(together)
    text = orjson.dumps(StartedAnswer().dump(body))
    return ended, Response(text, 200 if ended else 202, headers, content_type="application/json")


def _picture(run_id: int) -> tuple[bool, str, str]:
    run = runs.get(run_id)
    return run.status in runs.FINISHED, str(run.version), orjson.dumps(RunAnswer().dump(shown(run))).decode()


@blp.route("/sync-runs")
class Runs(MethodView):
    @operation("listRuns", Scope.READ, links={"getRun": _FIRST, "listRunRecords": _FIRST})
    @blp.arguments(RunQuery, location="query")
    @blp.response(200, page_of(RunAnswer, "Run"))
    def get(self, query: dict[str, Any]) -> Any:
        """List runs, newest first."""
        body, headers = page(runs.list_runs(**query), query["limit"])
        return {**body, "items": [shown(run) for run in body["items"]]}, headers

    @operation(
        "startRun",
        Scope.OPERATE,
        etag="version",
        location=True,
        at_once=True,
        afterwards=_at_its_end,
        refuses=(404,),
        links=LINKS,
    )
    @blp.arguments(NewRun, example=EXAMPLE)
    @blp.alt_response(200, schema=StartedAnswer, description="The run has ended while the caller waited.", success=True)
    @blp.response(202, StartedAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Start a run for a mapping, or one for each of several; a run that is queued already is returned instead.

        Runs of several mappings begin when those of the mappings that they need have ended, and have one `groupId`.
        The last is followed by runs for records that waited for others. With `Prefer: wait=10` the answer comes when
        all have ended, or when the time is up.
        """
        mapping_id, several, everything = (body.pop(name, None) for name in ("mapping_id", "mapping_ids", "all_"))
        given = {"/mappingId": mapping_id, "/mappingIds": several, "/all": everything or None}
        named = [pointer for pointer, value in given.items() if value is not None]
        if len(named) != 1:
            raise Invalid([Problem((named or ["/mappingId"])[-1], "mapping_missing")])
        if mapping_id is not None:
            return started([runs.start(context(), _request({**body, "mapping_id": mapping_id}), actor())])
        return started(run_groups.start(context(), _group_request(body, several), actor()))


@blp.route("/sync-runs/<id:run_id>")
class Run(MethodView):
    @operation("getRun", Scope.READ, etag="version", refuses=(404,), links=LINKS)
    @blp.response(200, RunAnswer)
    def get(self, run_id: int) -> Any:
        """Show a run."""
        run = runs.get(run_id)
        return tagged(shown(run), run.version)


@blp.route("/sync-runs/<id:run_id>/records")
class RunRecords(MethodView):
    @operation("listRunRecords", Scope.READ, refuses=(404,))
    @blp.arguments(RecordQuery, location="query")
    @blp.response(200, page_of(RunRecordAnswer, "RunRecord"))
    def get(self, query: dict[str, Any], run_id: int) -> Any:
        """List the records of a run that were not simply unchanged, newest first."""
        return page(runs.list_records(run_id, **query), query["limit"])


@blp.route("/sync-runs/<id:run_id>/events")
class RunEvents(MethodView):
    @operation("watchRun", Scope.READ, produces="text/event-stream", refuses=(404,))
    @blp.response(200, EVENT, content_type=events.CONTENT_TYPE, description="Server-sent events, each like this.")
    def get(self, run_id: int) -> Any:
        """Watch a run: an event `progress` whenever it has moved on, and `end` when it has ended.

        The data of each event is the run, as `GET /sync-runs/{run_id}` shows it. A stream that breaks off, or ends
        because it was open for long, is simply opened again.
        """
        runs.get(run_id)
        return events.stream(lambda: _picture(run_id))


@blp.route("/sync-runs/<id:run_id>/cancel")
class RunCancel(MethodView):
    @operation("cancelRun", Scope.OPERATE, etag="version", location=True, at_once=True, refuses=(404,), links=LINKS)
    @blp.response(202, RunAnswer)
    def post(self, run_id: int) -> Any:
        """Stop a run at its next page; what is done stays done."""
        return accepted(runs.cancel(context(), run_id, actor()))


def shown(run: Any) -> dict[str, Any]:
    """A run as answers show it."""
    message = None if run.code is None else wording.say(run.code, run.params, language()).message
    # A run that was just made holds only what it was given.
    return {**_NOTHING, **run.__data__, "message": message}


def accepted(run: Any) -> Any:
    """An answer that points at the run that does the work."""
    body, headers = tagged(shown(run), run.version)
    return body, {**headers, "Location": f"/sync-runs/{run.id}"}


def started(found: Sequence[Any]) -> Any:
    """An answer that points at the first of some runs and shows them all."""
    body, headers = accepted(found[0])
    return {**body, "items": [shown(run) for run in found]}, headers


def _group_request(body: dict[str, Any], mapping_ids: list[int] | None) -> run_groups.GroupRequest:
    chosen = [body.pop(name) for name in ("records", "coupling_ids")]
    if any(chosen):
        raise Invalid([Problem("/records", "records_unexpected", {"kind": body["kind"]})])
    direction = body.pop("direction")
    ids = None if mapping_ids is None else tuple(dict.fromkeys(mapping_ids))
    return run_groups.GroupRequest(ids, direction=None if direction is None else Direction(direction), **body)


def _request(body: dict[str, Any]) -> runs.RunRequest:
    records = body.pop("records")
    direction = body.pop("direction")
    return runs.RunRequest(
        **{**body, "coupling_ids": tuple(body["coupling_ids"])},
        direction=None if direction is None else Direction(direction),
        local_keys=tuple(records.get("local", ())),
        integration_keys=tuple(records.get("integration", ())),
    )

"""Traces by OTLP, to a real receiver: the request of a caller, the run that it asked for, its pages and calls."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.receiver import Receiver, receiving
from tests.service.live import live
from tests.service.test_idempotency import furnish

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def spans(receiver: Receiver) -> list[Any]:
    """Every span that was received, of the trace of the test."""
    found = []
    for asked in receiver.asked:
        assert asked.path == "/v1/traces"
        message = ExportTraceServiceRequest.FromString(asked.body)
        for resource in message.resource_spans:
            names = {item.key: item.value.string_value for item in resource.resource.attributes}
            assert names["service.name"] == "accord"
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return [span for span in found if span.trace_id.hex() == TRACE]


def test_a_trace_goes_on_from_the_caller_to_the_applications(tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.status = 200
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        with live(tmp_path, **settings) as service:
            mapping = furnish(service, tmp_path)
            caller = "00f067aa0ba902b7"
            answer = service.ask(
                "POST", "/sync-runs", {"mappingId": mapping}, traceparent=f"00-{TRACE}-{caller}-01", Prefer="wait=20"
            )
            assert answer.json["status"] == "succeeded"
            assert answer.headers["X-Trace-Id"] == TRACE
        received = spans(receiver)
    by_id = {span.span_id: span for span in received}
    (request,) = [span for span in received if span.name == "POST /sync-runs"]
    assert request.parent_span_id.hex() == caller
    (run,) = [span for span in received if span.name == "run"]
    assert run.parent_span_id == request.span_id
    pages = [span for span in received if span.name == "page"]
    assert pages
    assert all(span.parent_span_id == run.span_id for span in pages)
    calls = [span for span in received if span.name.startswith("connector ")]
    assert {"connector read", "connector describe", "connector insert"} >= {span.name for span in calls} - {
        "connector clock",
        "connector fetch",
        "connector find",
        "connector count",
        "connector update",
    }
    assert any(by_id[span.parent_span_id].name == "page" for span in calls if span.parent_span_id in by_id)
    told = {item.key: item.value.string_value for span in calls for item in span.attributes}
    assert (told["accord.outcome"], told["accord.connection"] in ("erp", "crm")) == ("ok", True)
    assert "Zoë" not in "".join(str(span) for span in received)


def test_lines_of_a_run_have_the_id_of_the_request(tmp_path: Path) -> None:
    """Without any collector, and when another worker takes the run: the id is kept with it."""
    with live(tmp_path) as service:
        mapping = furnish(service, tmp_path)
        parent = f"00-{TRACE}-00f067aa0ba902b7-01"
        answer = service.ask("POST", "/sync-runs", {"mappingId": mapping}, traceparent=parent, Prefer="wait=20")
        assert answer.headers["X-Trace-Id"] == TRACE
        bare = service.ask("POST", "/sync-runs", {"mappingId": mapping}, Prefer="wait=20")
        lines = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    for asked in (answer, bare):
        run, trace = asked.json["id"], asked.headers["X-Trace-Id"]
        own = [line for line in lines if line.get("run_id") == run]
        assert {"run_started", "run_finished"} <= {line["event"] for line in own}
        assert {line["trace_id"] for line in own} == {trace}
        (request,) = [line for line in lines if line["event"] == "request" and line["trace_id"] == trace]
        assert (request["status"], request["token_id"]) == (200, 1)
    with closing(sqlite3.connect(tmp_path / "accord.db")) as state:
        kept = state.execute("SELECT traceparent FROM sync_runs WHERE id = ?", (answer.json["id"],)).fetchone()
    assert TRACE in kept[0]

"""`GET /sync-runs/{id}/events`: a run is watched until its end, whoever works on it."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from flask import Flask

from service.api import events
from tests.api.world import SETTINGS, TOKEN, World


@pytest.fixture(autouse=True)
def _patient(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, events.LONGEST, 30.0)


def told(text: str) -> list[tuple[str, str, Any]]:
    """The events of a stream: id, name, data."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in lines:
            found.append((lines["id"], lines["event"], json.loads(lines["data"])))
    return found


def watch(world: World, path: str) -> Generator[str, None, None]:
    """The parts of a stream as they come."""
    answer = world.client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    try:
        assert answer.status_code == 200, answer.text
        for part in answer.response:
            yield part if isinstance(part, str) else part.decode()
    finally:
        answer.close()


def test_a_run_that_has_ended_is_told_once(world: World) -> None:
    run = world.ask("POST", "/sync-runs", {"mappingId": 1}).json
    world.work()
    answer = world.ask("GET", f"/sync-runs/{run['id']}/events")
    ((id, name, shown),) = told(answer.text)
    assert (name, shown) == ("end", world.get(f"/sync-runs/{run['id']}"))
    assert id == world.ask("GET", f"/sync-runs/{run['id']}").headers["ETag"].strip('"v')


def test_a_run_is_told_from_the_queue_to_its_end(world: World) -> None:
    run = world.ask("POST", "/sync-runs", {"mappingId": 1}).json
    parts = watch(world, f"/sync-runs/{run['id']}/events")
    first = told(next(parts) + next(parts))
    assert [(name, shown["status"]) for _, name, shown in first] == [("progress", "queued")]
    world.work()
    rest = told("".join(parts))
    assert [(name, shown["status"]) for _, name, shown in rest] == [("end", "succeeded")]


def test_a_stream_does_not_stay_open_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(world.app.config, events.LONGEST, 0.1)
    run = world.ask("POST", "/sync-runs", {"mappingId": 1}).json
    answer = world.ask("GET", f"/sync-runs/{run['id']}/events")
    assert [name for _, name, _ in told(answer.text)] == ["progress"]
    assert answer.text.startswith("retry: ")


def test_a_server_that_stops_ends_its_streams(world: World) -> None:
    run = world.ask("POST", "/sync-runs", {"mappingId": 1}).json
    stopping = threading.Event()
    events.end_with(world.app, stopping.is_set)
    try:
        parts = watch(world, f"/sync-runs/{run['id']}/events")
        assert next(parts)
        stopping.set()
        assert [name for _, name, _ in told("".join(parts))] == ["progress"]
    finally:
        events.end_with(world.app, lambda: False)


def test_those_who_watch_leave_threads_for_others(world: World) -> None:
    run = world.ask("POST", "/sync-runs", {"mappingId": 1}).json
    path = f"/sync-runs/{run['id']}/events"
    with ExitStack() as opened:
        for _ in range(SETTINGS.threads // 4):
            assert next(opened.enter_context(closing(watch(world, path))))
        refused = world.ask("GET", path)
        assert (refused.status_code, refused.json["code"]) == (429, "too_many_requests")
    with closing(watch(world, path)) as parts:
        assert next(parts)


def test_an_unknown_run_is_not_watched(world: World) -> None:
    assert world.ask("GET", "/sync-runs/999/events").status_code == 404

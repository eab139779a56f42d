"""`Prefer: wait=...` on `POST /sync-runs`: the answer comes with the end of the run, or when the time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask

from service.api import waiting
from tests.api.world import World


@pytest.fixture(autouse=True)
def _patient(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, waiting.LONGEST, 30.0)


@contextmanager
def working(world: World) -> Iterator[None]:
    """Somebody else carries out what is queued."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.02):
            world.work()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_the_answer_is_the_run_at_its_end(world: World) -> None:
    with working(world):
        answer = world.ask("POST", "/sync-runs", {"mappingId": 1}, Prefer="respond-async, wait=20")
    assert (answer.status_code, answer.json["status"]) == (200, "succeeded")
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert answer.headers["Location"] == f"/sync-runs/{answer.json['id']}"
    shown = world.ask("GET", answer.headers["Location"])
    assert {**shown.json, "items": [shown.json]} == answer.json
    assert shown.headers["ETag"] == answer.headers["ETag"]


def test_the_time_is_up(world: World) -> None:
    began = time.monotonic()
    answer = world.ask("POST", "/sync-runs", {"mappingId": 1}, Prefer='wait="1"; foo')
    assert 0.9 < time.monotonic() - began < 5
    assert (answer.status_code, answer.json["status"]) == (202, "queued")
    assert answer.headers["Preference-Applied"] == "wait=1"


def test_nobody_waits_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(world.app.config, waiting.LONGEST, 0.1)
    answer = world.ask("POST", "/sync-runs", {"mappingId": 1}, Prefer="wait=999999999")
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=0.1")


@pytest.mark.parametrize("wish", ["", "wait", "wait=", "wait=-1", "wait=soon", "await=5", "respond-async"])
def test_what_is_no_wish_to_wait_is_left_aside(world: World, wish: str) -> None:
    answer = world.ask("POST", "/sync-runs", {"mappingId": 1}, Prefer=wish)
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_too_many_who_wait_are_answered_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(world.app.extensions, "accord-waiting", threading.BoundedSemaphore(1))
    with world.app.extensions["accord-waiting"]:
        answer = world.ask("POST", "/sync-runs", {"mappingId": 1}, Prefer="wait=20")
    assert (answer.status_code, "Preference-Applied" in answer.headers) == (202, False)


def test_a_repeated_request_gives_the_answer_of_the_first(world: World) -> None:
    with working(world):
        first = world.ask("POST", "/sync-runs", {"mappingId": 1}, Prefer="wait=20", Idempotency_Key="k")
    again = world.ask("POST", "/sync-runs", {"mappingId": 1}, Prefer="wait=20", Idempotency_Key="k")
    assert (again.status_code, again.json, again.headers["ETag"]) == (200, first.json, first.headers["ETag"])
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(world.get("/sync-runs")["items"]) == 2


def test_no_connection_to_the_state_is_held_meanwhile(world: World) -> None:
    """A transaction that stayed open would keep the worker from ending the run."""
    with working(world):
        answer = world.ask("POST", "/sync-runs", {"mappingId": 1, "kind": "full"}, Prefer="wait=20")
    assert answer.json["status"] == "succeeded"

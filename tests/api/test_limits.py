"""Rate limits: what is left is told, more is refused, each token counts for itself, and guessing tokens ends early."""

from __future__ import annotations

import re
import threading
from dataclasses import replace

import pytest

from service.api.limiting import Counters
from service.app import create_app
from tests.api.world import CONTEXT, SETTINGS, TOKEN, World


@pytest.fixture
def limited(world: World) -> World:
    """The world behind an application that takes five requests an hour from each token."""
    return World(world.folder, create_app(replace(SETTINGS, rate_limit="5/hour"), CONTEXT))


def test_what_is_left_is_told_and_more_is_refused(limited: World) -> None:
    for left in (4, 3, 2, 1, 0):
        answer = limited.ask("GET", "/mappings")
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"token";q=5;w=3600'
        told = re.fullmatch(r'"token";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
        assert told is not None
        assert int(told[1]) == left
        assert 0 < int(told[2]) <= 3600
    refused = limited.ask("POST", "/sync-runs", {"mappingId": 1})
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_requests")
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert len(limited.sql("accord", "SELECT * FROM sync_runs")) == 1


def test_each_token_counts_for_itself(limited: World) -> None:
    other = limited.token("read")
    for _ in range(5):
        assert limited.ask("GET", "/mappings").status_code == 200
    assert limited.ask("GET", "/mappings").status_code == 429
    assert limited.ask("GET", "/mappings", token=other).status_code == 200
    assert limited.ask("GET", "/health/ready", token=None).status_code == 200


def test_no_limit_no_header(world: World) -> None:
    answer = world.ask("GET", "/mappings")
    assert "RateLimit" not in answer.headers


def test_guessing_tokens_ends_early(limited: World) -> None:
    stranger = limited.token("read")
    assert limited.ask("GET", "/mappings").status_code == 200
    answers = [limited.ask("GET", "/mappings", token=f"guess-{n}").status_code for n in range(30)]
    assert answers == [401] * 20 + [429] * 10
    # A token that was good from here before still is; one that nobody has seen could be the next guess.
    assert limited.ask("GET", "/mappings", token=TOKEN).status_code == 200
    refused = limited.ask("GET", "/mappings", token=stranger)
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_requests")
    assert 0 < int(refused.headers["Retry-After"]) <= 60


def test_a_forgotten_token_is_no_guess(limited: World) -> None:
    for _ in range(50):
        assert limited.ask("GET", "/mappings", token="was-good-last-year").status_code == 401
    assert limited.ask("GET", "/mappings").status_code == 200


def test_counting_starts_no_thread(limited: World) -> None:
    limited.ask("GET", "/mappings")
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(10)  # The library starts one when it is made.
    started: list[threading.Thread] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Timer, "start", started.append)
        assert limited.ask("GET", "/mappings").headers["RateLimit"].startswith('"token";r=3')
    assert not started


def test_counts_that_are_over_are_forgotten() -> None:
    counters = Counters()
    for number in range(300):
        counters.incr(f"gone {number}", -1)
    for number in range(Counters.CALLS):
        assert counters.incr("here", 60) == number + 1
    assert set(counters.expirations) == {"here"}
    assert counters.decr("here", 999) == 1

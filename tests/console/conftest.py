"""The worlds of the API's tests, and a person with a browser that keeps cookies."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.conftest import app, empty, kept_empty, kept_lively, kept_mapped, lively, world
from tests.api.world import TOKEN, World

__all__ = ["app", "empty", "kept_empty", "kept_lively", "kept_mapped", "lively", "world"]


class Person:
    """Somebody who is signed in to the console."""

    def __init__(self, world: World, token: str = TOKEN, language: str = "en") -> None:
        self.client: FlaskClient = world.app.test_client()
        self.language = language
        answer = self.client.post("/console/sign-in", data={"token": token, "next": "/console"})
        assert answer.status_code == 303, answer.text

    def look(self, path: str, status: int = 200) -> str:
        """A page."""
        answer = self.client.get(path, headers={"Accept-Language": self.language})
        assert answer.status_code == status, answer.text
        return answer.text

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.look("/console"))
        assert found is not None
        return found[1]

    def send(self, path: str, **form: Any) -> Any:
        """Send a form of the console, with the word that its pages put into it."""
        return self.client.post(path, data={"csrf": self.csrf, **form})


@pytest.fixture
def person(lively: World) -> Person:
    return Person(lively)

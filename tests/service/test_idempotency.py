"""`Idempotency-Key` under fire, against real processes: a hundred requests at once, and death before the answer."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.service.live import Live, live

AT_ONCE = 100


def furnish(service: Live, folder: Path) -> int:
    """Two small applications and a mapping; its id."""
    ids = []
    for name in ("erp", "crm"):
        with closing(sqlite3.connect(folder / f"{name}.db")) as made, made:
            made.executescript(
                "CREATE TABLE customer (id TEXT PRIMARY KEY, name TEXT, stamp TEXT);"
                "INSERT INTO customer VALUES ('1', 'Zoë', '2026-01-01 10:00:00')"
            )
        settings = {"url": f"sqlite:///{folder / name}.db"}
        made_one = service.ask("POST", "/connections", {"name": name, "kind": "sql", "settings": settings})
        ids.append(made_one.json["id"])
    side = {"table": "customer", "key": "id", "modifiedOn": "stamp"}
    mapping = {
        "name": "customers",
        "local": {**side, "connectionId": ids[0]},
        "integration": {**side, "connectionId": ids[1]},
        "fieldMappings": [{"localField": "name", "integrationField": "name"}],
    }
    answer = service.ask("POST", "/mappings", mapping)
    assert answer.status == 201, answer.body
    return int(answer.json["id"])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    with live(folder) as running:
        furnish(running, folder)
        yield running


def at_once(service: Live, path: str, body: object, **headers: str) -> list[tuple[int, object]]:
    """The statuses and ids of a hundred answers to requests sent together."""

    def ask(_: int) -> tuple[int, object]:
        answer = service.ask("POST", path, body, **headers)
        return answer.status, answer.json.get("id")

    with ThreadPoolExecutor(AT_ONCE) as many:
        return list(many.map(ask, range(AT_ONCE)))


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/sync-runs", {"mappingId": 1, "kind": "full"}, 202),
        # A run that waits is given to everybody who asks for it; of these, each request would make one more.
        ("/tokens", {"name": "one of many", "scopes": ["read"]}, 201),
    ],
)
def test_a_hundred_at_once_have_one_effect(service: Live, path: str, body: object, status: int) -> None:
    before = len(service.ask("GET", f"{path}?limit=500").json["items"])
    answers = at_once(service, path, body, Idempotency_Key=f"one{path}")
    counted = Counter(code for code, _ in answers)
    # Whoever asks while the first is at work is told so, and may ask again.
    assert set(counted) <= {status, 409}
    assert counted[status] >= 1
    assert len({id for code, id in answers if code == status}) == 1
    assert len(service.ask("GET", f"{path}?limit=500").json["items"]) == before + 1
    again = service.ask("POST", path, body, Idempotency_Key=f"one{path}")
    assert (again.status, again.headers["Idempotency-Replayed"]) == (status, "true")


@pytest.mark.parametrize("place", ["before", "after"])
def test_killed_before_the_answer_and_asked_again(tmp_path: Path, place: str) -> None:
    deadly = tmp_path / "deadly"
    with live(tmp_path, ("tests.service.killed", place, str(deadly), "serve")) as service:
        mapping = furnish(service, tmp_path)
        deadly.touch()
        with pytest.raises((OSError, HTTPException)):
            service.ask("POST", "/sync-runs", {"mappingId": mapping}, Idempotency_Key="k")
        assert not deadly.exists()
        service.wait_for("/health/ready", lambda answer: answer.status == 200)
        with closing(sqlite3.connect(tmp_path / "accord.db")) as state:
            assert state.execute("SELECT count(*) FROM sync_runs").fetchone() == (int(place == "after"),)
            # Were it still queued, the same request would be given the same run anyway.
            state.execute("UPDATE sync_runs SET status = 'cancelled'")
            state.commit()
        again = service.ask("POST", "/sync-runs", {"mappingId": mapping}, Idempotency_Key="k")
        assert again.status == 202
        assert again.headers.get("Idempotency-Replayed") == ("true" if place == "after" else None)
        assert [run["id"] for run in service.ask("GET", "/sync-runs").json["items"]] == [again.json["id"]]

"""What holds for every operation of the document, and so for each new one: it can succeed; a change is in the audit, is
made in the transaction of its idempotency key, and is not made twice."""

from __future__ import annotations

from typing import Any

import pytest

from service.store import idempotency
from tests.api.examples import prepared
from tests.api.test_access import OPERATIONS, named
from tests.api.world import World

ENTRIES = "SELECT count(*) FROM audit_entries"
CHANGES_NOTHING = {"checkConnection", "lintMapping", "suggestMapping"}
"""POST operations that only look, or write down nothing but that somebody looked."""

CHANGING = [one for one in OPERATIONS if one[0] != "GET" and one[2]["operationId"] not in CHANGES_NOTHING]
POSTS = [one for one in OPERATIONS if one[0] == "POST" and one[2]["security"]]


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_it_can_succeed(lively: World, operation: tuple[str, str, Any]) -> None:
    """No operation is tested only on the paths of its errors."""
    answer = prepared(lively, operation)()
    assert answer.status_code < 300, answer.text


@pytest.mark.parametrize("operation", CHANGING, ids=named)
def test_a_change_is_in_the_audit(lively: World, operation: tuple[str, str, Any]) -> None:
    send = prepared(lively, operation)
    ((before,),) = lively.sql("accord", ENTRIES)
    answer = send()
    assert answer.status_code < 300, answer.text
    ((after,),) = lively.sql("accord", ENTRIES)
    assert after > before
    entry = lively.get("/audit?limit=1")["items"][0]
    asked = ("first", 1) if operation[2]["security"] else ("notification of erp", None)
    assert (entry["actor"], entry["tokenId"]) == asked
    assert entry["requestId"] == answer.headers["X-Trace-Id"]
    assert entry["action"] in ("start", "reset", "cancel") or entry["before"] or entry["after"]


@pytest.mark.parametrize("operation", POSTS, ids=named)
def test_an_effect_and_its_key_are_one(
    lively: World, operation: tuple[str, str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the answer cannot be kept, nothing was done: both are one transaction."""
    send = prepared(lively, operation)
    before = lively.contents()

    def broken(*_: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "finish", broken)
        assert send(Idempotency_Key="k").status_code == 500
    assert lively.contents() == before
    first = send(Idempotency_Key="k")
    assert first.status_code < 300, first.text
    done = lively.contents()
    again = send(Idempotency_Key="k")
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert lively.contents() == done

"""The check of the contract against the last release notices what breaks a caller, and nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.contract_changes import changes, main
from service.api.document import document

NOW = document()
Change = Callable[[Any], Any]


def _schemas(changed: Any) -> Any:
    return changed["components"]["schemas"]


def _parameter(changed: Any, name: str) -> Any:
    return next(one for one in changed["paths"]["/sync-runs"]["get"]["parameters"] if one["name"] == name)


BREAKING: dict[str, Change] = {
    "GET /audit is gone": lambda new: new["paths"].pop("/audit"),
    "is called beginRun": lambda new: new["paths"]["/sync-runs"]["post"].update(operationId="beginRun"),
    "GET /sync-runs needs the scope admin": lambda new: new["paths"]["/sync-runs"]["get"].update({"x-scope": "admin"}),
    "does not take the query parameter kind": lambda new: _parameter(new, "kind").update(name="sort"),
    "needs the query parameter kind": lambda new: _parameter(new, "kind").update(required=True),
    "limit has a maximum of 10": lambda new: _parameter(new, "limit")["schema"].update(maximum=10),
    "status does not take ['queued']": lambda new: _parameter(new, "status")["schema"]["enum"].remove("queued"),
    "does not answer 202": lambda new: new["paths"]["/sync-runs"]["post"]["responses"].pop("202"),
    "lacks the header Location": lambda new: new["paths"]["/sync-runs"]["post"]["responses"]["202"]["headers"].pop(
        "Location"
    ),
    "body does not take dryRun": lambda new: _schemas(new)["NewRun"]["properties"].pop("dryRun"),
    "body needs kind": lambda new: _schemas(new)["NewRun"].setdefault("required", []).append("kind"),
    "body/dryRun takes only ['string']": lambda new: _schemas(new)["NewRun"]["properties"]["dryRun"].update(
        type="string"
    ),
    "lacks startedAt": lambda new: _schemas(new)["Run"]["properties"].pop("startedAt"),
    "may lack status": lambda new: _schemas(new)["Run"]["required"].remove("status"),
    "id may be ['string']": lambda new: _schemas(new)["Run"]["properties"]["id"].update(type="string"),
    "body/name has a maxLength of 3": lambda new: _schemas(new)["NewToken"]["properties"]["name"].update(maxLength=3),
    "body/name has another pattern": lambda new: _schemas(new)["NewToken"]["properties"]["name"].update(pattern="a"),
    "items[]/scopes may be ['string']": lambda new: _schemas(new)["Token"]["properties"]["scopes"].update(
        type="string"
    ),
}

WELCOME: list[Change] = [
    lambda new: new["paths"].update({"/new": {"get": {}}}),
    lambda new: new["paths"]["/sync-runs"]["get"]["parameters"].append({"in": "query", "name": "new", "schema": {}}),
    lambda new: _schemas(new)["NewRun"]["properties"].update(more={"type": "string"}),
    lambda new: _schemas(new)["Run"]["properties"].update(more={"type": "string"}),
    lambda new: new["paths"]["/sync-runs"]["post"]["responses"].update({"418": {}}),
    lambda new: _parameter(new, "limit")["schema"].update(maximum=5000),
    lambda new: new["paths"]["/tokens"]["get"].update({"x-scope": "read"}),
]


def test_the_same_breaks_nothing() -> None:
    assert list(changes(NOW, NOW)) == []


@pytest.mark.parametrize("sentence", BREAKING)
def test_what_breaks_a_caller_is_noticed(sentence: str) -> None:
    new = copy.deepcopy(NOW)
    BREAKING[sentence](new)
    found = list(changes(NOW, new))
    assert any(sentence in one for one in found), found


@pytest.mark.parametrize("change", WELCOME)
def test_additions_are_welcome(change: Change) -> None:
    new = copy.deepcopy(NOW)
    change(new)
    assert list(changes(NOW, new)) == []


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "accord.json").write_text(json.dumps(NOW))
    assert main(tmp_path) == 0
    (tmp_path / "released.json").write_text(json.dumps(NOW))
    assert main(tmp_path) == 0
    new = copy.deepcopy(NOW)
    new["paths"].pop("/audit")
    (tmp_path / "accord.json").write_text(json.dumps(new))
    assert main(tmp_path) == 1
    assert "GET /audit is gone" in capsys.readouterr().out

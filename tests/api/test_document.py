"""The OpenAPI document: up to date, valid, complete, and its examples work."""

from __future__ import annotations

import pytest
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import validate

from service.api import document
from tests.api.test_access import OPERATIONS, named


def test_the_file_is_what_the_code_says() -> None:
    assert document.FILE.read_bytes() == document.text(), "run scripts/openapi"


def test_it_is_valid() -> None:
    validate(document.document())


def test_check_and_write(tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "FILE", tmp_path / "openapi" / "accord.json")  # type: ignore[operator]
    assert document.main(["--check"]) == 1
    assert document.main([]) == 0
    assert document.main(["--check"]) == 0


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_every_operation_is_described(operation: tuple[str, str, dict[str, object]]) -> None:
    _, _, described = operation
    assert described["summary"]
    assert described["tags"]
    assert all("description" in response or "$ref" in response for response in described["responses"].values())  # type: ignore[attr-defined]


def test_every_link_leads_to_an_operation() -> None:
    ids = {described["operationId"] for _, _, described in OPERATIONS}
    assert len(ids) == len(OPERATIONS)
    for _, _, described in OPERATIONS:
        for response in described["responses"].values():
            for link in response.get("links", {}).values():
                assert link["operationId"] in ids


def test_examples_are_valid() -> None:
    components = document.document()["components"]
    for _, path, described in OPERATIONS:
        for content in described.get("requestBody", {}).get("content", {}).values():
            schema = {**content["schema"], "components": components}
            Draft202012Validator(schema).validate(content["example"])
            assert content["example"], path


def test_everything_of_the_contract_is_there() -> None:
    """The calls of the contract that this version has."""
    there = {f"{method} {path}" for method, path, _ in OPERATIONS}
    assert there >= {
        "GET /connections", "POST /connections", "GET /connections/{connectionId}", "PATCH /connections/{connectionId}",
        "DELETE /connections/{connectionId}", "POST /connections/{connectionId}/check",
        "GET /connections/{connectionId}/tables", "GET /connections/{connectionId}/tables/{table}",
        "POST /connections/{connectionId}/changes", "GET /mappings", "POST /mappings", "GET /mappings/{mappingId}",
        "PUT /mappings/{mappingId}", "PATCH /mappings/{mappingId}", "DELETE /mappings/{mappingId}",
        "POST /mappings/{mappingId}/reset", "GET /couplings", "POST /couplings", "GET /couplings/{couplingId}",
        "DELETE /couplings/{couplingId}", "POST /sync-runs", "GET /sync-runs", "GET /sync-runs/{runId}",
        "GET /sync-runs/{runId}/records", "POST /sync-runs/{runId}/cancel", "GET /errors", "DELETE /errors",
        "GET /errors/{errorId}", "DELETE /errors/{errorId}", "GET /errors/groups", "GET /skipped",
        "GET /skipped/{skippedId}", "POST /skipped/{skippedId}/resolve", "POST /skipped/resolve", "GET /exclusions",
        "DELETE /exclusions/{exclusionId}", "GET /tokens", "POST /tokens", "DELETE /tokens/{tokenId}", "GET /audit",
        "GET /health/live", "GET /health/ready",
    }  # fmt: skip

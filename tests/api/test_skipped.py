"""Conflicts over the API: set aside, shown side by side, resolved; and couplings and exclusions, which they lead to."""

from __future__ import annotations

from tests.api.world import World

SENTENCE = "Cannot update the {} record because it has a later modified date than the {} record"


def test_a_conflict_shows_both_sides(lively: World) -> None:
    shown = lively.get("/skipped/1")
    assert (shown["reason"], shown["status"]) == ("conflict", "open")
    assert shown["local"]["name"] == "Noir & Co"
    assert shown["integration"]["name"] == "Le Café Noir"
    states = {field["localField"]: field for field in shown["fields"]}
    assert states["name"]["state"] == "changedInBoth"
    assert states["name"]["base"] == shown["base"]["name"] == "Café Noir"
    assert states["number"]["state"] == "equal"
    assert "keepLocal" in shown["resolutions"]


def test_the_error_says_the_sentence(lively: World) -> None:
    error = lively.get("/errors/1")
    assert error["code"] == "destination_modified_later"
    assert error["message"] in (SENTENCE.format("Account", "Customer"), SENTENCE.format("Customer", "Account"))
    assert error["source"]["key"]
    assert error["source"]["url"] is None
    assert lively.get("/skipped/1")["errorId"] == 1


def test_keeping_one_side(lively: World) -> None:
    tag = lively.ask("GET", "/skipped/1").headers["ETag"]
    answer = lively.ask("POST", "/skipped/1/resolve", {"resolution": "keepIntegration"}, If_Match=tag)
    assert answer.status_code == 202
    assert answer.json["status"] == "resolving"
    assert answer.headers["Location"] == f"/sync-runs/{answer.json['runId']}"
    lively.work()
    assert lively.get("/skipped/1")["status"] == "resolved"
    assert lively.get(answer.headers["Location"])["trigger"] == "resolution"
    assert lively.sql("erp", "SELECT name FROM customer WHERE id = 'c2'") == [("Le Café Noir",)]
    again = lively.ask("POST", "/skipped/1/resolve", {"resolution": "keepLocal"})
    assert (again.status_code, again.json["code"]) == (409, "already_resolved")
    assert lively.get("/errors/1")["status"] == "resolved"


def test_a_resolution_names_the_version_it_is_for(lively: World) -> None:
    answer = lively.ask("POST", "/skipped/1/resolve", {"resolution": "keepLocal"}, If_Match='"v77"')
    assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed")


def test_a_resolution_that_does_not_fit_is_refused(lively: World) -> None:
    answer = lively.ask("POST", "/skipped/1/resolve", {"resolution": "restore"})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/resolution"
    answer = lively.ask("POST", "/skipped/1/resolve", {"resolution": "merge", "fields": {"name": "mine"}})
    assert answer.json["errors"][0]["code"] == "choice_form"


def test_many_at_once(lively: World) -> None:
    body = {"resolution": "keepLocal", "filter": {"reason": "conflict"}}
    answer = lively.ask("POST", "/skipped/resolve", body)
    assert answer.status_code == 202
    assert [(item["id"], item["error"]) for item in answer.json["items"]] == [(1, None)]
    lively.work()
    again = lively.ask("POST", "/skipped/resolve", {"resolution": "keepLocal", "ids": [1, 99]}).json["items"]
    assert [item["error"]["code"] for item in again] == ["already_resolved", "not_found"]
    assert lively.ask("POST", "/skipped/resolve", {"resolution": "retry"}).status_code == 422
    assert lively.ask("POST", "/skipped/resolve", {"resolution": "retry", "filter": {}}).status_code == 422


def test_couplings_are_found_made_and_ended(lively: World) -> None:
    found = lively.get("/couplings?localKey=c2&skipped=true")["items"]
    assert [(pair["mappingId"], pair["skipped"], pair["lastResult"]) for pair in found] == [(1, True, "failure")]
    assert found[0]["lastSynchLocalModifiedOn"].endswith("Z")
    body = {"mappingId": 1, "localKey": "c9", "integrationKey": "a9"}
    made = lively.ask("POST", "/couplings", body)
    assert made.status_code == 201
    assert lively.get(made.headers["Location"]) == made.json
    again = lively.ask("POST", "/couplings", body)
    assert (again.status_code, again.json["code"]) == (409, "already_coupled")
    missing = lively.ask("POST", "/couplings", {**body, "localKey": "nix", "integrationKey": "nix"})
    assert (missing.status_code, {error["pointer"] for error in missing.json["errors"]}) == (
        422,
        {"/localKey", "/integrationKey"},
    )
    assert lively.ask("DELETE", made.headers["Location"]).status_code == 204
    assert lively.ask("GET", made.headers["Location"]).status_code == 404


def test_an_exclusion_holds_until_it_is_deleted(lively: World) -> None:
    excluded = lively.get("/exclusions?mappingId=1")["items"]
    assert {(item["side"], item["key"]) for item in excluded} >= {("local", "c3")}
    for item in excluded:
        assert lively.ask("DELETE", f"/exclusions/{item['id']}").status_code == 204
    assert lively.get("/exclusions")["items"] == []
    assert lively.ask("DELETE", f"/exclusions/{excluded[0]['id']}").status_code == 404

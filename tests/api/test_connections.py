"""Connections over the API."""

from __future__ import annotations

import sqlite3

import pytest

from tests.api.world import World


def test_made_shown_changed_and_deleted(empty: World) -> None:
    made = empty.ask("POST", "/connections", {**empty.connection("erp"), "enabled": False})
    assert made.status_code == 201
    assert made.headers["Location"] == "/connections/1"
    assert made.headers["ETag"] == '"v1"'
    assert empty.get("/connections/1") == made.json
    changed = empty.ask("PATCH", "/connections/1", {"name": "ERP", "enabled": True}, If_Match='"v1"')
    assert changed.status_code == 200
    assert changed.headers["ETag"] == '"v2"'
    assert changed.json["name"] == "ERP"
    assert changed.json["settings"] == made.json["settings"]
    assert empty.ask("DELETE", "/connections/1", If_Match='"v1"').status_code == 412
    deleted = empty.ask("DELETE", "/connections/1", If_Match='"v2"')
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert empty.ask("GET", "/connections/1").status_code == 404


def test_credentials_are_never_shown(empty: World) -> None:
    secret = {"username": "u", "password": "hush-hush"}
    body = {
        "name": "pg",
        "kind": "sql",
        "settings": {"url": "postgresql://me:also-hush@db.example.com/erp"},
        "credentials": secret,
    }
    made = empty.ask("POST", "/connections", body)
    assert made.json["hasCredentials"] is True
    assert made.json["settings"]["url"] == "postgresql://me:***@db.example.com/erp"
    everywhere = [made.text, empty.ask("GET", "/connections/1").text, empty.ask("GET", "/connections").text]
    everywhere += [empty.ask("GET", "/audit").text, empty.state.read_bytes().decode("latin-1")]
    assert not any("hush" in text for text in everywhere)


def test_a_masked_password_is_kept_only_for_its_own_address(empty: World) -> None:
    body = {"name": "pg", "kind": "sql", "settings": {"url": "postgresql://me:hush@a.example.com/erp"}}
    made = empty.ask("POST", "/connections", body)
    same = empty.ask("PATCH", "/connections/1", {"settings": made.json["settings"]}, If_Match="*")
    assert (same.status_code, same.json["hasCredentials"]) == (200, True)
    elsewhere = {"settings": {"url": "postgresql://me:***@evil.example.com/erp"}}
    refused = empty.ask("PATCH", "/connections/1", elsewhere, If_Match="*")
    assert refused.status_code == 422
    assert refused.json["errors"][0]["code"] == "password_masked"


def test_settings_are_merged_and_credentials_replaced(empty: World) -> None:
    body = {"name": "pg", "kind": "sql", "settings": {"url": "postgresql://h/d"}, "credentials": {"password": "x"}}
    empty.ask("POST", "/connections", body)
    changed = empty.ask("PATCH", "/connections/1", {"settings": {"schema": "public"}}, If_Match="*").json
    assert changed["settings"] == {"url": "postgresql://h/d", "schema": "public"}
    changed = empty.ask(
        "PATCH", "/connections/1", {"settings": {"schema": None}, "credentials": None}, If_Match="*"
    ).json
    assert changed["settings"] == {"url": "postgresql://h/d"}
    assert changed["hasCredentials"] is False


def test_settings_that_cannot_be_right_are_refused_all_at_once(empty: World) -> None:
    body = {"name": "x", "kind": "sql", "settings": {"nonsense": 1, "overlapSeconds": "long"}, "credentials": {"a": 1}}
    refused = empty.ask("POST", "/connections", body)
    assert refused.status_code == 422
    pointers = {error["pointer"] for error in refused.json["errors"]}
    assert pointers == {"/settings/nonsense", "/settings/overlapSeconds", "/settings/url", "/credentials/a"}
    unknown = empty.ask("POST", "/connections", {"name": "x", "kind": "abacus", "settings": {}})
    assert [error["pointer"] for error in unknown.json["errors"]] == ["/kind"]


def test_a_name_is_taken_once(world: World) -> None:
    refused = world.ask("POST", "/connections", world.connection("erp"))
    assert (refused.status_code, refused.json["code"]) == (409, "name_taken")
    refused = world.ask("PATCH", "/connections/2", {"name": "erp"}, If_Match="*")
    assert (refused.status_code, refused.json["code"]) == (409, "name_taken")


def test_a_connection_in_use_stays(world: World) -> None:
    refused = world.ask("DELETE", "/connections/1")
    assert (refused.status_code, refused.json["code"]) == (409, "connection_in_use")
    assert "customers" in refused.json["detail"]


def test_check_passes_for_a_good_database(world: World) -> None:
    checked = world.ask("POST", "/connections/1/check").json
    assert checked["status"] in ("pass", "warn")
    found = {item["code"]: item for item in checked["checks"]}
    assert found["reachable"]["status"] == "pass"
    assert (found["credentials"]["status"], found["credentials"]["errorCode"]) == ("unknown", None)
    assert found["credentials"]["message"].startswith("Credentials: a file has no users")
    assert all(item["message"] and "(unknown)" not in item["message"] for item in checked["checks"])


def test_check_fails_for_a_file_that_is_no_database(empty: World) -> None:
    (empty.folder / "erp.db").write_text("This is a letter, not a database. " * 100)
    empty.ask("POST", "/connections", empty.connection("erp"))
    checked = empty.ask("POST", "/connections/1/check").json
    assert checked["status"] == "fail"
    failed = next(item for item in checked["checks"] if item["status"] == "fail")
    assert "not a database" in failed["message"]
    assert failed["errorCode"] == "not_a_database"
    refused = empty.ask("GET", "/connections/1/tables")
    assert (refused.status_code, refused.json["code"]) == (424, "not_a_database")


def test_tables_and_their_fields(world: World) -> None:
    first = world.get("/connections/1/tables?limit=1")
    assert [table["name"] for table in first["items"]] == ["customer"]
    second = world.get(f"/connections/1/tables?limit=1&cursor={first['nextCursor']}")
    assert [table["name"] for table in second["items"]] == ["nameless"]
    assert second["nextCursor"] is None
    table = world.get("/connections/1/tables/customer")
    assert (table["key"], table["modifiedOn"]) == ("id", "modified_at")
    fields = {field["name"]: field for field in table["fields"]}
    assert (fields["name"]["type"], fields["name"]["length"], fields["name"]["required"]) == ("string", 100, True)
    assert fields["name"]["options"] is None
    assert world.ask("GET", "/connections/1/tables/nix").status_code == 404


def test_the_options_of_a_field_are_shown(world: World) -> None:
    world.sql("erp", "CREATE TABLE grade (id TEXT PRIMARY KEY, grade TEXT CHECK (grade IN ('gold', 'silver')))")
    fields = {field["name"]: field for field in world.get("/connections/1/tables/grade")["fields"]}
    assert fields["grade"]["options"] == [
        {"value": "gold", "label": "gold", "labels": {}},
        {"value": "silver", "label": "silver", "labels": {}},
    ]
    world.sql("erp", "DROP TABLE grade")


def test_a_hint_wakes_the_mappings_of_its_tables(world: World) -> None:
    assert world.ask("POST", "/connections/1/changes", {"tables": ["nameless"]}).json == {"runIds": []}
    woken = world.ask("POST", "/connections/1/changes", {"tables": ["customer"]})
    assert woken.status_code == 202
    run = world.get(f"/sync-runs/{woken.json['runIds'][0]}")
    assert (run["trigger"], run["kind"], run["status"]) == ("change", "modified", "queued")
    world.ask("PATCH", "/mappings/1", {"enabled": False}, If_Match="*")
    assert world.ask("POST", "/connections/1/changes", {"tables": ["customer"]}).json == {"runIds": []}


@pytest.mark.parametrize("path", ["/connections/99", "/connections/99/tables", "/connections/99/tables/x"])
def test_an_unknown_connection_is_not_found(world: World, path: str) -> None:
    answer = world.ask("GET", path)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_credentials_survive_only_with_their_key(world: World) -> None:
    opened = sqlite3.connect(world.state)
    with opened:
        opened.execute("UPDATE connections SET credentials = 'gAAAAA-not-ours' WHERE id = 1")
    opened.close()
    answer = world.ask("GET", "/connections/1/tables")
    assert (answer.status_code, answer.json["code"]) == (424, "secret_lost")
    assert "another secret key" in answer.json["detail"]

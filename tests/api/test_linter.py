"""The linter: thirty mistakes, found in words that name the field and the fix; thirty right mappings, no finding."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.api.world import World, make_empty, make_mapped

Change = Callable[[dict[str, Any]], object]

RIGHT: dict[str, Any] = {
    "name": "right",
    "local": {"connectionId": 1, "table": "person", "key": "id", "modifiedOn": "at"},
    "integration": {"connectionId": 2, "table": "contact", "key": "id", "modifiedOn": "at"},
    "fieldMappings": [
        {"localField": "number", "integrationField": "number", "matchKey": 1},
        {"localField": "name", "integrationField": "name"},
    ],
    "synchOnlyCoupledRecords": False,
}
COLUMNS = """(
    id TEXT NOT NULL PRIMARY KEY, number VARCHAR(10) NOT NULL, name VARCHAR(50) NOT NULL, note VARCHAR({note}),
    pieces SMALLINT, price DECIMAL(12, {scale}), active BOOLEAN, active_required BOOLEAN NOT NULL DEFAULT false,
    born DATE, born_text VARCHAR(10), met TIMESTAMP, country VARCHAR({country}), state INTEGER, big DECIMAL(18, 2),
    price_required DECIMAL(12, 2) NOT NULL DEFAULT 0, whole INTEGER NOT NULL DEFAULT 0, anything TEXT,
    terms VARCHAR(5) CHECK (terms IN ({terms})), at TIMESTAMP NOT NULL)"""


THEIRS = "'30', '60'"


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory, app: Flask) -> World:
    """Two tables with fields of every kind, and one whose stamp has no index."""
    folder: Path = tmp_path_factory.mktemp("linted")
    world = make_mapped(make_empty(folder, app))
    for database, table, note, scale, country, terms in (
        ("erp", "person", 80, 2, 20, "'N30', 'N60'"),
        ("crm", "contact", 40, 1, 2, THEIRS),
    ):
        columns = COLUMNS.format(note=note, scale=scale, country=country, terms=terms)
        world.sql(database, f"CREATE TABLE {table} {columns}")
        world.sql(database, f"CREATE INDEX {table}_at ON {table} (at, id)")
    for table, rows in (("twice", 3), ("many", 2600)):
        world.sql("crm", f"CREATE TABLE {table} {COLUMNS.format(note=40, scale=1, country=2, terms=THEIRS)}")
        world.sql("crm", f"CREATE INDEX {table}_at ON {table} (at, id)")
        numbers = ", ".join(
            f"('r{row:04}', '{row if row < 2599 else 1990}', 'n{row % 2}', '2026-01-01 00:00:00')"
            for row in range(rows)
        )
        world.sql("crm", f"INSERT INTO {table} (id, number, name, at) VALUES {numbers}")
    world.sql("crm", "CREATE TABLE slow (id TEXT PRIMARY KEY, number VARCHAR(10), name VARCHAR(50), at TIMESTAMP)")
    return world


def line(**values: Any) -> Change:
    return lambda body: body["fieldMappings"].append(values)


def both(field: str, other: str | None = None, **more: Any) -> Change:
    return line(localField=field, integrationField=other or field, **more)


def out(field: str, other: str | None = None, *steps: Any, **more: Any) -> Change:
    given = {"transforms": {"toIntegration": list(steps)}} if steps else {}
    return both(field, other, direction="toIntegration", **given, **more)


def ways(field: str, other: str | None, *steps: Any) -> Change:
    """Both ways, with steps given once."""
    return both(field, other, transforms={"toIntegration": list(steps)})


def mapped(**values: Any) -> dict[str, Any]:
    return {"valueMap": {"map": values}}


def filtered(side: str, *conditions: tuple[str, str, Any]) -> Change:
    lines = [{"field": field, "op": op, "value": value} for field, op, value in conditions]
    return lambda body: body[side].update(filter=lines)


def side(name: str, **values: Any) -> Change:
    return lambda body: body[name].update(values)


def whole(**values: Any) -> Change:
    return lambda body: body.update(values)


def mapping(*changes: Change) -> dict[str, Any]:
    body = copy.deepcopy(RIGHT)
    for change in changes:
        change(body)
    return body


def findings(world: World, *changes: Change) -> list[dict[str, Any]]:
    answer = world.ask("POST", "/mappings/lint", mapping(*changes))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json["findings"]
    return found


F2 = "/fieldMappings/2"
MISTAKES: list[tuple[str, str, str, str, list[Change]]] = [
    # what it is, code, where, the field that the message names, how
    ("an unknown field", "field_not_found", f"{F2}/localField", "nix", [both("nix", "note")]),
    ("an unknown table", "table_not_found", "/integration/table", "nowhere", [side("integration", table="nowhere")]),
    ("an unknown key", "field_not_found", "/local/key", "nix", [side("local", key="nix")]),
    ("an unknown stamp", "field_not_found", "/local/modifiedOn", "nix", [side("local", modifiedOn="nix")]),
    ("the stamp is written", "field_is_modified_on", f"{F2}/integrationField", "at", [out("met", "at")]),
    ("types that cannot convert", "types_not_convertible", f"{F2}/integrationField", "born", [out("active", "born")]),
    (
        "a required field without a value",
        "required_field_not_mapped",
        "/integration/table",
        "name",
        [lambda body: body["fieldMappings"].pop(1), whole(direction="toIntegration")],
    ),
    ("one field written twice", "field_written_twice", f"{F2}/integrationField", "name", [out("note", "name")]),
    ("a table with itself", "same_table_twice", "/integration/table", "itself",
     [side("integration", connectionId=1, table="person")]),
    ("a transformation that there is not", "transform_unknown", f"{F2}/transforms/toIntegration/0", "note",
     [out("note", "note", "shout")]),
    ("a parameter left out", "transform_parameter_missing", f"{F2}/transforms/toIntegration/0/pad/length", "note",
     [out("note", "note", {"pad": {}})]),
    ("a pattern that is none", "pattern_wrong", f"{F2}/transforms/toIntegration/0/regex/pattern", "note",
     [out("note", "note", {"regex": {"pattern": "(", "to": ""}})]),
    ("an expression that is none", "expression_wrong", f"{F2}/transforms/toIntegration/0/expression", "note",
     [out("note", "note", {"expression": "note + 1"})]),
    ("a transformation for another type", "transform_type_wrong", f"{F2}/transforms/toIntegration/0", "active",
     [out("active", "active", {"round": {}})]),
    ("a constant that does not fit", "value_rejected", f"{F2}/constant", "pieces",
     [line(integrationField="pieces", constant="many", direction="toIntegration")]),
    ("a filter on an unknown field", "field_not_found", "/local/filter/0/field", "nix",
     [filtered("local", ("nix", "eq", 1))]),
    ("a filter value of another type", "filter_value_wrong", "/local/filter/0/value", "price",
     [filtered("local", ("price", "gt", "much"))]),
    ("a part that there is not", "field_not_found", f"{F2}/localField", "nix",
     [out("note + nix", "anything", "concat")]),
    ("a part named twice", "part_named_twice", f"{F2}/localField", "note", [out("note + note", "anything", "concat")]),
    ("parts that nothing joins", "parts_not_joined", f"{F2}/integrationField", "note + anything",
     [out("note + anything", "anything")]),
    ("a value that nothing splits", "parts_not_split", f"{F2}/localField", "country + anything",
     [ways("country + anything", "anything", {"expression": "country + anything"})]),
    ("a split into one field", "split_needs_parts", f"{F2}/transforms/toIntegration/0/split", "note",
     [out("anything", "note", "split")]),
    ("parts of other numbers", "parts_do_not_fit", f"{F2}/integrationField", "note + country",
     [out("note + country", "note + country + anything")]),
    ("a part that another line writes", "field_written_twice", f"{F2}/integrationField", "name",
     [out("note", "name + anything", "split")]),
    ("a part that is the stamp", "field_is_modified_on", f"{F2}/integrationField", "at",
     [out("note", "anything + at", "split")]),
    ("a part that is the key", "key_is_part", f"{F2}/integrationField", "id", [out("note", "id + anything", "split")]),
    ("a reference of several fields", "reference_of_several_fields", f"{F2}/reference", "note + country",
     [both("note + country", "anything", reference={"mapping": "right"})]),
    ("a separator within a part", "lint_parts_change", f"{F2}/integrationField", "country",
     [ways("country + anything", "anything", {"concat": {"separator": "-"}})]),
    ("parts that are too long together", "lint_too_long", f"{F2}/integrationField", "note",
     [out("note + country", "note", "concat")]),
    ("a length that would cut", "lint_too_long", f"{F2}/integrationField", "note", [out("note", "note")]),
    ("a map to values that are too long", "lint_too_long", f"{F2}/integrationField", "country",
     [out("country", "country", {"valueMap": {"map": {"Norway": "NO", "Sweden": "SWE"}}})]),
    ("numbers that are too large", "lint_out_of_range", f"{F2}/integrationField", "price", [out("big", "price")]),
    ("an empty value where one must be", "lint_empty_value", f"{F2}/integrationField", "price_required",
     [out("price", "price_required")]),
    ("texts for a date", "lint_not_convertible", f"{F2}/integrationField", "born", [out("born_text", "born")]),
    ("a map to values of another type", "lint_not_convertible", f"{F2}/integrationField", "state",
     [out("country", "state", {"valueMap": {"map": {"Norway": 1, "Sweden": "two"}}})]),
    ("an option that is not covered", "lint_map_incomplete", f"{F2}/transforms/toIntegration", "active",
     [out("active", "country", {"valueMap": {"map": {"true": "Y"}}})]),
    ("an option that is none there", "lint_not_an_option", f"{F2}/integrationField", "terms", [out("terms", "terms")]),
    ("a free text for options", "lint_not_an_option", f"{F2}/integrationField", "terms", [out("anything", "terms")]),
    ("a map to an option that is none", "lint_not_an_option", f"{F2}/integrationField", "terms",
     [out("terms", "terms", mapped(N30="30", N60="90"))]),
    ("a map that leaves an option out", "lint_map_incomplete", f"{F2}/transforms/toIntegration", "N60",
     [out("terms", "terms", mapped(N30="30"))]),
    ("a map for an option that there is not", "lint_map_unknown_option", f"{F2}/transforms/toIntegration", "N90",
     [out("terms", "terms", mapped(N30="30", N60="60", N90="60"))]),
    ("capitals that come back", "lint_not_round_trip", f"{F2}/transforms", "born_text",
     [both("born_text", transforms={"toIntegration": ["upper"]})]),
    ("decimals that get lost", "lint_not_round_trip", f"{F2}/transforms", "price", [both("price")]),
    ("the time of day gets lost", "lint_not_round_trip", f"{F2}/transforms", "met", [both("met", "born")]),
    ("a map that is not one to one", "lint_not_round_trip", f"{F2}/transforms", "anything",
     [both("anything", transforms={"toIntegration": [{"valueMap": {"map": {"a": "x", "b": "x"}}}]})]),
    ("no index on the stamp", "lint_no_index", "/integration/modifiedOn", "at", [side("integration", table="slow")]),
    ("a match key that records share", "lint_key_not_unique", "/fieldMappings/1/matchKey", "name",
     [side("integration", table="twice"), lambda body: body["fieldMappings"][0].pop("matchKey"),
      lambda body: body["fieldMappings"][1].update(matchKey=1)]),
    ("a match key that records far apart share", "lint_key_not_unique", "/fieldMappings/0/matchKey", "number",
     [side("integration", table="many")]),
    ("a normal form that records share", "lint_key_not_unique", "/fieldMappings/1/matchKey", "name",
     [side("integration", table="twice"), lambda body: body["fieldMappings"][0].pop("matchKey"),
      lambda body: body["fieldMappings"][1].update(matchKey=1, normalize=["punctuation"])]),
    ("what could not be created", "lint_required_unmapped", "/integration/table", "name",
     [whole(synchOnlyCoupledRecords=True, direction="toIntegration"), lambda body: body["fieldMappings"].pop(1)]),
    ("conditions that contradict each other", "lint_filter_never_matches", "/local/filter/1", "price",
     [filtered("local", ("price", "gt", 5), ("price", "lt", 3))]),
    ("a condition that no value can fulfil", "lint_filter_never_matches", "/integration/filter/0", "country",
     [filtered("integration", ("country", "eq", "Norway"))]),
    ("a direction that never applies", "lint_never_flows", f"{F2}/direction", "born",
     [whole(direction="toIntegration"), both("born", direction="fromIntegration")]),
    ("transformations that are never applied", "lint_transforms_idle", f"{F2}/transforms/fromIntegration", "born_text",
     [both("born_text", direction="toIntegration", transforms={"fromIntegration": ["trim"]})]),
    ("a field that another mapping writes", "lint_written_elsewhere", "/fieldMappings/1/integrationField", "name",
     [side("local", table="customer", modifiedOn="modified_at"),
      side("integration", table="account", key="accountid", modifiedOn="modifiedon"),
      lambda body: body["fieldMappings"][0].update(integrationField="accountnumber")]),
    ("nothing that could couple", "lint_nothing_couples", "/synchOnlyCoupledRecords", "matchKey",
     [whole(synchOnlyCoupledRecords=True), lambda body: body["fieldMappings"][0].pop("matchKey")]),
]  # fmt: skip


@pytest.mark.parametrize("row", MISTAKES, ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_found_and_the_fix_is_named(linted: World, row: tuple[str, str, str, str, list[Change]]) -> None:
    _, code, pointer, named, changes = row
    found = findings(linted, *changes)
    mine = [one for one in found if (one["code"], one["pointer"]) == (code, pointer)]
    assert len(mine) == 1, found
    assert named in mine[0]["message"]
    assert mine[0]["advice"] != ""
    assert "(unknown)" not in mine[0]["message"] + mine[0]["advice"]
    refused = any(one["severity"] == "error" for one in found)
    saved = linted.ask("POST", "/mappings", {**mapping(*changes), "name": "tried"})
    assert saved.status_code == (422 if refused else 201), saved.text
    if not refused:
        linted.ask("DELETE", f"/mappings/{saved.json['id']}")


def test_there_are_thirty_mistakes() -> None:
    assert len(MISTAKES) >= 30


DATE = {"dateFormat": {"format": "%d.%m.%Y"}}
READ_DATE = {"toIntegration": [{"parseDate": {"format": "%d.%m.%Y"}}], "fromIntegration": [DATE]}
DEFAULTED = {"valueMap": {"map": {"Norway": "NO"}, "unmapped": "default", "default": "XX"}}
DAILY = {"cron": "0 6 * * 1-5", "timeZone": "Europe/Oslo"}
CORRECT: list[tuple[str, list[Change]]] = [
    ("as it is", []),
    ("one way", [whole(direction="toIntegration")]),
    ("the other way", [whole(direction="fromIntegration")]),
    ("only coupled records, with a match key", [whole(synchOnlyCoupledRecords=True)]),
    ("a longer text, cut", [out("note", "note", {"truncate": {"length": 40}})]),
    ("a shorter text into a longer one", [both("note", direction="fromIntegration")]),
    ("decimals, rounded on purpose one way", [out("price", "price")]),
    ("whole numbers", [both("pieces")]),
    ("truth values", [both("active")]),
    ("a truth value and a map of both", [ways("active", "country", mapped(true="Y", false="N"))]),
    ("a map given once", [ways("anything", "anything", mapped(a="x", b="y"))]),
    ("a map with a default, one way", [out("country", "country", DEFAULTED)]),
    ("a map of options", [ways("terms", "terms", mapped(N30="30", N60="60"))]),
    ("a map to numbers", [ways("anything", "state", mapped(new=1, done=2))]),
    ("a date as text and back", [ways("born", "born_text", DATE)]),
    ("a text as date and back", [both("born_text", "born", transforms=READ_DATE)]),
    ("a number as text and back", [ways("pieces", "anything", {"numberFormat": {"decimals": 0}})]),
    ("local times", [ways("met", "met", {"timeZone": {"from": "Asia/Tokyo"}})]),
    ("dates", [both("born")]),
    ("padding one way", [out("born_text", "anything", {"pad": {"length": 8}})]),
    ("capitals one way", [out("born_text", "born_text", "trim", "upper")]),
    ("a pattern one way", [out("anything", "anything", {"regex": {"pattern": "\\s+", "to": " "}})]),
    ("an expression one way", [out("price", "state", {"expression": "value == null ? 0 : int(value)"})]),
    ("a default for what may be empty", [out("price", "price_required", {"default": {"value": 0}})]),
    ("a constant", [line(integrationField="state", constant=3, direction="toIntegration")]),
    ("a disabled line", [both("note", enabled=False)]),
    ("a filter", [filtered("local", ("active", "eq", True), ("price", "ge", 3), ("price", "le", 3))]),
    ("a filter of several values", [filtered("integration", ("country", "in", ["NO", "SE"]), ("country", "ne", "SE"))]),
    ("a filter for what is there", [filtered("local", ("note", "isNull", False), ("note", "startsWith", "x"))]),
    ("field by field, with a policy", [whole(conflictDetection="field", updateConflictResolution="newestWins")]),
    ("after another mapping, now and then", [whole(dependsOn=[1], schedule=DAILY)]),
    ("must not be emptied", [both("born_text", notNull=True)]),
    ("two match keys", [both("born", matchKey=2)]),
    (
        "two match keys that tell apart together",
        [side("integration", table="twice"), lambda body: body["fieldMappings"][1].update(matchKey=1)],
    ),
    ("two texts joined one way", [out("country + anything", "anything", "concat")]),
    ("a text split one way", [out("born_text", "anything + note", "split")]),
    (
        "two numbers as one text and back",
        [ways("pieces + state", "anything", {"concat": {"separator": "/", "keepEmpty": True}})],
    ),
    ("two fields for two", [both("pieces + state")]),
    (
        "an expression over several fields",
        [out("born + met", "anything", {"expression": "born < '2000' ? 'old' : 'new'"})],
    ),
]


@pytest.mark.parametrize("row", CORRECT, ids=[row[0] for row in CORRECT])
def test_what_is_right_has_no_finding(linted: World, row: tuple[str, list[Change]]) -> None:
    assert findings(linted, *row[1]) == []


def test_saving_says_what_the_linter_does_and_saves_all_the_same(linted: World) -> None:
    body = {**mapping(out("note", "note")), "name": "noted"}
    made = linted.ask("POST", "/mappings", body)
    assert made.status_code == 201
    assert [one["code"] for one in made.json["findings"]] == ["lint_too_long"]
    assert made.json["findings"] == linted.ask("POST", "/mappings/lint", body).json["findings"]
    place = f"/mappings/{made.json['id']}"
    shown = linted.get(place)
    assert "findings" not in shown
    renamed = linted.ask("PATCH", place, {"name": "noted too"}, If_Match="*")
    assert renamed.json["findings"] is None
    lines = [*body["fieldMappings"][:2], {**body["fieldMappings"][2], "transforms": {"toIntegration": ["upper"]}}]
    changed = linted.ask("PATCH", place, {"fieldMappings": lines}, If_Match="*")
    assert [one["code"] for one in changed.json["findings"]] == ["lint_too_long"]
    replaced = linted.ask("PUT", place, mapping(), If_Match="*")
    assert (replaced.status_code, replaced.json["findings"]) == (200, [])
    linted.ask("DELETE", place)


def test_some_of_the_records_that_share_a_key_are_shown(linted: World) -> None:
    changes = (side("integration", table="twice"), lambda body: body["fieldMappings"][1].update(matchKey=2))
    (found,) = findings(linted, *changes)
    assert found["params"] == {
        "fields": ["name"],
        "table": "twice",
        "count": 2,
        "records": 3,
        "candidates": ["r0000", "r0002"],
    }
    assert "r0000, r0002" in found["message"]


def test_there_are_thirty_right_ones() -> None:
    assert len(CORRECT) >= 30


def test_the_smallest_counterexample_is_shown(linted: World) -> None:
    (found,) = findings(linted, both("anything", transforms={"toIntegration": [{"replace": {"from": "-", "to": "_"}}]}))
    assert found["params"] | {"value": "“-”", "there": "“_”", "back": "“_”"} == found["params"]
    assert "“-” becomes “_” in anything and “_” when it comes back" in found["message"]


def test_a_change_of_what_is_stored_is_not_held_against_itself(linted: World) -> None:
    shown = linted.get("/mappings/1")
    body = {name: shown[name] for name in ("name", "local", "integration", "fieldMappings", "synchOnlyCoupledRecords")}
    answer = linted.ask("POST", "/mappings/lint", body)
    assert [one["code"] for one in answer.json["findings"]] == ["lint_no_index", "lint_no_index"]


def test_filters_keep_two_mappings_apart(linted: World) -> None:
    person = mapping(filtered("integration", ("country", "eq", "NO")))
    made = linted.ask("POST", "/mappings", {**person, "name": "norwegians"})
    assert made.status_code == 201, made.text
    assert {one["code"] for one in findings(linted)} == {"lint_written_elsewhere"}
    apart = filtered("integration", ("country", "eq", "SE"))
    changes = (apart, filtered("local", ("country", "eq", "S")), whole(direction="toIntegration"))
    codes = {one["code"] for one in findings(linted, *changes)}
    linted.ask("DELETE", f"/mappings/{made.json['id']}")
    assert codes == set()


def test_who_may_only_read_may_not_ask(linted: World) -> None:
    assert linted.ask("POST", "/mappings/lint", RIGHT, token=linted.token("read")).status_code == 403

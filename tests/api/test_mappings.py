"""Mappings over the API: what is refused, what a change does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.world import MAPPING, World

Change = Callable[[dict[str, Any]], object]


def changed(*changes: Change) -> dict[str, Any]:
    """The mapping of the world under another name, after some changes."""
    body = copy.deepcopy({**MAPPING, "name": "other"})
    for change in changes:
        change(body)
    return body


def line(index: int, **values: Any) -> Change:
    return lambda body: body["fieldMappings"][index].update(values)


def add(**values: Any) -> Change:
    return lambda body: body["fieldMappings"].append(values)


def side(name: str, **values: Any) -> Change:
    return lambda body: body[name].update(values)


def whole(**values: Any) -> Change:
    return lambda body: body.update(values)


PROBLEMS: list[tuple[str, str, list[Change]]] = [
    ("/local/connectionId", "connection_unknown", [side("local", connectionId=77)]),
    ("/local/table", "table_not_found", [side("local", table="nix")]),
    ("/local/key", "key_undeterminable", [side("local", table="nameless", key=None)]),
    ("/local/key", "key_is_binary", [side("local", table="nameless", key="c")]),
    ("/local/modifiedOn", "modified_on_undeterminable", [side("local", table="nameless", modifiedOn=None)]),
    ("/local/key", "field_not_found", [side("local", key="nix")]),
    ("/local/modifiedOn", "field_not_found", [side("local", modifiedOn="nix")]),
    (
        "/local/modifiedOn/table",
        "table_not_found",
        [side("local", modifiedOn={"table": "nix", "keyField": "id", "field": "at"})],
    ),
    (
        "/local/modifiedOn/keyField",
        "field_not_found",
        [side("local", modifiedOn={"table": "nameless", "keyField": "id", "field": "a"})],
    ),
    ("/fieldMappings/0/localField", "field_not_found", [line(0, localField="nix")]),
    ("/fieldMappings/1/integrationField", "field_not_found", [line(1, integrationField="nix")]),
    ("/local/filter/0/field", "field_not_found", [side("local", filter=[{"field": "x", "op": "eq", "value": 1}])]),
    ("/local/filter/0/op", "filter_operator_unknown", [side("local", filter=[{"field": "city", "op": "like"}])]),
    (
        "/local/filter/0/value",
        "filter_value_wrong",
        [side("local", filter=[{"field": "credit_limit", "op": "gt", "value": "much"}])],
    ),
    (
        "/local/filter/0/value",
        "filter_value_wrong",
        [side("local", filter=[{"field": "city", "op": "in", "value": []}])],
    ),
    ("/fieldMappings/3/constant", "value_rejected", [line(3, constant="three")]),
    ("/fieldMappings/0/constant", "constant_with_both_fields", [line(0, constant=1)]),
    ("/fieldMappings/4/constant", "constant_missing", [add(localField="city")]),
    ("/fieldMappings/4", "field_mapping_empty", [add(direction="toIntegration")]),
    ("/fieldMappings/3/matchKey", "match_key_needs_both_fields", [line(3, matchKey=1)]),
    (
        "/fieldMappings/1/transforms/toIntegration/0",
        "transform_unknown",
        [line(1, transforms={"toIntegration": ["shout"]})],
    ),
    (
        "/fieldMappings/1/transforms/toIntegration/1/pad/length",
        "transform_parameter_missing",
        [line(1, transforms={"toIntegration": ["trim", {"pad": {}}]})],
    ),
    (
        "/fieldMappings/1/transforms/fromIntegration/0/regex/pattern",
        "pattern_wrong",
        [line(1, transforms={"fromIntegration": [{"regex": {"pattern": "(", "to": ""}}]})],
    ),
    (
        "/fieldMappings/1/transforms/toIntegration/0/expression",
        "expression_wrong",
        [line(1, transforms={"toIntegration": [{"expression": "name + 1"}]})],
    ),
    (
        "/fieldMappings/1/transforms/toIntegration/1",
        "transform_type_wrong",
        [line(1, transforms={"toIntegration": [{"parseDate": {"format": "%Y%m%d"}}, {"round": {}}]})],
    ),
    ("/fieldMappings/4/integrationField", "field_written_twice", [add(localField="city", integrationField="name")]),
    (
        "/fieldMappings/4/integrationField",
        "field_is_modified_on",
        [add(integrationField="modifiedon", constant="2026-01-01T00:00:00Z", direction="toIntegration")],
    ),
    ("/local/table", "required_field_not_mapped", [line(1, direction="toIntegration")]),
    (
        "/fieldMappings",
        "nothing_flows",
        [whole(fieldMappings=[{"localField": "name", "integrationField": "name", "enabled": False}])],
    ),
    ("/integration/table", "same_table_twice", [side("integration", connectionId=1, table="customer")]),
    ("/dependsOn/0", "depends_on_unknown", [whole(dependsOn=[77])]),
    ("/schedule/cron", "schedule_cron_wrong", [whole(schedule={"cron": "every now and then"})]),
    ("/schedule", "schedule_form", [whole(schedule={"cron": "0 6 * * *", "everyMinutes": 5})]),
    ("/schedule", "schedule_form", [whole(schedule={})]),
    ("/schedule/timeZone", "time_zone_unknown", [whole(schedule={"cron": "0 6 * * *", "timeZone": "Mars/Olympus"})]),
]


@pytest.mark.parametrize(("pointer", "code", "changes"), PROBLEMS, ids=[f"{p} {c}" for p, c, _ in PROBLEMS])
def test_what_cannot_work_is_refused(world: World, pointer: str, code: str, changes: list[Change]) -> None:
    before = world.contents()
    answer = world.ask("POST", "/mappings", changed(*changes))
    assert answer.status_code == 422, answer.text
    found = {(error["pointer"], error["code"]) for error in answer.json["errors"]}
    assert (pointer, code) in found
    assert all("(unknown)" not in error["detail"] for error in answer.json["errors"])
    assert world.contents() == before


def test_types_that_do_not_fit_are_refused(world: World) -> None:
    world.sql("erp", "ALTER TABLE customer ADD COLUMN born DATE")
    answer = world.ask("POST", "/mappings", changed(add(localField="born", integrationField="creditlimit")))
    codes = {(error["pointer"], error["code"]) for error in answer.json["errors"]}
    assert ("/fieldMappings/4/integrationField", "types_not_convertible") in codes
    assert ("/fieldMappings/4/localField", "types_not_convertible") in codes


def test_all_problems_come_in_one_answer(world: World) -> None:
    body = changed(
        line(0, localField="nix"),
        line(1, transforms={"toIntegration": ["shout"]}),
        side("integration", table="nix"),
        whole(schedule={"cron": "x"}, dependsOn=[77]),
    )
    answer = world.ask("POST", "/mappings", body)
    assert {error["pointer"] for error in answer.json["errors"]} >= {
        "/fieldMappings/0/localField",
        "/fieldMappings/1/transforms/toIntegration/0",
        "/integration/table",
        "/schedule/cron",
        "/dependsOn/0",
    }


def test_a_connection_that_cannot_be_reached_is_said_where_it_is_named(world: World) -> None:
    (world.folder / "crm.db").write_text("no database " * 500)
    answer = world.ask("POST", "/mappings", changed())
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [
        ("/integration/connectionId", "not_a_database")
    ]
    assert world.ask("PATCH", "/mappings/1", {"enabled": False}, If_Match="*").status_code == 200
    world.ask("PATCH", "/connections/1", {"enabled": False}, If_Match="*")
    answer = world.ask("POST", "/mappings", changed())
    assert {(error["pointer"], error["code"]) for error in answer.json["errors"]} == {
        ("/local/connectionId", "connection_disabled"),
        ("/integration/connectionId", "not_a_database"),
    }


def test_a_mapping_shows_its_standing(lively: World) -> None:
    shown = lively.get("/mappings/1")
    assert shown["status"]["lastRun"]["status"] == "completedWithErrors"
    assert shown["status"]["openErrors"] == shown["status"]["openSkipped"] == 1
    assert shown["status"]["coupled"] == 2
    assert shown["watermarks"]["local"].endswith("Z")
    assert shown == lively.get("/mappings")["items"][0]


def test_the_tag_changes_with_everything_that_is_shown(world: World) -> None:
    first = world.ask("GET", "/mappings/1").headers["ETag"]
    same = world.ask("GET", "/mappings/1", If_None_Match=first)
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", first)
    world.run()
    assert world.ask("GET", "/mappings/1", If_None_Match=first).status_code == 200
    assert world.ask("PATCH", "/mappings/1", {"name": "x"}, If_Match=first).status_code == 200


def test_replacing_makes_everything_else_the_default(world: World) -> None:
    world.ask("PATCH", "/mappings/1", {"schedule": {"everyMinutes": 30}, "maxDeleteCount": 7}, If_Match="*")
    assert world.get("/mappings/1")["status"]["nextRunAt"] is not None
    answer = world.ask("PUT", "/mappings/1", MAPPING, If_Match="*")
    assert answer.status_code == 200
    assert (answer.json["schedule"], answer.json["maxDeleteCount"]) == (None, None)
    assert answer.json["status"]["nextRunAt"] is None


def test_what_get_shows_put_takes(world: World) -> None:
    shown = world.get("/mappings/1")
    read_only = ("id", "watermarks", "status", "createdAt", "updatedAt")
    answer = world.ask(
        "PUT", "/mappings/1", {name: value for name, value in shown.items() if name not in read_only}, If_Match="*"
    )
    assert answer.status_code == 200, answer.text
    assert answer.json["fieldMappings"] == shown["fieldMappings"]


def test_a_change_merges_the_sides(world: World) -> None:
    answer = world.ask("PATCH", "/mappings/1", {"local": {"caption": "Kunde"}}, If_Match="*")
    assert answer.json["local"]["caption"] == "Kunde"
    assert answer.json["local"]["table"] == "customer"


def line_ids(world: World) -> list[int]:
    return [row[0] for row in world.sql("accord", "SELECT id FROM field_mappings ORDER BY position")]


def test_a_line_keeps_its_id_while_it_means_the_same(world: World) -> None:
    before = line_ids(world)
    lines = world.get("/mappings/1")["fieldMappings"]
    moved = [
        lines[2],
        lines[0],
        {**lines[1], "transforms": {"toIntegration": ["trim"]}},
        {**lines[3], "enabled": False},
    ]
    assert world.ask("PATCH", "/mappings/1", {"fieldMappings": moved}, If_Match="*").status_code == 200
    after = line_ids(world)
    assert after[:2] == [before[2], before[0]]
    assert after[2] not in before
    assert after[3] == before[3]
    assert world.sql("accord", "SELECT full_read_due FROM mappings") == [(1,)]


@pytest.mark.parametrize(
    ("change", "due"),
    [
        ({"local": {"filter": [{"field": "blocked", "op": "eq", "value": ""}]}}, 1),
        ({"name": "customers of old"}, 0),
        ({"updateConflictResolution": "newestWins"}, 0),
    ],
)
def test_what_changes_the_scope_makes_a_full_read_due(world: World, change: dict[str, Any], due: int) -> None:
    assert world.ask("PATCH", "/mappings/1", change, If_Match="*").status_code == 200
    assert world.sql("accord", "SELECT full_read_due FROM mappings") == [(due,)]


def test_a_value_map_works_both_ways_and_says_what_is_not_in_it(world: World) -> None:
    world.sql("erp", "ALTER TABLE customer ADD COLUMN country VARCHAR(20)")
    world.sql("crm", "ALTER TABLE account ADD COLUMN code VARCHAR(2)")
    steps = {"toIntegration": [{"valueMap": {"map": {"Norway": "NO", "Sweden": "SE"}}}]}
    lines = world.get("/mappings/1")["fieldMappings"]
    country = {"localField": "country", "integrationField": "code", "transforms": steps}
    answer = world.ask("PATCH", "/mappings/1", {"fieldMappings": [*lines, country]}, If_Match="*")
    assert answer.json["fieldMappings"][-1]["transforms"] == steps
    world.sql("erp", "UPDATE customer SET country = CASE id WHEN 'c1' THEN 'Norway' ELSE 'Mars' END")
    world.run()
    assert {code for (code,) in world.sql("crm", "SELECT code FROM account")} == {"NO", None}
    found = [error["params"] for error in world.get("/errors")["items"] if error["code"] == "value_not_mapped"]
    assert found[0] == {"field": "country", "value": "Mars"}
    world.sql("crm", "UPDATE account SET code = 'SE' WHERE code = 'NO'")
    world.run()
    assert ("Sweden",) in world.sql("erp", "SELECT country FROM customer")


TEMPLATES = [
    {
        "direction": "toIntegration",
        "priority": 2,
        "values": {"customertypecode": 9, "city": "Nowhere"},
    },
    {
        "direction": "toIntegration",
        "filter": [{"field": "blocked", "op": "eq", "value": "yes"}, {"field": "credit_limit", "op": "gt", "value": 5}],
        "values": {"customertypecode": 1, "creditlimit": 7},
    },
    {"direction": "fromIntegration", "values": {"blocked": "new"}},
]


def test_templates_fill_what_a_new_record_lacks(world: World) -> None:
    lines = world.get("/mappings/1")["fieldMappings"][:3]
    changes = {"fieldMappings": lines, "templates": TEMPLATES}
    answer = world.ask("PATCH", "/mappings/1", changes, If_Match="*")
    assert answer.status_code == 200, answer.text
    assert [one["priority"] for one in answer.json["templates"]] == [2, 1, 1]
    insert = "INSERT INTO customer (id, number, name, city, blocked, credit_limit) VALUES "
    world.sql("erp", f"{insert} ('n1', '1', 'One', 'Oslo', 'yes', 6), ('n2', '2', 'Two', NULL, 'yes', 5)")
    world.sql("crm", "INSERT INTO account (accountid, accountnumber, name) VALUES ('x', '3', 'Three')")
    world.run()
    made = "SELECT accountnumber, city, customertypecode, creditlimit FROM account WHERE accountnumber IN ('1', '2')"
    first = [("1", "Oslo", 1, 7), ("2", "Nowhere", 9, None)]
    assert sorted(world.sql("crm", made)) == first
    assert world.sql("erp", "SELECT blocked FROM customer WHERE number = '3'") == [("new",)]
    # Nothing of it is looked at again: neither when nothing changed, nor when something else or it itself did.
    quiet = world.run()
    assert all(counts["modified"] == counts["inserted"] == 0 for counts in quiet["counts"].values())
    world.sql("erp", "UPDATE customer SET name = 'Zwei', blocked = 'no' WHERE id = 'n2'")
    world.run()
    assert sorted(world.sql("crm", made)) == first
    assert world.sql("erp", "SELECT city FROM customer WHERE id = 'n2'") == [(None,)]
    world.sql("crm", "UPDATE account SET customertypecode = 5, name = 'Uno' WHERE accountnumber = '1'")
    world.run()
    assert world.sql("crm", "SELECT customertypecode FROM account WHERE accountnumber = '1'") == [(5,)]
    (pair,) = world.get("/couplings?localKey=n1")["items"]
    told = str(world.get(f"/couplings/{pair['id']}/history")["items"])
    assert "customertypecode" in told


def test_templates_fill_a_record_that_is_restored(world: World) -> None:
    changes = {"templates": TEMPLATES[:1], "deletionConflictResolution": "restoreRecords"}
    lines = world.get("/mappings/1")["fieldMappings"][:3]
    assert world.ask("PATCH", "/mappings/1", {**changes, "fieldMappings": lines}, If_Match="*").status_code == 200
    world.sql("erp", "UPDATE customer SET city = NULL WHERE id = 'c1'")
    world.run()
    world.sql("crm", "DELETE FROM account WHERE accountnumber = '10000'")
    world.sql("erp", "UPDATE customer SET name = 'Again' WHERE id = 'c1'")
    world.run(allowMassDelete=True)
    found = world.sql("crm", "SELECT name, city, customertypecode FROM account WHERE accountnumber = '10000'")
    assert found == [("Again", "Nowhere", 9)]


@pytest.mark.parametrize(
    ("template", "pointer", "code"),
    [
        ({"values": {"nix": 1}}, "/templates/0/values/nix", "field_not_found"),
        ({"values": {"modifiedon": "2026-01-01"}}, "/templates/0/values/modifiedon", "field_is_modified_on"),
        ({"values": {"customertypecode": "many"}}, "/templates/0/values/customertypecode", "value_rejected"),
        ({"values": {"city": "x" * 51}}, "/templates/0/values/city", "value_too_long"),
        ({"filter": [{"field": "nix", "op": "eq", "value": 1}]}, "/templates/0/filter/0/field", "field_not_found"),
        ({"filter": [{"field": "city", "op": "like"}]}, "/templates/0/filter/0/op", "filter_operator_unknown"),
        ({"values": {}}, "/templates/0/values", "list_length"),
        ({"values": {"city": None}}, "/templates/0/values", "not_a_scalar"),
        ({"direction": "bidirectional"}, "/templates/0/direction", "not_a_choice"),
    ],
    ids=str,
)
def test_a_template_that_cannot_work_is_refused(
    world: World, template: dict[str, Any], pointer: str, code: str
) -> None:
    whole_one = {"direction": "toIntegration", "values": {"city": "Oslo"}, **template}
    answer = world.ask("PATCH", "/mappings/1", {"templates": [whole_one]}, If_Match="*")
    assert answer.status_code == 422
    assert [(one["pointer"], one["code"]) for one in answer.json["errors"]] == [(pointer, code)]


def test_a_template_for_a_direction_that_does_not_flow_is_refused(world: World) -> None:
    body = changed(whole(direction="fromIntegration", templates=TEMPLATES[:1]))
    answer = world.ask("POST", "/mappings", body)
    assert ("/templates/0/direction", "template_never_used") in {
        (one["pointer"], one["code"]) for one in answer.json["errors"]
    }


def test_a_template_gives_what_a_new_record_requires(world: World) -> None:
    template = {"direction": "fromIntegration", "values": {"name": "nameless"}}
    body = changed(line(1, direction="toIntegration"), whole(templates=[template]))
    assert world.ask("POST", "/mappings", body).status_code == 201


def test_a_transformation_that_fits_no_more_stops_the_run(world: World) -> None:
    lines = world.get("/mappings/1")["fieldMappings"]
    lines[1]["transforms"] = {"toIntegration": [{"expression": "value.trim()"}]}
    assert world.ask("PATCH", "/mappings/1", {"fieldMappings": lines}, If_Match="*").status_code == 200
    world.sql("accord", "UPDATE field_mappings SET transforms = replace(transforms, 'trim', 'nix')")
    world.run()
    run = world.get("/sync-runs")["items"][0]
    assert (run["status"], run["code"]) == ("failed", "mapping_invalid")


def test_tables_stay_while_records_are_coupled(world: World) -> None:
    world.sql("erp", "CREATE TABLE client AS SELECT * FROM customer")
    answer = world.ask(
        "PATCH", "/mappings/1", {"local": {"table": "client", "key": "id", "modifiedOn": "modified_at"}}, If_Match="*"
    )
    assert (answer.status_code, answer.json["code"]) == (409, "mapping_has_couplings")


def test_open_conflicts_keep_a_mapping_bidirectional(lively: World) -> None:
    body = {"direction": "toIntegration"}
    answer = lively.ask("PATCH", "/mappings/1", body, If_Match="*")
    assert (answer.status_code, answer.json["code"]) == (409, "open_conflicts")
    lively.ask("POST", "/skipped/1/resolve", {"resolution": "keepLocal"})
    lively.work()
    assert lively.ask("PATCH", "/mappings/1", body, If_Match="*").status_code == 200


def test_reset_forgets_one_side_or_both(world: World) -> None:
    answer = world.ask("POST", "/mappings/1/reset", {"side": "local"})
    assert answer.status_code == 200
    assert answer.json["watermarks"]["local"] is None
    assert answer.json["watermarks"]["integration"] is not None
    assert world.ask("POST", "/mappings/1/reset").json["watermarks"] == {"local": None, "integration": None}


def test_a_running_run_is_not_disturbed(world: World) -> None:
    world.sql("accord", "UPDATE sync_runs SET status = 'running'")
    for method, path in (("POST", "/mappings/1/reset"), ("DELETE", "/mappings/1")):
        answer = world.ask(method, path)
        assert (answer.status_code, answer.json["code"]) == (409, "run_in_progress")
    assert world.ask("PATCH", "/mappings/1", {"name": "edited"}, If_Match="*").status_code == 200
    # The watermark that the run is about to write down is one of the stamps that the mapping has now.
    world.sql("erp", "ALTER TABLE customer ADD COLUMN changed_at TIMESTAMP")
    answer = world.ask("PATCH", "/mappings/1", {"local": {"modifiedOn": "changed_at"}}, If_Match="*")
    assert (answer.status_code, answer.json["code"]) == (409, "run_in_progress")


def test_deleting_takes_everything_along_but_the_records(lively: World) -> None:
    lively.ask("POST", "/mappings", changed(whole(dependsOn=[1])))
    assert lively.ask("DELETE", "/mappings/1").status_code == 204
    assert [mapping["dependsOn"] for mapping in lively.get("/mappings")["items"]] == [[]]
    assert (
        lively.get("/couplings")["items"] == lively.get("/errors")["items"] == lively.get("/sync-runs")["items"] == []
    )
    assert lively.sql("erp", "SELECT count(*) FROM customer") == [(4,)]


def test_dependencies_make_no_ring(world: World) -> None:
    other = world.ask("POST", "/mappings", changed(whole(dependsOn=[1]))).json["id"]
    answer = world.ask("PATCH", "/mappings/1", {"dependsOn": [other]}, If_Match="*")
    assert answer.json["errors"][0]["code"] == "depends_on_itself"


def test_a_name_is_taken_once(world: World) -> None:
    answer = world.ask("POST", "/mappings", MAPPING)
    assert (answer.status_code, answer.json["code"]) == (409, "name_taken")


def test_two_people_cannot_change_one_mapping_unseen(world: World) -> None:
    assert world.ask("PATCH", "/mappings/1", {"name": "mine"}, If_Match='"v1"').status_code == 200
    answer = world.ask("PATCH", "/mappings/1", {"name": "yours"}, If_Match='"v1"')
    assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed")
    answer = world.ask("PUT", "/mappings/1", MAPPING)
    assert (answer.status_code, answer.json["code"]) == (428, "precondition_required")
    assert world.ask("PUT", "/mappings/1", MAPPING, If_Match="v2").status_code == 400

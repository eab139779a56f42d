"""Tables with keys of several columns, as callers and people in the console meet them: found, proposed, mapped,
coupled, looked for, linked and exported."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.api.test_setup_file import apply, exported
from tests.api.world import World
from tests.console.conftest import Person

LINE = """CREATE TABLE {} (order_no VARCHAR(20), line_no INTEGER, item VARCHAR(50),
    {} TIMESTAMP NOT NULL DEFAULT '2026-01-01 00:00:00', PRIMARY KEY (order_no, line_no))"""
KEY = "order_no,line_no"

ORDER = "50% A,B/ø'\"<1>"
WRITTEN = "50%25 A%2CB/ø'\"<1>,10"
"""A part with everything that has a meaning somewhere, and the text of the key."""

MAPPING: dict[str, Any] = {
    "name": "lines",
    "local": {"connectionId": 1, "table": "order_line", "key": KEY, "modifiedOn": "changed_at"},
    "integration": {"connectionId": 2, "table": "shipment_line", "modifiedOn": "changedon"},
    "fieldMappings": [
        {"localField": "order_no", "integrationField": "order_no", "matchKey": 1},
        {"localField": "line_no", "integrationField": "line_no", "matchKey": 1},
        {"localField": "item", "integrationField": "item"},
    ],
    "synchOnlyCoupledRecords": False,
}


@pytest.fixture
def lines(world: World) -> World:
    """A world with lines on both sides."""
    world.sql("erp", LINE.format("order_line", "changed_at"))
    world.sql("crm", LINE.format("shipment_line", "changedon"))
    return world


def test_the_key_is_discovered(lines: World) -> None:
    table = lines.get("/connections/1/tables/order_line")
    assert (table["key"], table["generatesKeys"]) == (KEY, True)
    fields = {field["name"]: field for field in table["fields"]}
    assert list(fields) == ["order_no", "line_no", "item", "changed_at", KEY]
    assert (fields[KEY]["type"], fields[KEY]["readOnly"], fields[KEY]["required"]) == ("string", True, False)
    assert [fields[name]["required"] for name in ("order_no", "line_no")] == [True, True]


def test_a_mapping_is_proposed_and_says_which_part_it_lacks(lines: World) -> None:
    places = {
        side: {name: MAPPING[side][name] for name in ("connectionId", "table")} for side in ("local", "integration")
    }
    proposed = lines.ask("POST", "/mappings/suggest", places).json
    assert [line["localField"] for line in proposed["fieldMappings"]] == ["item", "line_no", "order_no"]
    less = {**MAPPING, "fieldMappings": [MAPPING["fieldMappings"][0], {"localField": KEY, "integrationField": KEY}]}
    refused = lines.ask("POST", "/mappings", less)
    assert refused.status_code == 422, refused.text
    problems = {(problem["code"], problem.get("pointer")) for problem in refused.json["errors"]}
    assert {code for code, _ in problems} == {"field_read_only", "required_field_not_mapped"}


def test_a_side_table_has_as_many_key_columns(lines: World) -> None:
    lines.sql("erp", "CREATE TABLE stamps (o VARCHAR(20), n INTEGER, at TIMESTAMP, PRIMARY KEY (o, n))")

    def told(key_field: str) -> list[Any]:
        stamp = {"table": "stamps", "keyField": key_field, "field": "at"}
        mapping = {**MAPPING, "local": {**MAPPING["local"], "modifiedOn": stamp}}
        answer = lines.ask("POST", "/mappings", mapping)
        return [(one["pointer"], one["code"]) for one in answer.json.get("errors", [])]

    assert told("o") == [("/local/modifiedOn/keyField", "side_key_differs")]
    assert told("o,x") == [("/local/modifiedOn/keyField", "field_not_found")]
    assert told("o,n") == []


def test_pairs_are_made_shown_looked_for_and_linked(lines: World) -> None:
    made = lines.ask("POST", "/mappings", MAPPING)
    assert made.status_code == 201, made.text
    mapping = made.json["id"]
    for database, table in (("erp", "order_line"), ("crm", "shipment_line")):
        lines.sql(
            database,
            f"INSERT INTO {table} (order_no, line_no, item) VALUES (?, 10, 'bolt'), (?, 20, 'nut')",
            ORDER,
            ORDER,
        )
    for id, template in ((1, "https://erp.example.com/{table}?key={key}"), (2, "https://crm.example.com/{key}")):
        version = lines.ask("GET", f"/connections/{id}").headers["ETag"]
        settings = {"settings": {"linkTemplate": template}}
        assert lines.ask("PATCH", f"/connections/{id}", settings, If_Match=version).status_code == 200
    coupled = lines.ask("POST", "/couplings", {"mappingId": mapping, "localKey": WRITTEN, "integrationKey": WRITTEN})
    assert coupled.status_code == 201, coupled.text
    assert (coupled.json["localKey"], coupled.json["integrationKey"]) == (WRITTEN, WRITTEN)
    unknown = {"mappingId": mapping, "localKey": f"{ORDER},10", "integrationKey": WRITTEN.replace("10", "20")}
    assert lines.ask("POST", "/couplings", unknown).status_code == 422
    run = lines.run(mappingId=mapping)
    assert run["status"] == "succeeded", run
    found = lines.get(f"/couplings?mappingId={mapping}&localKey={quote(WRITTEN, safe='')}")["items"]
    assert [item["localKey"] for item in found] == [WRITTEN]
    pair = lines.get(f"/couplings/{found[0]['id']}")
    chosen = lines.run(mappingId=mapping, kind="full")
    assert chosen["status"] == "succeeded"
    person = Person(lines)
    page = person.look(f"/console/couplings?mapping={mapping}&text={quote(WRITTEN, safe='')}")
    assert f'/console/couplings/{pair["id"]}"' in page
    shown = person.look(f"/console/couplings/{pair['id']}")
    assert quote(WRITTEN, safe="") in shown
    assert "<1>" not in shown, "what a key holds is no markup"
    lines.sql("erp", "UPDATE order_line SET item = 'long bolt', changed_at = '2027-01-01 00:00:00' WHERE line_no = 10")
    lines.sql(
        "crm", "UPDATE shipment_line SET item = 'short bolt', changedon = '2027-01-01 00:00:00' WHERE line_no = 10"
    )
    lines.run(mappingId=mapping)
    [skip] = lines.get("/skipped?status=open")["items"]
    assert (skip["localKey"], skip["reason"]) == (WRITTEN, "conflict")
    assert lines.ask("POST", f"/skipped/{skip['id']}/resolve", {"resolution": "keepLocal"}).status_code in (200, 202)
    lines.work()
    assert lines.sql("crm", "SELECT item FROM shipment_line WHERE line_no = 10") == [("long bolt",)]


def test_the_mapping_is_exported_as_it_was_given_and_made_again(lines: World) -> None:
    lines.ask("POST", "/mappings", MAPPING)
    setup = exported(lines)
    mapping = next(one for one in setup["mappings"] if one["name"] == "lines")
    assert mapping["local"]["key"] == KEY
    setup["mappings"].append({**mapping, "name": "lines again"})
    done = apply(lines, setup)
    assert done.returncode == 0, done.stderr
    assert "lines again" in {item["name"] for item in lines.get("/mappings")["items"]}

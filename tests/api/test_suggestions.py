"""`POST /mappings/suggest`, and that what it proposes is a mapping."""

from __future__ import annotations

from tests.api.world import World

PLACES = {
    "local": {"connectionId": 1, "table": "customer"},
    "integration": {"connectionId": 2, "table": "account"},
}


def test_what_is_proposed_is_taken(world: World) -> None:
    answer = world.ask("POST", "/mappings/suggest", PLACES)
    assert answer.status_code == 200, answer.text
    assert answer.json == world.ask("POST", "/mappings/suggest", PLACES).json
    lines = answer.json["fieldMappings"]
    assert [(line["localField"], line["integrationField"]) for line in lines] == [
        ("city", "city"),
        ("credit_limit", "creditlimit"),
        ("name", "name"),
        ("number", "accountnumber"),
    ]
    assert [line["matchKey"] for line in lines] == [None, None, None, 1]
    assert lines[0]["reason"] == {"code": "same_name", "message": "city and city have the same name."}
    assert answer.json["unmatched"] == {
        "local": [{"field": "id", "required": True}, {"field": "blocked", "required": False}],
        "integration": [{"field": "accountid", "required": True}, {"field": "customertypecode", "required": False}],
    }
    mapping = {
        "name": "suggested",
        **PLACES,
        "fieldMappings": [
            {name: value for name, value in line.items() if name not in ("score", "reason")} for line in lines
        ],
    }
    made = world.ask("POST", "/mappings", mapping)
    assert made.status_code == 201, made.text


def test_all_that_is_wrong_is_told(world: World) -> None:
    wrong = {"local": {"connectionId": 9, "table": "x"}, "integration": {"connectionId": 8, "table": "y"}}
    answer = world.ask("POST", "/mappings/suggest", wrong)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == ["/local/connectionId", "/integration/connectionId"]
    wrong = {"local": {"connectionId": 1, "table": "x"}, "integration": {"connectionId": 2, "table": "y"}}
    answer = world.ask("POST", "/mappings/suggest", wrong)
    assert [error["pointer"] for error in answer.json["errors"]] == ["/local/table", "/integration/table"]
    same = {"local": PLACES["local"], "integration": PLACES["local"]}
    answer = world.ask("POST", "/mappings/suggest", same)
    assert [error["code"] for error in answer.json["errors"]] == ["same_table_twice"]


def test_a_table_without_a_stamp_is_told_by_its_names(world: World) -> None:
    places = {**PLACES, "local": {"connectionId": 1, "table": "nameless"}}
    answer = world.ask("POST", "/mappings/suggest", places)
    assert answer.status_code == 200
    assert answer.json["fieldMappings"] == []


def test_whoever_may_only_read_may_not_ask(world: World) -> None:
    assert world.ask("POST", "/mappings/suggest", PLACES, token=world.token("read", "operate")).status_code == 403

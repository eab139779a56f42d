"""Ready-made mapping sets: `/mapping-sets`, and `accord sets`."""

from __future__ import annotations

from typing import Any

import pytest

from service.api.mapping_sets import sets
from service.api.setup_yaml import load_yaml
from service.operations.mapping_sets import parameters_of
from service.wording import term
from service.wording.languages import LANGUAGES
from tests.api.test_setup_file import shell
from tests.api.world import World

CHOICE = {"localConnectionId": 1, "integrationConnectionId": 2}
APPLY = "/mapping-sets/sql-customers/apply"


def apply(world: World, **more: Any) -> Any:
    answer = world.ask("POST", APPLY, {**CHOICE, **more})
    assert answer.status_code == 200, answer.text
    return answer.json


def test_sets_are_listed_in_the_readers_language(empty: World) -> None:
    found = {one["name"]: one for one in empty.get("/mapping-sets")["items"]}
    assert found.keys() == {"business-central-dataverse", "sql-customers", "tryton-crm"}
    parameters = {one["name"]: one["neededFor"] for one in found["business-central-dataverse"]["parameters"]}
    assert parameters == {"contactCustomerField": ["contacts"], "unitGroup": ["items"], "unit": ["items"]}
    first = empty.get("/mapping-sets?limit=1")
    assert [one["name"] for one in first["items"]] == ["business-central-dataverse"]
    second = empty.get(f"/mapping-sets?limit=2&cursor={first['nextCursor']}")
    assert [one["name"] for one in second["items"]] == ["sql-customers", "tryton-crm"]
    norwegian = empty.get("/mapping-sets", Accept_Language="nb")["items"]
    assert norwegian[0]["description"] != found["business-central-dataverse"]["description"]


def test_one_set_shows_its_mappings(empty: World) -> None:
    shown = empty.get("/mapping-sets/business-central-dataverse")
    directions = {one["name"]: one.get("direction", "bidirectional") for one in shown["mappings"]}
    assert directions == {
        "salespeople": "fromIntegration",
        "currencies": "toIntegration",
        "payment-terms": "toIntegration",
        "shipment-methods": "toIntegration",
        "customers": "bidirectional",
        "vendors": "bidirectional",
        "contacts": "bidirectional",
        "items": "bidirectional",
        "opportunities": "bidirectional",
    }
    pauses = {one["name"]: tuple(one["schedule"].values()) for one in shown["mappings"]}
    assert pauses["customers"] == (30, 720)
    assert pauses["items"] == (30, 1440)
    assert pauses["opportunities"] == (30,)
    assert empty.ask("GET", "/mapping-sets/nothing").status_code == 404
    assert empty.ask("POST", "/mapping-sets/nothing/apply", CHOICE).status_code == 404


def test_every_parameter_is_declared_and_explained() -> None:
    for found in sets().values():
        used = {name for mapping in found.mappings for name in parameters_of(mapping)}
        assert used == {one.name for one in found.parameters}
        for language in LANGUAGES:
            assert term("mappingSet", found.name, language) != found.name
            for one in found.parameters:
                assert term("setParameter", one.name, language) != one.name


def test_a_set_is_applied_once(world: World) -> None:
    names = {"customers": "all customers"}
    tried = apply(world, names=names, dryRun=True)
    assert (tried["dryRun"], [one["action"] for one in tried["changes"]]) == (True, ["create"])
    assert tried["changes"][0]["mappingId"] is None
    made = apply(world, names=names)
    [change] = made["changes"]
    assert (change["action"], change["name"], change["differences"]) == ("create", "all customers", [])
    mapping = world.get(f"/mappings/{change['mappingId']}")
    assert (mapping["local"]["table"], mapping["schedule"]) == ("customer", {"everyMinutes": 30, "slowestMinutes": 720})
    assert [one["action"] for one in apply(world, names=names)["changes"]] == ["unchanged"]
    assert world.get("/audit?limit=1")["items"][0]["noun"] == "mapping"


def test_what_is_there_and_otherwise_is_kept_unless_it_is_to_be_overwritten(world: World) -> None:
    before = world.get("/mappings/1")
    [change] = apply(world)["changes"]
    assert (change["action"], change["mappingId"]) == ("kept", 1)
    paths = {one["path"] for one in change["differences"]}
    assert {"schedule", "synchOnlyCoupledRecords", "fieldMappings"} <= paths
    assert world.get("/mappings/1") == before
    [change] = apply(world, overwrite=True, dryRun=True)["changes"]
    assert change["action"] == "change"
    assert world.get("/mappings/1") == before
    apply(world, overwrite=True)
    assert len(world.get("/mappings/1")["fieldMappings"]) == 2


@pytest.mark.parametrize(
    ("name", "more", "pointer", "said"),
    [
        ("tryton-crm", {}, "/localConnectionId", "kind sql"),
        ("sql-customers", {"integrationConnectionId": 99}, "/integrationConnectionId", "99"),
        ("sql-customers", {"parameters": {"localTable": "nix"}}, "/mappings/new/local/table", "nix"),
        ("sql-customers", {"parameters": {"colour": "red"}}, "/parameters/colour", "colour"),
        ("sql-customers", {"mappings": ["nix"]}, "/mappings/0", "nix"),
        ("sql-customers", {"parameters": None}, "/parameters", "null"),
        ("sql-customers", {"names": ["new"]}, "/names", "object"),
        ("sql-customers", {"names": {"customers": 7}}, "/names", "text"),
        ("sql-customers", {"names": {"customers": ""}}, "/names", "1"),
    ],
)
def test_problems_say_where(world: World, name: str, more: dict[str, Any], pointer: str, said: str) -> None:
    body = {**CHOICE, "names": {"customers": "new"}, **more} if name == "sql-customers" else {**CHOICE, **more}
    answer = world.ask("POST", f"/mapping-sets/{name}/apply", body)
    assert answer.status_code == 422, answer.text
    [error] = [one for one in answer.json["errors"] if one["pointer"] == pointer]
    assert said in error["detail"]
    assert len(world.get("/mappings")["items"]) == 1


def test_whoever_may_not_administrate_may_not_apply(world: World) -> None:
    assert world.ask("POST", APPLY, CHOICE, token=world.token("operate")).status_code == 403


def test_the_commands(world: World) -> None:
    listed = shell(world, "sets", "list").stdout
    assert all(name in listed for name in sets())
    assert "contactCustomerField" in listed
    shown = load_yaml(shell(world, "sets", "show", "sql-customers").stdout)
    assert [one["name"] for one in shown] == ["customers"]
    given = ("sets", "apply", "sql-customers", "--local", "erp", "--integration", "crm")
    told = shell(world, *given, "--rename", "customers=new", "--dry-run")
    assert (told.returncode, told.stdout.splitlines()) == (0, ["+ mapping new", "Nothing was written (dry run)."])
    told = shell(world, *given, "--rename", "customers=new", "--set", "localNameField=city")
    assert told.stdout.splitlines() == ["+ mapping new", "Done."], told.stderr
    assert {one["name"] for one in world.get("/mappings")["items"]} == {"customers", "new"}
    told = shell(world, *given)
    assert told.stdout.splitlines()[0] == "! mapping customers"
    assert told.stdout.splitlines()[-1] == "Nothing to do."
    told = shell(world, "sets", "apply", "sql-customers", "--local", "nix", "--integration", "crm")
    assert (told.returncode, "nix" in told.stderr) == (2, True)

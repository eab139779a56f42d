"""Connections and mappings as one file: `GET /export`, `accord export` and `accord apply`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.api.setup_shapes import Setup, read
from service.api.setup_yaml import YamlWrong, dump_yaml, load_yaml
from service.core.errors import Invalid
from service.wording import say
from tests.api.test_command import accord
from tests.api.world import MAPPING, TOKEN, World


def shell(world: World, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    defaults = {
        "ACCORD_DATABASE_URL": f"sqlite:///{world.state}",
        "ACCORD_SECRET_KEY": "secret-of-the-tests",
        "ACCORD_TOKEN": TOKEN,
    }
    return accord(world.folder, *arguments, **{**defaults, **environ})


def apply(world: World, setup: Any, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Apply a setup, as a document or as a text."""
    (world.folder / "setup.yaml").write_text(setup if isinstance(setup, str) else dump_yaml(setup))
    return shell(world, "apply", "setup.yaml", *options, **environ)


def exported(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.get("/export")
    return found


TRIMMED = (
    "In name, “ a” becomes “a” in name and “a” when it comes back. Let name flow in one direction only, or give the"
    " other one a transformation that undoes it."
)
NO_INDEX = "{0} of {1} has no index, so that every run reads the whole table. Make an index on {0} in {1}."


def planned(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What is said of what will be done, without what is likely to go wrong."""
    return [line for line in done.stdout.splitlines() if not line.startswith("    ? ")]


def state(world: World) -> list[str]:
    return world.contents()


def last_audit(world: World) -> list[tuple[Any, ...]]:
    return world.sql("accord", "SELECT actor, action, noun FROM audit_entries ORDER BY id DESC LIMIT 4")


def test_what_is_exported_leaves_nothing_to_do(world: World) -> None:
    world.ask("PATCH", "/connections/1", {"credentials": {"password": "geheim"}}, If_Match="*")
    steps = {"toIntegration": ["trim", {"valueMap": {"map": {"NO": "no", "1": True}}}]}
    first, second, third, fourth = MAPPING["fieldMappings"]
    world.sql("crm", "ALTER TABLE account ADD COLUMN description VARCHAR(200)")
    names = {"localField": "number + name", "integrationField": "description", "direction": "toIntegration"}
    joined = {**names, "transforms": {"toIntegration": [{"concat": {"separator": " / "}}]}}
    changes = {
        "fieldMappings": [first, second, {**third, "transforms": steps}, joined, fourth],
        "schedule": {"cron": "0 6 * * 1-5", "timeZone": "Europe/Oslo"},
        "local": {"filter": [{"field": "blocked", "op": "in", "value": ["no", "012", "2026-01-01", ""]}]},
        "maxDeletePercent": None,
    }
    assert world.ask("PATCH", "/mappings/1", changes, If_Match="*").status_code == 200
    before = state(world)
    for form in ("yaml", "json"):
        told = shell(world, "export", "--format", form)
        assert "geheim" not in told.stdout
        done = apply(world, told.stdout)
        assert (done.returncode, done.stdout.splitlines()) == (
            0,
            ["= connection erp", "= connection crm", "= mapping customers", "Nothing to do."],
        ), done.stderr
    assert state(world) == before


def test_the_export_is_json_or_yaml_and_names_things(world: World) -> None:
    world.ask("PATCH", "/connections/1", {"credentials": {"password": "geheim"}}, If_Match="*")
    shown = exported(world)
    assert shown["accord"] == 1
    assert [item["name"] for item in shown["connections"]] == ["erp", "crm"]
    assert shown["connections"][0]["credentials"] == {"password": {"fromEnvironment": "ERP_PASSWORD"}}
    assert "credentials" not in shown["connections"][1]
    (mapping,) = shown["mappings"]
    assert mapping["local"].items() >= {"connection": "erp", "table": "customer", "caption": "Customer"}.items()
    assert mapping["local"].keys() <= {"connection", "table", "key", "modifiedOn", "caption"}
    assert mapping["fieldMappings"][0] == {"localField": "number", "integrationField": "accountnumber", "matchKey": 1}
    assert "updateConflictResolution" not in mapping, "the default is left out"
    answer = world.ask("GET", "/export", Accept="application/yaml")
    assert answer.content_type == "application/yaml"
    assert yaml.safe_load(answer.text) == shown
    assert world.ask("GET", "/export", Accept="text/html").status_code == 406
    assert world.ask("GET", "/export", token=world.token("read")).status_code == 200


def test_a_file_makes_everything_in_an_empty_place(world: World, tmp_path: Path) -> None:
    wanted = exported(world)
    wanted["connections"][0]["settings"]["url"] = f"sqlite:///{world.folder / 'erp.db'}"
    wanted["connections"][1]["credentials"] = {"password": {"fromEnvironment": "CRM_PASSWORD"}}
    second = json.loads(json.dumps(wanted["mappings"][0]))
    other = {**second, "name": "first", "dependsOn": ["customers"], "enabled": False, "direction": "toIntegration"}
    wanted["mappings"] = [other, *wanted["mappings"]]
    (tmp_path / "secret").write_text("geheim\n")
    environ = {"ACCORD_DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}", "CRM_PASSWORD_FILE": str(tmp_path / "secret")}
    made = ["+ connection erp", "+ connection crm", "+ mapping first", "+ mapping customers"]
    dry = apply(world, wanted, "--dry-run", **environ)
    assert (dry.returncode, planned(dry)) == (0, [*made, "Nothing was written (dry run)."]), dry.stderr
    # The other mapping of the file is not stored yet, and counts all the same.
    elsewhere = [line for line in dry.stdout.splitlines() if "The mapping customers writes the field" in line]
    assert len(elsewhere) == 4
    assert "+ mapping first" in apply(world, wanted, **environ).stdout
    again = apply(world, wanted, **{name: value for name, value in environ.items() if name != "CRM_PASSWORD_FILE"})
    assert again.stdout.splitlines()[-1] == "Nothing to do."
    told = yaml.safe_load(shell(world, "export", **environ).stdout)
    assert sorted(item["name"] for item in told["mappings"]) == ["customers", "first"]
    assert next(item for item in told["mappings"] if item["name"] == "first")["dependsOn"] == ["customers"]


def test_a_plan_shows_what_changes_and_the_audit_who_did_it(world: World) -> None:
    wanted = exported(world)
    wanted["mappings"][0] |= {"updateConflictResolution": "newestWins", "schedule": {"everyMinutes": 5}}
    wanted["mappings"][0]["fieldMappings"][1]["transforms"] = {"toIntegration": ["trim"]}
    wanted["connections"][1]["enabled"] = False
    wanted["connections"][0]["credentials"] = {"password": "neu"}
    ids = world.sql("accord", "SELECT id FROM field_mappings ORDER BY position")
    done = apply(world, wanted)
    # A disabled connection cannot be asked whether the mapping works.
    assert (done.returncode, "/mappings/0/integration/connection" in done.stderr) == (2, True)
    del wanted["connections"][1]["enabled"]
    done = apply(world, wanted)
    assert done.stdout.splitlines() == [
        "~ connection erp",
        "    credentials: changed",
        "= connection crm",
        "~ mapping customers",
        '    fieldMappings.1.transforms.toIntegration: null -> ["trim"]',
        '    schedule: null -> {"everyMinutes": 5}',
        '    updateConflictResolution: "none" -> "newestWins"',
        f"    ? /local/modifiedOn: {NO_INDEX.format('modified_at', 'customer')}",
        f"    ? /integration/modifiedOn: {NO_INDEX.format('modifiedon', 'account')}",
        f"    ? /fieldMappings/1/transforms: {TRIMMED}",
        "Done.",
    ], done.stderr
    assert last_audit(world)[:2] == [("cli", "update", "mapping"), ("cli", "update", "connection")]
    after = world.sql("accord", "SELECT id FROM field_mappings ORDER BY position")
    assert [one == other for one, other in zip(ids, after, strict=True)] == [True, False, True, True]
    assert world.get("/mappings/1")["status"]["coupled"] == 3


def test_every_problem_comes_at_once_and_nothing_is_written(world: World) -> None:
    wanted, unset = exported(world), {"fromEnvironment": "NIX"}
    wanted["connections"] += [
        {"name": "new", "kind": "sql", "settings": {"url": "oracle://x", "nix": 1}},
        {"name": "crm", "kind": "memory", "settings": {}},
        {"name": "pg", "kind": "sql", "settings": {"url": "postgresql://u:${PG}@h/d"}},
        {"name": "pw", "kind": "sql", "settings": {"url": "sqlite:///x.db"}, "credentials": {"password": unset}},
    ]
    wanted["mappings"] += [
        {**wanted["mappings"][0], "name": "other", "dependsOn": ["nobody"]},
        {**wanted["mappings"][0], "name": "third", "local": {"connection": "nowhere", "table": "x"}},
        {
            **wanted["mappings"][0],
            "name": "fourth",
            "fieldMappings": [{"localField": "nix", "integrationField": "name"}],
        },
        {**wanted["mappings"][0], "name": "ring", "dependsOn": ["ring"]},
    ]
    before = state(world)
    refused = apply(world, wanted)
    assert refused.returncode == 2
    found = {line.removeprefix("Error: ").split(":")[0] for line in refused.stderr.splitlines()}
    assert found == {
        "/connections/2/settings/url",
        "/connections/2/settings/nix",
        "/connections/3/name",
        "/connections/3/kind",
        "/connections/4/settings",
        "/connections/5/credentials/password",
        "/mappings/1/dependsOn/0",
        "/mappings/2/local/connection",
        "/mappings/3/fieldMappings/0/localField",
        "/mappings/3/local/table",
        "/mappings/4/dependsOn/0",
        "/mappings/4/dependsOn",
    }
    assert "NIX" in refused.stderr
    assert "NIX_FILE" in refused.stderr
    assert state(world) == before


def test_mappings_that_refer_to_each_other(world: World) -> None:
    """Both new, and the first names the second: neither is there when the other is written."""
    for database, table in (("erp", "branch"), ("crm", "site")):
        world.sql(database, f"CREATE TABLE {table} (id TEXT NOT NULL PRIMARY KEY, name TEXT, main TEXT, at TIMESTAMP)")
        world.sql(
            database, f"CREATE TABLE {table}_group (id TEXT NOT NULL PRIMARY KEY, name TEXT, head TEXT, at TIMESTAMP)"
        )
    names = {"localField": "name", "integrationField": "name", "matchKey": 1}
    sides = {
        name: {
            "local": {"connection": "erp", "table": f"branch{suffix}", "modifiedOn": "at"},
            "integration": {"connection": "crm", "table": f"site{suffix}", "modifiedOn": "at"},
        }
        for name, suffix in (("branches", ""), ("groups", "_group"))
    }
    main = {"localField": "main", "integrationField": "main", "reference": {"mapping": "groups"}}
    head = {"localField": "head", "integrationField": "head", "reference": {"mapping": "branches"}}
    wanted = exported(world)
    wanted["mappings"] += [
        {"name": "branches", **sides["branches"], "fieldMappings": [names, main]},
        {"name": "groups", **sides["groups"], "fieldMappings": [names, head]},
    ]
    assert planned(apply(world, wanted))[-3:] == ["+ mapping branches", "+ mapping groups", "Done."]
    assert apply(world, exported(world)).stdout.splitlines()[-1] == "Nothing to do."
    wanted["mappings"][1]["dependsOn"], wanted["mappings"][2]["dependsOn"] = ["groups"], ["branches"]
    refused = apply(world, wanted)
    assert (refused.returncode, "/mappings/2/dependsOn" in refused.stderr) == (2, True)
    pruned = apply(world, {**wanted, "mappings": wanted["mappings"][:1]}, "--prune")
    assert {"- mapping branches", "- mapping groups", "Done."} <= set(pruned.stdout.splitlines()), pruned.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("connections: [", "/: The file cannot be read"),
        ("a: &x [1]\nb: *x", "aliases are not allowed in line 2"),
        ("accord: 1\naccord: 1", "stands here twice in line 2"),
        ("accord: 1\nnix: 1", "/nix:"),
        ("accord: 2", "/accord: This version"),
        ("[]", "/: "),
        ("accord: 1\nmappings: [{name: x}]", "/mappings/0/local:"),
        ("[" * 1000, "nested too deep"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_with_sentences(text: str, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(text)
    said = [f"{one.pointer or '/'}: {say(one.code, one.params).message}" for one in refused.value.problems]
    assert told in "\n".join(said)


def test_a_file_that_cannot_be_read_ends_the_command_with_a_sentence(world: World) -> None:
    refused = apply(world, "connections: [")
    assert (refused.returncode, refused.stderr.startswith("Error: /: The file cannot be read")) == (2, True)


def test_deletions_only_with_prune(world: World) -> None:
    wanted = exported(world)
    empty = {"accord": 1}
    assert apply(world, empty).stdout.splitlines() == ["", "Nothing to do."]
    only = {**wanted, "mappings": []}
    assert "- mapping" not in apply(world, only).stdout
    without_crm = {**wanted, "connections": wanted["connections"][:1]}
    assert "/mappings/0/integration/connection" in apply(world, without_crm, "--prune").stderr
    gone = apply(world, {**empty, "connections": wanted["connections"][:1]}, "--prune")
    assert gone.stdout.splitlines() == ["= connection erp", "- mapping customers", "- connection crm", "Done."]
    assert [item["name"] for item in world.get("/connections")["items"]] == ["erp"]
    assert world.get("/mappings")["items"] == []
    assert last_audit(world)[:2] == [("cli", "delete", "connection"), ("cli", "delete", "mapping")]


def test_what_is_coupled_stays_where_it_is(world: World) -> None:
    wanted = exported(world)
    world.sql("erp", "CREATE TABLE client AS SELECT * FROM customer")
    wanted["mappings"][0]["local"] |= {"table": "client", "key": "id", "modifiedOn": "modified_at"}
    refused = apply(world, wanted)
    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: /mappings/0: ")


def test_a_password_inside_an_address(world: World) -> None:
    """It is shown as a variable, kept while that is not set, and replaced when it is."""
    body = {"name": "pg", "kind": "sql", "settings": {"url": "postgresql://u:p%40ss@db.example.com/erp"}}
    assert world.ask("POST", "/connections", body).status_code == 201
    wanted = exported(world)
    assert wanted["connections"][2]["settings"]["url"] == "postgresql://u:${PG_URL_PASSWORD}@db.example.com/erp"
    assert apply(world, wanted).stdout.splitlines()[-1] == "Nothing to do."
    assert apply(world, wanted, PG_URL_PASSWORD="p@ss").stdout.splitlines()[-1] == "Nothing to do."
    changed = apply(world, wanted, PG_URL_PASSWORD="other")
    assert changed.stdout.splitlines()[2:4] == ["~ connection pg", "    credentials: changed"]
    wanted["connections"][2]["settings"]["url"] = "postgresql://u:${PG_URL_PASSWORD}@evil.example.com/erp"
    refused = apply(world, wanted)
    assert (refused.returncode, "PG_URL_PASSWORD is not set" in refused.stderr) == (2, True)


def test_scalars_of_a_file_are_those_of_json() -> None:
    text = "a: no\nb: 2026-01-01\nc: 012\nd: 1_000\ne: 1.0e+3\nf: true\ng: ~\nh: -5\ni: 1.50\n1: one\ntrue: yes\nj:\n"
    text += "k: 12:30:00"
    assert load_yaml(text) == {
        "a": "no",
        "b": "2026-01-01",
        "c": "012",
        "d": "1_000",
        "e": 1000.0,
        "f": True,
        "g": None,
        "h": -5,
        "i": 1.5,
        "1": "one",
        "true": "yes",
        "j": None,
        "k": "12:30:00",
    }
    odd = {
        "x": [
            "no",
            "012",
            "1e3",
            "1.5e3",
            "0x1",
            "1:30",
            "~",
            "",
            "2026-01-01",
            "true",
            "1",
            None,
            1,
            1.5,
            False,
            "a: b",
            "- x",
            "ø\nå",
        ]
    }
    assert load_yaml(dump_yaml(odd)) == odd == yaml.safe_load(dump_yaml(odd))
    with pytest.raises(YamlWrong):
        load_yaml("a: !!python/object:os.system 1")


def test_the_file_has_every_member_of_the_api() -> None:
    from service.api.connections import NewConnection
    from service.api.mapping_shapes import NewMapping
    from service.api.mapping_sides import MappedSide

    (connection, mapping) = (Setup().fields[name].inner.schema for name in ("connections", "mappings"))  # type: ignore[attr-defined]
    assert connection.fields.keys() == NewConnection().fields.keys()
    assert mapping.fields.keys() == NewMapping().fields.keys()
    sides = {name.replace("connection_id", "connection") for name in MappedSide().fields}
    assert mapping.fields["local"].schema.fields.keys() == sides

"""The connector of docs/connectors/your-own.md is installed as a package, passes the kit, and synchronizes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from service.connectors import connector_kinds
from service.connectors.memory import STORES, open_store
from service.core.records import Field, FieldType
from service.operations import connections, mappings, runs
from service.store.database import connection, migrate, open_database
from service.worker import run_until_idle
from tests.docs.pages import ROOT, blocks, page
from tests.world import line, new_context, tally

FILES = dict(
    zip(
        ("pyproject.toml", "accord_notebook.py", "test_notebook.py"),
        (block.text for block in blocks(page("docs/connectors/your-own.md"))),
        strict=True,
    )
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the page, as it stands there."""
    folder = tmp_path_factory.mktemp("package")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed it; what it needs is here already."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index"]
    options = ["--no-deps", "--no-build-isolation", "--root-user-action=ignore", "--target", str(target), str(package)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def notebook(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(installed)
    yield
    sys.modules.pop("accord_notebook", None)


def test_it_passes_the_kit(package: Path, installed: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_notebook.py"]
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout
    assert " passed" in done.stdout


def test_it_is_found_and_loaded_when_it_is_used(notebook: None) -> None:
    assert "notebook" in connector_kinds()
    assert "accord_notebook" not in sys.modules


def test_it_synchronizes(notebook: None, tmp_path: Path) -> None:
    shop = tmp_path / "shop.json"
    rows = {"1": {"values": {"name": "Ærlig Ås"}, "modified_at": 1_767_225_600_000_000, "version": 1}}
    fields = {
        "id": {"type": "string"},
        "name": {"type": "string", "length": 50, "required": True},
        "modified_at": {"type": "datetime", "read_only": True},
    }
    shop.write_text(json.dumps({"item": {"fields": fields, "unique": [], "generates_keys": True, "rows": rows}}))
    store = open_store("your-own")
    store.create_table("account", [Field("name", FieldType.STRING)], generates_keys=True)
    open_database(f"sqlite:///{tmp_path}/accord.db")
    migrate()
    context = new_context()
    with connection():
        settings: dict[str, dict[str, Any]] = {"notebook": {"path": str(shop)}, "memory": {"store": "your-own"}}
        ids = {
            kind: connections.create(
                context, name=kind, kind=kind, settings=given, credentials=None, enabled=True, actor="test"
            ).id
            for kind, given in settings.items()
        }
        sides = {
            "local": {"connection_id": ids["notebook"], "table": "item"},
            "integration": {"connection_id": ids["memory"], "table": "account"},
        }
        rest: dict[str, Any] = {"key": None, "modified_on": None, "caption": None, "filter": []}
        document = {name: {**rest, **side} for name, side in sides.items()}
        lines = [line(local_field="name", integration_field="name")]
        made = mappings.create(
            context, {"name": "n", "synch_only_coupled_records": False, "field_mappings": lines, **document}, "test"
        )

        def run() -> dict[str, dict[str, int]]:
            id = runs.start(context, runs.RunRequest(made["id"], "modified"), "test").id
            run_until_idle(context)
            assert runs.get(id).status == "succeeded"
            return {way: tally(runs.get(id), way) for way in ("toIntegration", "fromIntegration")}

        assert run()["toIntegration"]["inserted"] == 1
        [account] = store.tables["account"].rows
        assert store.values("account", account)["name"] == "Ærlig Ås"
        store.put("account", id=account, name="Ås")
        store.put("account", name="Zoë")
        counted = run()["fromIntegration"]
        assert (counted["modified"], counted["inserted"]) == (1, 1)
        kept = json.loads(shop.read_text())["item"]["rows"].values()
        assert sorted(row["values"]["name"] for row in kept) == ["Zoë", "Ås"]
        assert not {"modified", "inserted"} & {name for counts in run().values() for name in counts}
    del STORES["your-own"]


def test_its_class_is_a_connector(notebook: None) -> None:
    assert import_module("accord_notebook").Notebook.kind == "notebook"

"""The examples in `deploy/` are what their formats allow, and name settings and commands that there are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from service.cli import main
from service.settings.environment import SETTINGS

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE, KUBERNETES = DEPLOY / "compose.yaml", DEPLOY / "kubernetes.yaml"


def test_the_compose_file_is_one() -> None:
    call = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(call, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_each_kubernetes_object_is_one() -> None:
    objects = list(yaml.safe_load_all(KUBERNETES.read_text()))
    assert len(objects) == 6
    for item in objects:
        kubernetes_validate.validate(item, kubernetes_validate.latest_version(), strict=True)


def walk(item: Any) -> Iterator[tuple[Any, Any]]:
    """Every key with its value, however deep."""
    for key, value in item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ():
        yield key, value
        yield from walk(value)


def test_settings_and_commands_are_there() -> None:
    for file in (COMPOSE, KUBERNETES):
        found = [pair for item in yaml.safe_load_all(file.read_text()) for pair in walk(item)]
        names = {key for key, _ in found if str(key).startswith("ACCORD_")}
        assert {name.removesuffix("_FILE") for name in names} <= SETTINGS.keys()
        commands = [value[1] for key, value in found if key == "command"]
        assert {"migrate", "serve", "work"} <= set(commands)
        assert set(commands) <= main.commands.keys()

"""The pages name everything there is: settings, codes, endpoints, kinds, commands, and each word of an enumeration."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

from service import api
from service.api import document
from service.api.errors import STATUS
from service.api.mapping_shapes import NewMapping
from service.api.runs import STATUSES as RUN_STATUSES
from service.api.skipped import REASONS
from service.api.smorest import ERRORS
from service.cli import main
from service.connectors import CONNECTORS
from service.core.conflicts import FieldState, Resolution
from service.core.failures import FAILURES
from service.core.mapping import ConflictDetection, DeletionResolution, UpdateResolution
from service.core.outcomes import no_counts
from service.core.records import FILTER_OPERATORS, Direction
from service.core.transforms import TRANSFORMS
from service.operations.runs import KINDS
from service.operations.tokens import Scope
from service.settings.environment import SETTINGS
from service.store.database import connection, migrate, open_database
from tests.api.world import CONTEXT
from tests.docs.pages import first_words, page, prose, rows, section, words

_ENDPOINT = re.compile(r"`([A-Z]+) (/[^`]*)`")
_OUTSIDE_THE_DOCUMENT = {("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/problems/{code}")}


@pytest.mark.parametrize("name", ["README.md", "docs/configuration.md"])
def test_settings(name: str) -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in rows(page(name)) if row[0].startswith("`ACCORD_")}
    assert told.keys() == SETTINGS.keys()
    for setting, default in told.items():
        assert default in (SETTINGS[setting].default, "made", "unset"), setting
        assert (default in ("made", "unset")) == (SETTINGS[setting].default is None), setting


def test_error_codes_with_category_and_responsibility() -> None:
    table = section(page("docs/synchronization.md"), "Every error code")
    told = {tuple(cell.strip("`") for cell in row[:3]) for row in rows(table) if row[0] != "code"}
    assert told == {(code, kind.category.value, kind.responsibility.value) for code, kind in FAILURES.items()}


def _operations() -> dict[tuple[str, str], set[str]]:
    """Every operation of the API, with the names of its parameters in the query."""
    paths = document.document()["paths"]
    return {
        (method.upper(), path): {item["name"] for item in operation.get("parameters", []) if item.get("in") == "query"}
        for path, item in paths.items()
        for method, operation in item.items()
        if method in ("get", "post", "put", "patch", "delete")
    }


def test_endpoints_and_their_parameters() -> None:
    told = {
        (found[1], found[2]): " ".join(row)
        for row in rows(page("docs/api.md"))
        if (found := _ENDPOINT.fullmatch(row[0])) is not None
    }
    operations = _operations()
    assert told.keys() - _OUTSIDE_THE_DOCUMENT == operations.keys()
    assert told.keys() >= _OUTSIDE_THE_DOCUMENT
    for operation, names in operations.items():
        for name in names - {"limit", "cursor"}:
            assert re.search(rf"\b{name}\b", told[operation]), f"{operation} has a parameter {name}"


def test_statuses_of_problems() -> None:
    table = section(page("docs/api.md"), "Conventions")
    told = {int(number) for row in rows(table) for number in re.findall(r"\b[45]\d\d\b", row[0])}
    assert told >= {*STATUS.values(), *ERRORS}


def test_kinds_of_connections_and_their_settings() -> None:
    configuration, overview = page("docs/configuration.md"), page("docs/connectors/README.md")
    for kind, connector in CONNECTORS.items():
        row = next(row for row in rows(configuration) if row[0] == f"`{kind}`")
        assert set(re.findall(r"`(\w+)`", row[1])) == set(connector.SETTINGS), kind
        assert kind in first_words(overview)


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_commands_and_their_options() -> None:
    configuration, readme = page("docs/configuration.md"), page("README.md")
    for path, command in _commands(main, "accord"):
        assert any(word.startswith(path) for word in words(configuration)), path
        assert any(word.startswith(path) for word in words(readme)), path
        row = next(row for row in rows(configuration) if row[0].startswith(f"`{path}"))
        for option in (name for parameter in command.params for name in parameter.opts if name.startswith("--")):
            assert option in row[1], f"{path} {option}"


@pytest.mark.parametrize(
    ("name", "heading", "enumeration"),
    [
        ("docs/synchronization.md", "Runs", KINDS),
        ("docs/synchronization.md", "Conflicts", UpdateResolution),
        ("docs/synchronization.md", "Deleted partners", DeletionResolution),
        ("docs/synchronization.md", "Skipped records and resolutions", Resolution),
        ("docs/synchronization.md", "Skipped records and resolutions", REASONS),
        ("docs/field-mappings.md", "Transformations", TRANSFORMS),
        ("docs/api.md", "Conventions", Scope),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tables_of_words(name: str, heading: str, enumeration: Iterable[str]) -> None:
    assert set(map(str, enumeration)) <= first_words(section(page(name), heading))


@pytest.mark.parametrize(
    ("name", "enumeration"),
    [
        ("docs/synchronization.md", Direction),
        ("docs/synchronization.md", FieldState),
        ("docs/synchronization.md", FILTER_OPERATORS),
        ("docs/synchronization.md", RUN_STATUSES),
        ("docs/api.md", [*UpdateResolution, *DeletionResolution, *ConflictDetection, *Resolution, *KINDS]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_words(name: str, enumeration: Iterable[str]) -> None:
    assert set(map(str, enumeration)) <= words(page(name))


def test_counters_add_up_on_paper_too() -> None:
    text = prose(page("docs/synchronization.md"))
    sum_line = next(line for line in text.splitlines() if line.startswith("> read ="))
    assert set(re.findall(r"\w+", sum_line)) == set(no_counts())


def test_figures(tmp_path: Path) -> None:
    app = Flask("accord")
    app.extensions["accord"] = CONTEXT
    api.install(app, "")
    open_database(f"sqlite:///{tmp_path / 'accord.db'}")
    migrate()
    with connection():
        figures = {family.name for family in app.extensions["accord-metrics"].collect()}
    told = words(section(page("docs/api.md"), "Health, figures and documents"))
    assert figures <= {name.removesuffix("_total") for name in told}


def test_members_of_a_mapping() -> None:
    told = first_words(section(page("docs/api.md"), "Mappings"))
    assert {field.data_key for field in NewMapping().fields.values()} <= told


def test_members_of_a_field_mapping() -> None:
    told = first_words(section(page("docs/field-mappings.md"), "Members"))
    lines = NewMapping().fields["field_mappings"]
    assert {field.data_key for field in lines.inner.schema.fields.values()} <= told  # type: ignore[attr-defined]

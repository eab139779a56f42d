"""The pages about conformance and disasters tell of everything, and of nothing that there is not."""

import re
from pathlib import Path

import pytest

from service.core.failures import FAILURES
from tests.docs.pages import page, rows, section, words

SCENARIOS = "docs/conformance.md", "tests/conformance/test_original_scenarios.py"
DISASTERS = "docs/disasters.md", "tests/conformance/test_disasters.py"

ROOT = Path(__file__).parents[2]


def named_tests(file: str) -> set[str]:
    """The names of the tests in a file."""
    return set(re.findall(r"^def (test_\w+)\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE))


def scenarios() -> dict[int, list[str]]:
    """The rows of the table of scenarios, by number."""
    table = section(page(SCENARIOS[0]), "The scenarios")
    return {int(row[0]): row for row in rows(table) if row[0].isdigit()}


def test_every_scenario_is_told() -> None:
    assert list(scenarios()) == list(range(1, 40))


@pytest.mark.parametrize("number", range(1, 40))
def test_every_scenario_has_a_test_that_bears_its_number(number: int) -> None:
    row = scenarios()[number]
    assert len(row) == 6
    named = re.findall(r"`(test_\w+)`", row[4])
    assert named
    for name in named:
        assert name in named_tests(SCENARIOS[1])
        assert f"{number:02}" in re.findall(r"\d\d", name)


@pytest.mark.parametrize(("document", "file"), [SCENARIOS, DISASTERS])
def test_every_test_is_told(document: str, file: str) -> None:
    assert {word for word in words(page(document)) if word.startswith("test_")} == named_tests(file)


def test_every_disaster_has_a_code_and_a_test() -> None:
    stopping = [row for row in rows(section(page(DISASTERS[0]), "What stops a run")) if row[0] != "disaster"]
    assert len(stopping) >= 20
    for row in stopping:
        assert row[1].strip("`") in FAILURES
        assert row[2].startswith("`test_")

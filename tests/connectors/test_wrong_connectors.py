"""The kit refuses every wrong connector, by the test that is meant for its fault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from service.connectors.kit import LACKS
from service.connectors.memory import MemoryConnector
from tests.connectors.wrong_connectors import WRONG, WRONG_FEEDS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The tests that failed, by the name of the connector. They run by themselves, as those of a third party do."""
    report = tmp_path_factory.mktemp("kit") / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", f"--junit-xml={report}"]
    module = "tests/connectors/wrong_connectors.py"
    done = subprocess.run([*command, module], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    failed: dict[str, set[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        assert case.find("error") is None, case.attrib
        if case.find("failure") is not None:
            connector = case.attrib["classname"].rpartition(".Test")[2]
            failed.setdefault(connector, set()).add(case.attrib["name"].partition("[")[0])
    return failed


EVERY = {**WRONG, **WRONG_FEEDS}


@pytest.mark.parametrize("lack", LACKS)
def test_a_connector_that_denies_what_it_has_is_refused(refusals: dict[str, set[str]], lack: str) -> None:
    assert "test_what_is_left_out" in refusals.get(f"Denies_{lack}", set())


def test_a_connector_that_takes_what_it_is_said_to_refuse_is_refused(refusals: dict[str, set[str]]) -> None:
    assert refusals["DeniesThatItTakes"] == {"test_what_the_application_refuses"}


@pytest.mark.parametrize("wrong", EVERY, ids=lambda wrong: wrong.__name__)
def test_it_is_refused(refusals: dict[str, set[str]], wrong: type[MemoryConnector]) -> None:
    assert EVERY[wrong] in refusals.get(wrong.__name__, set())

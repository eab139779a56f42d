"""The counted work of the engine: what `scripts/bench --check` says, on small tables."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from scripts.benchmarks import check, page, report
from scripts.benchmarks.check import Counts
from scripts.benchmarks.databases import KINDS
from tests.servers import PostgresServer


@pytest.fixture(scope="module")
def counted(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Counts:
    """Everything counted once, in processes beside each other."""
    return check.count(tmp_path_factory.mktemp("bench"), postgres)


def test_no_work_grew(counted: Counts) -> None:
    """Where it had to grow, `scripts/bench --accept` says so, and the difference is for the review."""
    assert not [str(one) for one in check.worse(counted, check.accepted())]


def test_a_thousand_changes_and_nothing_changed_cost_the_same_in_a_larger_table(counted: Counts) -> None:
    assert not [str(one) for one in check.growing(counted)]


def test_everything_accepted_is_counted_and_nothing_else(counted: Counts) -> None:
    assert counted.keys() == check.accepted().keys()


def test_more_work_is_told_with_both_figures() -> None:
    before = {"sqlite 2000 W5": {"statements": 100.0, "calls": 50_000.0}}
    found = {"sqlite 2000 W5": {"statements": 106.0, "calls": 50_500.0}}
    assert [str(one) for one in check.worse(found, before)] == ["sqlite 2000 W5: statements 100 -> 106 (1.06 times)"]
    assert not check.worse(before, found)


def test_work_that_grows_with_the_table_is_told() -> None:
    few = dict.fromkeys(("statements", "roundTrips", "requests", "rowsWritten", "calls"), 100.0)
    many = few | {"statements": 500.0}
    found = {f"{kind} {size} {item}": few for kind in KINDS for size in check.SIZES for item in check.SAME}
    found["sqlite 10000 W3"] = many
    assert [str(one) for one in check.growing(found)] == [
        "sqlite W3 of 10,000 rows against 2,000: statements 100 -> 500 (5.00 times)"
    ]


def test_figures_become_a_table_and_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`scripts/bench --document`: ratios of each run as median, least and most; other text of the page stays."""
    costs = {"cpu": 3.0, "service": 1.0, "database": 2.0, "wall": 4.0, "memory": 50.0}
    figures: list[dict[str, Any]] = [
        {"databases": "sqlite", "rows": rows, "item": "W1", "contender": name, "runs": runs}
        for rows in (1_000, 100_000)
        for name, runs in (("accord", [costs] * 3), ("plain", [costs | {"cpu": cpu} for cpu in (1.0, 1.5, 3.0)]))
    ]
    answer = {"databases": "sqlite", "item": "A1", "rows": 1, "what": "/errors", "median": 1.0, "p99": 2.0, "cpu": 1.0}
    measured = tmp_path / "figures.json"
    figures += [
        {"databases": "own", "rows": 1_000, "item": "W4", "contender": "Unison", "runs": [costs | {"memory": 0.0}]},
        *(
            {"databases": "sqlite", "rows": rows, "item": "W5", "contender": "accord", "runs": [counts]}
            for rows, counts in ((1_000, {"calls": 100, "statements": 10}), (9_000, {"calls": 121, "statements": 11}))
        ),
    ]
    for one in figures[-2:]:
        one["runs"] = [dict.fromkeys(report.COUNTED, 0.0) | dict(one["runs"][0])]
    measured.write_text(json.dumps({"figures": figures, "answers": [answer]}))
    shown, drawn = tmp_path / "performance.md", tmp_path / "performance.svg"
    shown.write_text(f"Before.\n\n{page.BEGIN}\nold\n{page.END}\n\nAfter.\n")
    monkeypatch.setattr(page, "PAGE", shown)
    monkeypatch.setattr(page, "PICTURE", drawn)
    page.write([measured])
    text = shown.read_text()
    assert "| sqlite | 100,000 | first load one way | 3.00 | 2.00 | 4.00 | 50 | 3 | 2.0 (1.0 to 3.0) | – |" in text
    assert "| sqlite | A1 `/errors` | 1.0 | 2.0 | 1.0 |" in text
    assert "| Unison | 1,000 | 1,000 changes, 100 conflicts | 3.00 | 4.00 | – |" in text
    assert "| sqlite | nothing changed | statements | 1,000 | 10 | 9,000 | 11 | 1.10 |" in text
    assert "| sqlite | nothing changed | calls | 1,000 | 100 | 9,000 | 121 | **1.21** |" in text
    assert text.startswith("Before.")
    assert text.endswith("After.\n")
    assert "old" not in text
    lines = ElementTree.fromstring(drawn.read_text()).iter("{http://www.w3.org/2000/svg}polyline")
    # CPU and memory of each contender, and the accepted round trips of three items on both kinds of databases.
    assert len(list(lines)) == 4 + 6

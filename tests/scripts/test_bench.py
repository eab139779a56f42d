"""The counted work of the engine: what `scripts/bench --check` says, on small tables."""

import pytest

from scripts.benchmarks import check
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

"""The planted bugs still fit the code that they are planted in; `scripts/nightly` plants them."""

from pathlib import Path

import pytest

from scripts.planted_bugs import BUGS, Bug


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_has_its_place_and_tests_that_could_catch_it(bug: Bug) -> None:
    assert Path(bug.file).read_text(encoding="utf-8").count(bug.old) == 1
    assert bug.new != bug.old
    for test in bug.tests:
        assert Path(test.partition("::")[0]).exists()


def test_no_two_bugs_have_one_name() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS)

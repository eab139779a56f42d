"""The table of what each kind is tested with names tests that there are, and every kind that comes with Accord."""

import re
from pathlib import Path

import pytest

from service.connectors import CONNECTORS
from tests.docs.pages import page, rows, section

TESTS = Path(__file__).parents[1]
TABLE = section(page("docs/connectors/README.md"), "What each kind is tested with")


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([\w/]+\.py::\w+)`", TABLE))))
def test_what_is_named_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    assert re.search(rf"^(def|class) {name}\b", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_kind_is_in_the_table() -> None:
    listed = {kind for row in rows(TABLE) for kind in re.findall(r"`(\w+)`", row[1])}
    assert listed == set(CONNECTORS) - {"memory"}

"""docs/linter.md lists every code of the linter, and its example is an answer that the document describes."""

import json
import re

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from service.api import document
from service.operations.linter import SEVERITIES
from service.wording import known
from service.wording.english import ENGLISH
from tests.docs.pages import blocks, page, rows

PAGE = page("docs/linter.md")


def test_every_code_is_on_the_page() -> None:
    told = {code: row[1].strip("`") for row in rows(PAGE) for code in re.findall(r"`(\w+)`", row[0])}
    assert {code for code in ENGLISH if code.startswith("lint_")} <= told.keys()
    assert all(known(code) for code in told)
    assert set(told.values()) <= set(SEVERITIES)


def test_the_answer_on_the_page() -> None:
    (shown,) = (json.loads(block.text) for block in blocks(PAGE) if block.language == "json")
    components = document.document()["components"]
    Draft202012Validator({"$ref": "#/components/schemas/Findings", "components": components}).validate(shown)

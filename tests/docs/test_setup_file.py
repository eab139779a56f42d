"""The file in docs/setup-file.md is one that can be read, and is written as the page shows it."""

from typing import Any

from service.api.setup_shapes import read, written
from service.api.setup_yaml import dump_yaml
from tests.docs.pages import blocks, page


def test_the_file_on_the_page() -> None:
    (shown,) = (block.text for block in blocks(page("docs/setup-file.md")) if block.language == "yaml")
    setup: dict[str, Any] = read(shown)
    assert [item["name"] for item in setup["mappings"]] == ["customers", "contacts"]
    assert dump_yaml(written(setup)) == shown

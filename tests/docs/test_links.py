"""Links between pages lead somewhere, and so do the files that pages name."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links, page, words

_NAMED = re.compile(r"((?:[\w.]+/)*\w+\.py)(?:: (\w+))?")


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_resolve(file: Path) -> None:
    for target in links(file.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (file.parent / path).resolve() if path else file
        assert found.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), f"{target} has no such heading"


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_named_files_exist_and_have_what_is_named(file: Path) -> None:
    for word in words(file.read_text(encoding="utf-8")):
        named = _NAMED.fullmatch(word)
        if named is None:
            continue
        places = [place for place in (ROOT / named[1], ROOT / "service" / named[1]) if place.exists()]
        assert places, f"{word} does not exist"
        if named[2]:
            assert re.search(rf"\b{named[2]}\b", places[0].read_text(encoding="utf-8")), f"{word} is not there"


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    files = {file.name for file in folder.glob("[0-9]*.md")}
    assert files == set(links(page("docs/decisions/README.md")))
    for name in files:
        number, title = name[:4], (folder / name).read_text(encoding="utf-8").splitlines()[0]
        assert title.startswith(f"# {number} ")


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        file = waiting.pop()
        if file in seen or file.suffix != ".md" or not file.exists():
            continue
        seen.add(file)
        targets = [target.partition("#")[0] for target in links(file.read_text(encoding="utf-8"))]
        waiting += [(file.parent / target).resolve() for target in targets if target and ":" not in target]
    assert set(PAGES) <= seen

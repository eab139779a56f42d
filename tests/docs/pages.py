"""The pages of the documentation, taken apart: headings, tables, fenced blocks, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request as an example makes it: `api $accord/path -X METHOD -H HEADER -d BODY`."""

    method: str
    path: str
    query: str
    headers: tuple[str, ...]
    body: str | None


def page(name: str) -> str:
    """A page by its path from the top of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}$(.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no heading {heading}"
    return found[2]


def blocks(text: str) -> list[Block]:
    """All fenced blocks, in order."""
    return [Block(language, content) for language, content in _FENCE.findall(text)]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text)


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every row of every table, without the rows of dashes."""
    for line in prose(text).splitlines():
        if line.startswith("|") and not re.fullmatch(r"[|\- ]+", line):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def words(text: str) -> set[str]:
    """Everything that stands in backquotes."""
    return set(_CODE.findall(prose(text)))


def first_words(text: str) -> set[str]:
    """Everything in backquotes in the first cells of tables."""
    return {word for row in rows(text) for word in _CODE.findall(row[0])}


def links(text: str) -> list[str]:
    """The targets of all links."""
    return _LINK.findall(prose(text))


def anchors(text: str) -> set[str]:
    """The names by which links find the headings of a page."""
    return {_anchor(heading) for heading in _HEADING.findall(prose(text))}


def _anchor(heading: str) -> str:
    plain = re.sub(r"[^\w\- ]", "", heading.lower())
    return plain.strip().replace(" ", "-")


def requests(text: str) -> Iterator[Request]:
    """The requests of all shell blocks of a page."""
    for block in blocks(text):
        if block.language == "sh":
            yield from (_request(command) for command in _commands(block.text) if command[0] == "api")


def _commands(script: str) -> Iterator[list[str]]:
    """Simple commands, each of which may go over several lines inside quotes."""
    waiting = ""
    for line in script.splitlines():
        waiting += line + "\n"
        try:
            command = shlex.split(waiting, comments=True)
        except ValueError:
            continue
        if command:
            yield command
        waiting = ""


def _request(command: list[str]) -> Request:
    options: dict[str, list[str]] = {"-X": [], "-H": [], "-d": []}
    address, rest = "", iter(command[1:])
    for part in rest:
        if part in options:
            options[part].append(next(rest))
        else:
            address = part
    path, _, query = address.removeprefix("$accord").partition("?")
    body = options["-d"][0] if options["-d"] else None
    method = options["-X"][0] if options["-X"] else "GET" if body is None else "POST"
    return Request(method, path, query, tuple(options["-H"]), body)

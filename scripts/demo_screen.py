"""What the demo prints: headings, requests, tables. A little colour on a terminal, none elsewhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

_WIDTH = 110
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34"}


def begin() -> None:
    """Prepare the output: line by line, so that a pipe shows the story as it happens, and accents wherever it goes."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True, encoding="utf-8", errors="replace")


def colored(text: str, name: str) -> str:
    """The text in a colour, where the output is a terminal and nobody asked for none."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else f"\x1b[{_CODES[name]}m{text}\x1b[0m"


def heading(number: int, text: str) -> None:
    """The title of a step."""
    print(f"\n{colored(f'{number:>2}. {text}', 'bold')}")


def say(text: str) -> None:
    """A sentence of the story."""
    print(f"    {text}")


def happens(where: str, text: str) -> None:
    """What somebody does in one of the applications."""
    print(f"    {colored(f'[{where}]', 'yellow')} {text}")


def request(method: str, path: str, body: Any, status: int) -> None:
    """A request, and the status of its answer."""
    shown = "" if body is None else f" {colored(short(json.dumps(body, ensure_ascii=False)), 'dim')}"
    outcome = colored(str(status), "green" if status < 400 else "red")
    print(f"    {colored(method, 'blue')} {path}{shown} -> {outcome}")


def short(text: str, width: int = _WIDTH - 40) -> str:
    """A text that fits a line."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows under their columns."""
    lines = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[index]) for line in [list(columns), *lines]) for index in range(len(columns))]
    print("      " + colored("  ".join(map(str.ljust, columns, widths)).rstrip(), "bold"))
    print("      " + colored("  ".join("-" * width for width in widths), "dim"))
    for line in lines:
        print("      " + "  ".join(map(str.ljust, line, widths)).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return short(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _WIDTH - 10)
